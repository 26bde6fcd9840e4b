"""A login whose sessions are in another zone: the pipeline's own are in UTC."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from sparkify.analytics import PATIENCE_S
from sparkify.warehouse import Deadline, Warehouse
from sparkify.web.page import freshness
from sparkify.web.places import Inquiry
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.source import event, log_files, song
from tests.support.supervisor import supervised

pytestmark = pytest.mark.integration

HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")
KEY = "log_data/2018/11/2018-11-01-events.json"
MINUTE = timedelta(minutes=1)
#: Whatever the pipeline writes the time into.
TIMES = (
    "SELECT checked_at FROM sparkify.quality_results",
    "SELECT published_at FROM sparkify.load_history",
    "SELECT rejected_at FROM sparkify.rejected_rows",
    "SELECT listed_at FROM staging.landed_files",
    "SELECT landed_at FROM staging.batches",
    "SELECT published_at FROM staging.source_files",
    "SELECT published_at FROM staging.publish_log",
    "SELECT applied_at FROM staging.schema_migrations",
)


@pytest.fixture(params=["Asia/Tokyo", "America/Los_Angeles"])
def elsewhere(request, redshift, empty_pipeline):
    """A pipeline whose login has another zone; its schema is made in it."""
    empty_pipeline.execute(f"ALTER USER {redshift.user} SET timezone TO '{request.param}'")
    empty_pipeline.create_schema()
    yield empty_pipeline
    empty_pipeline.execute(f"ALTER USER {redshift.user} RESET timezone")


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def test_rejected_rows_are_found_and_all_times_are_in_utc(elsewhere, monkeypatch):
    # Rows that are not found are waited for.
    monkeypatch.setattr("sparkify.rejected.DEADLINE_SECONDS", 5)
    good = log_files([event("2018-11-01 10:10")])[KEY]
    elsewhere.put({KEY: good + b'\n{"ts": "no number"}'})
    elsewhere.put_songs(song())
    elsewhere.load(*HOUR, max_rejected_rows=1)
    assert elsewhere.query("SELECT line_number FROM sparkify.rejected_rows") == [(2,)]
    assert len(elsewhere.table("songplays")) == 1
    for query in TIMES:
        times = [moment for (moment,) in elsewhere.query(query)]
        assert times, query
        assert all(abs(moment - now()) < MINUTE for moment in times), query


def test_the_page_tells_how_far_behind_the_data_are_by_utc(elsewhere):
    elsewhere.put_empty_days("2018-11-01", "2018-11-02")
    elsewhere.load(*HOUR)
    with Inquiry(Warehouse(), Deadline(PATIENCE_S)) as inquiry:
        behind = freshness(inquiry).hours_behind
    hours = (now() - datetime(2018, 11, 1, 11)) // timedelta(hours=1)
    assert behind in (hours, hours - 1)


def test_the_clocks_agree(elsewhere):
    verified = PipelineRun(load_dag("sparkify_verify"), variables=elsewhere.variables)
    with supervised(verified):
        assert abs(verified.run_task("clocks")["Redshift"]) < 10


def test_every_session_begins_with_its_zone(pipeline, caplog):
    """The way in does not matter."""
    caplog.set_level(logging.INFO, "sparkify.warehouse")
    warehouse = Warehouse()
    with warehouse.reading() as transaction:
        assert [*map(tuple, transaction.execute("SHOW timezone"))] == [("UTC",)]
    with warehouse.read_only_transaction(Deadline(PATIENCE_S)) as transaction:
        assert [*map(tuple, transaction.execute("SHOW timezone"))] == [("UTC",)]
    warehouse.execute_alone("ANALYZE sparkify.songs", "analyze")
    assert caplog.text.count("SET timezone TO 'UTC'") == 3
