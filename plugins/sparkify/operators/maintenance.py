"""DropOldWorkOperator and PurgeLandedEventsOperator: what failed runs left, and what landed long ago."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowRuntimeError

from sparkify.lake import Lake
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.warehouse import LANDING_LOCK, Warehouse
from sparkify.work import LIVE, OWNER, STAGING, SUFFIX, runs_prefix

log = logging.getLogger(__name__)

PURGE = "staging/purge.sql"


@dataclass
class Work:
    """What one run has left.

    :ivar tables: its work tables, each with its schema.
    :ivar written: when the youngest of its work objects was written, UTC; empty where it has none.
    :ivar owner: its DAG id and run id; None where no object tells.
    """

    tables: list[str] = field(default_factory=list)
    written: str = ""
    owner: tuple[str, str] | None = None


class DropOldWorkOperator(BaseOperator):
    """Drop the work tables of runs whose work objects are older than some days, and then those objects.

    A run writes its objects before it makes its tables, and again when it is staged again; publish removes
    both. So what is old belongs to a run that was not staged for as long. It stays if Airflow says that the
    run is live, or does not say that it is not: a task of it may still wait for its turn or its retry.

    Tables without objects are old too: something else, such as a lifecycle rule of the bucket, has removed
    the objects. Whose they are cannot be told, so they stay while any run of the pipeline is live.

    :param work_bucket: bucket of the work objects.
    :param work_prefix: their key prefix; may be empty.
    :param keep_days: work that is younger than this stays.
    :param pipeline_dag_id: the DAG whose runs make tables.
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
        pipeline_dag_id: str = "sparkify",
        redshift_conn_id: str = "redshift_default",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.keep_days = keep_days
        self.pipeline_dag_id = pipeline_dag_id
        self.redshift_conn_id = redshift_conn_id
        self.aws_conn_id = aws_conn_id

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    def execute(self, context: Mapping[str, Any]) -> list[str]:
        warehouse = Warehouse(self.redshift_conn_id)
        oldest = context["dag_run"].run_after.astimezone(UTC) - timedelta(days=int(self.keep_days))
        found = self._find_work(warehouse)
        old = {
            suffix: work
            for suffix, work in sorted(found.items())
            if work.written < f"{oldest:%Y-%m-%d %H:%M:%S}"
        }
        dropped: list[str] = []
        for suffix, work in old.items():
            if reason := self._why_it_stays(context["ti"], work):
                log.warning("Work %s is kept: %s", suffix, reason)
                continue
            with warehouse.transaction() as transaction:
                for table in work.tables:
                    transaction.execute(f"DROP TABLE IF EXISTS {table}")
                    dropped.append(table)
            objects = self.lake.delete(self.work_bucket, f"{runs_prefix(self.work_prefix)}{suffix}/")
            log.info("Work %s: %d table(s) and %d object(s) dropped", suffix, len(work.tables), objects)
        log.info("%d run(s) left work behind, %d of them more than %s days ago", len(found), len(old),
                 self.keep_days)  # fmt: skip
        return dropped

    def _why_it_stays(self, ti: Any, work: Work) -> str:
        """Empty where Airflow says that no live run needs it."""
        dag_id, run_id = work.owner or (self.pipeline_dag_id, "")
        try:
            live: int = ti.get_dr_count(dag_id=dag_id, run_ids=[run_id] if run_id else None, states=LIVE)
        except AirflowRuntimeError as error:
            return f"Airflow does not say whether its run is live ({error})"
        if not live:
            return ""
        if run_id:
            return f"run {run_id} of DAG {dag_id} is live"
        return f"nothing tells which run it is of, and {live} run(s) of DAG {dag_id} are live"

    def _find_work(self, warehouse: Warehouse) -> dict[str, Work]:
        """Suffix of a run to its work."""
        found: defaultdict[str, Work] = defaultdict(Work)
        # Tables before objects: a run that makes its tables after this has its objects in the listing.
        with warehouse.reading() as transaction:
            rows = transaction.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
                [STAGING],
                name="find work tables",
            )
        for (name,) in sorted(rows):
            suffix = name.rpartition("__")[2]
            if SUFFIX.fullmatch(suffix):
                found[suffix].tables.append(f"{STAGING}.{name}")
        prefix = runs_prefix(self.work_prefix)
        for file in self.lake.list_files(self.work_bucket, [prefix]):
            suffix, _, name = file.object_key.removeprefix(prefix).partition("/")
            if SUFFIX.fullmatch(suffix):
                work = found[suffix]
                work.written = max(work.written, file.last_modified)
                if owner := OWNER.fullmatch(name):
                    work.owner = (owner[1], owner[2])
        return found


class PurgeLandedEventsOperator(SparkifyOperator):
    """Delete the rows that landed of hours long past: see include/sql/staging/purge.sql.

    :param keep_days: hours of so many UTC days before the run's stay.
    :returns: (XCom) how many rows there were of these hours, before and after.
    """

    template_fields: Sequence[str] = (*SparkifyOperator.template_fields, "keep_days")
    ui_color = "#eeeeee"

    def __init__(self, *, keep_days: int | str = 35, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keep_days = keep_days

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Airflow's own: the run has no window."""
        return dict(context)

    def execute(self, context: Mapping[str, Any]) -> dict[str, int]:
        today = context["dag_run"].run_after.astimezone(UTC).date()
        before = f"{today - timedelta(days=int(self.keep_days))} 00:00:00"
        count = f"SELECT COUNT(*) FROM staging.landed_events WHERE ts < '{before}'"
        with self.warehouse.transaction() as transaction:
            transaction.lock(also=[LANDING_LOCK])
            [(there,)] = transaction.execute(count, name="count what landed long ago")
            if there:
                transaction.run_script(rendered(self, PURGE, {**context, "before": before}), PURGE)
            [(left,)] = transaction.execute(count, name="count what is left")
        log.info("Rows of hours before %s UTC: %d, of which %d are left, because their hours are not "
                 "published or lack rows", before, there, left)  # fmt: skip
        return {"rows": int(there), "left": int(left)}
