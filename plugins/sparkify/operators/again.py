"""The work tables of a run, made again for a task that is cleared after they were dropped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.operators.land import derive_hours
from sparkify.warehouse import Transaction
from sparkify.work import STAGING, Run
from sparkify.xcoms import candidate_table

log = logging.getLogger(__name__)

CANDIDATE = "_candidate"


def make_again(
    operator: SparkifyOperator, context: Mapping[str, Any], run: Run, needed: Iterable[str]
) -> None:
    """Those of the run's work tables that are needed and not there: of events from what has landed, of songs
    none, and candidates from these.

    Tasks beside this one may need the same: who comes first makes them, under the lock of landing.

    :param needed: with their schema.
    """
    with operator.warehouse.transaction() as transaction:
        transaction.lock_landing()
        missing = set(needed) - set(run.work_tables(transaction))
        if not missing:
            return
        log.info("%s of this run: made again", ", ".join(sorted(missing)))
        for source in ("events", "songs"):
            if run.table(source) not in run.work_tables(transaction):
                _make_source(operator, context, run, transaction, source)
        # Other tables' candidates are made of that of songplays.
        for table in sorted(map(_table, missing), key=lambda name: name != "songplays"):
            if table and candidate_table(run, table) in missing:
                names = {**operator.sql_context(context), "candidate": candidate_table(run, table)}
                path = f"{table}/load.sql"
                transaction.run_script(rendered(operator, path, names), path)


def _table(work_table: str) -> str:
    """Whose candidate it is; empty for another work table."""
    name = work_table.removeprefix(f"{STAGING}.").rpartition("__")[0]
    return name.removesuffix(CANDIDATE) if name.endswith(CANDIDATE) else ""


def _make_source(
    operator: SparkifyOperator, context: Mapping[str, Any], run: Run, transaction: Transaction, source: str
) -> None:
    names = {
        **operator.sql_context(context), "run_id": run.run_id, "stage": SimpleNamespace(source=source),
    }  # fmt: skip
    for name in ("create.sql", "again.sql"):
        path = f"staging/{source}/{name}"
        transaction.run_script(rendered(operator, path, names), path)
    if source == "events":
        derive_hours(operator, context, run, transaction)
