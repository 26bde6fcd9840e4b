"""docs/runbook.md: its queries run, and its remedies help."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from tests.support import reference
from tests.support.source import event, log_files

pytestmark = pytest.mark.integration

RUNBOOK = (Path(__file__).resolve().parents[3] / "docs" / "runbook.md").read_text()
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(RUNBOOK))
QUERIES = [
    (title, sql)
    for title, text in SECTIONS.items()
    for sql in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
]
DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
DEADLINE = 30


@pytest.fixture(scope="module", autouse=True)
def _once() -> None:
    """Each session has a connection of its own."""


@pytest.mark.parametrize(("title", "sql"), QUERIES, ids=[title for title, _ in QUERIES])
def test_every_query_runs(pipeline, title, sql):
    if "PG_TERMINATE_BACKEND" in sql:
        sql = sql.replace("12345", "0")
    pipeline.query(sql)


def test_every_link_leads_to_a_section():
    anchors = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in SECTIONS}
    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= anchors


def test_a_vanished_workers_session_is_found_and_ended(pipeline):
    """The connection stays open and its transaction holds the lock, as where a machine has vanished."""
    find, end = [sql for title, sql in QUERIES if title == "A stuck publish lock"]
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run(*DAY)
    run.run(upto="run_quality_checks")
    vanished = pipeline.redshift.connect()
    vanished.cursor().execute("LOCK staging.publish_lock")
    publish = threading.Thread(target=run.run_task, args=("publish",))
    publish.start()
    try:
        deadline = time.monotonic() + DEADLINE
        while len(sessions := pipeline.query(find)) < 2:
            assert time.monotonic() < deadline, f"nobody waits for the lock: {sessions}"
        [holder] = [pid for pid, _, _, granted in sessions if granted]
        assert pipeline.table("songplays") == []
        assert pipeline.query(end.replace("12345", str(holder))) == [(True,)]
    finally:
        publish.join(DEADLINE)
    assert not publish.is_alive()
    assert len(pipeline.table("songplays")) == 1


def test_a_window_is_unloaded_by_loading_it_from_empty_files(pipeline):
    kept, unloaded = event("2018-11-01 09:10"), event("2018-11-01 10:10", itemInSession=1, level="paid")
    pipeline.put_events(kept, unloaded)
    pipeline.load(*DAY)
    [key] = log_files([kept])
    pipeline.put({key: b""})
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    assert pipeline.tables() == reference.tables([kept], [])
    [(events,)] = pipeline.query(
        "SELECT events_staged FROM sparkify.load_history WHERE window_start = TIMESTAMP '2018-11-01 10:00:00'"
    )
    assert events == 0
    pipeline.put_events(kept, unloaded)
    pipeline.load(*DAY)
    assert pipeline.tables() == reference.tables([kept, unloaded], [])
