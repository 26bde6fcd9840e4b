"""SchemaOperator: the schema of the warehouse, created or, when confirmed, dropped and created again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from sparkify.warehouse import Warehouse

log = logging.getLogger(__name__)

CONFIRMATION = "DROP sparkify"
SCHEMAS = ("sparkify", "staging")


class SchemaOperator(BaseOperator):
    """Create the schemas and tables that are missing; what is there stays as it is.

    :param sql: the `create.sql` files, in order.
    :param drop_existing: drop the schemas `sparkify` and `staging` first, with everything in them.
    :param confirmation: must then be `DROP sparkify`.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) the tables that are there now.
    :raises AirflowFailException: for a drop without its confirmation; nothing was changed.
    """

    template_fields: Sequence[str] = ("redshift_conn_id", "sql", "drop_existing", "confirmation")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 Airflow's own form
    ui_color = "#eeeeee"

    def __init__(
        self,
        *,
        sql: Sequence[str],
        drop_existing: bool | str = False,
        confirmation: str = "",
        redshift_conn_id: str = "redshift_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.drop_existing = drop_existing
        self.confirmation = confirmation
        self.redshift_conn_id = redshift_conn_id

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        drop = str(self.drop_existing).lower() == "true"
        if drop and self.confirmation != CONFIRMATION:
            raise AirflowFailException(
                f"drop_existing is set but confirm_drop is {self.confirmation!r}, so nothing was changed. To "
                f"drop the schemas {' and '.join(SCHEMAS)} with all their data, enter {CONFIRMATION!r} there."
            )
        with Warehouse(self.redshift_conn_id).transaction() as transaction:
            if drop:
                for schema in SCHEMAS:
                    transaction.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            for script in self.sql:
                transaction.run_script(script, script.partition("CREATE ")[2].partition("(")[0].strip())
            rows = transaction.execute(
                "SELECT table_schema || '.' || table_name FROM information_schema.tables "
                "WHERE table_schema IN (%s, %s)",
                SCHEMAS,
                name="list the tables",
            )
        tables = sorted(name for (name,) in rows if "__" not in name)
        log.info("%s tables: %s", "Dropped and created" if drop else "Present", ", ".join(tables))
        return tables
