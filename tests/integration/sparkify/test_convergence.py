"""Any order, any size, any crash: whatever happened on the way, the tables are those of one bulk load.

`make test-convergence EXAMPLES=500` plays more schedules; `make test-convergence SCHEDULE=FILE` plays the one
that a failure has printed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sparkify.bookkeeping import differences
from sparkify.fingerprint import fingerprint
from sparkify.warehouse import Warehouse
from tests.support.once import connected_once
from tests.support.relay import RedshiftRelay
from tests.support.schedule import HOURS, LAYOUTS, LOG_WRITES, TASKS, WRITES, Player, Schedule
from tests.support.servers import redshift_connection
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("SPARKIFY_EXAMPLES", "4"))
SCHEDULE = os.environ.get("SPARKIFY_SCHEDULE")

versions = st.integers(0, 40)
windows = st.tuples(st.integers(0, HOURS - 1), st.integers(1, HOURS)).map(
    lambda pair: f"{pair[0]}-{max(pair[0] + 1, pair[1])}"
)
modes = st.sampled_from(["append", "append", "truncate"])
loads = st.builds("{} {}".format, windows, modes)
faults = st.builds(
    "{} {} {} {}".format,
    st.sampled_from(["killed", "cut"]),
    st.sampled_from([*TASKS, "publish", "publish"]),
    st.integers(1, 45),
    st.sampled_from(["before", "after"]),
)
writes = st.builds("{} {}".format, st.sampled_from(WRITES), versions)
sweeps = st.just("sweep")
steps = st.one_of(
    st.builds("load {}".format, loads),
    st.builds("load {} {}".format, loads, faults),
    st.builds(
        "together {} order {}".format,
        st.lists(st.one_of(loads, loads, writes, sweeps), min_size=2, max_size=4).map(", ".join),
        versions,
    ),
    writes,
    writes,
    sweeps,
    st.just("reconcile"),
)
schedules = st.builds(
    lambda first, rest: Schedule((f"write {first}", *rest)),
    versions,
    st.lists(steps, min_size=1, max_size=6),
)
log_writes = st.builds("{} {}".format, st.sampled_from(LOG_WRITES), versions)
schedules_of_layouts = st.builds(
    lambda layout, first, rest: Schedule((f"layout {layout}", f"write {first}", *rest)),
    st.sampled_from([name for name in LAYOUTS if name != "days"]),
    versions,
    st.lists(
        st.one_of(
            steps,
            log_writes,
            log_writes,
            st.builds(
                "together {} order {}".format,
                st.lists(st.one_of(loads, log_writes), min_size=2, max_size=4).map(", ".join),
                versions,
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)


@pytest.fixture(scope="module")
def relay(redshift) -> Iterator[RedshiftRelay]:
    with (
        RedshiftRelay(redshift.port) as relay,
        connected_once(relay.port),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift, relay.port)))
        yield relay


def check(schedule: Schedule, redshift, s3_client, relay: RedshiftRelay) -> None:
    """After the schedule, fingerprint, rows and bookkeeping are those of one run over everything, and no hour
    is certified of which no file ever came."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    player = Player(pipeline, relay)
    player.play(schedule)
    played, left = fingerprint(Warehouse()), pipeline.work_tables()
    assert pipeline.tables() == player.expected()
    with Warehouse().transaction() as transaction:
        found = differences(transaction)
    assert not found, str(found)
    assert player.certified() <= player.hours_of(player.written)
    player.load_at_once()
    assert player.certified() == player.hours_of(player.log_files)
    assert played == fingerprint(Warehouse())
    assert left == []


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schedules)
@example(
    Schedule.parse("""
    write 1
    together 0-3 append, 2-5 append, 1-4 truncate order 3
    songs 1
    sweep
    load 0-5 append killed publish 12 after
    write 2
    load 3-4 append cut publish 40 after
    songs 2
    sweep
    load 1-2 truncate killed load_users 3 before
    """)
)
@example(
    Schedule.parse("""
    write 1
    songs 3
    together 0-5 append, twins 4, moves 2, sweep, 0-3 append, removes 5, sweep, 2-5 append order 8
    sweep
    together 0-5 append, write 2, 0-5 append, write 1, 0-5 append order 4
    """)
)
@pytest.mark.skipif(SCHEDULE is not None, reason="one schedule is played instead (SPARKIFY_SCHEDULE)")
def test_every_schedule_ends_in_the_tables_of_one_bulk_load(
    airflow_connections, redshift, s3_client, relay, schedule
):
    check(schedule, redshift, s3_client, relay)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schedules_of_layouts)
@example(
    Schedule.parse("""
    layout parts
    write 1
    together 0-3 append, late 2, 2-5 append, again 3, 0-5 append order 3
    late 7
    load 3-4 append killed stage_events 20 after
    loses 4
    load 1-2 append cut publish 30 before
    """)
)
@example(
    Schedule.parse("""
    layout hive
    write 1
    load 0-5 append
    late 2
    late 3
    load 4-5 append
    again 1
    load 0-1 append
    """)
)
@example(
    # A late event of the first day goes with a file of the second, which is loaded again after the first.
    Schedule.parse("""
    layout parts
    write 0
    load 0-5 append
    write 14
    """)
)
@pytest.mark.skipif(SCHEDULE is not None, reason="one schedule is played instead (SPARKIFY_SCHEDULE)")
def test_every_layout_ends_in_the_tables_of_one_bulk_load(
    airflow_connections, redshift, s3_client, relay, schedule
):
    check(schedule, redshift, s3_client, relay)


@pytest.mark.skipif(SCHEDULE is None, reason="no schedule is given (SPARKIFY_SCHEDULE)")
def test_this_schedule(airflow_connections, redshift, s3_client, relay):
    check(Schedule.parse(Path(SCHEDULE).read_text()), redshift, s3_client, relay)
