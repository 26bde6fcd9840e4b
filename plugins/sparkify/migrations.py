"""Migrations: numbered SQL files that bring a database of an earlier version to this one, each once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from sparkify.declarations import relations
from sparkify.warehouse import PUBLISH_LOCK, split_statements

if TYPE_CHECKING:
    from sparkify.warehouse import Transaction, Warehouse

FILE = re.compile(r"(\d{4})_\w+\.sql")
#: The one statement of a migration that Redshift does not run in a transaction ("ALTER TABLE").
NOT_IN_A_TRANSACTION = re.compile(r"\bALTER\s+COLUMN\s+\w+\s+TYPE\b", re.IGNORECASE)
TABLE = re.compile(r"\b(?:sparkify|staging)\.\w+")
RECORD = "INSERT INTO staging.schema_migrations (version, name, applied_at) VALUES (%s, %s, GETDATE())"


class MigrationError(AirflowFailException, ValueError):
    """The migrations and the database do not go together; a retry would not help."""


@dataclass(frozen=True)
class Migration:
    """One file of include/sql/migrations: `NNNN_name.sql`, plain SQL.

    :param version: its number; the highest that was applied is the schema's version.
    """

    version: int
    name: str
    script: str

    @property
    def stands_alone(self) -> bool:
        """Whether it is the statement that cannot run in a transaction."""
        return bool(NOT_IN_A_TRANSACTION.search(self.script))


def read_migrations(folder: Path) -> list[Migration]:
    """The folder's migrations, in order.

    :raises MigrationError: for two of one number, a gap, or a statement that cannot be with others.
    """
    migrations = [
        Migration(int(match[1]), path.stem, path.read_text())
        for path in sorted(folder.glob("*.sql"))
        if (match := FILE.fullmatch(path.name))
    ]
    numbers = [migration.version for migration in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        raise MigrationError(
            f"The migrations in {folder} have the numbers {numbers}. Number them 0001, 0002 and so on, "
            f"without gaps or duplicates."
        )
    for migration in migrations:
        if migration.stands_alone and len(split_statements(migration.script)) > 1:
            raise MigrationError(
                f"Migration {migration.name} contains ALTER COLUMN … TYPE and other statements. Redshift "
                f"does not run it in a transaction: put it in a file of its own."
            )
    return migrations


def applied_versions(transaction: Transaction) -> set[int]:
    """The versions that the database has seen. Raises SchemaMissingError where it has no schema."""
    rows = transaction.execute(
        "SELECT version FROM staging.schema_migrations", name="read staging.schema_migrations"
    )
    return {version for (version,) in rows}


def record(transaction: Transaction, migrations: Iterable[Migration]) -> None:
    """Enter migrations as applied."""
    for migration in migrations:
        transaction.execute(
            RECORD, [migration.version, migration.name], name=f"record migration {migration.name}"
        )


def upgrade(warehouse: Warehouse, migrations: Sequence[Migration]) -> list[str]:
    """Apply the migrations that the database has not seen; the names of those.

    Each takes place together with its record, or not at all; so a retry goes on where a try has ended.

    :raises MigrationError: where the database was made by a later version; nothing is changed.
    """
    with warehouse.reading() as transaction:
        applied = applied_versions(transaction)
    if applied and max(applied) > len(migrations):
        raise MigrationError(
            f"The database has schema version {max(applied)}, but this code knows only {len(migrations)}: a "
            f"later version of the code was deployed before. Nothing was changed. Deploy that version again."
        )
    pending = [migration for migration in migrations if migration.version not in applied]
    for migration in pending:
        if migration.stands_alone:
            [statement] = split_statements(migration.script)
            warehouse.execute_alone(statement, name=f"migration {migration.name}")
            with warehouse.transaction() as transaction:
                record(transaction, [migration])
            continue
        tables = _named_tables(warehouse, migration.script)
        with warehouse.transaction() as transaction:
            # Before the first snapshot, or it would not show what a writer commits while this waits.
            transaction.lock(also=tables)
            transaction.run_script(migration.script, f"migrations/{migration.name}.sql")
            record(transaction, [migration])
    return [migration.name for migration in pending]


def _named_tables(warehouse: Warehouse, script: str) -> list[str]:
    """The tables that a script names and the database has, in order; the publish lock left out."""
    with warehouse.reading() as transaction:
        tables = {name for name, kind in relations(transaction).items() if kind == "BASE TABLE"}
    return sorted(tables.intersection(TABLE.findall(script)) - {PUBLISH_LOCK})
