"""LoadFactOperator and LoadDimensionOperator: a run's landing tables into candidates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify.lineage import Lineage, Table
from sparkify.operators.again import make_again
from sparkify.operators.base import SparkifyOperator
from sparkify.warehouse import SchemaMissingError, Transaction
from sparkify.work import STAGING, Run
from sparkify.xcoms import MODES, Candidate, candidate_table


class LoadOperator(SparkifyOperator):
    """Build the candidate of one published table: a run-scoped table of what the window would add or change.

    Runs `include/sql/<table>/load.sql`, which knows the candidate's name as `candidate`. No published table
    is touched. A retry builds the candidate again.

    :param table: the published table, in schema `sparkify`.
    :returns: (XCom) the candidate's description: table, mode, rows.
    """

    template_fields: Sequence[str] = (*SparkifyOperator.template_fields, "sql")
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012 Airflow's own form
    ui_color = "#fdf3dc"

    def __init__(self, *, table: str, sql: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.sql = sql or f"{table}/load.sql"

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().sql_context(context), "candidate": self._candidate(Run.from_context(context))}

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        mode = self.validated_mode()
        candidate = self._candidate(run)
        tables = [candidate, *self._reads(run)]
        counts = ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in tables)

        def build() -> tuple[int, ...]:
            with self.warehouse.transaction() as transaction:
                self.refuse(transaction)
                transaction.run_script(self.sql, f"{self.table}/load.sql")
                [row] = transaction.execute(f"SELECT {counts}", name=f"count {', '.join(tables)}")
            return row

        try:
            rows, *rows_in = build()
        except SchemaMissingError as error:
            if run.suffix not in error.message:
                raise
            make_again(self, context, run, tables[1:])
            rows, *rows_in = build()
        self.lineage = Lineage(list(map(Table, tables[1:], rows_in)), [Table(candidate, rows)])
        self.done(rows_in=sum(rows_in), rows_out=rows, table=candidate, mode=mode)
        return Candidate(self.table, mode, rows).xcom()

    def validated_mode(self) -> str:
        """How publish applies the candidate."""
        return "append"

    def refuse(self, transaction: Transaction) -> None:
        """Raise, before anything is written, where the candidate is not to be built."""

    def _reads(self, run: Run) -> list[str]:
        """The run's work tables that the SQL reads."""
        named = re.findall(rf"\b{STAGING}\.\w+__{run.suffix}\b", self.sql)
        return sorted(set(named) - {self._candidate(run)})

    def _candidate(self, run: Run) -> str:
        return candidate_table(run, self.table)


class LoadFactOperator(LoadOperator):
    """Build the candidate of a fact table: the window's facts, which replace those published for it.

    :param table: the fact table, in schema `sparkify`.
    """

    ui_color = "#f9d9a8"


class LoadDimensionOperator(LoadOperator):
    """Build the candidate of a dimension, or of the observations that it is derived from.

    :param table: the dimension, in schema `sparkify`.
    :param mode: `append` publishes only the keys that this window touches, `truncate` rebuilds the dimension
        whole. Both give the same rows; truncate also mends rows that were changed by hand.
    :param max_truncate_rows: above how many published plays `truncate` is refused: publish would hold its
        lock while it goes through all of them.
    :raises ValueError: (in execute) for another mode.
    :raises AirflowFailException: for `truncate` above `max_truncate_rows`.
    """

    template_fields: Sequence[str] = (*LoadOperator.template_fields, "mode", "max_truncate_rows")

    def __init__(
        self, *, mode: str = "append", max_truncate_rows: int | str = 100_000_000, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.max_truncate_rows = max_truncate_rows

    def validated_mode(self) -> str:
        if self.mode not in MODES:
            raise ValueError(
                f"The mode of dimension {self.table} is {self.mode!r}: enter one of {', '.join(MODES)} as "
                f"param dimension_mode."
            )
        return self.mode

    def refuse(self, transaction: Transaction) -> None:
        if self.mode != "truncate":
            return
        [(plays,)] = transaction.execute("SELECT COUNT(*) FROM sparkify.songplays", name="count songplays")
        if plays > int(self.max_truncate_rows):
            raise AirflowFailException(
                f"Mode truncate goes through all of sparkify.songplays, which has {plays:,} row(s), and the "
                f"Airflow Variable sparkify_max_truncate_rows allows {int(self.max_truncate_rows):,}. The "
                f"candidate of {self.table} was not built, and nothing was published.\n"
                f"Load the window with dimension_mode append, which gives the same rows; or raise the "
                f"Variable, then clear this task."
            )
