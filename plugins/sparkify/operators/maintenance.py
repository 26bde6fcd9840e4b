"""DropOldWorkOperator: the work tables and objects that failed runs have left."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator

from sparkify.lake import Lake
from sparkify.warehouse import Warehouse
from sparkify.work import STAGING, SUFFIX, runs_prefix

log = logging.getLogger(__name__)


class DropOldWorkOperator(BaseOperator):
    """Drop the work tables of runs whose work objects are older than some days, and then those objects.

    A run writes its objects before it makes its tables, and again when it is staged again; publish removes
    both. So what is old belongs to a run that failed and was not retried for as long. Tables without objects
    are dropped too: something else, such as a lifecycle rule of the bucket, has removed the objects.

    :param work_bucket: bucket of the work objects.
    :param work_prefix: their key prefix; may be empty.
    :param keep_days: work that is younger than this stays.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) the tables that were dropped.
    """

    template_fields: Sequence[str] = (
        "redshift_conn_id", "aws_conn_id", "work_bucket", "work_prefix", "keep_days",
    )  # fmt: skip
    ui_color = "#eeeeee"

    def __init__(
        self,
        *,
        work_bucket: str,
        work_prefix: str = "",
        keep_days: int | str = 7,
        redshift_conn_id: str = "redshift_default",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.keep_days = keep_days
        self.redshift_conn_id = redshift_conn_id
        self.aws_conn_id = aws_conn_id

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        warehouse = Warehouse(self.redshift_conn_id)
        oldest = context["dag_run"].run_after.astimezone(UTC) - timedelta(days=int(self.keep_days))
        # Tables before objects: a run that makes its tables after this has its objects in the listing.
        tables = self._work_tables(warehouse)
        written = self._last_written()
        old = {suffix for suffix, moment in written.items() if moment < f"{oldest:%Y-%m-%d %H:%M:%S}"}
        dropped = []
        for suffix in sorted(old | (tables.keys() - written.keys())):
            with warehouse.transaction() as transaction:
                for table in tables.get(suffix, ()):
                    transaction.execute(f"DROP TABLE IF EXISTS {table}")
                    dropped.append(table)
            objects = self.lake.delete(self.work_bucket, f"{runs_prefix(self.work_prefix)}{suffix}/")
            log.info(
                "Run %s: %d table(s) and %d object(s) dropped", suffix, len(tables.get(suffix, ())), objects
            )
        log.info("%d run(s) left work behind, %d of them more than %s days ago",
                 len(tables.keys() | written.keys()), len(old), self.keep_days)  # fmt: skip
        return dropped

    def _work_tables(self, warehouse: Warehouse) -> dict[str, list[str]]:
        """Suffix of a run to its work tables."""
        with warehouse.reading() as transaction:
            rows = transaction.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
                [STAGING],
                name="find work tables",
            )
        tables = defaultdict(list)
        for (name,) in sorted(rows):
            suffix = name.rpartition("__")[2]
            if SUFFIX.fullmatch(suffix):
                tables[suffix].append(f"{STAGING}.{name}")
        return tables

    def _last_written(self) -> dict[str, str]:
        """Suffix of a run to the time, UTC, of the youngest of its work objects."""
        moments: dict[str, str] = {}
        prefix = runs_prefix(self.work_prefix)
        for file in self.lake.list_files(self.work_bucket, [prefix]):
            suffix = file.object_key.removeprefix(prefix).partition("/")[0]
            if SUFFIX.fullmatch(suffix):
                moments[suffix] = max(moments.get(suffix, ""), file.last_modified)
        return moments
