"""SchemaOperator: the warehouse's schema created, upgraded or, when confirmed, dropped and created again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from sparkify.bookkeeping import REMEDY, differences, forget_script, rebuild
from sparkify.declarations import column_differences, declared_tables, missing_relations, relations
from sparkify.migrations import Migration, applied_versions, read_migrations, record, upgrade
from sparkify.operators.base import rendered
from sparkify.paths import MIGRATIONS
from sparkify.settings import READERS, checked
from sparkify.warehouse import LANDING_LOCK, Transaction, Warehouse

log = logging.getLogger(__name__)

CONFIRMATION = "DROP sparkify"
SCHEMAS = ("sparkify", "staging")


class SchemaOperator(BaseOperator):
    """Bring the schema to this version of the code; what is there stays as it is.

    A database without tables gets those of `create_sql`. One that an earlier version made gets the migrations
    that it has not seen, each in a transaction of its own, and then the tables that are missing. At the end
    the readers are granted what there is.

    :param create_sql: the `create.sql` files, in order; the first creates the schemas and
        `staging.schema_migrations`.
    :param grant_sql: what `readers` are granted.
    :param readers: who reads the schema `sparkify`: `GROUP name`, `ROLE name`, or empty for nobody.
    :param migrations: the folder of the numbered migrations.
    :param drop_existing: drop the schemas `sparkify` and `staging` first, with everything in them.
    :param confirmation: must then be `DROP sparkify`.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) the tables that are there now.
    :raises AirflowFailException: for a drop without its confirmation, readers that are no group or role, a
        database of a later version, a missing table that held rows; nothing was changed.
    """

    template_fields: Sequence[str] = (
        "redshift_conn_id", "create_sql", "readers", "drop_existing", "confirmation",
    )  # fmt: skip
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"create_sql": "sql"}  # noqa: RUF012 Airflow's own form
    ui_color = "#eeeeee"

    def __init__(
        self,
        *,
        create_sql: Sequence[str],
        grant_sql: str = "grant.sql",
        readers: str = "",
        migrations: Path = MIGRATIONS,
        drop_existing: bool | str = False,
        confirmation: str = "",
        redshift_conn_id: str = "redshift_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.create_sql = create_sql
        self.grant_sql = grant_sql
        self.readers = readers
        self.migrations = migrations
        self.drop_existing = drop_existing
        self.confirmation = confirmation
        self.redshift_conn_id = redshift_conn_id

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.redshift_conn_id)

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        drop = str(self.drop_existing).lower() == "true"
        if drop and self.confirmation != CONFIRMATION:
            raise AirflowFailException(
                f"drop_existing is set but confirm_drop is {self.confirmation!r}, so nothing was changed. To "
                f"drop the schemas {' and '.join(SCHEMAS)} with all their data, enter {CONFIRMATION!r} there."
            )
        grants = self._grants()
        migrations = read_migrations(Path(self.migrations))
        if not drop:
            self._upgrade(migrations)
        with self.warehouse.transaction() as transaction:
            if drop:
                for schema in SCHEMAS:
                    transaction.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            before = _tables(transaction)
            is_new = not before
            for script in self.create_sql:
                transaction.run_script(script, "create.sql")
            if before:
                self._refuse_to_empty(transaction, before)
            if is_new:
                record(transaction, migrations)
            transaction.run_script(grants, "grant.sql")
            tables = _tables(transaction)
        log.info("Schema version %d, %s tables: %s", len(migrations), "dropped and created" if drop else
                 "created" if is_new else "present", ", ".join(tables))  # fmt: skip
        return tables

    def _upgrade(self, migrations: list[Migration]) -> None:
        """Apply what a database of an earlier version has not seen; one without tables needs nothing."""
        with self.warehouse.transaction() as transaction:
            if not _tables(transaction):
                return
            transaction.run_script(self.create_sql[0], "migrations/create.sql")
            if not applied_versions(transaction) and not column_differences(transaction):
                # Their record was lost, not they: the tables are as this version declares them.
                record(transaction, migrations)
        applied = upgrade(self.warehouse, migrations)
        log.info("Migrations applied: %s", ", ".join(applied) or "none were pending")

    def _refuse_to_empty(self, transaction: Transaction, before: list[str]) -> None:
        """Raises AirflowFailException, which takes the new tables back, where one of them held rows."""
        created = sorted(declared_tables().keys() - set(before))
        if created and (lost := differences(transaction)):
            raise AirflowFailException(
                f"{', '.join(created)} would be created empty, but held rows: {lost}. Nothing was "
                f"changed.\n{REMEDY}"
            )

    def _grants(self) -> str:
        """The rendered grants; empty without readers.

        :raises VariableError: where readers is anything but a group or a role.
        """
        match = READERS.fullmatch(checked(self.readers, "sparkify_readers"))
        if match is None:
            return ""
        return rendered(self, self.grant_sql, {"readers": f'{match[1].upper()} "{match[2].lower()}"'})


class RebuildOperator(SchemaOperator):
    """Make lost tables again, and derive what differs from the observations; what is right stays as it is.

    In one transaction, under the publish lock: readers see a table whole or as it was. Rows that only the
    files can bring back are left to the runs that FindChangedDaysOperator asks for; where those of songs are
    lost, what is known of the catalogue is forgotten, so that the next run stages all song files.

    :returns: (XCom) what differed, one sentence per table.
    :raises AirflowFailException: where the schema's version is another than the code's.
    """

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        grants, migrations = self._grants(), read_migrations(Path(self.migrations))
        with self.warehouse.transaction() as transaction:
            if applied_versions(transaction) != {migration.version for migration in migrations}:
                raise AirflowFailException(
                    f"The schema does not have version {len(migrations)}, which this code needs.\n"
                    f"Run the DAG sparkify_schema, then clear this task."
                )
            # The lock and the ledgers: internal, and to be there before the snapshot that the lock begins.
            for script in self.create_sql[:2]:
                transaction.run_script(script, "create.sql")
        with self.warehouse.transaction() as transaction:
            transaction.lock(also=[LANDING_LOCK])
            if missing_relations(transaction):
                for script in self.create_sql:
                    transaction.run_script(script, "create.sql")
                transaction.run_script(grants, "grant.sql")
            found = differences(transaction)
            rebuild(transaction, found.derived)
            if found.batches:
                transaction.run_script(forget_script(found.batches), "bookkeeping/forget_batches.sql")
            if found.songs_lost:
                transaction.execute(
                    "DELETE FROM staging.published_catalogue", name="forget what the catalogue came from"
                )
        for sentence in found.sentences:
            log.warning("%s", sentence)
        log.info("Rebuilt: %s", ", ".join(sorted(found.derived)) or "nothing, because nothing differed")
        return list(found.sentences)


def _tables(transaction: Transaction) -> list[str]:
    """The tables and views of the two schemas, those of single runs left out."""
    return sorted(name for name in relations(transaction) if "__" not in name)
