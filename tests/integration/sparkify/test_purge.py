"""Rows that landed go for their age: published hours stay, late rows and reloads still find their place."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sparkify.bookkeeping import differences
from sparkify.warehouse import Warehouse
from tests.support import reference
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.source import event, page

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")
PARTS = {
    "sparkify_log_keys": "{year}/{month}/{day}/{hour}/*",
    "sparkify_log_suffixes": "*",
    "sparkify_log_late_hours": "0",
}
EVENTS = [
    event("2018-11-01 10:00", 1),
    event("2018-11-01 10:10", 1, level="paid", itemInSession=1),
    page("2018-11-01 10:20", 2),
    event("2018-11-01 11:00", 2),
]
#: Of hour 10, but below hour 20.
LATE = event("2018-11-01 10:30", 1, itemInSession=2)


def put(pipeline, hour: int, *events: dict, name: str = "a") -> None:
    pipeline.put({f"log_data/2018/11/01/{hour:02}/{name}": "\n".join(map(json.dumps, events)).encode()})


def purge(pipeline, **variables) -> dict[str, int]:
    run = PipelineRun(
        load_dag("sparkify_maintenance"), variables={**pipeline.variables, **variables}, run_id="purge",
        run_after=datetime(2018, 12, 7, 3, 45, tzinfo=UTC),
    )  # fmt: skip
    return run.run_task("purge_landed_events")


def nothing_differs() -> None:
    with Warehouse().transaction() as transaction:
        found = differences(transaction)
    assert not found, str(found)


def test_only_hours_that_are_old_and_published_go(pipeline):
    pipeline.put_events(*EVENTS)
    pipeline.load(*HOUR)
    assert purge(pipeline, sparkify_landed_days="36") == {"rows": 0, "left": 0}
    assert purge(pipeline) == {"rows": 4, "left": 1}
    nothing_differs()
    pipeline.load("2018-11-01 11:00", "2018-11-01 12:00")
    assert pipeline.tables() == reference.tables(EVENTS, [])
    nothing_differs()


def test_a_reload_of_an_old_hour_reads_its_file_again(pipeline):
    pipeline.put_events(*EVENTS)
    pipeline.load(*DAY)
    ids = pipeline.query("SELECT songplay_id FROM sparkify.songplays ORDER BY 1")
    assert purge(pipeline) == {"rows": 4, "left": 0}
    run = pipeline.load(*HOUR)
    assert run.xcoms["stage_events", "return_value"]["files"] == 1
    assert pipeline.tables() == reference.tables(EVENTS, [])
    assert pipeline.query("SELECT songplay_id FROM sparkify.songplays ORDER BY 1") == ids
    nothing_differs()
    # What the file no longer holds goes, as ever.
    pipeline.put_events(*EVENTS[1:])
    pipeline.load(*DAY)
    assert pipeline.tables() == reference.tables(EVENTS[1:], [])


def test_rows_that_come_for_an_old_hour_join_what_is_published(pipeline):
    pipeline.variables |= PARTS
    put(pipeline, 10, *EVENTS)
    pipeline.load(*DAY)
    purge(pipeline)
    put(pipeline, 20, LATE, EVENTS[0])
    pipeline.load("2018-11-01 20:00", "2018-11-01 21:00")
    assert pipeline.tables() == reference.tables([*EVENTS, LATE], [])
    nothing_differs()


def test_a_reload_of_an_old_hour_takes_nothing_away_whose_files_it_does_not_look_for(pipeline):
    pipeline.variables |= PARTS
    put(pipeline, 10, *EVENTS)
    put(pipeline, 20, LATE)
    pipeline.load(*DAY)
    expected = reference.tables([*EVENTS, LATE], [])
    purge(pipeline)
    for window in (HOUR, DAY, HOUR):
        pipeline.load(*window)
        assert pipeline.tables() == expected
        nothing_differs()


def test_an_old_hour_whose_files_are_gone_keeps_its_rows(pipeline):
    pipeline.variables |= PARTS | {"sparkify_log_retention_days": "30"}
    put(pipeline, 10, *EVENTS)
    pipeline.load(*DAY)
    purge(pipeline)
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="log_data/2018/11/01/10/a")
    put(pipeline, 10, LATE, name="b")
    pipeline.load(*HOUR)
    assert pipeline.tables() == reference.tables([*EVENTS, LATE], [])
    nothing_differs()
