"""PublishOperator: the checked candidates into the published tables, all of them in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sparkify.lake import Lake
from sparkify.operators.base import SparkifyOperator
from sparkify.warehouse import Transaction, TransientError
from sparkify.work import STAGING, Run

log = logging.getLogger(__name__)

LOCK = "LOCK staging.publish_lock"
ATTEMPTS = 5


class PublishOperator(SparkifyOperator):
    """Apply the candidates, the ledger of files and the window's row in load_history, all or nothing.

    Takes the publish lock first, then runs each table's `publish.sql` in the order of `candidates`: readers
    see all of the window or nothing of it, and are never blocked. Only what Redshift calls a conflict with
    another transaction (1023, 1018) is tried again here, as a whole transaction. Afterwards the run's work
    tables and work objects are dropped.

    :param candidates: the descriptions that the checks let pass, a table before those that read it.
    :param s3_bucket: the bucket that the ledger's object keys belong to.
    :returns: (XCom) the window's row of load_history.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "candidates",
        "s3_bucket",
        "work_bucket",
        "work_prefix",
        "aws_conn_id",
    )
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        candidates: Sequence[Any],
        s3_bucket: str,
        work_bucket: str,
        work_prefix: str = "",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.candidates = candidates
        self.s3_bucket = s3_bucket
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        scripts = self._scripts(context, run)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                published = self._publish(run, scripts)
                break
            except TransientError as error:
                if attempt == ATTEMPTS:
                    raise
                log.warning("Attempt %d of %d to publish met a conflict: %s", attempt, ATTEMPTS, error)
                time.sleep(attempt)
        log.info("Published window %s: %s", run.window, ", ".join(f"{k} {v}" for k, v in published.items()))
        self._clean_up(run)
        return published

    def _scripts(self, context: Mapping[str, Any], run: Run) -> list[tuple[str, str]]:
        names = {
            **self.sql_context(context),
            "rows": {candidate["table"]: candidate["rows"] for candidate in self.candidates},
            "run_id": run.run_id,
            "bucket": self.s3_bucket,
            "publish_id": f"{run.run_id}/{context['ti'].try_number}",
        }
        files = [(f"{candidate['table']}/publish.sql", candidate) for candidate in self.candidates]
        files.append(("load_history/publish.sql", {"candidate": None, "mode": None}))
        return [
            (path, self.render_template(path, {**names, "candidate": of["candidate"], "mode": of["mode"]}))
            for path, of in files
        ]

    def _publish(self, run: Run, scripts: Sequence[tuple[str, str]]) -> dict[str, Any]:
        began = time.monotonic()
        with self.warehouse.transaction() as transaction:
            transaction.execute(LOCK, name="take the publish lock")
            if not self._work_tables(transaction, run) and (row := self._history(transaction, run)):
                log.info("This run published its window before and dropped its work tables: nothing to do")
                return row
            for path, script in scripts:
                transaction.run_script(script, path)
            row = self._history(transaction, run)
        log.info("Committed after %.2f s", time.monotonic() - began)
        return row

    def _history(self, transaction: Transaction, run: Run) -> dict[str, Any]:
        columns = ("log_files", "song_files", "events_staged", "events_in_window", "songplays", "other_pages",
                   "rejected_rows", "users", "songs", "artists", "time_rows")  # fmt: skip
        rows = transaction.execute(
            f"SELECT {', '.join(columns)} FROM sparkify.load_history "
            "WHERE run_id = %s AND window_start = %s AND window_end = %s",
            [run.run_id, run.window.start_sql, run.window.end_sql],
            name="read the window's row of load_history",
        )
        return dict(zip(columns, rows[0], strict=True)) if rows else {}

    def _work_tables(self, transaction: Transaction, run: Run) -> list[str]:
        rows = transaction.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name LIKE %s",
            [STAGING, f"%{run.suffix}"],
            name="find the run's work tables",
        )
        return sorted(name for (name,) in rows)

    def _clean_up(self, run: Run) -> None:
        """Drop what only the run needed. The window is published: a failure here is no failure of the run."""
        try:
            with self.warehouse.transaction() as transaction:
                for table in self._work_tables(transaction, run):
                    transaction.execute(f"DROP TABLE IF EXISTS {STAGING}.{table}")
            Lake(self.aws_conn_id).delete(self.work_bucket, run.object_key(self.work_prefix, ""))
        except Exception as error:
            log.warning("The run's work tables and objects could not all be dropped: %s", error)
