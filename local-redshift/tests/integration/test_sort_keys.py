"""A SORTKEY lets ranges be read without the rest of the table, and is not seen otherwise."""

from __future__ import annotations

import psycopg
import pytest

pytestmark = pytest.mark.integration

ROWS = 200_000


@pytest.fixture
def backend(postgres, redshift):
    """The PostgreSQL behind Local Redshift."""
    with psycopg.connect(postgres.dsn(redshift.database), autocommit=True) as connection:
        yield connection


def blocks_read(backend, query: str) -> int:
    [([explained],)] = backend.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}").fetchall()
    return explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]


def indexes(backend, table: str) -> list[str]:
    rows = backend.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [table]).fetchall()
    return [definition.partition(" USING ")[2] for (definition,) in rows]


@pytest.mark.parametrize(
    "declared",
    [
        "(moment TIMESTAMP SORTKEY, filler VARCHAR(64))",
        "(moment TIMESTAMP, filler VARCHAR(64)) COMPOUND SORTKEY (moment, filler)",
    ],
    ids=["of the column", "of the table"],
)
def test_a_range_of_the_sort_key_reads_its_own_blocks_only(run, table, backend, declared):
    run(f"CREATE TABLE {table} {declared}")
    backend.execute(
        f"INSERT INTO {table} SELECT TIMESTAMP '2018-11-01' + n * INTERVAL '1 second', REPEAT('x', 64) "
        f"FROM generate_series(1, {ROWS}) AS n"
    )
    backend.execute(f"VACUUM (ANALYZE) {table}")
    everything = blocks_read(backend, f"SELECT COUNT(*) FROM {table}")
    hour = "moment >= TIMESTAMP '2018-11-02 10:00:00' AND moment < TIMESTAMP '2018-11-02 11:00:00'"
    assert run(f"SELECT COUNT(*) FROM {table} WHERE {hour}") == [(3600,)]
    assert blocks_read(backend, f"SELECT COUNT(*) FROM {table} WHERE {hour}") < everything / 4


def test_creating_a_table_that_exists_changes_nothing(run, table, backend):
    for _ in range(2):
        run(f"CREATE TABLE IF NOT EXISTS {table} (a INTEGER, b INTEGER) SORTKEY (b, a)")
    assert indexes(backend, table) == ["brin (b) WITH (pages_per_range='128', autosummarize='on')"]


def test_a_sort_key_without_an_order_of_its_own_is_taken(run, table, backend):
    run(f"CREATE TABLE {table} (a BOOLEAN) SORTKEY (a)")
    assert indexes(backend, table) == []
    run(f"INSERT INTO {table} VALUES (TRUE)")
    assert run(f"SELECT a FROM {table}") == [(True,)]


def test_a_table_that_is_rolled_back_leaves_no_index(redshift, table, backend):
    connection = redshift.connect()
    try:
        connection.cursor().execute(f"CREATE TABLE {table} (a INTEGER) SORTKEY (a)")
        connection.rollback()
    finally:
        connection.close()
    assert indexes(backend, table) == []


def test_a_sort_key_adds_no_relation_to_the_catalog(run, table):
    run(f"CREATE TABLE {table} (a INTEGER SORTKEY)")
    for view, column in (("information_schema.tables", "table_name"), ("svv_tables", "table_name")):
        assert run(f"SELECT {column} FROM {view} WHERE {column} LIKE '{table}%'") == [(table,)]
    assert run(f"SELECT tablename, \"column\" FROM pg_table_def WHERE tablename LIKE '{table}%'") == [
        (table, "a")
    ]


def test_updates_and_new_rows_leave_old_ranges_as_narrow_as_they_were(run, table, backend):
    """As Redshift's VACUUM would, which sorts."""
    run(f"CREATE TABLE {table} (moment TIMESTAMP SORTKEY, found VARCHAR(64), filler VARCHAR(64))")
    days = (
        f"INSERT INTO {table} SELECT TIMESTAMP '2018-11-01' + n * INTERVAL '1 second', NULL, REPEAT('x', 64) "
        "FROM generate_series({}, {}) AS n"
    )
    backend.execute(days.format(1, ROWS))
    backend.execute(f"VACUUM (ANALYZE) {table}")
    run(f"UPDATE {table} SET found = 'a song' WHERE TO_CHAR(moment, 'MI:SS') = '07:07'")
    backend.execute(f"VACUUM {table}")
    backend.execute(days.format(ROWS + 1, ROWS + 1000))
    everything = blocks_read(backend, f"SELECT COUNT(*) FROM {table}")
    for hour in ("2018-11-01 10:00:00", "2018-11-03 07:00:00"):
        rows = f"moment >= TIMESTAMP '{hour}' AND moment < TIMESTAMP '{hour}' + INTERVAL '1 hour'"
        assert blocks_read(backend, f"SELECT COUNT(*) FROM {table} WHERE {rows}") < everything / 4
