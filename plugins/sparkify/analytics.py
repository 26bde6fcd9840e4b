"""The analysts' questions, one file each in include/sql/analytics, asked read-only for a period.

A file's comment says what the question is (its first line) and how to read the answer (the lines below). The
query takes the names `period_start`, `period_end` and `row_limit`; rendered, it is one statement to paste
into a query editor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sparkify.paths import SQL
from sparkify.warehouse import Deadline, Warehouse

ANALYTICS = SQL / "analytics"
#: How long somebody waits for an answer, or for all those of a page.
PATIENCE_S = 30
#: As many rows as an answer may have, whoever asks.
MOST_ROWS = 10_000


class PeriodError(ValueError):
    """The period cannot be asked for; the message says what to enter."""


@dataclass(frozen=True)
class Period:
    """Half-open interval `[start, end)` of UTC moments, without a zone as Redshift's TIMESTAMP is."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise PeriodError(
                f"The period ends at {self.end}, which is not after its start {self.start}. Enter the first "
                f"day and the day after the last: for November 2018, 2018-11-01 and 2018-12-01."
            )

    @classmethod
    def parse(cls, start: str, end: str) -> Period:
        """The period between two ISO 8601 days or moments; without an offset they are UTC.

        :raises PeriodError: names the value that is not one, or the two that are in the wrong order.
        """
        return cls(_moment("start", start), _moment("end", end))

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%d %H:%M}, {self.end:%Y-%m-%d %H:%M}) UTC"


@dataclass(frozen=True)
class Question:
    """One question.

    :param name: of its file, without `.sql`.
    :param title: what is asked.
    :param reading: how to read the answer.
    :param template: the query, without its comment.
    """

    name: str
    title: str
    reading: str
    template: str

    @property
    def is_of_a_period(self) -> bool:
        """Whether the answer depends on the period."""
        return "period_start" in self.template

    def sql(self, period: Period, row_limit: int) -> str:
        """The statement, ready to paste."""
        import jinja2

        return (
            jinja2.Environment(undefined=jinja2.StrictUndefined)
            .from_string(self.template)
            .render(
                period_start=period.start.isoformat(" "),
                period_end=period.end.isoformat(" "),
                row_limit=row_limit,
            )
        )


@dataclass(frozen=True)
class Answer:
    """What the warehouse answered.

    :param row_limit: at most so many rows were asked for.
    """

    question: Question
    row_limit: int
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def may_have_more(self) -> bool:
        """Whether the row limit was reached."""
        return len(self.rows) == self.row_limit

    def records(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@cache
def questions() -> dict[str, Question]:
    """Name to question, in order of name.

    :raises ValueError: names a file that does not begin with its comment.
    """
    return {path.stem: _question(path.stem, path.read_text()) for path in sorted(ANALYTICS.glob("*.sql"))}


def ask(
    warehouse: Warehouse,
    question: Question,
    period: Period,
    row_limit: int = MOST_ROWS,
    deadline: Deadline | None = None,
) -> Answer:
    """Ask one question in a transaction that cannot write.

    :param deadline: in PATIENCE_S by default.
    :raises WarehouseError: where the warehouse cannot be reached, has no schema yet or takes too long.
    """
    row_limit = min(row_limit, MOST_ROWS)
    sql = question.sql(period, row_limit)
    with warehouse.read_only_transaction(deadline or Deadline(PATIENCE_S)) as transaction:
        rows = transaction.execute(sql, name=f"analytics/{question.name}.sql")
        return Answer(question, row_limit, tuple(transaction.columns), tuple(map(tuple, rows)))


def _question(name: str, text: str) -> Question:
    comment = re.match(r"(?:--[^\n]*\n)+", text)
    if comment is None:
        raise ValueError(f"analytics/{name}.sql does not begin with a comment: a title, then how to read it")
    title, *reading = [line.removeprefix("--").strip() for line in comment[0].splitlines()]
    return Question(name, title, " ".join(reading), text[comment.end() :])


def _moment(name: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise PeriodError(
            f"The period's {name} {value!r} is not a date or a time. Enter it as 2018-11-01, or as "
            f"2018-11-01T05:00 in UTC."
        ) from None
