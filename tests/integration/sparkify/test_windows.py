"""Any order, size and repetition of windows gives the same tables."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from tests.support import reference
from tests.support.source import event, log_files, page, song, song_files

pytestmark = pytest.mark.integration

MONTH = ("2018-11-01 00:00", "2018-12-01 00:00")


def history(seed: int = 1, users: int = 4, hours: int = 7) -> list[dict]:
    """Events of a few users around midnight, whose levels change often."""
    chance = random.Random(seed)
    start = datetime(2018, 11, 1, 21)
    events = []
    for user in range(1, users + 1):
        level = "free"
        for item in range(hours * 3):
            if chance.random() < 0.4:
                level = chance.choice(["free", "paid"])
            time = start + timedelta(milliseconds=chance.randrange(hours * 3_600_000))
            make = event if chance.random() < 0.6 else page
            events.append(make(str(time), user, level=level, itemInSession=item))
    return events


def hours(first: str, count: int) -> list[tuple[str, str]]:
    start = datetime.fromisoformat(first)
    return [(str(start + timedelta(hours=n)), str(start + timedelta(hours=n + 1))) for n in range(count)]


SCHEDULES = {
    "hourly, in order": hours("2018-11-01 21:00", 7),
    "hourly, backwards": hours("2018-11-01 21:00", 7)[::-1],
    "hourly, shuffled, some twice": random.Random(7).sample(hours("2018-11-01 21:00", 7) * 2, 9)
    + hours("2018-11-01 21:00", 7)[::5],
    "daily": [("2018-11-02 00:00", "2018-11-03 00:00"), ("2018-11-01 00:00", "2018-11-02 00:00")],
    "overlapping": [
        ("2018-11-01 22:00", "2018-11-02 03:00"),
        ("2018-11-01 17:00", "2018-11-01 23:00"),
        ("2018-11-02 01:00", "2018-11-02 09:00"),
    ],
    "a month, then hours of it": [MONTH, *hours("2018-11-01 22:00", 3)],
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_same_bytes_same_tables(pipeline, schedule):
    events, songs = history(), [song()]
    pipeline.put_events(*events)
    pipeline.put_songs(*songs)
    for window in schedule:
        pipeline.load(*window)
    covered = [
        e
        for e in events
        if any(
            datetime.fromisoformat(start) <= reference.moment(e["ts"]) < datetime.fromisoformat(end)
            for start, end in schedule
        )
    ]
    assert pipeline.tables() == reference.tables(covered, songs)


def test_loading_again_changes_no_songplay_id(pipeline):
    pipeline.put_events(*history())
    pipeline.put_songs(song())
    pipeline.load(*MONTH)
    keys = "songplay_id, start_time, user_id, session_id, item_in_session"
    before = pipeline.query(f"SELECT {keys} FROM sparkify.songplays ORDER BY 1")
    pipeline.load("2018-11-01 20:00", "2018-11-02 02:00")
    pipeline.load(*MONTH, mode="truncate")
    assert pipeline.query(f"SELECT {keys} FROM sparkify.songplays ORDER BY 1") == before


def test_a_rewritten_file_replaces_what_its_windows_published(pipeline):
    first = [
        event("2018-11-01 10:00", user=1),
        event("2018-11-01 10:10", user=1, level="paid", itemInSession=1),
        event("2018-11-01 11:00", user=1, level="paid", itemInSession=2),
        event("2018-11-01 11:30", user=2),
    ]
    pipeline.put_events(*first)
    pipeline.load(*MONTH)
    [(kept,)] = pipeline.query("SELECT songplay_id FROM sparkify.songplays WHERE item_in_session = 2")

    second = [first[0], {**first[2], "location": "Elsewhere"}]
    pipeline.put_events(*second)
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00")
    assert pipeline.tables() == reference.tables(second, [])
    assert pipeline.query("SELECT songplay_id FROM sparkify.songplays WHERE item_in_session = 2") == [(kept,)]


def test_an_event_inserted_into_a_published_span_splits_it(pipeline):
    events = [event(f"2018-11-01 {hour}:15", level="free", itemInSession=hour) for hour in (10, 11, 12, 13)]
    pipeline.put_events(*events)
    pipeline.load(*MONTH)
    events.append(event("2018-11-01 11:45", level="paid", itemInSession=99))
    pipeline.put_events(*events)
    pipeline.load("2018-11-01 11:00", "2018-11-01 12:00")
    assert pipeline.tables() == reference.tables(events, [])
    assert len(pipeline.table("users")) == 3


def test_songs_that_come_after_their_plays_are_filled_in(pipeline):
    events = [event("2018-11-01 10:00"), event("2018-11-02 10:00", song="Uprising")]
    pipeline.put_events(*events)
    pipeline.load(*MONTH)
    assert {row[3] for row in pipeline.table("songplays")} == {None}

    songs = [song("SO1"), song("SO2", title="Uprising")]
    pipeline.put_songs(*songs)
    pipeline.load("2018-11-20 10:00", "2018-11-20 11:00")
    assert pipeline.tables() == reference.tables(events, songs)
    assert {row[3] for row in pipeline.table("songplays")} == {"SO1", "SO2"}


def test_a_changed_song_file_updates_the_song_its_artists_and_its_plays(pipeline):
    events = [event("2018-11-01 10:00"), event("2018-11-02 10:00", song="Uprising")]
    pipeline.put_events(*events)
    pipeline.put_songs(song("SO1"), song("SO2", artist_id="AR2", artist_name="Other"))
    pipeline.load(*MONTH)

    songs = [
        song("SO1", title="Uprising", artist_id="AR3", year=2009),
        song("SO2", artist_id="AR2", artist_name="Other"),
    ]
    pipeline.put(song_files(songs[:1]))
    pipeline.load("2018-11-20 10:00", "2018-11-20 11:00")
    assert pipeline.tables() == reference.tables(events, songs)
    assert {row[0] for row in pipeline.table("artists")} == {"AR2", "AR3"}


@pytest.mark.parametrize(
    "last", [MONTH, ("2018-11-01 22:00", "2018-11-01 23:00"), ("2018-11-20 10:00", "2018-11-20 11:00")]
)
def test_truncate_gives_the_rows_of_append_and_mends_what_was_changed_by_hand(pipeline, last):
    events, songs = history(), [song("SO1"), song("SO2", artist_name="Muse feat. X", title="Uprising")]
    pipeline.put_events(*events)
    pipeline.put_songs(*songs)
    for window in [("2018-11-01 20:00", "2018-11-01 23:00"), ("2018-11-01 23:00", "2018-11-02 05:00")]:
        pipeline.load(*window)
    appended = pipeline.tables()
    pipeline.execute(
        "DELETE FROM sparkify.time",
        "UPDATE sparkify.songs SET title = 'by hand'",
        "DELETE FROM sparkify.artists",
        "UPDATE sparkify.users SET level = 'free'",
    )
    pipeline.load(*last, mode="truncate")
    assert pipeline.tables() == appended == reference.tables(events, songs)


FIRST_HOUR = datetime(2018, 11, 1, 22)
FILES = ("log_data/2018/11/2018-11-01-events.json", "log_data/2018/11/2018-11-02-events.json")


@pytest.mark.parametrize("seed", range(2))
def test_random_windows_over_files_that_are_rewritten_in_between(pipeline, seed):
    chance = random.Random(seed)
    events, published, schedule = [], set(), []
    for _ in range(5):
        if not events or chance.random() < 0.25:
            events = random_events(chance)
            pipeline.put(dict.fromkeys(FILES, b"") | log_files(events))
            schedule.append("files rewritten")
        first = chance.randrange(5)
        hours_of_window = range(first, chance.randrange(first + 1, 6))
        mode = chance.choice(["append", "append", "truncate"])
        schedule.append((hours_of_window, mode))
        end = FIRST_HOUR + timedelta(hours=hours_of_window.stop)
        pipeline.load(str(FIRST_HOUR + timedelta(hours=first)), str(end), mode)

        published |= set(hours_of_window)
        # Of other published hours, what is new comes at once, and what is gone stays until their run.
        assert {hour_of_play(row) for row in pipeline.table("songplays")} <= published
        in_window = [e for e in events if hour_of(e) in hours_of_window]
        plays = [row for row in pipeline.table("songplays") if hour_of_play(row) in hours_of_window]
        assert plays == reference.tables(in_window, [])["songplays"], schedule
    for hour in sorted(published):
        start = FIRST_HOUR + timedelta(hours=hour)
        pipeline.load(str(start), str(start + timedelta(hours=1)))
    expected = [e for e in events if hour_of(e) in published]
    assert pipeline.tables() == reference.tables(expected, []), schedule


def hour_of_play(row: tuple) -> int:
    return (row[0] - FIRST_HOUR) // timedelta(hours=1)


def random_events(chance: random.Random) -> list[dict]:
    """Events of two users in the five hours from FIRST_HOUR, some of them exactly on the hour."""
    events = []
    for user in (1, 2):
        for item in range(chance.randrange(3, 14)):
            time = FIRST_HOUR + timedelta(seconds=chance.randrange(5 * 3600))
            if chance.random() < 0.2:
                time = time.replace(minute=0, second=0)
            make = event if chance.random() < 0.5 else page
            level, name = chance.choice(["free", "paid"]), chance.choice("AB")
            events.append(make(str(time), user, level=level, itemInSession=item, firstName=name))
    return events


def hour_of(one: dict) -> int:
    return (reference.moment(one["ts"]) - FIRST_HOUR) // timedelta(hours=1)
