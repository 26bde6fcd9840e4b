"""DataQualityOperator: the tables' declared checks against a run's candidates, before they are published."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify import alerts
from sparkify.checks import FAILED, PASSED, WARNED, Check, Result, read_checks, results_table, summary
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.paths import SQL
from sparkify.text import fit, visible
from sparkify.warehouse import Transaction, TransientError, WarehouseError
from sparkify.work import Run

log = logging.getLogger(__name__)

#: A check, its rendered query, and the rendered query that explains it.
Statement = tuple[Check, str, str | None]
SENTENCES = 20

RESULT_COLUMNS = (
    *("run_id", "window_start", "window_end", "table_name", "check_name", "severity", "status"),
    *("observed", "rows_checked", "warn_if", "error_if", "detail"),
)
#: What checks may ask of a stage task.
STAGED = (
    *("files", "bytes", "bytes_looked_at", "bytes_of_keys"),
    *("values", "objects", "copied", "rejected", "rows"),
)
DETAIL_BYTES = 1000
EXPLAINED_ROWS = 5


class DataQualityOperator(SparkifyOperator):
    """Run every check of the staged sources and the candidates, keep all results, and only then fail.

    The checks of a source are in `include/sql/staging/<source>/checks.yaml`, those of a table in
    `include/sql/<table>/checks.yaml`. A check that cannot be run is a result too, and the next one runs.
    Results go to `sparkify.quality_results` and, as a table, to the log.

    :param sources: the sources whose landing tables are checked.
    :param load_task_ids: the load tasks whose candidates are checked, in the order to publish them in.
    :param max_removed_percent: how many percent of what is published the run may take away; 0 to 100.
    :returns: (XCom) the descriptions of the candidates that passed; under the key `quality`, how many checks
        passed, warned, failed and were skipped, and the sentences of those that warned or failed.
    :raises AirflowFailException: where a check of severity `error` failed: a retry would find the same rows.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "sources",
        "load_task_ids",
        "max_removed_percent",
    )
    ui_color = "#f3e1f4"

    def __init__(
        self,
        *,
        sources: Sequence[str],
        load_task_ids: Sequence[str],
        max_removed_percent: int | str = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sources = sources
        self.load_task_ids = load_task_ids
        self.max_removed_percent = max_removed_percent

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        run = self.begin(context)
        candidates = self._candidates(context)
        relations = {f"staging/{source}": run.table(source) for source in self.sources}
        relations |= {candidate["table"]: candidate["candidate"] for candidate in candidates}
        results = self._judge(self._statements(self.sql_context(context), relations, self._staged(context)))
        self._store(run, results)
        log.info("Quality of window %s:\n%s", run.window, results_table(results))

        warned = [result.sentence() for result in results if result.status == WARNED]
        failed = [result.sentence() for result in results if result.status == FAILED]
        context["ti"].xcom_push(
            key="quality", value={**summary(results), "sentences": [*failed, *warned][:SENTENCES]}
        )
        for sentence in warned:
            log.warning("%s", sentence)
        if warned and not failed:
            alerts.warned(context, warned)
        if failed:
            raise AirflowFailException(
                f"{len(failed)} of {len(results)} checks failed; nothing was published for window "
                f"{run.window}: "
                + "; ".join([*failed, *warned])
                + f". The candidates stay in schema staging, under names that end in __{run.suffix}.\n"
                f"Fix the source files, or run the DAG that a check names, then clear the run from its stage "
                f"tasks on."
            )
        self.done(**summary(results))
        return candidates

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().sql_context(context), "max_removed_percent": self.max_removed_percent}

    def _candidates(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        candidates = [context["ti"].xcom_pull(task_ids=task_id) for task_id in self.load_task_ids]
        missing = [task for task, found in zip(self.load_task_ids, candidates, strict=True) if found is None]
        if missing:
            raise AirflowFailException(
                f"{', '.join(missing)} left no candidate in XCom.\nClear that and all downstream tasks."
            )
        return candidates

    def _staged(self, context: Mapping[str, Any]) -> dict[str, dict[str, int]]:
        """For each source's folder the figures of its stage task.

        :raises AirflowFailException: where there are none: no check may take nothing for zero.
        """
        figures = {}
        for source in self.sources:
            found = context["ti"].xcom_pull(task_ids=f"stage_{source}")
            if found is None or not found.keys() >= set(STAGED):
                raise AirflowFailException(
                    f"stage_{source} did not leave all its figures in XCom, so {source} cannot be checked.\n"
                    f"Clear stage_{source} and its downstream tasks."
                )
            figures[f"staging/{source}"] = {name: int(found[name]) for name in STAGED}
        return figures

    def _statements(
        self,
        names: Mapping[str, Any],
        relations: Mapping[str, str],
        staged: Mapping[str, Mapping[str, int]],
    ) -> Iterator[Statement]:
        """Every check with its rendered queries; those of a source know the figures of its stage task."""
        for folder, candidate in relations.items():
            of_table = {**names, "candidate": candidate, "staged": staged.get(folder)}
            for check in read_checks(SQL / folder / "checks.yaml"):
                fields = rendered(self, {"relation": "{{ candidate }}", **check.fields}, of_table)
                query = rendered(self, check.query, {**of_table, **fields})
                explain = rendered(self, check.explain, {**of_table, **fields}) if check.explain else None
                thresholds = rendered(
                    self,
                    {
                        "warn_if": check.warn_if,
                        "error_if": check.error_if,
                        "looked_at": check.looked_at,
                    },
                    of_table,
                )
                yield replace(check, **thresholds), query, explain

    def _judge(self, statements: Iterable[Statement]) -> list[Result]:
        """The result of every check, on one connection as long as no query fails."""
        results: list[Result] = []
        waiting = deque(statements)
        while waiting:
            try:
                with self.warehouse.reading() as transaction:
                    while waiting:
                        results.append(self._ask(transaction, *waiting[0]))
                        waiting.popleft()
            except TransientError:
                raise
            except QueryError as error:
                check, _, _ = waiting.popleft()
                results.append(check.broken(error.cause))
        return results

    def _ask(self, transaction: Transaction, check: Check, query: str, explain: str | None) -> Result:
        name = f"check {check.table}.{check.name}"
        try:
            result = check.judge(transaction.execute(query.rstrip().rstrip(";"), name=name))
            if explain and result.status != PASSED:
                rows = transaction.execute(
                    explain.rstrip().rstrip(";"), name=f"explain {check.table}.{check.name}"
                )
                shown = visible("; ".join(", ".join(map(str, row)) for row in rows[:EXPLAINED_ROWS]))
                more = f"; and {len(rows) - EXPLAINED_ROWS} more" if len(rows) > EXPLAINED_ROWS else ""
                result = result.turned(result.status, "; ".join(filter(None, (result.detail, shown + more))))
            return result
        except TransientError:
            raise
        except WarehouseError as error:
            raise QueryError(error) from error

    def _store(self, run: Run, results: Sequence[Result]) -> None:
        rows = [
            (
                *(run.run_id, run.window.start_sql, run.window.end_sql),
                *(result.check.table, result.check.name, result.check.severity, result.status),
                *(result.observed, result.rows_checked, result.check.warn_if, result.check.error_if),
                fit(result.detail, DETAIL_BYTES) or None,
            )
            for result in results
        ]
        with self.warehouse.transaction() as transaction:
            transaction.insert("sparkify.quality_results", RESULT_COLUMNS, rows)


class QueryError(Exception):
    """A check's query failed, by its cause; its transaction is lost."""

    def __init__(self, cause: WarehouseError) -> None:
        super().__init__(str(cause))
        self.cause = cause
