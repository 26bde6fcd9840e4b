"""Columns, tables and views that are not as declared: named, with a statement that mends them."""

from __future__ import annotations

import re

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify import declarations
from sparkify.declarations import declared_tables, declared_views, distribution_findings
from sparkify.fingerprint import fingerprint
from sparkify.warehouse import SchemaMissingError, Warehouse
from tests.integration.sparkify.test_lost_tables import EVENTS, HOURS, NEXT, SONGS, reconcile
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.integration

CHANGES = {
    "ALTER TABLE sparkify.songs RENAME COLUMN title TO name": (
        "ALTER TABLE sparkify.songs RENAME COLUMN name TO title;"
    ),
    "ALTER TABLE sparkify.songs DROP COLUMN title": (
        "ALTER TABLE sparkify.songs ADD COLUMN title VARCHAR(1024);"
    ),
    "ALTER TABLE sparkify.users DROP COLUMN level": (
        "ALTER TABLE sparkify.users ADD COLUMN level VARCHAR(16) DEFAULT '' NOT NULL;"
    ),
}


def load(pipeline):
    # Reconciling loads whole days: no event is of an hour that is left out.
    pipeline.put_events(*EVENTS[:-1])
    pipeline.put_songs(*SONGS)
    for window in HOURS:
        pipeline.load(*window)


@pytest.fixture
def loaded(made_by):
    return made_by(load)


def verify(pipeline) -> None:
    PipelineRun(load_dag("sparkify_verify"), variables=pipeline.variables).run_task("schema")


def test_the_declarations_are_those_of_a_new_database(pipeline):
    rows = pipeline.query(
        "SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns "
        "WHERE table_schema IN ('sparkify', 'staging')"
    )
    declared = {(table, c.name) for table, one in declared_tables().items() for c in one.columns}
    assert declared == {row for row in map(tuple, rows) if row[0] not in declared_views()}
    verify(pipeline)


@pytest.mark.parametrize(("change", "statement"), CHANGES.items(), ids=CHANGES)
def test_a_column_that_is_gone_is_named_with_the_statement_that_brings_it_back(loaded, change, statement):
    before = fingerprint(Warehouse())
    loaded.execute(change)
    with pytest.raises(AirflowFailException, match=re.escape(statement)):
        verify(loaded)
    with pytest.raises(SchemaMissingError, match=re.escape(statement)) as caught:
        fingerprint(Warehouse())
    assert "sparkify_schema" not in str(caught.value)
    loaded.execute(statement)
    reconcile(loaded)
    assert fingerprint(Warehouse()) == before
    verify(loaded)
    loaded.load(*NEXT)


@pytest.mark.parametrize(
    ("table", "column"), [("song_observations", "duration"), ("artist_observations", "artist_location")]
)
def test_a_lost_column_of_what_song_files_said_is_filled_from_these(loaded, table, column):
    before = fingerprint(Warehouse())
    loaded.execute(f"ALTER TABLE staging.{table} DROP COLUMN {column}")
    with pytest.raises(AirflowFailException, match=f"staging.{table} has no column {column}") as told:
        verify(loaded)
    loaded.execute(str(told.value).splitlines()[-1].partition(";")[0])
    reconcile(loaded)
    assert fingerprint(Warehouse()) == before
    verify(loaded)
    loaded.load(*NEXT)


def test_a_changed_type_is_told(loaded):
    loaded.execute(
        "ALTER TABLE sparkify.songs DROP COLUMN year", "ALTER TABLE sparkify.songs ADD COLUMN year BIGINT"
    )
    before = fingerprint(Warehouse())
    with pytest.raises(AirflowFailException, match="year is BIGINT, but is declared as INTEGER") as told:
        verify(loaded)
    loaded.execute(str(told.value).splitlines()[-1].partition(";")[0])
    reconcile(loaded)
    assert fingerprint(Warehouse()) == before
    verify(loaded)


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("sparkify.songplays", "level", "VARCHAR(20)"),
        ("sparkify.songplays", "item_in_session", "BIGINT"),
        ("staging.user_observations", "level", "VARCHAR(20)"),
        ("sparkify.load_history", "songplays", "INTEGER"),
    ],
)
def test_a_changed_type_of_what_files_may_no_longer_hold_is_put_right_with_its_rows(
    loaded, table, column, kind
):
    loaded.execute(
        f"ALTER TABLE {table} ADD COLUMN other {kind}",
        f"UPDATE {table} SET other = {column}",
        f"ALTER TABLE {table} DROP COLUMN {column}",
        f"ALTER TABLE {table} RENAME COLUMN other TO {column}",
    )
    before, ids = fingerprint(Warehouse()), loaded.query("SELECT songplay_id FROM sparkify.songplays")
    with pytest.raises(
        AirflowFailException, match=re.escape(f"{column} is {kind}, but is declared as ")
    ) as told:
        verify(loaded)
    remedy = str(told.value).splitlines()[-1]
    assert "DROP TABLE" not in remedy
    loaded.execute(*filter(None, remedy.split("; ")))
    verify(loaded)
    assert fingerprint(Warehouse()) == before
    assert sorted(loaded.query("SELECT songplay_id FROM sparkify.songplays")) == sorted(ids)
    loaded.load(*NEXT)


def test_a_lost_view_and_a_lost_record_of_migrations_are_made_again(loaded):
    loaded.execute("DROP VIEW sparkify.certified_windows")
    with pytest.raises(AirflowFailException, match=r"(?s)certified_windows.*\nRun the DAG sparkify_schema"):
        verify(loaded)
    loaded.execute("DROP TABLE staging.schema_migrations")
    loaded.create_schema()
    verify(loaded)


class Sizes:
    """A warehouse whose svv_table_info says this."""

    def __init__(self, *rows):
        self.rows = list(rows)

    def execute(self, statement, *, name):
        return self.rows


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("sparkify.songs", 2_000_001, None), "sparkify.songs has 2,000,001 rows"),
        (("sparkify.songplays", 9_000_000, 4.5), r"4.5 times as many rows of sparkify.songplays .*user_id"),
        (("sparkify.songs", 2_000_000, None), None),
        (("sparkify.songplays", 9_000_000, 4), None),
        (("staging.events__1", 9_000_000, 100), None),
    ],
)
def test_a_table_that_outgrows_its_distribution_is_told(pipeline, row, told):
    found = distribution_findings(Sizes(row))
    assert len(found) == (told is not None)
    for one in found:
        assert re.search(told, str(one), re.DOTALL)
        pipeline.execute(one.remedy)


def test_a_login_that_may_not_see_sizes_gets_no_good_news():
    assert distribution_findings(Sizes()) is None


def test_verify_warns_of_the_distribution(loaded, monkeypatch, caplog):
    verify(loaded)
    assert "DISTSTYLE" not in caplog.text
    loaded.execute("ANALYZE sparkify.songs")
    monkeypatch.setattr(declarations, "MOST_ROWS_EVERYWHERE", 1)
    verify(loaded)
    assert "sparkify.songs has 3 rows, and each node has all of them (DISTSTYLE ALL)." in caplog.text
