"""Charts as data for the templates: bars beside the rows of a table, columns over days or classes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sparkify.analytics import Answer

DAY = timedelta(days=1)
#: Labels along the axis; more would run into each other on a telephone.
MOST_LABELS = 4


@dataclass(frozen=True)
class Figures:
    """Each value of a single row by itself."""


@dataclass(frozen=True)
class Bars:
    """A bar for each row, in the table itself.

    :param value: the column whose numbers are the bars' lengths.
    """

    value: str

    def shares(self, answer: Answer) -> list[float]:
        """For each row the length of its bar, as a percentage of the longest."""
        values = [float(record[self.value]) for record in answer.records()]
        most = max(values, default=0)
        return [100 * value / most if most else 0 for value in values]


@dataclass(frozen=True)
class Segment:
    """One rectangle, in the units of the chart's view box."""

    series: int
    x: float
    y: float
    height: float
    label: str


@dataclass(frozen=True)
class Drawing:
    """A column chart, laid out: `width` by 100 units, one unit of width a place on the axis.

    :param most: the value at the top.
    :param labels: for each place its label, or an empty one.
    :param summary: the chart in one sentence, for those who do not see it.
    """

    width: int
    most: float
    labels: list[str]
    series: list[str]
    segments: list[Segment]
    summary: str


@dataclass(frozen=True)
class Columns:
    """A column for each row, of several values one upon the other. Days without a row keep their place.

    :param place: the column along the axis: days, or classes in the answer's order.
    :param values: the columns of numbers.
    :param top: the number at the top; by default the greatest sum.
    """

    place: str
    values: tuple[str, ...]
    top: float | None = None

    def draw(self, answer: Answer, days: tuple[date, date] | None = None) -> Drawing:
        """The drawing of an answer with rows.

        :param days: the first and the last day that an axis of days shows at least, with rows or without.
        """
        records = {record[self.place]: record for record in answer.records()}
        places = _places(list(records), days)
        sums = {place: sum(float(record[v]) for v in self.values) for place, record in records.items()}
        most = self.top or max(sums.values()) or 1
        segments = []
        for x, place in enumerate(places):
            height = 0.0
            for series, value in enumerate(self.values):
                if place in records and (amount := float(records[place][value])):
                    size = 100 * amount / most
                    height += size
                    label = f"{place}: {number(amount)} {words(value)}"
                    segments.append(Segment(series, x, 100 - height, size, label))
        peak = max(sums, key=sums.__getitem__)
        named = ", ".join(map(words, self.values))
        return Drawing(
            width=len(places),
            most=most,
            labels=_labels(places),
            series=[words(value) for value in self.values],
            segments=segments,
            summary=f"Column chart of {named} by {words(self.place)}, {places[0]} to {places[-1]}; "
            f"highest at {peak} with {number(sums[peak])}. The table below has the numbers.",
        )


def words(column: str) -> str:
    """A column's name as people write it."""
    return column.replace("_", " ")


def number(value: float) -> str:
    """A number as people write it, 1,234,567 or 0.25: to four decimals, or two digits of what is smaller."""
    if 0 < abs(value) < 0.0001:
        return f"{value:.2g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def _places(places: list[Any], days: tuple[date, date] | None) -> list[Any]:
    if not isinstance(places[0], date):
        return places
    first, last = min([*places, *(days or ())]), max([*places, *(days or ())])
    return [first + n * DAY for n in range((last - first).days + 1)]


def _labels(places: list[Any]) -> list[str]:
    step = max(1, -(-len(places) // MOST_LABELS))
    shown = [n % step == 0 and len(places) - n > step / 2 for n in range(len(places))]
    if not isinstance(places[0], date):
        return [str(place) if show else "" for place, show in zip(places, shown, strict=True)]
    form = "%d %b" if places[0].year == places[-1].year else "%d %b %Y"
    return [place.strftime(form) if show else "" for place, show in zip(places, shown, strict=True)]
