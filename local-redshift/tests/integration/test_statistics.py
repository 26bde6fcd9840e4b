"""What has statistics when, and which joins the planner takes: what a pipeline's speed depends on."""

from __future__ import annotations

import itertools
import re

import pytest
import redshift_connector

pytestmark = pytest.mark.integration

ROLE = "IAM_ROLE default"
#: Fewer changes than autovacuum looks at.
ROWS = '{"a":1}{"a":2}{"a":3}'
NEVER = -1


@pytest.fixture
def counted(postgres):
    """The rows that a table's statistics tell, or NEVER."""
    with postgres.connect("dev") as superuser:

        def counted(table):
            [(rows,)] = superuser.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [table])
            columns = superuser.execute("SELECT FROM pg_stats WHERE tablename = %s", [table]).rowcount
            assert (columns > 0) == (rows > 0)
            return rows

        yield counted


@pytest.fixture
def copy(run, table, prefix):
    """Copies three rows into the table."""
    prefix.put({"data/1": ROWS})
    run(f"CREATE TABLE {table} (a INT)")

    def copy(options="", run=run):
        run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' {options}")

    return copy


def estimate(run, query):
    """The rows that EXPLAIN expects of the query."""
    [[first], *_] = run(f"EXPLAIN {query}")
    return int(re.search(r"rows=(\d+)", first)[1])


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [("", 3, 3), ("STATUPDATE ON", 3, 6), ("STATUPDATE", 3, 6), ("STATUPDATE OFF", NEVER, NEVER)],
)
def test_copy_analyses_a_table_that_was_empty_or_where_it_is_told_to(
    copy, counted, table, option, first, second
):
    for rows in (first, second):
        copy(option)
        assert counted(table) == rows


def test_a_table_is_empty_if_its_rows_are_deleted(copy, counted, run, table):
    run(f"INSERT INTO {table} VALUES (1)")
    run(f"DELETE FROM {table}")
    copy()
    assert counted(table) == 3


def test_a_table_is_empty_if_its_rows_were_never_committed(copy, counted, redshift, table):
    connection = redshift.connect()
    try:
        connection.cursor().execute(f"INSERT INTO {table} VALUES (1)")
        connection.rollback()
    finally:
        connection.close()
    copy()
    assert counted(table) == 3


def test_a_table_is_not_empty_if_its_rows_are_of_the_same_transaction(copy, counted, redshift, table):
    connection = redshift.connect()
    try:
        connection.cursor().execute(f"INSERT INTO {table} VALUES (1)")
        copy(run=connection.cursor().execute)
        connection.commit()
    finally:
        connection.close()
    assert counted(table) == NEVER


def test_a_copy_that_loads_nothing_analyses_nothing(copy, counted, run, table, prefix):
    copy("NOLOAD STATUPDATE ON")
    prefix.put({"data/1": '{"a":"x"}'})
    with pytest.raises(redshift_connector.ProgrammingError):
        copy("STATUPDATE ON")
    assert counted(table) == NEVER


@pytest.mark.parametrize("options", ["", "STATUPDATE ON"])
def test_who_does_not_own_the_table_loads_it_without_statistics(copy, counted, redshift, run, table, options):
    run("CREATE USER loader PASSWORD 'Loader123'")
    try:
        run(f"GRANT INSERT ON {table} TO loader")
        connection = redshift.connect(user="loader", password="Loader123")
        try:
            connection.autocommit = True
            copy(options, run=connection.cursor().execute)
        finally:
            connection.close()
        assert run(f"SELECT COUNT(*) FROM {table}") == [(3,)]
        assert counted(table) == NEVER
    finally:
        run(f"REVOKE ALL ON {table} FROM loader")
        run("DROP USER loader")


def test_an_analysis_leaves_the_count_and_the_notices_of_the_copy(copy, connection, run):
    connection.notices.clear()
    copy()
    assert run("SELECT PG_LAST_COPY_COUNT()") == [(3,)]
    assert len(connection.notices) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE {table} AS {query}",
        "CREATE TABLE {table} (b) DISTKEY (b) SORTKEY (b) AS ({query})",
        "CREATE TEMP TABLE {table} AS {query}",
        "CREATE LOCAL TEMPORARY TABLE {table} SORTKEY (a) AS WITH q AS ({query}) SELECT * FROM q",
        "SELECT * INTO {table} FROM ({query}) AS q",
        "SELECT * INTO TEMP TABLE {table} FROM ({query}) AS q",
        "WITH q AS ({query}) SELECT * INTO {table} FROM q",
    ],
)
def test_a_table_made_of_a_query_is_analysed(counted, run, table, statement):
    run(statement.format(table=table, query="SELECT 1 AS a UNION ALL SELECT 2"))
    assert counted(table) == 2


def test_a_table_of_a_name_with_hash_made_of_a_query_is_temporary_and_analysed(counted, run):
    run("CREATE TABLE #Made AS SELECT 1 AS a")
    run("SELECT a INTO #Selected FROM #Made")
    assert [counted("#made"), counted("#selected")] == [1, 1]
    assert run("SELECT relpersistence FROM pg_class WHERE relname IN ('#made', '#selected')") == [("t",)] * 2


def test_a_table_made_of_a_query_is_analysed_in_its_transaction(counted, redshift, table):
    connection = redshift.connect()
    try:
        cursor = connection.cursor()
        cursor.execute(f"CREATE TABLE {table} AS SELECT 1 AS a")
        cursor.execute(f"EXPLAIN SELECT * FROM {table}")
        assert "rows=1 " in cursor.fetchone()[0]
        connection.rollback()
    finally:
        connection.close()


def test_nothing_else_is_analysed(counted, run, table):
    run(f"CREATE TABLE {table} (a INT) SORTKEY (a)")
    run(f"INSERT INTO {table} SELECT 1 UNION ALL SELECT 2")
    assert counted(table) == NEVER


def test_explain_tells_the_rows_at_once(run, table):
    run(f"CREATE TABLE {table} AS {_numbers(5)}")
    assert estimate(run, f"SELECT * FROM {table}") == 100_000
    assert estimate(run, f"SELECT * FROM {table} WHERE n < 50000") == pytest.approx(50_000, rel=0.2)


def test_explain_of_a_table_made_of_a_query_makes_none(run, table):
    assert run(f"EXPLAIN CREATE TABLE {table} DISTKEY (n) SORTKEY (n) AS {_numbers(1)}")
    assert run(f"SELECT * FROM pg_class WHERE relname = '{table.rpartition('.')[2]}'") == []


def test_the_own_analysis_of_a_client_keeps_its_precision(counted, run, postgres, table):
    """The automatic one looks at fewer rows."""
    run(f"CREATE TABLE {table} AS {_numbers(4)}")
    precision = f"SELECT array_length(histogram_bounds, 1) FROM pg_stats WHERE tablename = '{table}'"
    with postgres.connect("dev") as superuser:
        [(automatic,)] = superuser.execute(precision)
        run(f"ANALYZE {table}")
        [(own,)] = superuser.execute(precision)
    assert automatic < own == 101


def _numbers(digits):
    """A query of the numbers of so many digits."""
    ten = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
    places = ", ".join(f"({ten}) AS p{place}" for place in range(digits))
    number = " + ".join(f"p{place}.d * {10**place}" for place in range(digits))
    return f"SELECT {number} AS n FROM {places}"


TYPES = {
    "i": "INT",
    "s": "SMALLINT",
    "l": "BIGINT",
    "n": "DECIMAL(10, 2)",
    "f": "DOUBLE PRECISION",
    "r": "REAL",
    "v": "VARCHAR(20)",
    "c": "CHAR(20)",
    "d": "DATE",
    "m": "TIMESTAMP",
    "z": "TIMESTAMPTZ",
    "b": "BOOLEAN",
}
COMPARABLE = [*itertools.product("slinfrv", repeat=2), *itertools.product("dmz", repeat=2), "vc", "cv", "bb"]
EQUALITIES = [
    *(f"a.{left} = b.{right}" for left, right in COMPARABLE),
    "TRIM(a.v) = TRIM(b.v)",
    "LOWER(BTRIM(a.v)) = b.v",
    "NVL(a.v, '') = NVL(b.v, '')",
    "NVL2(a.v, a.i, 0) = b.i",
    "DECODE(a.i, 1, 'x', 'y') = b.v",
    "a.v || a.i = b.v || b.i",
    "CONCAT(a.v, a.i) = b.v",
    "a.i::VARCHAR = b.v",
    "CONVERT(BIGINT, a.v) = b.l",
    "DATE_TRUNC('hour', a.m) = b.m",
    "DATEADD(hour, 1, a.m) = b.m",
    "TRUNC(a.m) = b.d",
    "EXTRACT(epoch FROM a.m) = b.l",
    "DATEDIFF(second, '1970-01-01', a.m) = b.l",
    "TIMESTAMP 'epoch' + a.l * INTERVAL '1 second' = b.m",
    "MD5(a.v) = MD5(b.v)",
    "STRTOL(a.v, 16) = b.l",
    "REGEXP_REPLACE(a.v, 'x') = b.v",
    "SPLIT_PART(a.v, '-', 1) = b.v",
    "CONVERT_TIMEZONE('UTC', 'CET', a.m) = b.m",
    "JSON_EXTRACT_PATH_TEXT(a.v, 'x') = b.v",
]


@pytest.fixture(scope="module")
def joined(redshift):
    """Runs a statement where two tables of all types have no statistics."""
    connection = redshift.connect()
    connection.autocommit = True
    columns = ", ".join(f"{name} {type_name}" for name, type_name in TYPES.items())
    cursor = connection.cursor()
    for table in ("joined_a", "joined_b"):
        cursor.execute(f"CREATE TABLE {table} ({columns}, few INT, fewer INT)")
        cursor.execute(f"INSERT INTO {table} (i) VALUES (1)")

    def run(sql):
        cursor.execute(sql)
        return cursor.fetchall()

    yield run
    cursor.execute("DROP TABLE joined_a")
    cursor.execute("DROP TABLE joined_b")
    connection.close()


@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN", "FULL JOIN"])
@pytest.mark.parametrize("equality", EQUALITIES)
def test_an_equality_is_never_joined_by_a_nested_loop(joined, equality, join):
    """Each side is expected to have one row: a nested loop would seem cheapest."""
    a, b = (f"(SELECT * FROM joined_{side} WHERE few = 1 AND fewer = 1) {side}" for side in "ab")
    plan = "\n".join(line for [line] in joined(f"EXPLAIN SELECT 1 FROM {a} {join} {b} ON {equality}"))
    assert re.search("(Hash|Merge) .*Join", plan), plan
    assert "Nested Loop" not in plan


def test_what_only_a_nested_loop_can_join_is_joined(joined):
    assert joined("SELECT COUNT(*) FROM joined_a a JOIN joined_b b ON a.i <= b.i") == ([1],)
