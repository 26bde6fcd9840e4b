"""What the published tables hold: source rows in, published rows out, hand-counted."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support import reference
from tests.support.months import dataset_month, rows, sample_month
from tests.support.source import event, page, song

pytestmark = pytest.mark.integration

MONTH = ("2018-11-01 00:00", "2018-12-01 00:00")
OPEN = datetime(9999, 12, 31)


def when(text):
    return datetime.fromisoformat(text)


def test_a_play_with_its_song_fills_all_five_tables(pipeline):
    pipeline.put_events(event("2018-11-04 20:57:10.796", user=8, itemInSession=3))
    pipeline.put_songs(
        song(year=2006, artist_location="Teignmouth", artist_latitude=50.5, artist_longitude=-3.5)
    )
    pipeline.load(*MONTH)

    start = when("2018-11-04 20:57:10.796")
    assert pipeline.tables() == {
        "songplays": [
            (
                start,
                8,
                "free",
                "SO1",
                "AR1",
                139,
                3,
                "Lansing, MI",
                '"Mozilla/5.0 (X11; Linux x86_64)"',
                "Supermassive Black Hole",
                "Muse",
                209.50159,
            )
        ],
        "users": [(8, "First8", "Last8", "F", "free", start, OPEN, True)],
        "songs": [("SO1", "Supermassive Black Hole", "AR1", 2006, 209.50159)],
        "artists": [("AR1", "Muse", "Teignmouth", 50.5, -3.5)],
        "time": [(start, 20, 4, 44, 11, 2018, 0)],
    }


def test_users_are_spans_of_one_level_over_all_logged_in_events(pipeline):
    pipeline.put_events(
        page("2018-11-01 10:00", level="free"),
        page("2018-11-01 10:30", page="Submit Upgrade", level="free", itemInSession=1),
        event("2018-11-01 11:00", level="paid", itemInSession=2),
        event("2018-11-02 09:00", level="paid"),
        page("2018-11-03 09:00", level="free"),
        page("2018-11-03 09:30", user="", page="Login"),
    )
    pipeline.load(*MONTH)
    assert sorted((row[4:] for row in pipeline.table("users")), key=lambda span: span[1]) == [
        ("free", when("2018-11-01 10:00"), when("2018-11-01 11:00"), False),
        ("paid", when("2018-11-01 11:00"), when("2018-11-03 09:00"), False),
        ("free", when("2018-11-03 09:00"), OPEN, True),
    ]


def test_of_events_in_one_millisecond_the_last_in_the_session_decides_the_level(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", level="free", itemInSession=7),
        event("2018-11-01 10:00", level="paid", itemInSession=8),
    )
    pipeline.load(*MONTH)
    assert [row[4] for row in pipeline.table("users")] == ["paid"]
    assert len(pipeline.table("songplays")) == 2


@pytest.mark.parametrize(
    ("songs", "found"),
    [
        pytest.param(
            [song("SO1", duration=100.0), song("SO2", duration=210.0)], "SO2", id="nearest duration"
        ),
        pytest.param([song("SO2"), song("SO1")], "SO1", id="of equals the lowest song_id"),
        pytest.param([song("SO1", title="supermassive black hole")], None, id="exact title"),
        pytest.param([song("SO1", artist_name="Muse feat. X")], None, id="exact artist"),
    ],
)
def test_a_play_finds_its_song(pipeline, songs, found):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(*songs)
    pipeline.load(*MONTH)
    assert [row[3] for row in pipeline.table("songplays")] == [found]


def test_a_play_finds_its_song_by_the_spelling_of_its_own_file(pipeline):
    pipeline.put_events(event("2018-11-01 10:00", artist="Muse feat. Mike Skinner"))
    pipeline.put_songs(
        song("SO1", artist_name="Muse feat. Mike Skinner"),
        song("SO2", artist_name="Muse", title="Uprising"),
        song("SO3", artist_name="Muse", title="Hysteria"),
    )
    pipeline.load(*MONTH)
    assert [row[3] for row in pipeline.table("songplays")] == ["SO1"]
    assert pipeline.table("artists") == [("AR1", "Muse", None, None, None)]


def test_one_row_an_artist_by_what_most_songs_say(pipeline):
    pipeline.put_songs(
        song(
            "SO1",
            artist_name="Björk feat. Thom",
            artist_location="Reykjavík",
            artist_latitude=64.0,
            artist_longitude=-21.0,
        ),
        song("SO2", artist_name="Björk", artist_location="  ", artist_latitude=1.0),
        song("SO3", artist_name="Björk & Co", artist_location=None),
        song(
            "SO4",
            artist_name="Bjork",
            artist_location="Iceland",
            artist_latitude=64.0,
            artist_longitude=-21.0,
        ),
        song("SO5", artist_id="AR2", artist_name=1349, artist_location=7),
    )
    pipeline.load(*MONTH)
    assert pipeline.table("artists") == [
        ("AR1", "Bjork", "Iceland", 64.0, -21.0),
        ("AR2", "1349", "7", None, None),
    ]


def test_numbers_where_strings_are_expected_are_kept_as_written(pipeline):
    pipeline.put(
        {
            "song_data/A/TR1.json": b'{"song_id":"SO1","artist_id":"AR1","title":4.60,"artist_name":33,'
            b'"duration":1.5,"year":0,"num_songs":1}'
        }
    )
    pipeline.load(*MONTH)
    assert pipeline.table("songs") == [("SO1", "4.60", "AR1", None, 1.5)]


def test_an_event_that_stands_twice_is_one_play(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"), event("2018-11-01 10:00"))
    run = pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    assert len(pipeline.table("songplays")) == 1
    sentences = run.xcoms["run_quality_checks", "quality"]["sentences"]
    assert any("plays_stand_once observed 1 of 2 row(s)" in sentence for sentence in sentences)


def test_of_plays_with_one_key_songplays_and_users_take_the_same_level(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", level="free", song="Uprising"),
        event("2018-11-01 10:00", level="paid", song="Starlight"),
        event("2018-11-01 11:00", user=9, level="free"),
        page("2018-11-01 11:00", user=9, level="paid"),
    )
    pipeline.load(*MONTH)
    assert [(row[1], row[2], row[9]) for row in pipeline.table("songplays")] == [
        (8, "paid", "Starlight"),
        (9, "free", "Supermassive Black Hole"),
    ]
    assert [(row[0], row[4]) for row in pipeline.table("users")] == [(8, "paid"), (9, "free")]


@pytest.mark.parametrize("field", ["song", "artist", "length", "location", "userAgent"])
def test_of_plays_with_one_key_a_known_value_is_taken_before_an_unknown_one(pipeline, field):
    known, unknown = event("2018-11-01 10:00"), event("2018-11-01 10:00", **{field: None})
    pipeline.put_events(unknown, known)
    pipeline.load(*MONTH)
    assert pipeline.table("songplays") == reference.tables([known], [])["songplays"]


def test_of_events_of_a_user_in_one_moment_a_known_name_is_taken_before_an_unknown_one(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", firstName=None, lastName="A"), event("2018-11-01 10:00", lastName="B")
    )
    pipeline.load(*MONTH)
    assert [row[1:3] for row in pipeline.table("users")] == [("First8", "B")]


def test_a_logged_out_event_with_a_user_does_not_split_the_span(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", level="paid"),
        page("2018-11-01 11:00", level="free", auth="Logged Out"),
        event("2018-11-01 12:00", level="paid", auth="Logged Out"),
        page("2018-11-01 13:00", user=9, auth="Logged Out"),
        page("2018-11-01 14:00", user=7, auth=None),
    )
    pipeline.load(*MONTH)
    assert [(row[0], row[4]) for row in pipeline.table("users")] == [(7, "free"), (8, "paid")]


def test_blanks_around_a_text_are_trimmed_and_a_text_without_anything_else_is_null(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", user=1, artist=" Muse ", location=" Lansing, MI ", userAgent=" x "),
        event("2018-11-01 11:00", user=2, artist=" ", song="", location="", userAgent="  ",
              firstName=" Ada ", lastName="", gender=" "),
    )  # fmt: skip
    pipeline.put_songs(
        song("SO1", artist_name=" Muse", artist_location=" London "), song("SO2", title=" Uprising ")
    )
    pipeline.load(*MONTH)
    assert [row[3:5] + row[7:11] for row in pipeline.table("songplays")] == [
        ("SO1", "AR1", "Lansing, MI", "x", "Supermassive Black Hole", "Muse"),
        (None, None, None, None, None, None),
    ]
    assert [row[1:4] for row in pipeline.table("users")] == [("First1", "Last1", "F"), ("Ada", None, None)]
    assert pipeline.table("artists") == [("AR1", "Muse", "London", None, None)]


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_title_keeps_the_blanks_before_it_and_is_found_without_them(pipeline, late):
    plays = [
        event("2018-11-01 10:00", song=" Uprising"),
        event("2018-11-01 11:00", song="Starlight "),
        event("2018-11-01 12:00", song=" "),
    ]
    songs = [song("SO1", title="Uprising"), song("SO2", title=" Starlight ")]
    pipeline.put_events(*plays)
    if late:
        pipeline.load(*MONTH)
    pipeline.put_songs(*songs)
    pipeline.load(*(("2018-12-01 00:00", "2018-12-02 00:00") if late else MONTH))
    assert [(row[3], row[9]) for row in pipeline.table("songplays")] == [
        ("SO1", " Uprising"),
        ("SO2", "Starlight"),
        (None, None),
    ]
    assert [row[1] for row in pipeline.table("songs")] == ["Uprising", " Starlight"]


def test_control_characters_quotes_and_odd_unicode_come_through(pipeline):
    odd = 'tab\there "quoted, comma" back\\slash line\nbreak \u00a0 \ufffd BjÃ¶rk <b>html</b> \x01'
    pipeline.put_events(event("2018-11-01 10:00", song=odd, userAgent=odd, location=odd))
    pipeline.load(*MONTH)
    [row] = pipeline.table("songplays")
    assert (row[7], row[8], row[9]) == (odd, odd, odd)


def test_the_sample_gives_the_tables_that_the_reference_computes(pipeline):
    files = sample_month()
    pipeline.put_month(files)
    pipeline.load(*MONTH)
    assert pipeline.tables() == reference.tables(rows(files, "log_data"), rows(files, "song_data"))


def test_the_public_dataset_has_the_figures_counted_independently(pipeline, dataset):
    files = dataset_month(dataset)
    pipeline.put({key: body for key, body in files.items() if key.startswith("log_data/")})
    pipeline.load(*MONTH)
    counts = {name: len(rows) for name, rows in pipeline.tables().items()}
    assert counts == {"songplays": 6820, "users": 106, "songs": 0, "artists": 0, "time": 6813}
    assert len({row[0] for row in pipeline.table("users")}) == 97


def test_the_reference_agrees_with_the_published_tables(pipeline):
    events = [
        event("2018-11-01 10:00", user=1, level="free"),
        event("2018-11-01 10:30", user=1, level="paid", song="Uprising"),
        page("2018-11-05 23:59:59.999", user=2),
        event("2018-11-06 00:00", user=2, level="paid", length=None),
        page("2018-11-06 00:01", user=""),
        event("2018-11-07 10:00", user=3, song="Uprising", level="paid", length=1.0),
        event("2018-11-07 10:00", user=3, song="Uprising", level="free", length=2.0),
        event("2018-11-07 10:00", user=3, song=None, level="paid", firstName=None),
        page("2018-11-07 10:00", user=3, level="paid", firstName="A"),
        page("2018-11-07 11:00", user=3, level="free", auth="Logged Out"),
        page("2018-11-07 12:00", user=4, level=None),
        event("2018-11-07 13:00", user=4, artist=" ", location=" x ", firstName="", gender=" "),
        event("2018-11-07 14:00", user=5, page="nextsong"),
        event("2018-11-07 15:00", user=6, level="gold"),
    ]
    songs = [song("SO1", duration=1.0), song("SO2", title="Uprising", artist_id="AR2", artist_location="X")]
    songs.append(song("SO3", title=" Uprising", artist_id="AR2", artist_name=" Muse ", artist_location=" "))
    pipeline.put_events(*events)
    pipeline.put_songs(*songs)
    pipeline.load(*MONTH, max_rejected_rows=2)
    assert pipeline.tables() == reference.tables(events, songs)
