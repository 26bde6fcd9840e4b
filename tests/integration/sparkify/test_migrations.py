"""A database of an earlier version, brought to this one or the next without losing data."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sparkify.migrations import MigrationError, read_migrations
from sparkify.operators import SchemaOperator
from sparkify.paths import MIGRATIONS, SQL
from sparkify.warehouse import WarehouseError, split_statements
from tests.support.pipeline import load_dag
from tests.support.source import event, song
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
SCHEMA_0 = Path(__file__).resolve().parents[2] / "support" / "schema_0.sql"
COLUMNS = """
    SELECT
        table_schema, table_name, column_name,
        data_type, character_maximum_length, is_nullable, column_default
    FROM information_schema.columns
    WHERE table_schema IN ('sparkify', 'staging')
    ORDER BY table_schema, table_name, ordinal_position
"""
ADD_DEVICE = """
ALTER TABLE sparkify.songplays ADD COLUMN device VARCHAR(64) DEFAULT 'unknown' NOT NULL;
ALTER TABLE sparkify.songplays ADD COLUMN country VARCHAR(2);
"""


class Version:
    """The schema as a version of the code declares it: this one's, with migrations of its own behind."""

    def __init__(self, folder: Path):
        self.migrations = folder / "migrations"
        shutil.copytree(MIGRATIONS, self.migrations)
        paths = load_dag("sparkify_schema").get_task("create_schema").create_sql
        self.create_sql = {path: (SQL / path).read_text() for path in paths}

    @property
    def number(self) -> int:
        return len(read_migrations(self.migrations))

    def add(self, script: str) -> str:
        """One more migration; its name."""
        name = f"{self.number + 1:04}_by_this_test"
        (self.migrations / f"{name}.sql").write_text(script)
        return name

    def declare(self, path: str, old: str, new: str) -> None:
        """Change a create.sql."""
        assert old in self.create_sql[path]
        self.create_sql[path] = self.create_sql[path].replace(old, new)

    def apply(self, **arguments) -> list[str]:
        return SchemaOperator(
            task_id="create_schema",
            create_sql=list(self.create_sql.values()),
            migrations=self.migrations,
            **arguments,
        ).execute({})


@pytest.fixture
def next_version(tmp_path) -> Version:
    """This version and one more, that adds two columns to songplays."""
    version = Version(tmp_path)
    version.add(ADD_DEVICE)
    version.declare(
        "songplays/create.sql",
        "song_length DOUBLE PRECISION,",
        "song_length DOUBLE PRECISION, device VARCHAR(64) DEFAULT 'unknown' NOT NULL, country VARCHAR(2),",
    )
    return version


def applied(pipeline) -> list[int]:
    return [row[0] for row in pipeline.query("SELECT version FROM staging.schema_migrations ORDER BY 1")]


def drop(pipeline) -> None:
    pipeline.execute("DROP SCHEMA sparkify CASCADE", "DROP SCHEMA staging CASCADE")


def test_a_database_of_the_first_version_gets_the_columns_of_a_new_one(empty_pipeline):
    """Where this fails, a create.sql changed without a migration: see include/sql/migrations/README.md."""
    empty_pipeline.create_schema()
    new, versions = empty_pipeline.query(COLUMNS), applied(empty_pipeline)
    drop(empty_pipeline)
    empty_pipeline.execute(*split_statements(SCHEMA_0.read_text()))
    empty_pipeline.create_schema()
    assert empty_pipeline.query(COLUMNS) == new
    assert applied(empty_pipeline) == versions == [m.version for m in read_migrations(MIGRATIONS)]


def test_what_the_first_version_counted_and_checked_is_kept(empty_pipeline):
    empty_pipeline.execute(
        *split_statements(SCHEMA_0.read_text()),
        "INSERT INTO sparkify.load_history VALUES (TIMESTAMP '2018-11-01 00:00:00', "
        "TIMESTAMP '2018-11-01 01:00:00', 'r', 1, 2, 30, 20, 11, 8, 0, 3, 2, 1, 11, GETDATE())",
        "INSERT INTO sparkify.quality_results VALUES ('r', TIMESTAMP '2018-11-01 00:00:00', "
        "TIMESTAMP '2018-11-01 01:00:00', 'users', 'users_have_a_name', 'warn', 3, '> 0', 'failed', "
        "GETDATE())",
    )
    empty_pipeline.create_schema()
    assert empty_pipeline.query(
        "SELECT run_id, events_staged, events_outside, songplays, duplicate_plays, other_pages "
        "FROM sparkify.load_history"
    ) == [("r", 30, 10, 11, 1, 8)]
    assert empty_pipeline.query(
        "SELECT status, observed, warn_if, error_if FROM sparkify.quality_results"
    ) == [("warned", 3.0, "> 0", None)]


def test_what_the_first_version_published_is_counted(empty_pipeline):
    empty_pipeline.execute(
        *split_statements(SCHEMA_0.read_text()),
        "INSERT INTO staging.published_hours VALUES (TIMESTAMP '2018-11-01 10:00:00', 'd', GETDATE(), 'r')",
        "INSERT INTO staging.published_hours VALUES (TIMESTAMP '2018-11-01 11:00:00', 'd', GETDATE(), 'r')",
        "INSERT INTO staging.publish_log VALUES ('p', 'r', GETDATE())",
        "INSERT INTO staging.song_observations (song_id) VALUES ('SO1')",
        "INSERT INTO staging.user_observations (user_id, observed_at, level) "
        "VALUES (8, TIMESTAMP '2018-11-01 10:10:00', 'free')",
        "INSERT INTO sparkify.songplays (start_time, user_id, session_id, item_in_session) "
        "VALUES (TIMESTAMP '2018-11-01 10:10:00', 8, 1, 1), (TIMESTAMP '2018-11-01 10:20:00', 8, 1, 2)",
        "INSERT INTO sparkify.load_history VALUES (TIMESTAMP '2018-11-01 10:00:00', "
        "TIMESTAMP '2018-11-01 12:00:00', 'r', 1, 2, 30, 20, 11, 8, 0, 3, 2, 1, 11, GETDATE())",
    )
    empty_pipeline.create_schema()
    assert empty_pipeline.query(
        "SELECT songplays, user_observations FROM staging.published_hours ORDER BY hour_start"
    ) == [(2, 1), (0, 0)]
    assert empty_pipeline.query("SELECT publish_id FROM staging.publish_log") == [("p",)]


def test_the_catalogue_of_the_first_version_is_its_own_first_version(empty_pipeline):
    empty_pipeline.execute(
        *split_statements(SCHEMA_0.read_text()),
        "INSERT INTO staging.song_observations (song_id) VALUES ('SO1')",
        "INSERT INTO staging.source_files VALUES ('songs', 'lake', 'song_data/1.json', 'e', 1, "
        "TIMESTAMP '2018-11-01 10:00:00', TIMESTAMP '2018-11-01 11:00:00', 'r', GETDATE())",
    )
    empty_pipeline.create_schema()
    assert empty_pipeline.query(
        "SELECT TO_CHAR(listed_at, 'HH24:MI'), version, songs, run_id FROM staging.published_catalogue"
    ) == [("11:00", 1, 1, "r")]
    assert empty_pipeline.query("SELECT catalogue_version, rejected_rows FROM staging.source_files") == [
        (1, 0)
    ]


HISTORY_ROW = (
    "INSERT INTO sparkify.load_history VALUES (TIMESTAMP '2018-11-01 0{hour}:00:00', "
    "TIMESTAMP '2018-11-01 0{hour}:30:00', 'r', 1, 2, 30, 20, 11, 8, 0, 3, 2, 1, 11, GETDATE())"
)
RESULT_ROW = (
    "INSERT INTO sparkify.quality_results VALUES ('r', TIMESTAMP '2018-11-01 00:00:00', "
    "TIMESTAMP '2018-11-01 01:00:00', 'users', 'users_have_a_name', 'warn', 3, '> 0', 'failed', GETDATE())"
)


@pytest.mark.parametrize(
    ("statements", "table"),
    [
        (["LOCK staging.publish_lock", HISTORY_ROW.format(hour=1)], "load_history"),
        # The checks of a run store their results without the publish lock.
        ([RESULT_ROW], "quality_results"),
    ],
)
def test_what_is_written_while_a_migration_waits_is_kept(empty_pipeline, postgres, statements, table):
    empty_pipeline.execute(*split_statements(SCHEMA_0.read_text()))
    writer = empty_pipeline.redshift.connect()
    with closing(writer), ThreadPoolExecutor(1) as pool:
        for statement in statements:
            writer.cursor().execute(statement)
        migrating = pool.submit(empty_pipeline.create_schema)
        with postgres.connect("dev") as superuser:
            eventually(
                lambda: superuser.execute(
                    "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone()[0],
                "the migration waits",
            )
        writer.commit()
        migrating.result(60)
    assert len(empty_pipeline.query(f"SELECT * FROM sparkify.{table}")) == 1


def test_the_next_version_keeps_the_data_and_has_the_columns_of_a_new_database(pipeline, next_version):
    pipeline.put_events(event("2018-11-01 10:00"), event("2018-11-01 11:00", itemInSession=1))
    pipeline.put_songs(song())
    pipeline.load(*DAY)
    tables, ids = pipeline.tables(), pipeline.query("SELECT songplay_id FROM sparkify.songplays ORDER BY 1")

    next_version.apply()
    assert pipeline.tables() == tables
    assert pipeline.query("SELECT songplay_id FROM sparkify.songplays ORDER BY 1") == ids
    assert pipeline.query("SELECT DISTINCT device, country FROM sparkify.songplays") == [("unknown", None)]
    assert applied(pipeline)[-1] == next_version.number
    upgraded = pipeline.query(COLUMNS)
    next_version.apply()
    assert pipeline.query(COLUMNS) == upgraded
    pipeline.load(*DAY)
    assert pipeline.tables() == tables

    drop(pipeline)
    next_version.apply()
    assert pipeline.query(COLUMNS) == upgraded
    assert applied(pipeline)[-1] == next_version.number


def test_a_create_without_its_migration_leaves_other_columns(pipeline, next_version):
    """What the two tests above compare does differ where a migration is forgotten."""
    next_version.declare(
        "songs/create.sql", "duration DOUBLE PRECISION,", "duration DOUBLE PRECISION, bpm INTEGER,"
    )
    next_version.apply()
    upgraded = pipeline.query(COLUMNS)
    drop(pipeline)
    next_version.apply()
    assert pipeline.query(COLUMNS) != upgraded


def test_a_migration_that_fails_is_taken_back_whole_and_those_before_it_stay(pipeline, next_version):
    name = next_version.add(
        "ALTER TABLE sparkify.songs ADD COLUMN bpm INTEGER;\n"
        "UPDATE sparkify.songs SET bpm = no_such_column;\n"
    )
    for _ in range(2):
        with pytest.raises(WarehouseError, match=rf"{name}.sql 2/2 UPDATE.*no_such_column"):
            next_version.apply()
        assert applied(pipeline)[-1] == next_version.number - 1
        assert "bpm" not in str(pipeline.query(COLUMNS))
    (next_version.migrations / f"{name}.sql").write_text(
        "ALTER TABLE sparkify.songs ADD COLUMN bpm INTEGER;\n"
    )
    next_version.apply()
    assert applied(pipeline)[-1] == next_version.number


def test_a_column_is_widened_outside_of_a_transaction(pipeline, next_version):
    next_version.add("ALTER TABLE sparkify.songs ALTER COLUMN title TYPE VARCHAR(2048);\n")
    next_version.apply()
    assert pipeline.query(
        "SELECT character_maximum_length FROM information_schema.columns "
        "WHERE table_schema = 'sparkify' AND table_name = 'songs' AND column_name = 'title'"
    ) == [(2048,)]
    assert applied(pipeline)[-1] == next_version.number


def test_a_database_of_a_later_version_is_left_alone(pipeline, next_version):
    next_version.apply()
    later = pipeline.query(COLUMNS)
    with pytest.raises(MigrationError, match=rf"version {next_version.number}, but this code knows only"):
        pipeline.create_schema()
    assert pipeline.query(COLUMNS) == later
