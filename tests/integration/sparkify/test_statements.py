"""The task `statements` of sparkify_verify: the warehouse plans all that will be sent, and nothing stays."""

from __future__ import annotations

import logging
import re

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.fingerprint import fingerprint
from sparkify.operators import statements
from sparkify.operators.statements import FINDINGS, Planner, RefusedError
from sparkify.warehouse import Transaction, Warehouse
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.scripts import rendered_scripts
from tests.support.source import event, song

pytestmark = pytest.mark.integration


def verify(pipeline):
    return PipelineRun(load_dag("sparkify_verify"), variables=pipeline.variables).run_task("statements")


def test_all_statements_are_planned_and_nothing_changes(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(song())
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    before = fingerprint(Warehouse()), pipeline.query("SELECT songplay_id FROM sparkify.songplays")
    ledger = pipeline.query("SELECT * FROM staging.publish_log")
    found = verify(pipeline)
    assert found["planned"] > 200
    assert found["isolation"] == "Snapshot Isolation"
    assert (fingerprint(Warehouse()), pipeline.query("SELECT songplay_id FROM sparkify.songplays")) == before
    assert pipeline.query("SELECT * FROM staging.publish_log") == ledger
    assert pipeline.work_tables() == []


#: Scripts that the task does not send, and why.
LEFT_OUT = {
    "grant.sql": "EXPLAIN takes no GRANT; sparkify_schema carries it out",
    "verify.sql": "the task copy carries it out",
    "staging/copy.sql": "EXPLAIN takes no COPY; the task copy tries one",
    "staging/copy_files.sql": "EXPLAIN takes no COPY",
    "staging/events/copy_hours.sql": "EXPLAIN takes no COPY",
    "staging/copy_rejected.sql": "EXPLAIN takes no COPY",
    "staging/songs/copy_changes.sql": "EXPLAIN takes no COPY",
    "staging/songs/copy_listed.sql": "EXPLAIN takes no COPY",
    "staging/songs/copy_seen.sql": "EXPLAIN takes no COPY",
    "staging/create_rejected.sql": "part of staging/<source>/create.sql",
    "staging/stl_load_errors.sql": "a warehouse may lack it",
    "staging/sys_load_error_detail.sql": "a warehouse may lack it",
    "staging/publish_lock_holders.sql": "asked by whoever waits for the lock, as the probe does",
}


def test_no_statement_that_is_rendered_is_forgotten(pipeline, caplog):
    caplog.set_level(logging.INFO)
    verify(pipeline)
    sent = "\n".join(record.getMessage() for record in caplog.records)
    names = {name.partition(" (")[0] for name in rendered_scripts() if ".sql" in name}
    created = {name for name in names if name.endswith("/create.sql") and "staging/" not in name}
    asked = {name for name in names if not name.startswith(("migrations/", "docs/", "checks/"))}
    files = {name for name in asked - created - LEFT_OUT.keys() if not name.startswith("staging/create.sql")}
    assert {name for name in files if not re.search(rf"{re.escape(name)}[ :]", sent)} == set()
    checks = {name.replace("/checks.yaml ", ".") for name in rendered_scripts() if "/checks.yaml " in name}
    plain = {name for name in checks if not name.endswith((" (explain)", ")"))}
    assert plain
    assert {name for name in plain if f"plan check {name} " not in sent} == set()
    assert LEFT_OUT.keys() <= names


def test_a_statement_that_redshift_does_not_have_is_named_and_so_are_the_others(pipeline, monkeypatch):
    monkeypatch.setattr(
        statements,
        "comparison",
        lambda name: (
            f"MERGE INTO sparkify.songs USING {name}" if name == "hours" else "SELECT * FROM nowhere;"
        ),
    )
    monkeypatch.setattr(
        statements, "fingerprint_sql", lambda: "SELECT COUNT(*) FILTER (WHERE TRUE) FROM sparkify.songs;"
    )
    with pytest.raises(AirflowFailException) as caught:
        verify(pipeline)
    told = str(caught.value)
    assert "bookkeeping/windows.sql (bookkeeping/windows.sql) 1/1: relation" in told
    assert "fingerprint.sql (fingerprint.sql) 1/1: " in told
    assert "bookkeeping/hours.sql" in told
    assert told.splitlines()[-1].startswith("Grant the pipeline's login")
    assert pipeline.work_tables() == []


PLANS = {
    "XN Hash Join DS_BCAST_INNER  (cost=112.50..3272334142.59 rows=170771 width=84)": ["DS_BCAST_INNER"],
    "XN Hash Join DS_DIST_NONE  (cost=0.00..1.00 rows=1 width=4)": [],
    "XN Nested Loop DS_BCAST_INNER  (cost=0.00..25481010.50 rows=5 width=8)": [
        "DS_BCAST_INNER",
        "Nested Loop",
    ],
    "----- Tables missing statistics: songplays -----": ["missing statistics"],
    "XN Hash Join DS_DIST_BOTH  (cost=1.00..2.00 rows=1 width=4)": ["DS_DIST_BOTH"],
}


@pytest.mark.parametrize(("line", "found"), PLANS.items())
def test_what_a_plan_says_of_its_cost_is_found(line, found):
    class Redshift:
        def execute(self, statement, *, name):
            return [(line,)]

    planner = Planner()
    planner.statement(Redshift(), "a statement", "SELECT 1")
    assert sorted(FINDINGS.findall(line)) == found
    assert planner.findings == ([f"a statement: {', '.join(found)}"] if found else [])


def test_a_refused_statement_is_not_sent_again(pipeline):
    planner = Planner()
    with Warehouse().reading() as transaction, pytest.raises(RefusedError):
        planner.statement(transaction, "a statement", "SELECT nothing FROM sparkify.songs")
    with Warehouse().reading() as transaction:
        planner.statement(transaction, "a statement", "SELECT nothing FROM sparkify.songs")
        planner.statement(transaction, "another", "SELECT title FROM sparkify.songs")
    assert len(planner.refused) == 1
    assert planner.planned == {"SELECT title FROM sparkify.songs"}


def test_who_waits_without_seeing_what_was_committed_is_told(pipeline, monkeypatch):
    execute = Transaction.execute

    def blind(self, statement, parameters=(), *, name=""):
        rows = execute(self, statement, parameters, name=name)
        return [(0,)] if name == "look for what the holder committed" else rows

    monkeypatch.setattr(Transaction, "execute", blind)
    with pytest.raises(AirflowFailException, match=r"does not see what its holder.*\nSet max_active_runs"):
        verify(pipeline)
    assert pipeline.query("SELECT * FROM staging.publish_log") == []
