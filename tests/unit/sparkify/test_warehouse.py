"""Splitting scripts, quoting literals and explaining Redshift's errors."""

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.warehouse import Transaction, TransientError, WarehouseError, quote, split_statements

pytestmark = pytest.mark.unit


class RefusingConnection:
    """A connection, its own cursor, whose every statement fails as redshift_connector reports it."""

    description = None
    rowcount = -1

    def __init__(self, code, message, detail=""):
        self.fields = {"S": "ERROR", "C": code, "M": message, "D": detail}

    def cursor(self):
        return self

    def execute(self, statement, parameters):
        raise RuntimeError(self.fields)


def refused(code, message, detail=""):
    transaction = Transaction(RefusingConnection(code, message, detail), "connection 'c'")
    with pytest.raises(WarehouseError) as caught:
        transaction.execute("SELECT 1", name="a script")
    return caught.value


def test_a_missing_table_names_the_dag_to_run_and_is_not_retried():
    error = refused("42P01", 'relation "sparkify.songplays" does not exist')
    assert "sparkify_schema" in str(error)
    assert "sparkify.songplays" in str(error)
    assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize("message", ["1023", "1018"])
def test_conflicts_are_transient(message):
    assert isinstance(refused("XX000", message, "Serializable isolation violation"), TransientError)


def test_other_errors_keep_statement_place_message_and_detail():
    error = refused("XX000", "Disk Full", "in slice 1")
    assert not isinstance(error, (TransientError, AirflowFailException))
    assert str(error) == "a script failed on connection 'c': Disk Full. in slice 1"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("22012", "division by zero"),
        ("22001", "value too long for type character varying(64)"),
        ("42601", 'syntax error at or near "SELEC"'),
        ("42501", "permission denied for relation stl_load_errors"),
        ("0A000", "cannot set an identity column to a value"),
        # As the compute nodes of Redshift say it.
        ("XX000", "Value too long for character type"),
    ],
)
def test_what_no_retry_can_heal_fails_at_once_and_says_what_to_do(code, message):
    error = refused(code, message, "in slice 1")
    assert isinstance(error, AirflowFailException)
    first, remedy = str(error).split("\n")
    assert first == f"a script failed on connection 'c': {message}. in slice 1"
    assert "clear this task" in remedy


@pytest.mark.parametrize("code", ["57014", "53100", "08006", "XX000", "40001", "25006", "23505"])
def test_what_may_pass_is_retried(code):
    assert not isinstance(refused(code, "out of luck"), AirflowFailException)


def test_a_script_is_split_into_its_statements():
    script = "-- first; comment\nSELECT ';' AS a;\n\nDELETE FROM t\nWHERE b = '--';\n;\n-- the end\n"
    assert split_statements(script) == [
        "-- first; comment\nSELECT ';' AS a",
        "DELETE FROM t\nWHERE b = '--'",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'it''s; ' || \"a;b\"",
        "SELECT 1 /* ; */",
        "SELECT 1 -- ; it's",
        "SELECT '--;', '/*'",
        "SELECT 2 / 1",
    ],
)
def test_a_semicolon_in_a_literal_a_name_or_a_comment_ends_nothing(statement):
    assert split_statements(f"{statement}\n;\nSELECT 2;") == [statement, "SELECT 2"]
    assert split_statements(f"SELECT 2;{statement}") == ["SELECT 2", statement]


def test_plain_values_are_quoted():
    assert quote("arn:aws:iam::1:role/a") == "'arn:aws:iam::1:role/a'"


@pytest.mark.parametrize("value", ["a'b", "a\\b", "a\nb", "\x00"])
def test_values_that_could_leave_the_literal_are_refused(value):
    with pytest.raises(ValueError, match="cannot be written into SQL"):
        quote(value)
