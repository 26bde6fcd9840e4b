"""Reach: the spans of time that the statements of a run name, few enough to compare each row with."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sparkify.reach import MOST_RANGES, Reach

pytestmark = pytest.mark.unit

DAY = datetime(2018, 11, 1)
#: As many as there may be, two days apart.
MOST = [(day, day + 1) for day in range(3, 3 + 3 * MOST_RANGES, 3)]


def days(*spans: tuple[int, int]) -> list[tuple[datetime, datetime]]:
    """From one day of November to another, half-open."""
    return [(DAY + timedelta(days=first - 1), DAY + timedelta(days=last - 1)) for first, last in spans]


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([(3, 4)], [(3, 4)]),
        ([(5, 6), (1, 2)], [(1, 2), (5, 6)]),
        ([(1, 3), (3, 4)], [(1, 4)]),
        ([(1, 9), (2, 3), (8, 10)], [(1, 10)]),
        (MOST, MOST),
        ([(1, 2), *MOST], [(1, 4), *MOST[1:]]),
    ],
    ids=["one", "order", "adjacent", "overlapping", "the most", "one more: over the smallest gap"],
)
def test_spans_are_apart_in_order_and_few(spans, joined):
    reach = Reach.around(days(*spans))
    assert reach.spans == days(*joined)
    assert (reach.start_sql, reach.end_sql) == (reach.ranges[0][0], reach.ranges[-1][1])


def test_a_title_of_every_month_makes_few_spans_that_hold_all_of_it():
    """A song that was played for 24 years, in most months not on the first day."""
    months = [datetime(2000 + n // 12, n % 12 + 1, 1 + n % 3) for n in range(288)]
    spans = [(month, (month.replace(day=1) + timedelta(days=31)).replace(day=1)) for month in months]
    reach = Reach.around(spans)
    assert len(reach.ranges) == MOST_RANGES
    assert all(any(start <= first and last <= end for start, end in reach.spans) for first, last in spans)
