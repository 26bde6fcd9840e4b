"""Several runs at once, and readers beside them."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support import reference
from tests.support.relay import RedshiftRelay
from tests.support.servers import redshift_connection
from tests.support.source import event, page, song
from tests.support.task_process import TaskKilledError, TaskProcess

pytestmark = pytest.mark.integration

EVENTS = [
    event(f"2018-11-01 {hour:02}:{minute:02}:00.000", user=8 + hour % 3, sessionId=hour, itemInSession=minute,
          level="paid" if hour % 4 == 0 else "free", song=f"Title {minute}")
    for hour in range(8)
    for minute in range(0, 60, 20)
]  # fmt: skip
SONGS = [song(f"SO{number}", f"AR{number % 3}", title=f"Title {number}") for number in range(0, 60, 20)]
EXPECTED = reference.tables(EVENTS, SONGS)


def hours(start: int, end: int) -> tuple[str, str]:
    return f"2018-11-01 {start:02}:00", f"2018-11-01 {end:02}:00"


@pytest.mark.parametrize("windows", [
    pytest.param([(0, 2), (2, 4), (4, 6), (6, 8)], id="beside each other"),
    pytest.param([(0, 8), (0, 8), (0, 8), (0, 8)], id="the same"),
    pytest.param([(0, 5), (3, 8), (1, 4), (4, 8)], id="overlapping"),
])  # fmt: skip
def test_four_runs_at_once_give_the_tables_of_one(pipeline, windows):
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*SONGS)
    runs = [pipeline.new_run(*hours(*window)) for window in windows]
    with ThreadPoolExecutor(len(runs)) as pool:
        for done in [pool.submit(run.run) for run in runs]:
            done.result(120)
    assert pipeline.tables() == EXPECTED
    assert pipeline.work_tables() == []


def test_a_publish_that_waits_for_another_goes_on_from_what_that_published(pipeline, redshift):
    """Two spans of one user, each published without knowledge of the other."""
    events = [page("2018-11-01 00:10:00.000"), page("2018-11-01 01:10:00.000", level="paid", itemInSession=1)]
    pipeline.put_events(*events)
    first, second = (pipeline.new_run(*hours(*window)) for window in ((0, 1), (1, 2)))
    for run in (first, second):
        run.run(before="publish")
    with RedshiftRelay(redshift.port) as relay, ThreadPoolExecutor(1) as pool:
        waiting = []
        environ = {"AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(redshift_connection(redshift, relay.port))}
        relay.fault("^commit$", "before", lambda: waiting.append(pool.submit(second.run_task, "publish")))
        TaskProcess(first, "publish", environ).result()
        waiting[0].result(60)
    assert pipeline.tables() == reference.tables(events, [])


class Reader(threading.Thread):
    """An analyst who looks at one snapshot of the tables after another, until told to stop."""

    ORPHANS = "SELECT COUNT(*) FROM sparkify.songplays AS p LEFT JOIN sparkify."
    LOOKS = (
        "SELECT EXTRACT(HOUR FROM start_time), COUNT(*) FROM sparkify.songplays GROUP BY 1",
        f"{ORPHANS}users AS u ON p.user_id = u.user_id WHERE u.level IS NULL",
        f"{ORPHANS}songs AS s USING (song_id) WHERE p.song_id IS NOT NULL AND s.title IS NULL",
        f"{ORPHANS}artists AS a USING (artist_id) WHERE p.artist_id IS NOT NULL AND a.name IS NULL",
        f"{ORPHANS}time AS t USING (start_time) WHERE t.hour IS NULL",
        "SELECT (SELECT COUNT(*) FROM sparkify.users), (SELECT COUNT(*) FROM sparkify.songs)",
    )

    def __init__(self, redshift):
        super().__init__(daemon=True)
        self.connection = redshift.connect()
        self.stopped = threading.Event()
        #: (plays an hour, plays without a user, song, artist or time, rows of users and songs), one a look.
        self.seen: list[tuple[dict[int, int], list[int], list[int]]] = []
        self.slowest = 0.0

    def run(self) -> None:
        with closing(self.connection), closing(self.connection.cursor()) as cursor:
            while not self.stopped.is_set():
                began = time.monotonic()
                plays, *missing, dimensions = [self.look(cursor, sql) for sql in self.LOOKS]
                self.connection.commit()
                self.slowest = max(self.slowest, time.monotonic() - began)
                counts = {int(hour): count for hour, count in plays}
                self.seen.append((counts, [rows[0][0] for rows in missing], list(dimensions[0])))

    @staticmethod
    def look(cursor, sql: str) -> list:
        cursor.execute(sql)
        return cursor.fetchall()

    def looks_again(self, times: int = 2, deadline: float = 30) -> None:
        """Wait until it has looked so many times more."""
        goal, end = len(self.seen) + times, time.monotonic() + deadline
        while len(self.seen) < goal:
            assert self.is_alive(), "the reader failed"
            assert time.monotonic() < end, "the reader is blocked"
            self.stopped.wait(0.005)


@pytest.fixture
def reader(pipeline, redshift):
    reader = Reader(redshift)
    reader.start()
    yield reader
    reader.stopped.set()
    reader.join(30)


def test_a_reader_sees_whole_checked_windows_only_and_is_never_blocked(
    pipeline, redshift, reader, record_testsuite_property
):
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*SONGS)
    pipeline.load(*hours(0, 4))
    reader.looks_again()

    # A run whose checks fail.
    bad = event("2018-11-01 05:30:00.000", user="", sessionId=77)
    pipeline.put_events(*EVENTS, bad)
    with pytest.raises(AirflowFailException):
        pipeline.load(*hours(4, 8))
    reader.looks_again()

    # A run that is held half-way through its publish, killed there, and tried again.
    pipeline.put_events(*EVENTS)
    run = pipeline.new_run(*hours(4, 8))
    run.run(before="publish")
    with RedshiftRelay(redshift.port) as relay:
        environ = {"AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(redshift_connection(redshift, relay.port))}

        def look_and_kill() -> None:
            reader.looks_again()
            task.kill()

        relay.fault("^UPDATE sparkify.users", "after", look_and_kill)
        task = TaskProcess(run, "publish", environ)
        with pytest.raises(TaskKilledError):
            task.result()
        reader.slowest = 0.0
        run.run_task("publish", try_number=2)
        reader.looks_again()
        pipeline.load(*hours(0, 8), mode="truncate")
        reader.looks_again()
    record_testsuite_property("slowest look during publishes, in seconds", round(reader.slowest, 3))

    none, half, full = {}, dict.fromkeys(range(4), 3), dict.fromkeys(range(8), 3)
    counts = [look[0] for look in reader.seen]
    assert [seen for seen in counts if seen not in (none, half, full)] == []
    assert counts == sorted(counts, key=len), "a window was seen, and then not"
    assert {count for look in reader.seen for count in look[1]} == {0}
    assert all(all(look[2]) for look in reader.seen if look[0])
    assert pipeline.tables() == EXPECTED
