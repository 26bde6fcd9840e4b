"""An hour whose log files have not come is not certified; it is told from one without events."""

from __future__ import annotations

import json
import logging

import pytest

from tests.support import reference
from tests.support.source import event

pytestmark = pytest.mark.integration

DAYS = {"sparkify_log_keys": "{year}/{month}/{day}/*", "sparkify_log_suffixes": "*"}
HOURS = {"sparkify_log_keys": "{year}/{month}/{day}/{hour}/*", "sparkify_log_suffixes": "*"}
SPANS = "SELECT window_start, window_end, status FROM sparkify.certified_windows ORDER BY 1"


def put(pipeline, place: str, *events: dict, name: str = "a") -> None:
    pipeline.put({f"log_data/{place}/{name}": "\n".join(map(json.dumps, events)).encode()})


def certified(pipeline) -> str:
    """`C` a certified hour, `a` one that is awaited, `.` a missing one, from the first to the last."""
    letters = {"certified": "C", "awaited": "a", "missing": "."}
    return "".join(
        letters[status] * int((end - start).total_seconds() / 3600)
        for start, end, status in pipeline.query(SPANS)
    )


def test_without_a_file_the_hours_of_its_day_are_published_and_not_certified(pipeline, caplog):
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00")
    assert certified(pipeline) == "aa"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told[-1].startswith(
        "2 hour(s) of the window are published and not certified, the first 2018-11-01 10:00"
    )
    assert pipeline.query("SELECT certified_until FROM sparkify.certified_windows") == [(None,)]


def test_a_file_without_an_event_of_the_hour_certifies_it(pipeline):
    pipeline.put_events(event("2018-11-01 20:00"))
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00")
    assert certified(pipeline) == "CC"
    assert pipeline.query("SELECT events, is_certified FROM sparkify.loaded_hours") == [(0, True)] * 2


def test_files_that_come_later_certify_what_had_awaited_them(pipeline):
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    pipeline.load("2018-10-20 10:00", "2018-10-20 11:00")
    pipeline.put_events(event("2018-11-01 20:00"))
    pipeline.load("2018-11-01 11:00", "2018-11-01 12:00")
    assert certified(pipeline).replace(".", "") == "aCC"


def test_each_hour_awaits_its_own_files(pipeline):
    put(pipeline, "2018/11/01/10", event("2018-11-01 10:10"))
    put(pipeline, "2018/11/01/12", event("2018-11-01 12:10", itemInSession=1))
    pipeline.load("2018-11-01 10:00", "2018-11-01 13:00", **HOURS)
    assert certified(pipeline) == "CaC"
    put(pipeline, "2018/11/01/11")
    pipeline.load("2018-11-01 13:00", "2018-11-01 14:00", **HOURS, sparkify_log_late_hours="2")
    assert certified(pipeline) == "CCCa"


def test_events_alone_do_not_certify_an_hour(pipeline):
    """Late ones come below another hour; those of its own hour are still to come."""
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00", **HOURS)
    late = event("2018-11-01 10:10")
    put(pipeline, "2018/11/01/11", late)
    pipeline.load("2018-11-01 11:00", "2018-11-01 12:00", **HOURS)
    assert pipeline.tables() == reference.tables([late], [])
    assert certified(pipeline) == "aC"


def test_where_silence_is_no_fault_later_files_certify_an_hour_without_one(pipeline):
    quiet = HOURS | {"sparkify_log_silence": "complete"}
    put(pipeline, "2018/11/01/12", event("2018-11-01 12:10"))
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00", **quiet)
    assert certified(pipeline) == "aa"
    pipeline.load("2018-11-01 12:00", "2018-11-01 14:00", **quiet)
    assert certified(pipeline) == "CCCa"


@pytest.mark.parametrize("silence", ["awaited", "complete"])
def test_a_file_that_was_written_before_the_hour_ended_may_grow(pipeline, silence):
    variables = DAYS | {"sparkify_log_silence": silence}
    put(pipeline, "2018/11/01", event("2018-11-01 10:10"))
    run = pipeline.new_run("2018-11-01 10:00", "2018-11-01 12:00", **variables)
    run.run(before="publish")
    pipeline.execute("UPDATE staging.landed_files SET last_modified = TIMESTAMP '2018-11-01 11:00:01'")
    run.run_task("publish")
    assert certified(pipeline) == "Ca"
    # The next day's file is there: nobody writes into that of the day before.
    put(pipeline, "2018/11/02", event("2018-11-02 00:10", itemInSession=1))
    pipeline.load("2018-11-02 00:00", "2018-11-02 01:00", **variables)
    assert certified(pipeline).replace(".", "") == "CCC"


def test_an_hour_that_rows_have_landed_for_since_is_not_certified_without_them(pipeline):
    """Another run lands the file, and has not published yet."""
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    pipeline.put_events(event("2018-11-01 10:10"), event("2018-11-01 11:10", itemInSession=1))
    beside = pipeline.new_run("2018-11-01 11:00", "2018-11-01 12:00")
    beside.run(before="publish")
    pipeline.load("2018-11-03 10:00", "2018-11-03 11:00")
    assert certified(pipeline).replace(".", "")[:1] == "C"  # It has published the late hour itself.
    pipeline.execute("UPDATE staging.published_hours SET version = 0, is_certified = FALSE")
    pipeline.execute("INSERT INTO staging.retracted_hours VALUES (TIMESTAMP '2018-11-01 10:00:00', 1000)")
    pipeline.load("2018-11-03 11:00", "2018-11-03 12:00")
    assert certified(pipeline)[0] == "a"


def test_what_was_certified_stays_so_when_the_layout_changes(pipeline):
    pipeline.put_events(event("2018-11-01 10:10"))
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00")
    assert certified(pipeline) == "C"
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00", **HOURS)
    assert certified(pipeline) == "Ca"
