"""DataQualityOperator: the tables' declared checks against a run's candidates, before they are published."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify import alerts
from sparkify.checks import FAILED, PASSED, WARNED, Check, Result, read_checks, results_table, summary
from sparkify.operators.again import make_again
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.paths import SQL
from sparkify.reach import Reach
from sparkify.text import fit, visible
from sparkify.warehouse import Transaction, TransientError, WarehouseError, without_semicolon
from sparkify.work import Run
from sparkify.xcoms import Candidate, read_staged

log = logging.getLogger(__name__)

TOGETHER = "checks/together.sql"
SENTENCES = 20
KNOWN_SONGS = "SELECT NVL(MAX(songs), 0) FROM staging.published_catalogue"
#: Up to so many songs, each run compares songs and artists with what they are derived from; of more it counts
#: the rows, and sparkify_reconcile compares them once a day.
MOST_SONGS_COMPARED = 100_000

RESULT_COLUMNS = (
    *("run_id", "window_start", "window_end", "table_name", "check_name", "severity", "status"),
    *("observed", "rows_checked", "warn_if", "error_if", "detail", "checked_at"),
)
DETAIL_BYTES = 1000
EXPLAINED_ROWS = 5


@dataclass(frozen=True)
class RenderedCheck:
    """A check and its SQL, as a run asks it.

    :param condition: of the rows that it counts, if that is all it does: in `relation`, of those of `where`.
    :param render: a query of the check, as the run asks it.
    """

    check: Check
    relation: str
    where: str
    condition: str | None
    render: Callable[[str], str]

    @cached_property
    def query(self) -> str:
        """Asks it alone."""
        return self.render(self.check.query)

    @cached_property
    def explain(self) -> str | None:
        """What is asked where it does not pass."""
        return self.render(self.check.explain) if self.check.explain else None


class DataQualityOperator(SparkifyOperator):
    """Run every check of the staged sources and the candidates, keep all results, and only then fail.

    The checks of a source are in `include/sql/staging/<source>/checks.yaml`, those of a table in
    `include/sql/<table>/checks.yaml`. One statement asks all checks of a file. If it fails, each of them
    is asked alone: a check that cannot be run is a result too, and takes no other with it. Results go to
    `sparkify.quality_results` and, as a table, to the log.

    :param sources: the sources whose landing tables are checked.
    :param tables: the tables whose candidates, of the tasks `load_<table>`, are checked.
    :param max_removed_percent: how many percent of what is published the run may take away; 0 to 100.
    :returns: (XCom) the descriptions of the candidates that passed; under the key `quality`, how many checks
        passed, warned, failed and were skipped, and the sentences of those that warned or failed.
    :raises AirflowFailException: where a check of severity `error` failed: a retry would find the same rows.
    :raises XComError: where a stage or load task left anything else than it leaves.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "sources",
        "tables",
        "max_removed_percent",
    )
    ui_color = "#f3e1f4"

    def __init__(
        self,
        *,
        sources: Sequence[str],
        tables: Sequence[str],
        max_removed_percent: int | str = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sources = sources
        self.tables = tables
        self.max_removed_percent = max_removed_percent

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        run = self.begin(context)
        candidates = self._candidates(context)
        relations = {f"staging/{source}": run.table(source) for source in self.sources}
        relations |= {candidate.table: candidate.work_table(run) for candidate in candidates}
        needed = {*relations.values(), *(run.table(f"{source}_files") for source in self.sources)}
        with self.warehouse.reading() as transaction:
            there = run.work_tables(transaction)
        if not needed <= set(there):
            make_again(self, context, run, needed)
        with self.warehouse.reading() as transaction:
            names = self._names(context, run, transaction)
            staged = self._staged(context, run, transaction)
        results = self._judge(self._rendered(names, relations, staged))
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
        return [candidate.xcom() for candidate in candidates]

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().sql_context(context), "max_removed_percent": self.max_removed_percent}

    def _names(self, context: Mapping[str, Any], run: Run, transaction: Transaction) -> dict[str, Any]:
        """What the checks' templates are told: also how many songs are published, and whether they and the
        artists are compared with what they are derived from."""
        [(songs,)] = transaction.execute(KNOWN_SONGS, name="count the published songs")
        return {
            **self.sql_context(context),
            "reach": Reach.of_run(transaction, run),
            "known_songs": max(songs, 1),
            "compares_songs": songs <= MOST_SONGS_COMPARED,
        }

    def _candidates(self, context: Mapping[str, Any]) -> list[Candidate]:
        return [
            Candidate.of(context["ti"].xcom_pull(task_ids=task_id), table, task_id)
            for table, task_id in ((table, f"load_{table}") for table in self.tables)
        ]

    def _staged(
        self, context: Mapping[str, Any], run: Run, transaction: Transaction
    ) -> dict[str, dict[str, int]]:
        """For each source's folder the figures of its stage task; zeros where songs were staged into a work
        table that has been made again without them."""
        staged = {}
        for source in self.sources:
            task_id = f"stage_{source}"
            figures = read_staged(context["ti"].xcom_pull(task_ids=task_id), source, task_id)
            if source == "songs" and figures["files"]:
                table = run.table("songs_files")
                [(files,)] = transaction.execute(f"SELECT COUNT(*) FROM {table}", name=f"count {table}")
                figures = figures if files else dict.fromkeys(figures, 0)
            staged[f"staging/{source}"] = figures
        return staged

    def _rendered(
        self,
        names: Mapping[str, Any],
        relations: Mapping[str, str],
        staged: Mapping[str, Mapping[str, int]],
    ) -> Iterator[list[RenderedCheck]]:
        """The checks of each folder; those of a source know the figures of its stage task."""
        given = names["params"]["max_rejected_rows"]
        allowed = sum(figures["allowed"] for figures in staged.values()) if given is None else given
        names = {**names, "max_rejected_rows": allowed}
        for folder, candidate in relations.items():
            of_table = {**names, "candidate": candidate, "staged": staged.get(folder)}
            checks = read_checks(SQL / folder / "checks.yaml")
            yield [self._rendered_check(check, of_table) for check in checks]

    def _rendered_check(self, check: Check, names: Mapping[str, Any]) -> RenderedCheck:
        thresholds = {"warn_if": check.warn_if, "error_if": check.error_if, "looked_at": check.looked_at}
        fields = {"relation": names["candidate"], "where": "", **rendered(self, dict(check.fields), names)}
        condition = rendered(self, check.condition, {**names, **fields}) if check.condition else None
        names = {**names, **fields, "condition": condition}
        return RenderedCheck(
            check=replace(check, **rendered(self, thresholds, names)),
            relation=fields["relation"],
            where=fields["where"],
            condition=condition,
            render=lambda query: without_semicolon(rendered(self, query, names)),
        )

    def _together(self, checks: Sequence[RenderedCheck]) -> str:
        """One statement that asks them all: rows of a check's number, from 1, and of the two of its query."""
        scans: dict[str, dict[int, RenderedCheck]] = defaultdict(dict)
        queries: dict[int, str] = {}
        for number, one in enumerate(checks, 1):
            if one.condition is None:
                queries[number] = one.query
            else:
                scans[one.relation][number] = one
        return without_semicolon(rendered(self, TOGETHER, {"scans": scans, "queries": queries}))

    def _judge(self, folders: Iterable[list[RenderedCheck]]) -> list[Result]:
        """The result of every check, on one connection as long as no statement fails."""
        results: list[Result] = []
        waiting = deque(folders)
        while waiting:
            try:
                with self.warehouse.reading() as transaction:
                    while waiting:
                        results += self._ask(transaction, waiting[0])
                        waiting.popleft()
            except QueryError as error:
                checks = waiting.popleft()
                if len(checks) == 1:
                    results.append(checks[0].check.broken(error.cause))
                else:
                    log.warning("They are asked one by one: %s", error.cause)
                    waiting.extendleft([one] for one in reversed(checks))
        return results

    def _ask(self, transaction: Transaction, checks: Sequence[RenderedCheck]) -> list[Result]:
        """The results of checks that are asked together, or of one that is asked alone.

        :raises TransientError: where all of it may be tried again.
        :raises QueryError: where a statement failed otherwise.
        """
        table = checks[0].check.table
        names = ", ".join(one.check.name for one in checks)
        found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        try:
            if len(checks) == 1:
                found[1] = transaction.execute(checks[0].query, name=f"check {table}.{names}")
            else:
                name = f"{len(checks)} checks of {table} ({names})"
                for number, *row in transaction.execute(self._together(checks), name=name):
                    found[number].append(tuple(row))
            return [
                self._explained(transaction, one, one.check.judge(found[number]))
                for number, one in enumerate(checks, 1)
            ]
        except TransientError:
            raise
        except WarehouseError as error:
            raise QueryError(error) from error

    def _explained(self, transaction: Transaction, one: RenderedCheck, result: Result) -> Result:
        if result.status == PASSED or one.explain is None:
            return result
        rows = transaction.execute(one.explain, name=f"explain {one.check.table}.{one.check.name}")
        shown = visible("; ".join(", ".join(map(str, row)) for row in rows[:EXPLAINED_ROWS]))
        more = f"; and {len(rows) - EXPLAINED_ROWS} more" if len(rows) > EXPLAINED_ROWS else ""
        return result.turned(result.status, "; ".join(filter(None, (result.detail, shown + more))))

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
            # Of a check the last try counts: the column's default, GETDATE(), has whole seconds only.
            [moment] = transaction.execute("SELECT SYSDATE", name="ask for the time")
            transaction.insert("sparkify.quality_results", RESULT_COLUMNS, [(*row, *moment) for row in rows])


class QueryError(Exception):
    """A check's query failed, by its cause; its transaction is lost."""

    def __init__(self, cause: WarehouseError) -> None:
        super().__init__(str(cause))
        self.cause = cause
