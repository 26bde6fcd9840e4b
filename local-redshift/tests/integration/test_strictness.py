"""Where Redshift is stricter than PostgreSQL, or other: what is refused, and what is let happen."""

from __future__ import annotations

import pytest
import redshift_connector

pytestmark = pytest.mark.integration


@pytest.fixture
def connection(redshift):
    connection = redshift.connect()
    cursor = connection.cursor()
    cursor.execute("DROP SCHEMA IF EXISTS strict CASCADE")
    cursor.execute("CREATE SCHEMA strict")
    cursor.execute("CREATE TABLE strict.t (a INTEGER, b VARCHAR(4), ts TIMESTAMP)")
    connection.commit()
    yield connection
    connection.rollback()
    connection.close()


def rows(connection, sql):
    cursor = connection.cursor()
    cursor.execute(sql)
    return [list(row) for row in cursor.fetchall()]


def run(connection, *statements):
    for statement in statements:
        connection.cursor().execute(statement)


REFUSED = [
    "INSERT INTO strict.t (a) VALUES (1) ON CONFLICT DO NOTHING",
    "DELETE FROM strict.t RETURNING a",
    "CREATE INDEX i ON strict.t (a)",
    "CREATE SEQUENCE strict.s",
    "CREATE TABLE strict.u (a SERIAL)",
    "CREATE TABLE strict.u (a JSONB)",
    "CREATE TABLE strict.u (a UUID)",
    "CREATE TABLE strict.u (a INTEGER[])",
    "CREATE TABLE strict.u (a INTEGER CHECK (a > 0))",
    "CREATE TABLE strict.u (a INTEGER, b INTEGER) DISTKEY (a) DISTKEY (b)",
    "SELECT DISTINCT ON (a) b FROM strict.t",
    "SELECT COUNT(*) FILTER (WHERE a > 1) FROM strict.t",
    "SELECT STRING_AGG(b, ',') FROM strict.t",
    "SELECT * FROM (VALUES (1)) AS v",
    "SELECT a IS DISTINCT FROM 1 FROM strict.t",
    "SELECT SUM(a) OVER (ORDER BY ts) FROM strict.t",
    "SAVEPOINT s",
    "TRUNCATE strict.t CASCADE",
    "ALTER TABLE strict.t ADD COLUMN c INTEGER, ADD COLUMN d INTEGER",
    "COPY strict.t FROM STDIN",
    "MERGE INTO strict.t USING strict.t AS u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "SELECT 1; SELECT 2",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_redshift_has_not_is_refused(connection, statement):
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        run(connection, statement)
    assert caught.value.args[0]["M"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'on conflict do nothing returning a' AS b",
        "SELECT 1 -- RETURNING a",
        "SELECT b AS savepoint_name, a AS index_of FROM strict.t",
    ],
)
def test_words_in_literals_comments_and_names_are_not_mistaken_for_statements(connection, statement):
    run(connection, statement)


def test_truncate_commits_what_came_before_it(connection, redshift):
    run(connection, "INSERT INTO strict.t (a) VALUES (1)")
    connection.commit()
    run(connection, "CREATE TABLE strict.kept (a INTEGER)", "TRUNCATE strict.t")
    connection.rollback()
    other = redshift.connect()
    assert rows(other, "SELECT COUNT(*) FROM strict.t") == [[0]]
    assert rows(other, "SELECT COUNT(*) FROM strict.kept") == [[0]]
    other.close()


def test_a_primary_key_is_not_enforced(connection):
    run(connection, "CREATE TABLE strict.u (a INTEGER, PRIMARY KEY (a))")
    run(connection, "INSERT INTO strict.u VALUES (1)", "INSERT INTO strict.u VALUES (1)")
    assert rows(connection, "SELECT COUNT(*) FROM strict.u") == [[2]]


def test_varchar_counts_bytes(connection):
    run(connection, "INSERT INTO strict.t (b) VALUES ('abcd')", "INSERT INTO strict.t (b) VALUES ('éé')")
    with pytest.raises(
        redshift_connector.ProgrammingError, match=r"value too long for type character varying\(4\)"
    ):
        run(connection, "INSERT INTO strict.t (b) VALUES ('ééé')")


def test_identity_begins_at_its_seed_and_cannot_be_written(connection):
    run(connection, "CREATE TABLE strict.u (id BIGINT IDENTITY (0, 1), a INTEGER)")
    run(connection, "INSERT INTO strict.u (a) VALUES (7)")
    assert rows(connection, "SELECT id, a FROM strict.u") == [[0, 7]]
    with pytest.raises(redshift_connector.ProgrammingError, match="cannot set an identity column"):
        run(connection, "INSERT INTO strict.u (id, a) VALUES (5, 7)")


def test_quoted_identifiers_fold_to_lower_case(connection):
    run(connection, 'CREATE TABLE strict.u ("firstName" INTEGER)')
    assert rows(connection, "SELECT firstname FROM strict.u") == []


def test_an_error_leaves_the_transaction_failed_until_rollback(connection):
    with pytest.raises(redshift_connector.ProgrammingError):
        run(connection, "SELECT 1 / 0")
    with pytest.raises(redshift_connector.ProgrammingError, match="aborted"):
        run(connection, "SELECT 1")
    connection.rollback()
    assert rows(connection, "SELECT 1") == [[1]]


def test_what_is_read_after_a_lock_includes_what_was_committed_before_it(connection, redshift):
    run(connection, "CREATE TABLE strict.mutex (a INTEGER)")
    connection.commit()
    first, second = redshift.connect(), redshift.connect()
    run(first, "LOCK strict.mutex")
    run(first, "INSERT INTO strict.t (a) VALUES (1)")
    first.commit()
    run(second, "LOCK strict.mutex")
    assert rows(second, "SELECT COUNT(*) FROM strict.t") == [[1]]
    first.close()
    second.close()


def test_a_transaction_reads_one_snapshot_and_a_conflicting_write_is_error_1023(connection, redshift):
    run(connection, "INSERT INTO strict.t (a) VALUES (1)")
    connection.commit()
    first, second = redshift.connect(), redshift.connect()
    assert rows(second, "SELECT a FROM strict.t") == [[1]]
    run(first, "UPDATE strict.t SET a = 2")
    first.commit()
    assert rows(second, "SELECT a FROM strict.t") == [[1]]
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        run(second, "UPDATE strict.t SET a = 3")
    fields = caught.value.args[0]
    assert (fields["C"], fields["M"]) == ("XX000", "1023")
    assert "Serializable isolation violation on table" in fields["D"]
    first.close()
    second.close()


def test_a_wrong_password_is_refused_as_redshift_refuses_it(redshift):
    with pytest.raises(
        redshift_connector.InterfaceError, match='password authentication failed for user "awsuser"'
    ):
        redshift.connect(password="wrong")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("DATEDIFF(year, TIMESTAMP '2008-12-31', TIMESTAMP '2009-01-01')", 1),
        ("DATEDIFF(hour, TIMESTAMP '2009-01-01 08:30', TIMESTAMP '2009-01-01 10:00')", 2),
        ("EXTRACT(weekday FROM TIMESTAMP '2018-11-04 10:00')", 0),
        ("EXTRACT(week FROM TIMESTAMP '2018-11-04 10:00')", 44),
        ("NVL(NULL, 'x')", "x"),
        ("NVL2(NULL, 'x', 'y')", "y"),
        ("DECODE(NULL, NULL, 'same', 'other')", "same"),
        ("LEN('éé')", 2),
        ("OCTET_LENGTH('éé')", 4),
        ("CAST('a' AS VARCHAR) || 1", "a1"),
    ],
)
def test_functions(connection, expression, value):
    assert rows(connection, f"SELECT {expression}") == [[value]]
