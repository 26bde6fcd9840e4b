"""Tasks that are cleared, alone and with what follows, once their run's work tables are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import TaskDeferred

from tests.support.schedule import TASKS
from tests.support.source import event, page, song
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")


def put_files(pipeline: Pipeline) -> None:
    pipeline.put_events(
        event("2018-11-01 10:00", user=1),
        event("2018-11-01 10:10", user=1, level="paid", itemInSession=1),
        page("2018-11-01 10:20", user=2),
        event("2018-11-01 11:00", user=2),
        {**event("2018-11-01 12:00", user=3), "sessionId": "x" * 30},
    )
    pipeline.put_songs(song("SO1"), song("SO2", title="Uprising"))


@pytest.fixture
def lake(pipeline):
    put_files(pipeline)
    return pipeline


@pytest.fixture(scope="module", params=[HOUR, DAY], ids=["hour", "day"])
def published(request, redshift, s3_client, airflow_connections):
    """A published run, which each test clears after another run has published its hours again."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    put_files(pipeline)
    run = pipeline.new_run(*request.param, max_rejected_rows=1)
    run.run()
    return pipeline, run


@pytest.mark.parametrize("task_id", TASKS)
def test_a_task_of_a_published_run_may_be_cleared(published, task_id):
    lake, run = published
    lake.load(*DAY, max_rejected_rows=1)
    tables = lake.tables()
    ids = lake.query("SELECT songplay_id, start_time FROM sparkify.songplays ORDER BY 1")

    run.run_task(task_id, try_number=2)
    run.run(since=task_id, try_number=3)
    assert lake.tables() == tables
    assert ids == lake.query("SELECT songplay_id, start_time FROM sparkify.songplays ORDER BY 1")
    assert lake.work_tables() == []
    run.run_task("publish", try_number=2)


@pytest.mark.parametrize("task_id", [task for task in TASKS if task != "publish"])
def test_a_task_of_a_run_that_failed_long_ago_may_be_cleared(lake, task_id):
    run = lake.new_run(*DAY, max_rejected_rows=1)
    run.run(upto="run_quality_checks")
    lake.execute(*(f"DROP TABLE staging.{name}" for name in lake.work_tables()))

    run.run_task(task_id, try_number=2)
    run.run(since=task_id, try_number=3)
    assert len(lake.table("songplays")) == 3
    assert lake.work_tables() == []


def test_a_run_waits_until_its_window_is_closed(pipeline):
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    window = (f"{hour - timedelta(hours=1):%F %H:%M}", f"{hour:%F %H:%M}")
    run = pipeline.new_run(*window, sparkify_log_closing_minutes="120")
    run.run_after = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as deferred:
        run.run_task("stage_events")
    assert deferred.value.trigger.moment == hour + timedelta(hours=2)
    assert pipeline.work_tables() == []
    run.variables["sparkify_log_closing_minutes"] = "0"
    task, context = run.rendered("stage_events")
    assert getattr(task, deferred.value.method_name)(context, None)["files"] == 0
