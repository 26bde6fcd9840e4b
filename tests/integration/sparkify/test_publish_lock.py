"""Whoever waits for the publish lock says who holds it; the remedy that it names helps."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify import lock_watch, warehouse
from sparkify.warehouse import Warehouse, WarehouseError
from tests.support.pipeline import PipelineRun
from tests.support.relay import RedshiftRelay
from tests.support.servers import redshift_connection
from tests.support.source import event

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
DEADLINE = 30
REMEDY = re.compile(r"SELECT PG_TERMINATE_BACKEND\((\d+)\);")


def wait_for(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Task(threading.Thread):
    """A task in a thread of its own."""

    def __init__(self, run: PipelineRun, task_id: str):
        super().__init__(daemon=True)
        self.run_, self.task_id = run, task_id
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.run_.run_task(self.task_id)
        except Exception as error:
            self.error = error

    def ends(self) -> Exception | None:
        self.join(DEADLINE)
        assert not self.is_alive()
        return self.error


@pytest.fixture(scope="module", autouse=True)
def _once() -> None:
    """Each session has a connection of its own."""


@pytest.fixture
def holder(pipeline) -> Iterator:
    """The session of a worker that vanished while it held the lock."""
    connection = pipeline.redshift.connect()
    connection.cursor().execute("LOCK staging.publish_lock")
    yield connection
    try:
        connection.close()
    except Exception as error:
        logging.debug("ended by the test: %s", error)


@pytest.fixture(autouse=True)
def impatient(monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(lock_watch, "FIRST_S", 0.1)
    monkeypatch.setattr(lock_watch, "NEXT_S", 0.1)


def told(caplog) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.getMessage().startswith("Still waiting for the publish lock")
    ]


def publish(pipeline) -> PipelineRun:
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run(*DAY)
    run.run(before="publish")
    return run


def refused_stage(pipeline) -> PipelineRun:
    """Its rows are over the budget, and are stored behind the lock."""
    pipeline.put_events(event("2018-11-01 10:00", length="long"))
    return pipeline.new_run(*DAY)


@pytest.mark.parametrize(("task_id", "prepare"), [("publish", publish), ("stage_events", refused_stage)])
def test_who_waits_says_who_holds_the_lock_and_how_to_end_it(pipeline, holder, caplog, task_id, prepare):
    task = Task(prepare(pipeline), task_id)
    task.start()
    wait_for(lambda: len(told(caplog)) > 1, "the wait was not told again")
    sentence = told(caplog)[0]
    [(pid, user, began)] = pipeline.query(
        "SELECT pid, txn_owner, txn_start FROM svv_transactions "
        "WHERE granted AND relation = 'staging.publish_lock'::regclass"
    )
    assert f"held by session {pid} of user {user}, in a transaction that began at {began} UTC" in sentence
    remedy = REMEDY.search(sentence.splitlines()[-1])
    assert int(remedy[1]) == pid
    pipeline.query(remedy[0].rstrip(";"))
    error = task.ends()
    assert re.search(r"Waited \d+ s for the publish lock", caplog.text)
    if task_id == "publish":
        assert error is None
        assert len(pipeline.table("songplays")) == 1
    else:
        assert isinstance(error, AirflowFailException)
        assert len(pipeline.query("SELECT * FROM sparkify.rejected_rows")) == 1
    wait_for(lambda: not watching(), "the watch goes on")


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lock watch"]


def test_a_lock_that_is_free_is_taken_without_a_word(pipeline, caplog):
    publish(pipeline).run_task("publish")
    assert told(caplog) == []
    assert "Waited" not in caplog.text
    wait_for(lambda: not watching(), "the watch goes on")


def test_a_holder_that_cannot_be_seen_is_left_to_a_superuser(pipeline, holder, caplog, monkeypatch):
    monkeypatch.setattr(Warehouse, "_lock_holders", lambda self: [])
    task = Task(publish(pipeline), "publish")
    task.start()
    wait_for(lambda: told(caplog), "the wait was not told")
    assert "the user of connection 'redshift_default' sees only their own sessions" in told(caplog)[0]
    assert "superuser" in told(caplog)[0].splitlines()[-1]
    holder.close()
    assert task.ends() is None


def test_a_question_that_fails_does_not_fail_the_task(pipeline, holder, caplog, monkeypatch):
    monkeypatch.setattr(warehouse, "HOLDERS", "staging/publish_log_holders.sql")
    task = Task(publish(pipeline), "publish")
    task.start()
    wait_for(lambda: told(caplog), "the wait was not told")
    assert re.search(
        r"cannot be determined \(.+\)\.\nTo find and end that session, see docs/runbook", told(caplog)[0]
    )
    holder.close()
    assert task.ends() is None


def test_a_question_without_an_answer_does_not_keep_the_task_waiting(pipeline, holder, monkeypatch):
    released = threading.Event()
    run = publish(pipeline)
    with RedshiftRelay(pipeline.redshift.port) as relay:
        asked = relay.fault("FROM svv_transactions", "before", lambda: released.wait(60))
        connection = redshift_connection(pipeline.redshift, relay.port)
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
        task = Task(run, "publish")
        task.start()
        assert asked.fired.wait(DEADLINE)
        holder.close()
        try:
            assert task.ends() is None
            assert watching()
        finally:
            released.set()
        wait_for(lambda: not watching(), "the watch goes on")


def test_a_lock_that_never_comes_free_is_given_up_with_its_holder_in_the_last_line(
    pipeline, holder, caplog, monkeypatch
):
    run = publish(pipeline)
    monkeypatch.setattr(warehouse, "LOCK_TIMEOUT_S", 2)
    with pytest.raises(WarehouseError, match="did not become free within 2 s") as caught:
        run.run_task("publish")
    remedy = REMEDY.search(str(caught.value).splitlines()[-1])
    pipeline.query(remedy[0].rstrip(";"))
    run.run_task("publish", try_number=2)
    assert len(pipeline.table("songplays")) == 1


def test_what_follows_the_lock_may_take_its_time(pipeline):
    with closing(pipeline.redshift.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW statement_timeout")
        before = [tuple(row) for row in cursor.fetchall()]
    with Warehouse().transaction() as transaction:
        transaction.lock()
        assert [tuple(row) for row in transaction.execute("SHOW statement_timeout")] == before
