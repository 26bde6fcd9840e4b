"""Whatever is killed, and wherever: a retry brings the run to success, with the same tables."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException

from tests.support import reference
from tests.support.pipeline import PipelineRun
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
        """A published first day, and a run of the second that brings a song of the first, up to the task."""
        pipeline = self.pipeline
        pipeline.put_events(*EVENTS)
        pipeline.put_songs(SONGS[0])
        pipeline.load(*FIRST_DAY)
        pipeline.put_songs(*SONGS)
        self.ids = self.songplay_ids(FIRST_DAY[1])
        run = pipeline.new_run(*SECOND_DAY)
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
def place(pipeline, relayed, s3) -> Iterator[Place]:
    redshift, relay, s3_relay = relayed
    relay.faults.clear()
    pipeline.redshift = redshift
    yield Place(pipeline, s3, relay, s3_relay)
    s3_relay.release()


KILLS = [
    pytest.param("stage_events", r"^COPY staging.events__", "after", id="between COPY and its return"),
    *(
        pytest.param(f"load_{table}", f"^INSERT INTO staging.{table}_candidate", when, id=f"{when} {table}")
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


def test_a_connection_lost_in_the_middle_of_publish_is_tried_again(place):
    run = place.prepare("publish")
    fault = place.relay.fault("^INSERT INTO sparkify.songplays", "after", place.relay.cut)
    place.start(run, "publish").result()
    assert fault.fired.is_set()
    place.check()


@pytest.fixture
def breakable(s3, s3_client, tmp_path, monkeypatch) -> Iterator[tuple]:
    """A place on a PostgreSQL and a Local Redshift of its own, which may be killed."""
    postgres = new_postgres(tmp_path)
    postgres.start()
    try:
        with S3Relay(s3.port) as s3_relay:
            redshift = new_redshift(tmp_path, postgres, s3, s3_relay.port)
            redshift.start()
            try:
                monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
                monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws_connection(s3)))
                pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
                pipeline.create_schema()
                with RedshiftRelay(redshift.port) as relay:
                    yield Place(pipeline, s3, relay, s3_relay), postgres, redshift
            finally:
                redshift.stop()
    finally:
        postgres.remove()


@pytest.mark.parametrize("server", ["Local Redshift", "its PostgreSQL"])
@pytest.mark.parametrize("task_id", ["stage_events", "publish"])
def test_a_server_that_is_killed_under_a_task_is_made_good_by_a_retry(breakable, server, task_id):
    place, postgres, redshift = breakable

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
