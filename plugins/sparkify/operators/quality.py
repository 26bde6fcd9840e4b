"""DataQualityOperator: the tables' declared checks against a run's candidates, before they are published."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify import alerts
from sparkify.checks import Result, read_checks, results_table
from sparkify.operators.base import SparkifyOperator
from sparkify.paths import SQL
from sparkify.work import Run

log = logging.getLogger(__name__)

RESULT_COLUMNS = (
    "run_id",
    "window_start",
    "window_end",
    "table_name",
    "check_name",
    "severity",
    "observed",
    "threshold",
    "status",
)


class DataQualityOperator(SparkifyOperator):
    """Run every check of every candidate, keep all results, and only then fail if an error check failed.

    The checks of a table are in `include/sql/<table>/checks.yaml`. Results go to `sparkify.quality_results`
    and, as a table, to the log.

    :param load_task_ids: the load tasks whose candidates are checked, in the order to publish them in.
    :returns: (XCom) the descriptions of the candidates that passed; under the key `quality`, how many checks
        passed, warned and failed.
    :raises AirflowFailException: where a check of severity `error` failed: a retry would find the same rows.
    """

    template_fields: Sequence[str] = (*SparkifyOperator.template_fields, "load_task_ids")
    ui_color = "#f3e1f4"

    def __init__(self, *, load_task_ids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.load_task_ids = load_task_ids

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        run = self.begin(context)
        candidates = self._candidates(context)
        names = self.sql_context(context)
        results = []
        with self.warehouse.transaction() as transaction:
            for candidate in candidates:
                for check in read_checks(SQL / candidate["table"] / "checks.yaml"):
                    sql = self.render_template(check.sql, {**names, "candidate": candidate["candidate"]})
                    rows = transaction.execute(sql, name=f"check {check.table}.{check.name}")
                    results.append(check.judge(rows))
        self._store(run, results)
        log.info("Quality of window %s:\n%s", run.window, results_table(results))

        failed = [result for result in results if not result.passed and result.check.severity == "error"]
        warned = [result for result in results if not result.passed and result.check.severity == "warn"]
        context["ti"].xcom_push(
            key="quality",
            value={
                "passed": len(results) - len(failed) - len(warned),
                "warned": len(warned),
                "failed": len(failed),
            },
        )
        for result in warned:
            log.warning("%s", result.sentence())
        if warned:
            alerts.warned(context, [result.sentence() for result in warned])
        if failed:
            raise AirflowFailException(
                f"{len(failed)} of {len(results)} checks failed, nothing was published for window "
                f"{run.window}: " + "; ".join(result.sentence() for result in failed) + ". The candidates "
                f"stay in schema staging, with names that end with __{run.suffix}. Mend the source files, "
                f"then clear the run from its stage tasks on."
            )
        return candidates

    def _candidates(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        candidates = [context["ti"].xcom_pull(task_ids=task_id) for task_id in self.load_task_ids]
        missing = [task for task, found in zip(self.load_task_ids, candidates, strict=True) if found is None]
        if missing:
            raise AirflowFailException(
                f"{', '.join(missing)} left no candidate in XCom: clear these and their downstream tasks."
            )
        return candidates

    def _store(self, run: Run, results: Sequence[Result]) -> None:
        if not results:
            return
        row = f"({', '.join(['%s'] * len(RESULT_COLUMNS))})"
        values = [
            value
            for result in results
            for value in (
                run.run_id,
                run.window.start_sql,
                run.window.end_sql,
                result.check.table,
                result.check.name,
                result.check.severity,
                result.observed,
                result.check.threshold,
                "passed" if result.passed else "failed",
            )
        ]
        with self.warehouse.transaction() as transaction:
            transaction.execute(
                f"INSERT INTO sparkify.quality_results ({', '.join(RESULT_COLUMNS)}) VALUES "
                + ", ".join([row] * len(results)),
                values,
                name="store the results in sparkify.quality_results",
            )
