"""The zone of a session: UTC unless the login, the database or the session itself has another."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

pytestmark = pytest.mark.integration

#: Without daylight saving, and nine hours ahead of UTC.
TOKYO = "Asia/Tokyo"
AHEAD = timedelta(hours=9)
MINUTE = timedelta(minutes=1)
#: What is in the session's zone. In Tokyo it is another day than in UTC for nine hours out of 24.
TIMES = "GETDATE(), SYSDATE, CAST(CURRENT_TIMESTAMP AS TIMESTAMP), CAST(CURRENT_DATE AS TIMESTAMP)"
NOON = "TIMESTAMPTZ '2018-11-01 12:00:00+00'"


@pytest.fixture
def login(run, redshift):
    """Sets the zone that the login's sessions begin in."""
    yield lambda zone: run(f"ALTER USER {redshift.user} SET timezone TO '{zone}'")
    run(f"ALTER USER {redshift.user} RESET timezone")


@pytest.fixture
def ask(redshift):
    """Runs one query in a session of its own; its only row."""

    def ask(sql, before=""):
        with contextlib.closing(redshift.connect()) as connection, connection.cursor() as cursor:
            if before:
                cursor.execute(before)
            cursor.execute(sql)
            [row] = cursor.fetchall()
            return tuple(row)

    return ask


def are_of(times, zone_ahead):
    """Whether GETDATE, SYSDATE, CURRENT_TIMESTAMP and CURRENT_DATE are those of now in that zone."""
    now = datetime.now(UTC).replace(tzinfo=None) + zone_ahead
    *moments, day = times
    days = {(now - MINUTE).date(), now.date()}
    return all(abs(moment - now) < MINUTE for moment in moments) and day.date() in days


def test_a_session_is_in_utc(ask):
    assert are_of(ask(f"SELECT {TIMES}"), timedelta())
    assert ask("SHOW timezone") == ("UTC",)


def test_getdate_has_whole_seconds(ask):
    assert [ask("SELECT GETDATE()")[0].microsecond for _ in range(2)] == [0, 0]


def test_a_login_has_a_zone_of_its_own(ask, login):
    login(TOKYO)
    assert are_of(ask(f"SELECT {TIMES}"), AHEAD)
    assert are_of(ask(f"SELECT {TIMES}", "SET timezone TO 'UTC'"), timedelta())


def test_a_database_has_a_zone_of_its_own(ask, postgres, redshift):
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as backend:
        backend.execute(f"ALTER DATABASE {redshift.database} SET timezone TO '{TOKYO}'")
        try:
            assert are_of(ask(f"SELECT {TIMES}"), AHEAD)
        finally:
            backend.execute(f"ALTER DATABASE {redshift.database} RESET timezone")


def test_a_session_sets_its_zone(ask):
    assert are_of(ask(f"SELECT {TIMES}", f"SET timezone TO '{TOKYO}'"), AHEAD)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"CAST({NOON} AS TIMESTAMP)", datetime(2018, 11, 1, 21)),
        (f"CAST({NOON} AS VARCHAR(64))", "2018-11-01 21:00:00+09"),
        (f"EXTRACT(hour FROM {NOON})", 21),
        (f"DATE_PART(hour, {NOON})", 21),
        (f"DATE_TRUNC('day', {NOON})", datetime(2018, 10, 31, 15, tzinfo=UTC)),
        # 00:30 and 23:30 of one day in Tokyo are two days in UTC.
        (
            "DATEDIFF(day, TIMESTAMPTZ '2018-11-01 15:30:00+00', TIMESTAMPTZ '2018-11-02 14:30:00+00')",
            0,
        ),
        ("CAST(TIMESTAMP '2018-11-01 21:00:00' AS TIMESTAMPTZ)", datetime(2018, 11, 1, 12, tzinfo=UTC)),
        # Of a TIMESTAMP, UTC is the source unless another is named.
        (f"CONVERT_TIMEZONE('{TOKYO}', TIMESTAMP '2018-11-01 12:00:00')", datetime(2018, 11, 1, 21)),
    ],
)
def test_a_timestamptz_is_shown_and_taken_apart_in_the_sessions_zone(ask, login, expression, expected):
    login(TOKYO)
    assert ask(f"SELECT {expression}") == (expected,)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("SELECT starttime FROM stl_load_errors WHERE session = {pid}", 1),
        ("SELECT start_time FROM sys_load_error_detail WHERE session_id = {pid}", 1),
        ("SELECT curtime FROM stl_load_commits WHERE filename LIKE '%{prefix}%'", 1),
        ("SELECT start_time, end_time FROM sys_load_history WHERE session_id = {pid}", 2),
    ],
)
def test_system_tables_are_in_utc(redshift, login, table, run, prefix, query, number):
    run(f"CREATE TABLE {table} (id INT)")
    prefix.put({"rows.json": '{"id": 1}\n{"id": "x"}'})
    login(TOKYO)
    with contextlib.closing(redshift.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT pg_backend_pid()")
        [[pid]] = cursor.fetchall()
        cursor.execute(f"COPY {table} FROM '{prefix.address}/' IAM_ROLE default JSON 'auto' MAXERROR 9")
        cursor.execute(query.format(pid=pid, prefix=prefix.name))
        [times] = cursor.fetchall()
    now = datetime.now(UTC).replace(tzinfo=None)
    assert len(times) == number
    assert all(abs(time - now) < MINUTE for time in times)


def test_an_epoch_is_a_moment_whatever_the_zone(redshift, login, table, run, prefix):
    run(f"CREATE TABLE {table} (moment TIMESTAMPTZ)")
    prefix.put({"rows.json": '{"moment": 1541073600000}'})
    login(TOKYO)
    with contextlib.closing(redshift.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"COPY {table} FROM '{prefix.address}/' IAM_ROLE default JSON 'auto' TIMEFORMAT 'epochmillisecs'"
        )
        cursor.execute(f"SELECT moment FROM {table}")
        assert [tuple(row) for row in cursor.fetchall()] == [(datetime(2018, 11, 1, 12, tzinfo=UTC),)]
