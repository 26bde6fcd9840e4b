"""Reach: the hours that a run derives, those of its window and those that rows have come late for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sparkify.window import HOUR, Window

if TYPE_CHECKING:
    from sparkify.warehouse import Transaction
    from sparkify.work import Run

#: Spans of time that a condition names: each row that it reads is compared with all of them.
MOST_RANGES = 8
SEE_HOURS = "read the hours of the run"


class Reach(NamedTuple):
    """Hours as literals of TIMESTAMP, UTC, half-open: see include/sql/reach.sql.

    :param late: how many of the hours are not of the window.
    """

    start_sql: str
    end_sql: str
    ranges: list[tuple[str, str]]
    late: int

    @property
    def expressions(self) -> list[tuple[str, str]]:
        """The ranges as SQL."""
        return [(f"TIMESTAMP '{start}'", f"TIMESTAMP '{end}'") for start, end in self.ranges]

    @property
    def spans(self) -> list[tuple[datetime, datetime]]:
        """The ranges as moments, naive UTC."""
        return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in self.ranges]

    @classmethod
    def of(cls, hours: Iterable[datetime], window: Window) -> Reach:
        """That of some hours (naive UTC); of none of them, the window."""
        spans = spans_of(hours) or [(window.start.replace(tzinfo=None), window.end.replace(tzinfo=None))]
        late = sum((end - start) // HOUR for start, end in spans) - window.hour_count
        return cls.around(spans, max(0, late))

    @classmethod
    def around(cls, spans: Iterable[tuple[datetime, datetime]], late: int = 0) -> Reach:
        """That of spans `[start, end)`, at least one; of too many, those of the smallest gaps are joined."""
        apart: list[tuple[datetime, datetime]] = []
        for start, end in sorted(spans):
            if apart and start <= apart[-1][1]:
                apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
            else:
                apart.append((start, end))
        gaps = sorted(range(1, len(apart)), key=lambda n: apart[n][0] - apart[n - 1][1], reverse=True)
        firsts = [0, *sorted(gaps[: MOST_RANGES - 1])]
        lasts = [*(first - 1 for first in firsts[1:]), -1]
        ranges = [
            (f"{apart[first][0]}", f"{apart[last][1]}") for first, last in zip(firsts, lasts, strict=True)
        ]
        return cls(ranges[0][0], ranges[-1][1], ranges, late)

    @classmethod
    def of_run(cls, transaction: Transaction, run: Run) -> Reach:
        """That of a run, from its work table."""
        rows = transaction.execute(
            f"SELECT hour_start FROM {run.table('events_hours')} ORDER BY hour_start",
            name=SEE_HOURS,
        )
        return cls.of((hour for (hour,) in rows), run.window)


def spans_of(hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """The spans `[start, end)` of hours that follow each other, in order."""
    spans: list[tuple[datetime, datetime]] = []
    for hour in sorted(hours):
        if spans and spans[-1][1] == hour:
            spans[-1] = (spans[-1][0], hour + HOUR)
        else:
            spans.append((hour, hour + HOUR))
    return spans
