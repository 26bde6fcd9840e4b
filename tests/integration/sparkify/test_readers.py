"""Who may read the published tables: a group or a role of the deployment's choice."""

from __future__ import annotations

import itertools
import re

import pytest
import redshift_connector
from airflow.sdk.exceptions import AirflowFailException

from sparkify.paths import SQL
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.integration

NUMBERS = itertools.count(1)
PASSWORD = "Test-reader-1"


def create_schema(readers: str, **params) -> None:
    variables = {"sparkify_readers": readers}
    PipelineRun(load_dag("sparkify_schema"), params, variables=variables).run_task("create_schema")


@pytest.fixture(params=["GROUP", "ROLE"])
def analysts(request, empty_pipeline) -> tuple[str, str]:
    """A group, or a role, with one user; (what the Variable says, the user)."""
    name, user = f"analysts_{next(NUMBERS)}", f"analyst_{next(NUMBERS)}"
    empty_pipeline.execute(
        f"CREATE {request.param} {name}",
        f"CREATE USER {user} PASSWORD '{PASSWORD}'",
        f"ALTER GROUP {name} ADD USER {user}" if request.param == "GROUP" else f"GRANT ROLE {name} TO {user}",
    )
    return f"{request.param} {name}", user


def read(redshift, user: str, table: str, columns: str = "COUNT(*)") -> list:
    connection = redshift_connector.connect(
        host="127.0.0.1",
        port=redshift.port,
        database=redshift.database,
        user=user,
        password=PASSWORD,
        ssl=False,
    )
    try:
        cursor = connection.cursor()
        cursor.execute(f"SELECT {columns} FROM {table}")
        return list(cursor.fetchall())
    finally:
        connection.close()


def test_readers_see_published_tables_and_views_and_nothing_else(redshift, empty_pipeline, analysts):
    readers, user = analysts
    empty_pipeline.create_schema()
    empty_pipeline.execute("CREATE VIEW sparkify.listeners AS SELECT user_id FROM sparkify.users")
    with pytest.raises(redshift_connector.ProgrammingError, match="permission denied"):
        read(redshift, user, "sparkify.songplays")
    create_schema(readers)
    for table in ("songplays", "load_history", "listeners"):
        assert read(redshift, user, f"sparkify.{table}") == [[0]]
    with pytest.raises(redshift_connector.ProgrammingError, match="permission denied"):
        read(redshift, user, "staging.source_files")


def test_readers_see_where_a_rejected_row_is_and_not_its_text(redshift, empty_pipeline, analysts):
    readers, user = analysts
    empty_pipeline.create_schema()
    group = readers.removeprefix("GROUP ").removeprefix("ROLE ")
    kind = readers.split()[0]
    # What an earlier version has granted.
    empty_pipeline.execute(
        f"GRANT USAGE ON SCHEMA sparkify TO {kind} {group}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA sparkify TO {kind} {group}",
    )
    assert read(redshift, user, "sparkify.rejected_rows", "raw_line") == []
    for _ in range(2):
        create_schema(readers)
        for columns in ("raw_line", "*", "LEN(raw_line)"):
            with pytest.raises(redshift_connector.ProgrammingError, match="permission denied"):
                read(redshift, user, "sparkify.rejected_rows", columns)
        assert read(redshift, user, "sparkify.rejected_rows", "file_name, line_number, reason") == []
        assert read(redshift, user, "sparkify.rejected_rows") == [[0]]


def test_readers_are_granted_every_other_column_of_rejected_rows(pipeline):
    rows = pipeline.query(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'sparkify' AND table_name = 'rejected_rows'"
    )
    [granted] = re.findall(r"GRANT SELECT \(([^)]*)\)", (SQL / "grant.sql").read_text())
    assert set(re.findall(r"\w+", granted)) == {name for (name,) in rows} - {"raw_line"}


def test_readers_still_read_after_a_drop(redshift, pipeline, analysts):
    readers, user = analysts
    create_schema(readers, drop_existing=True, confirm_drop="DROP sparkify")
    assert read(redshift, user, "sparkify.songplays") == [[0]]


@pytest.mark.parametrize("readers", [
    "PUBLIC",
    "analysts",
    "USER analyst",
    "GROUP analysts; DROP SCHEMA sparkify CASCADE",
    'GROUP "analysts"',
    "GROUP analysts WITH GRANT OPTION",
    "ROLE a, ROLE b",
    "GROUP {{ 1 }}",
    "GROUP analysts'--",
    "GROUP " + "a" * 128,
])  # fmt: skip
def test_what_is_no_group_and_no_role_changes_nothing(empty_pipeline, readers):
    with pytest.raises(
        AirflowFailException, match=r"sparkify_readers.*nothing was changed\.\n.*GROUP analysts"
    ):
        create_schema(readers)
    assert empty_pipeline.query(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'sparkify'"
    ) == [(0,)]


def test_a_group_that_does_not_exist_is_named(empty_pipeline):
    with pytest.raises(Exception, match="no_such_group"):
        create_schema("GROUP no_such_group")
