"""The analysts' questions: source rows in, hand-counted answers out."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal

import pytest

from sparkify.analytics import Period, ask, questions
from sparkify.warehouse import Deadline, Warehouse, WarehouseError
from tests.support import reference
from tests.support.documents import sql_blocks
from tests.support.months import dataset_month, published, sample_month
from tests.support.months import rows as rows_of
from tests.support.source import event, page, song
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

NOVEMBER = Period.parse("2018-11-01", "2018-12-01")

AVA = {"firstName": "Ava", "lastName": "Robinson"}
UPRISING = {"song": "Uprising", "length": 100.0}
HYSTERIA = {"song": "Hysteria", "artist": "Muse feat. X", "length": 200.0}
BLACK_HOLE = {"length": 200.0}
UNKNOWN = {"song": "Not There", "artist": "Nobody", "length": 60.0}

EVENTS = (
    event("2018-10-31 23:59:59.999", 1, sessionId=9, **AVA, **BLACK_HOLE),
    event("2018-11-01 10:00:00", 1, sessionId=10, **AVA, **BLACK_HOLE),
    event("2018-11-01 10:03:20", 1, sessionId=10, itemInSession=1, **AVA, **UPRISING),
    page("2018-11-01 10:30:00", 2, sessionId=20, **AVA),
    event("2018-11-01 23:59:59.999", 2, sessionId=20, itemInSession=1, **AVA, **BLACK_HOLE),
    event("2018-11-02 00:00:00", 2, sessionId=20, itemInSession=2, **AVA, **UNKNOWN),
    # Another user's session of the same number, and a song without a length.
    event("2018-11-02 08:59:59", 3, sessionId=10, level="paid", **{**UNKNOWN, "length": None}),
    event("2018-11-02 09:00:00", 1, sessionId=11, **AVA, **UPRISING),
    page("2018-11-02 11:00:00", 1, sessionId=11, itemInSession=1, level="paid", **AVA),
    event("2018-11-02 12:00:00", 1, sessionId=11, itemInSession=2, level="paid", **AVA, **BLACK_HOLE),
    event("2018-11-02 12:30:00", 1, sessionId=11, itemInSession=3, level="paid", **AVA, **HYSTERIA),
    page("2018-11-09 09:00:00", 3, sessionId=31),
    event("2018-11-09 10:00:00", 3, sessionId=31, itemInSession=1, location="Eugene, OR", **BLACK_HOLE),
    event("2018-12-01 00:00:00", 1, sessionId=12, level="paid", **AVA, **BLACK_HOLE),
)
SONGS = (
    song("SO1", "AR1", duration=200.0),
    # Another artist of the same name.
    song("SO2", "AR2", title="Uprising", duration=100.0),
    song("SO3", "AR1", title="Hysteria", artist_name="Muse feat. X", duration=200.0, year=2003),
)
WINDOWS = (
    ("2018-10-31 00:00", "2018-11-05 00:00"),
    ("2018-11-04 00:00", "2018-11-12 00:00"),
    ("2018-11-02 00:00", "2018-11-03 00:00"),
    ("2018-11-12 00:00", "2018-11-13 00:00"),
    ("2018-11-20 00:00", "2018-12-03 00:00"),
)


def when(text):
    return datetime.fromisoformat(text)


def day(number):
    return date(2018, 11, number)


ANSWERS = {
    "totals": [(9, 7, 3, 3)],
    "top_songs": [
        ("Supermassive Black Hole", "Muse", 4, 3, 4),
        ("Not There", "Nobody", 2, 2, 0),
        ("Uprising", "Muse", 2, 1, 2),
        ("Hysteria", "Muse feat. X", 1, 1, 1),
    ],
    "top_songs_in_catalogue": [
        ("Supermassive Black Hole", "Muse", 4, 3, None, "SO1"),
        ("Uprising", "Muse", 2, 1, None, "SO2"),
        ("Hysteria", "Muse", 1, 1, 2003, "SO3"),
    ],
    "top_artists": [("Muse", 6, 3, 2, 6), ("Nobody", 2, 2, 1, 0), ("Muse feat. X", 1, 1, 1, 1)],
    "top_artists_in_catalogue": [("Muse", 5, 3, 2, None, "AR1"), ("Muse", 2, 1, 1, None, "AR2")],
    "catalogue_share": [
        (day(1), Decimal("100.0"), 3, 3),
        (day(2), Decimal("60.0"), 3, 5),
        (day(9), Decimal("100.0"), 1, 1),
    ],
    "daily_active_users": [(day(1), 2, 2, 0, 3), (day(2), 3, 2, 2, 5), (day(9), 1, 1, 0, 1)],
    "top_users": [
        (1, "Ava", "Robinson", "free", 3, 3),
        (1, "Ava", "Robinson", "paid", 2, 2),
        (2, "Ava", "Robinson", "free", 2, 1),
        (3, "First3", "Last3", "free", 1, 1),
        (3, "First3", "Last3", "paid", 1, 0),
    ],
    "top_free_users": [
        (1, "Ava", "Robinson", 3, 2),
        (2, "Ava", "Robinson", 1, 1),
        (3, "First3", "Last3", 1, 1),
    ],
    "listeners_by_location": [("Lansing, MI", 3, 8), ("Eugene, OR", 1, 1)],
    "plays_by_hour": [(hour, {0: 1, 8: 1, 9: 1, 10: 3, 12: 2, 23: 1}.get(hour, 0)) for hour in range(24)],
    "plays_by_weekday": [
        ("Thursday", Decimal("3.0"), 3, 1),
        ("Friday", Decimal("3.0"), 6, 2),
    ],
    "sessions_by_day": [
        (day(1), 2, 0, Decimal("2.0")),
        (day(2), 2, 1, Decimal("2.0")),
        (day(9), 1, 0, Decimal("1.0")),
    ],
    "session_lengths": [("under 10 minutes", 4, 6), ("2 to 4 hours", 1, 3)],
    "level_changes": [(day(2), 1, 0), (day(9), 0, 1)],
    "plays_around_level_changes": [
        (3, "First3", "Last3", when("2018-11-09 09:00"), "paid", "free", 0, 1),
        (1, "Ava", "Robinson", when("2018-11-02 11:00"), "free", "paid", 4, 2),
    ],
    "certified_hours": [
        (when("2018-11-20"), when("2018-12-03"), 312),
        (when("2018-10-31"), when("2018-11-13"), 312),
    ],
    "missing_hours": [(when("2018-11-13"), when("2018-11-20"), 168, "missing")],
    "rejected_rows": [],
}
#: Of the worked questions in docs/analysts.md, by number.
WORKED = {
    1: [(9, 3)],
    2: [
        ("Supermassive Black Hole", "Muse", 4),
        ("Not There", "Nobody", 2),
        ("Uprising", "Muse", 2),
        ("Hysteria", "Muse feat. X", 1),
    ],
    3: [
        ("Supermassive Black Hole", "Muse", None, 4),
        ("Uprising", "Muse", None, 2),
        ("Hysteria", "Muse", 2003, 1),
    ],
    4: [(day(1), 3), (day(2), 3), (day(9), 1)],
    6: [("free", 6, 3, Decimal("2.0")), ("paid", 3, 2, Decimal("1.5"))],
    7: [("free", 2), ("paid", 1)],
    8: [
        (1, "Ava", "Robinson", "paid", 5),
        (2, "Ava", "Robinson", "free", 2),
        (3, "First3", "Last3", "free", 2),
    ],
    9: [(1, "Ava", "Robinson", 3), (2, "Ava", "Robinson", 1), (3, "First3", "Last3", 1)],
    10: [
        ("free", when("2018-10-31 23:59:59.999"), when("2018-11-02 11:00")),
        ("paid", when("2018-11-02 11:00"), when("9999-12-31")),
    ],
    11: [(1, when("2018-11-02 11:00"), 2)],
    12: [(1, 4, 4, 4)],
    13: [(day(1), 2), (day(2), 3), (day(9), 1)],
    14: [(date(2018, 10, 29), 3, 8), (day(5), 1, 1)],
    15: [
        (4, 10, 2),
        (5, 12, 2),
        (4, 23, 1),
        (5, 0, 1),
        (5, 8, 1),
        (5, 9, 1),
        (5, 10, 1),
    ],
    16: [("free", 4, Decimal("1.5")), ("paid", 2, Decimal("1.5"))],
    17: [("Not There", "Nobody", 2)],
    18: [(day(1), 1), (day(2), 1)],
    19: [(3, 1, Decimal("33.3"))],
    20: [
        ("certified", when("2018-10-31"), when("2018-11-13"), 312),
        ("missing", when("2018-11-13"), when("2018-11-20"), 168),
        ("certified", when("2018-11-20"), when("2018-12-03"), 312),
    ],
}
#: Their rows hold when and by which run something was done.
DATED = ("data_freshness", "last_loads", "quality_results")


@pytest.fixture(scope="module")
def pipeline(redshift, s3_client, airflow_connections):
    """A month of listening, loaded by windows that overlap, hold each other, touch and leave a gap."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    pipeline.put_empty_days("2018-10-31", "2018-12-03")
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*SONGS)
    pipeline.runs = [pipeline.load(*window) for window in WINDOWS]
    return pipeline


@pytest.fixture(scope="module")
def asked(pipeline):
    """Ask a question by its name."""

    def ask_by_name(name, period=NOVEMBER, **options):
        return ask(Warehouse(), questions()[name], period, **options)

    return ask_by_name


def test_there_is_an_answer_for_every_question():
    assert {*ANSWERS, *DATED} == set(questions())


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_hand_counted_one(asked, name):
    assert list(asked(name).rows) == ANSWERS[name]


@pytest.mark.parametrize("number", WORKED)
def test_a_worked_question_has_the_hand_counted_answer(pipeline, number):
    assert pipeline.query(sql_blocks("analysts.md")[number - 1]) == WORKED[number]


def test_every_worked_question_is_tested():
    # The fifth by the test below.
    assert sorted([*WORKED, 5]) == list(range(1, len(sql_blocks("analysts.md")) + 1)) == list(range(1, 21))


def test_an_absurd_length_lengthens_a_session_by_a_day_at_most(pipeline, asked):
    period = Period.parse("2017-06-01", "2017-06-02")
    pipeline.execute(
        "INSERT INTO sparkify.songplays "
        "(start_time, user_id, level, session_id, item_in_session, song_length) VALUES "
        "('2017-06-01 10:00', 1, 'free', 7, 0, 3e9), ('2017-06-01 10:00', 2, 'free', 8, 0, -500)"
    )
    lengths, days = (asked(name, period).rows for name in ("session_lengths", "sessions_by_day"))
    pipeline.execute("DELETE FROM sparkify.songplays WHERE start_time < '2018-01-01'")
    assert lengths == (("under 10 minutes", 1, 1), ("4 hours or more", 1, 1))
    assert days == ((date(2017, 6, 1), 2, 1, Decimal("1.0")),)


def test_of_a_check_the_last_try_counts(pipeline, asked):
    last = pipeline.runs[-1].run_id
    [(table, check)] = pipeline.query(
        f"SELECT table_name, check_name FROM sparkify.quality_results WHERE run_id = '{last}' "
        "AND status = 'passed' ORDER BY 1, 2 LIMIT 1"
    )
    of_the_check = f"WHERE run_id = '{last}' AND table_name = '{table}' AND check_name = '{check}'"
    pipeline.execute(
        "INSERT INTO sparkify.quality_results "
        "(run_id, window_start, window_end, table_name, check_name, severity, status, checked_at) "
        "SELECT run_id, window_start, window_end, table_name, check_name, severity, 'failed', "
        f"DATEADD(minute, -5, checked_at) FROM sparkify.quality_results {of_the_check}"
    )
    rows = [row for row in asked("quality_results").records() if row["run_id"] == last]
    pipeline.execute(f"DELETE FROM sparkify.quality_results {of_the_check} AND status = 'failed'")
    shown = [row["status"] for row in rows if (row["table_name"], row["check_name"]) == (table, check)]
    assert shown == ["passed"]


def test_the_join_with_the_span_of_a_level_counts_each_play_once(pipeline):
    rows = pipeline.query(sql_blocks("analysts.md")[4])
    assert [(row[1], row[3]) for row in rows] == [
        *[("Ava", "free")] * 4,
        ("First3", "paid"),
        ("Ava", "free"),
        *[("Ava", "paid")] * 2,
        ("First3", "free"),
    ]


def test_freshness_tells_the_ends_the_gap_and_the_latest_play(asked):
    [row] = asked("data_freshness").records()
    assert (row["certified_from"], row["certified_up_to"]) == (when("2018-10-31"), when("2018-12-03"))
    assert row["missing_hours"] == 168
    assert row["last_play"] == when("2018-12-01")
    hours = (row["last_published_at"] - row["certified_up_to"]).total_seconds() / 3600
    assert row["hours_behind"] == pytest.approx(hours, abs=2)


def test_the_last_loads_come_with_their_counts_latest_first(asked, pipeline):
    # Two runs may be published in the same second.
    for place, run in enumerate(pipeline.runs):
        pipeline.execute(
            f"UPDATE sparkify.load_history SET published_at = DATEADD(second, {place - len(pipeline.runs)}, "
            f"published_at) WHERE run_id = '{run.run_id}'"
        )
    rows = asked("last_loads").records()
    assert [row["run_id"] for row in rows] == [run.run_id for run in reversed(pipeline.runs)]
    assert [(row["songplays"], row["other_pages"]) for row in rows] == [
        (1, 0),
        (0, 0),
        (5, 1),
        (1, 1),
        (9, 2),
    ]
    for row in rows:
        parts = ("songplays", "duplicate_plays", "other_pages", "events_outside", "rejected_events")
        assert row["events_staged"] + row["landed_before"] == sum(row[part] for part in parts)


def test_the_last_runs_checks_come_with_what_failed_first(asked, pipeline):
    last = pipeline.runs[-1].run_id
    [(table, check)] = pipeline.query(
        f"SELECT table_name, check_name FROM sparkify.quality_results WHERE run_id = '{last}' "
        "ORDER BY 1 DESC, 2 DESC LIMIT 1"
    )
    failed = f"WHERE run_id = '{last}' AND table_name = '{table}' AND check_name = '{check}'"
    pipeline.execute(f"UPDATE sparkify.quality_results SET status = 'failed' {failed}")
    rows = asked("quality_results").records()
    pipeline.execute(f"UPDATE sparkify.quality_results SET status = 'passed' {failed}")
    assert (rows[0]["run_id"], rows[0]["check_name"], rows[0]["status"]) == (last, check, "failed")
    assert [*dict.fromkeys(row["run_id"] for row in rows)] == [run.run_id for run in reversed(pipeline.runs)]


def test_a_period_without_plays_has_an_answer_too(asked):
    before = Period.parse("2017-01-01", "2017-01-02")
    assert asked("totals", before).rows == ((0, 0, 0, 0),)
    assert asked("top_songs", before).rows == ()


def test_at_most_the_asked_number_of_rows_is_given_and_said(asked):
    answer = asked("top_users", row_limit=2)
    assert list(answer.rows) == ANSWERS["top_users"][:2]
    assert answer.may_have_more
    assert not asked("top_users", row_limit=6).may_have_more


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.startswith("top_")])
def test_fewer_rows_are_the_first_of_more(asked, name):
    rows = ANSWERS[name]
    assert [list(asked(name, row_limit=n).rows) for n in range(1, len(rows))] == [
        rows[:n] for n in range(1, len(rows))
    ]


def test_a_question_that_takes_too_long_is_ended_by_the_server(pipeline):
    with (
        pytest.raises(WarehouseError) as caught,
        Warehouse().read_only_transaction(Deadline(1)) as transaction,
    ):
        transaction.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) "
            "SELECT COUNT(*) FROM n"
        )
    assert caught.value.sqlstate == "57014"


def test_a_read_only_transaction_cannot_write(pipeline):
    with (
        pytest.raises(WarehouseError, match="read-only"),
        Warehouse().read_only_transaction(Deadline(5)) as transaction,
    ):
        transaction.execute("DELETE FROM sparkify.songplays")
    assert len(pipeline.table("songplays")) == 11


def test_figures_of_the_sample(redshift, s3_client, airflow_connections):
    files = sample_month()
    plays = reference.tables(rows_of(files, "log_data"), rows_of(files, "song_data"))["songplays"]
    published(redshift, s3_client, files)

    def answer(name, row_limit):
        return list(ask(Warehouse(), questions()[name], NOVEMBER, row_limit).rows)

    known, users = sum(play[3] is not None for play in plays), {play[1] for play in plays}
    assert answer("totals", 1) == [(len(plays), known, len(users), 30)]
    songs = Counter((play[9], play[10]) for play in plays)
    assert [row[:3] for row in answer("top_songs", 20)] == [
        (*song, count) for song, count in sorted(songs.items(), key=lambda one: (-one[1], one[0]))[:20]
    ]
    hours = Counter(play[0].hour for play in plays)
    assert answer("plays_by_hour", 24) == [(hour, hours[hour]) for hour in range(24)]
    days = {play[0].date() for play in plays}
    active = {day: {play[1] for play in plays if play[0].date() == day} for day in days}
    assert {row[0]: row[1] for row in answer("daily_active_users", 30)} == {
        day: len(users) for day, users in active.items()
    }


def test_figures_of_the_public_dataset(redshift, s3_client, airflow_connections, dataset):
    published(redshift, s3_client, dataset_month(dataset))

    def rows(name, row_limit=5):
        return list(ask(Warehouse(), questions()[name], NOVEMBER, row_limit).rows)

    assert rows("totals") == [(6820, 333, 96, 30)]
    assert [(*row[:3], row[4]) for row in rows("top_songs", 3)] == [
        ("You're The One", "Dwight Yoakam", 37, 37),
        ("Undo", "BjÃ\x83Â¶rk", 28, 0),
        ("Revelry", "Kings Of Leon", 27, 0),
    ]
    assert [row[:2] for row in rows("top_artists")] == [
        ("Coldplay", 58),
        ("Kings Of Leon", 55),
        ("Dwight Yoakam", 38),
        ("The Black Keys", 36),
        ("Florence + The Machine", 35),
    ]
    assert rows("top_songs_in_catalogue")[0][2] == rows("top_artists_in_catalogue")[0][1] == 37
    # Of the two users of that name, 13 and 50, one leads.
    assert rows("top_free_users")[:2] == [
        (50, "Ava", "Robinson", 5, 4),
        (8, "Kaylee", "Summers", 3, 3),
    ]
    assert [(row[0], row[3], row[4]) for row in rows("top_users")] == [
        (49, "paid", 650),
        (80, "paid", 648),
        (97, "paid", 557),
        (15, "paid", 462),
        (44, "paid", 397),
    ]
    assert rows("listeners_by_location")[0] == ("New York-Newark-Jersey City, NY-NJ-PA", 10, 262)
    assert [plays for _, plays in rows("plays_by_hour", 24)] == [
        *(155, 154, 117, 109, 136, 162, 183, 179, 207, 270, 312, 336),
        *(308, 324, 432, 477, 542, 494, 498, 367, 360, 280, 217, 201),
    ]
    assert [row[2] for row in rows("plays_by_weekday", 7)] == [1014, 1071, 1364, 1052, 1295, 628, 396]
    assert max((row[1], row[0]) for row in rows("daily_active_users", 30)) == (34, day(28))
    assert sum(row[1] for row in rows("session_lengths", 9)) == 776
    changes = rows("level_changes", 30)
    assert (sum(row[1] for row in changes), sum(row[2] for row in changes)) == (8, 1)
