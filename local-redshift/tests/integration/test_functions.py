"""Functions in SQL cost what their bodies cost: PostgreSQL puts the body in place of the call."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration

CALLS = [
    "EXTRACT(HOUR FROM moment)",
    "EXTRACT(EPOCH FROM moment)",
    "DATE_PART('milliseconds', moment)",
    "DATE_TRUNC('month', day)",
    "DATEADD(hour, number, moment)",
    "DATEADD(hour, number, day)",
    "DATEDIFF(minute, moment, moment)",
    "DATEDIFF(week, day, day)",
    "ADD_MONTHS(moment, number)",
    "LAST_DAY(moment)",
    "CONVERT_TIMEZONE('Europe/Berlin', moment)",
    "LEN(text)",
    "CONCAT(text, text)",
]


@pytest.fixture
def things(connection):
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE things (moment TIMESTAMP, day DATE, number BIGINT, text VARCHAR(8))")
    cursor.execute("INSERT INTO things VALUES (NULL, NULL, NULL, NULL)")
    return cursor


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_planned_as_what_it_does(things, call):
    name = call.partition("(")[0].lower()
    things.execute(f"EXPLAIN VERBOSE SELECT {call} AS value FROM things")
    plan = "\n".join(line for (line,) in things.fetchall())
    assert "redshift." not in plan
    assert "pgdate_part" not in plan
    # Of a TIMESTAMP, DATE_TRUNC is PostgreSQL's own; it calls what DATE_PART becomes date_part too.
    assert name in ("date_trunc", "date_part") or f"{name}(" not in plan


@pytest.mark.parametrize("call", CALLS)
def test_of_null_it_is_null(things, call):
    things.execute(f"SELECT {call} AS value FROM things")
    assert things.fetchone() == [None]
