"""Whatever is killed, and wherever: a retry brings the run to success, with the same tables."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest
import tenacity
from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from sparkify.warehouse import CommitUnknownError, UnreachableError, Warehouse
from tests.support import reference
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.relay import RedshiftRelay, S3Relay
from tests.support.servers import aws_connection, new_postgres, new_redshift, redshift_connection
from tests.support.source import event, page, song
from tests.support.task_process import TaskKilledError, TaskProcess
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

FIRST_DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
SECOND_DAY = ("2018-11-02 00:00", "2018-11-03 00:00")
EVENTS = [
    event("2018-11-01 10:00:00.000", song="Late"),
    event("2018-11-01 10:04:00.000", itemInSession=1),
    event("2018-11-02 10:00:00.000", sessionId=140, level="paid"),
    event("2018-11-02 11:00:00.000", user=9, sessionId=141),
    page("2018-11-02 11:30:00.000", sessionId=140, itemInSession=1),
]
#: The path of a log file, not of a listing that asks for it.
LOG_FILE = r"^[^?]*events\.json$"
SONGS = [song("SO1"), song("SO2", "AR2", title="Late")]


def publish_first_day(pipeline: Pipeline) -> None:
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(SONGS[0])
    pipeline.load(*FIRST_DAY)


class Place:
    """A pipeline, the relays between its tasks and its servers, and what a task process needs to use them."""

    def __init__(self, pipeline: Pipeline, s3, redshift_relay: RedshiftRelay, s3_relay: S3Relay):
        self.pipeline = pipeline
        self.relay = redshift_relay
        self.s3_relay = s3_relay
        connection = redshift_connection(pipeline.redshift, redshift_relay.port)
        self.environ = {
            "AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws_connection(s3, s3_relay.port)),
        }

    def start(self, run: PipelineRun, task_id: str, try_number: int = 1) -> TaskProcess:
        return TaskProcess(run, task_id, self.environ, try_number)

    def prepare(self, task_id: str) -> PipelineRun:
        """A run of the second day that brings a song of the first, which is published; up to the task."""
        pipeline = self.pipeline
        pipeline.put_songs(*SONGS)
        self.ids = self.songplay_ids(FIRST_DAY[1])
        pipeline.sweep()
        run = pipeline.new_run(*SECOND_DAY, sweep=False)
        run.run(before=task_id)
        return run

    def songplay_ids(self, end: str) -> list[tuple]:
        return self.pipeline.query(
            "SELECT songplay_id, start_time FROM sparkify.songplays "
            f"WHERE start_time < TIMESTAMP '{end}:00' ORDER BY songplay_id"
        )

    def check(self) -> None:
        """The tables are those of an undisturbed run."""
        pipeline = self.pipeline
        assert pipeline.tables() == reference.tables(EVENTS, SONGS)
        assert self.songplay_ids(FIRST_DAY[1]) == self.ids
        assert len(pipeline.query("SELECT * FROM sparkify.load_history")) == 2
        assert pipeline.work_tables() == []


#: How often the task itself reads a log file before COPY does.
LOOKS = 1


@pytest.fixture(scope="module")
def relayed(postgres, s3, tmp_path_factory) -> Iterator[tuple]:
    """A Local Redshift that reads the S3 through a relay, and is reached through another."""
    with S3Relay(s3.port) as s3_relay:
        redshift = new_redshift(tmp_path_factory.mktemp("relayed"), postgres, s3, s3_relay.port)
        redshift.start()
        with RedshiftRelay(redshift.port) as relay:
            yield redshift, relay, s3_relay
        redshift.stop()


@pytest.fixture
def place(made_by, relayed, s3) -> Iterator[Place]:
    """Where the first day is published."""
    redshift, relay, s3_relay = relayed
    relay.faults.clear()
    pipeline = made_by(publish_first_day)
    pipeline.redshift = redshift
    yield Place(pipeline, s3, relay, s3_relay)
    s3_relay.release()


KILLS = [
    pytest.param("stage_events", r"^COPY staging.events_copied__", "after", id="between COPY and its return"),
    *(
        pytest.param(f"load_{table}", f"^CREATE TABLE staging.{table}_candidate", when, id=f"{when} {table}")
        for table, when in {
            "songplays": "after",
            "users": "after",
            "songs": "before",
            "artists": "before",
            "time": "after",
        }.items()
    ),
    pytest.param("run_quality_checks", "^INSERT INTO sparkify.quality_results", "after", id="in the checks"),
    pytest.param("publish", "^UPDATE sparkify.users", "after", id="in the middle of publish"),
    pytest.param("publish", "^commit$", "before", id="before COMMIT is sent"),
    pytest.param("publish", "^commit$", "after", id="after COMMIT is sent"),
    pytest.param("publish", "^DROP TABLE", "after", id="while work tables are dropped"),
]


@pytest.mark.parametrize(("task_id", "statement", "when"), KILLS)
def test_a_killed_task_is_made_good_by_its_retry(place, task_id, statement, when):
    run = place.prepare(task_id)
    fault = place.relay.fault(statement, when, lambda: task.kill())
    task = place.start(run, task_id)
    with pytest.raises(TaskKilledError, match=str(-signal.SIGKILL)):
        task.result()
    assert fault.fired.is_set()
    run.run(since=task_id, try_number=2)
    place.check()


def test_a_task_that_is_killed_while_copy_streams_is_made_good_by_its_retry(place):
    run = place.prepare("stage_events")
    place.s3_relay.hold(LOG_FILE, passing=LOOKS)
    task = place.start(run, "stage_events")
    assert place.s3_relay.held.wait(60)
    task.kill()
    with pytest.raises(TaskKilledError):
        task.result()
    place.s3_relay.release()
    run.run(since="stage_events", try_number=2)
    place.check()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_with_commit_in_flight_is_resolved_by_looking(place, when):
    run = place.prepare("publish")
    place.relay.fault("^commit$", when, place.relay.cut)
    published = place.start(run, "publish").result()
    assert published["songplays"] == 2
    assert len(place.pipeline.query("SELECT * FROM staging.publish_log")) == 2
    place.check()


COMMITS = 9


def test_the_look_whether_a_commit_took_place_needs_no_commit_of_its_own(place):
    run = place.prepare("publish")
    for nth in range(1, COMMITS):
        place.relay.fault("^commit$", "after", place.relay.cut, nth)
    published = place.start(run, "publish").result()
    assert published["songplays"] == 2
    # Another try looks too: the work tables are gone, and nothing is left to do.
    assert place.start(run, "publish", try_number=2).result() == published
    place.check()


@pytest.fixture
def relay(place, monkeypatch) -> Iterator[RedshiftRelay]:
    """Between this process and the Local Redshift; nobody waits before a connection is tried again."""
    monkeypatch.setattr(RedshiftSQLHook.get_conn.retry, "wait", tenacity.wait_none())
    with RedshiftRelay(place.pipeline.redshift.port) as relay:
        connection = redshift_connection(place.pipeline.redshift, relay.port)
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
        yield relay


def last_line(caught: pytest.ExceptionInfo) -> str:
    return str(caught.value).splitlines()[-1]


def test_a_publish_whose_commit_got_no_answer_says_so_until_it_can_look(place, relay, monkeypatch):
    run = place.prepare("publish")
    relay.fault("^commit$", "after", relay.close)
    with pytest.raises(UnreachableError, match="Cannot connect") as first:
        run.run_task("publish")
    assert len(place.pipeline.query("SELECT * FROM sparkify.load_history")) == 2
    with pytest.raises(UnreachableError, match="Cannot connect") as second:
        run.run_task("publish", try_number=2)
    for caught in (first, second):
        assert "[2018-11-02 00:00, 2018-11-03 00:00)" in last_line(caught)
        assert "a COMMIT of this run may have succeeded" in last_line(caught)
        assert "clear this task" in last_line(caught)
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", place.environ["AIRFLOW_CONN_REDSHIFT_DEFAULT"])
    run.run(since="publish", try_number=3)
    place.check()


def test_a_publish_that_never_sent_commit_does_not_claim_that_it_may_have(place, relay):
    run = place.prepare("publish")
    relay.fault("^UPDATE sparkify.users", "before", relay.close)
    with pytest.raises(UnreachableError) as caught:
        run.run_task("publish")
    assert "published" not in str(caught.value)


def test_a_publish_that_fails_after_an_earlier_try_published_says_that_the_window_is(
    place, relay, monkeypatch
):
    monkeypatch.setattr("sparkify.operators.publish.ATTEMPTS", 1)
    run = place.prepare("publish")
    relay.fault("^INSERT INTO sparkify.songplays", "before", relay.cut)
    with pytest.raises(AirflowException) as caught:
        run.run_task("publish")
    assert "published" not in str(caught.value)
    relay.faults.clear()
    task = place.start(run, "publish", try_number=2)
    place.relay.fault("^commit$", "after", task.kill)
    with pytest.raises(TaskKilledError):
        task.result()
    relay.fault("^UPDATE sparkify.users", "before", relay.cut)
    with pytest.raises(AirflowException) as caught:
        run.run_task("publish", try_number=3)
    assert "[2018-11-02 00:00, 2018-11-03 00:00) UTC is published. Clear this task" in last_line(caught)
    relay.faults.clear()
    run.run(since="publish", try_number=4)
    place.check()


def test_a_publish_whose_time_is_over_while_it_commits_says_that_it_may_have_published(place, relay):
    run = place.prepare("publish")
    released = threading.Event()

    def time_is_over() -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        released.wait(60)

    relay.fault("^commit$", "after", time_is_over)
    try:
        with timeout(60), pytest.raises(AirflowTaskTimeout, match="Timeout") as caught:
            run.run_task("publish")
    finally:
        released.set()
    assert "a COMMIT of this run may have succeeded" in last_line(caught)
    run.run(since="publish", try_number=2)
    place.check()


@pytest.mark.parametrize("task_id", ["stage_events", "load_users", "run_quality_checks"])
def test_a_task_whose_commit_got_no_answer_says_so_and_is_made_good_by_its_retry(place, relay, task_id):
    run = place.prepare(task_id)
    relay.fault("^commit$", "after", relay.cut)
    with pytest.raises(CommitUnknownError, match="it may have succeeded") as caught:
        run.run_task(task_id)
    assert "clear this task" in last_line(caught)
    run.run(since=task_id, try_number=2)
    place.check()


@pytest.mark.parametrize(
    ("script", "rows"), [("INSERT INTO sparkify.songs (song_id) VALUES ('SO9')", 1), ("", 0)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_is_known_to_have_failed_only_where_the_server_says_so(place, relay, when, script, rows):
    """The driver has several errors for an answer that breaks off."""
    lost = relay.fault("^commit$", when, relay.cut)
    with pytest.raises(CommitUnknownError), Warehouse().transaction() as transaction:
        transaction.run_script(script, "script")
    assert lost.fired.is_set()
    found = place.pipeline.query("SELECT * FROM sparkify.songs WHERE song_id = 'SO9'")
    assert len(found) == (rows if when == "after" else 0)


def test_a_schema_whose_commit_got_no_answer_says_so_and_is_made_good_by_a_retry(place, relay):
    for nth in (1, 2):
        relay.faults.clear()
        relay.fault("^commit$", "after", relay.cut, nth)
        with pytest.raises(CommitUnknownError) as caught:
            place.pipeline.create_schema()
        assert "clear this task" in last_line(caught)
    assert "sparkify.songplays" in place.pipeline.create_schema()


@pytest.mark.parametrize(
    ("dag_id", "task_id", "commits"),
    [
        ("sparkify", "stage_songs", 1),
        ("sparkify", "run_quality_checks", 1),
        ("sparkify_sweep", "sweep_songs", 4),
        ("sparkify_reconcile", "find_changed_days", 0),
        ("sparkify_reconcile", "find_hours_left", 0),
        ("sparkify_reconcile", "report_changes", 0),
        ("sparkify_maintenance", "drop_old_work", 0),
        ("sparkify_verify", "connections", 0),
        ("sparkify_verify", "copy", 0),
        ("sparkify_verify", "schema", 0),
        ("sparkify_verify", "clocks", 0),
    ],
)
def test_only_what_writes_waits_for_an_answer_to_commit(place, relay, dag_id, task_id, commits):
    if dag_id == "sparkify":
        run = place.prepare(task_id)
    else:
        now = datetime(2018, 11, 3, 2, 30, tzinfo=UTC)
        run = PipelineRun(load_dag(dag_id), variables=place.pipeline.variables, run_after=now)
        for found in ("find_changed_days", "find_hours_left"):
            run.xcoms[found, "changes"] = []
    relay.faults.clear()
    lost = relay.fault("^commit$", "after", relay.cut, nth=commits + 1)
    run.run_task(task_id)
    assert not lost.fired.is_set()


def test_a_connection_lost_in_the_middle_of_publish_is_tried_again(place):
    run = place.prepare("publish")
    fault = place.relay.fault("^INSERT INTO sparkify.songplays", "after", place.relay.cut)
    place.start(run, "publish").result()
    assert fault.fired.is_set()
    place.check()


@pytest.fixture(scope="module")
def breakable(s3, tmp_path_factory) -> Iterator[tuple]:
    """A PostgreSQL and a Local Redshift that may be killed, with a relay before each of their clients."""
    folder = tmp_path_factory.mktemp("breakable")
    postgres = new_postgres(folder)
    postgres.start()
    try:
        with S3Relay(s3.port) as s3_relay:
            redshift = new_redshift(folder, postgres, s3, s3_relay.port)
            redshift.start()
            try:
                with RedshiftRelay(redshift.port) as relay:
                    yield postgres, redshift, relay, s3_relay
            finally:
                redshift.stop()
    finally:
        postgres.remove()


@pytest.fixture
def breakable_place(breakable, s3, s3_client, monkeypatch) -> Place:
    """The first day is published there."""
    _, redshift, relay, s3_relay = breakable
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws_connection(s3)))
    relay.faults.clear()
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    publish_first_day(pipeline)
    return Place(pipeline, s3, relay, s3_relay)


@pytest.mark.parametrize("server", ["Local Redshift", "its PostgreSQL"])
@pytest.mark.parametrize("task_id", ["stage_events", "publish"])
def test_a_server_that_is_killed_under_a_task_is_made_good_by_a_retry(
    breakable, breakable_place, server, task_id
):
    postgres, redshift, *_ = breakable
    place = breakable_place

    def kill_and_start() -> None:
        process = redshift._process.find() if server == "Local Redshift" else postgres._postmaster()
        family = [process, *process.children(recursive=True)]
        for one in family:
            one.kill()
        psutil.wait_procs(family, timeout=30)
        (redshift if server == "Local Redshift" else postgres).start()

    run = place.prepare(task_id)
    if task_id == "stage_events":
        place.s3_relay.hold(LOG_FILE, passing=LOOKS)
        task = place.start(run, task_id)
        assert place.s3_relay.held.wait(60)
        kill_and_start()
        place.s3_relay.release()
        with pytest.raises(AirflowException):
            task.result()
        run.run(since=task_id, try_number=2)
    else:
        place.relay.fault("^UPDATE sparkify.users", "after", kill_and_start)
        # Publish tries again by itself.
        place.start(run, task_id).result()
    place.check()
