"""Charts as they are laid out, before the templates draw them."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from sparkify.analytics import Answer, Question
from sparkify.web.charts import Bars, Columns, number

pytestmark = pytest.mark.unit

FIRST = date(2018, 11, 1)


def answer(columns, *rows):
    return Answer(Question("q", "Q", "", ""), 100, columns, rows)


def test_bars_are_shares_of_the_longest():
    assert Bars("plays").shares(answer(("song", "plays"), ("a", 4), ("b", 1), ("c", 0))) == [100, 25, 0]
    assert Bars("plays").shares(answer(("plays",), (0,))) == [0]


def test_days_keep_their_place_and_values_stand_upon_each_other():
    rows = answer(("day", "up", "down"), (FIRST, 1, 1), (FIRST + timedelta(days=3), 4, 0))
    drawing = Columns("day", ("up", "down")).draw(rows)
    assert (drawing.width, drawing.most) == (4, 4)
    assert [(s.series, s.x, s.y, s.height) for s in drawing.segments] == [
        (0, 0, 75, 25),
        (1, 0, 50, 25),
        (0, 3, 0, 100),
    ]
    assert drawing.segments[1].label == "2018-11-01: 1 down"
    assert "highest at 2018-11-04 with 4" in drawing.summary


def test_a_share_is_drawn_against_the_whole():
    drawing = Columns("day", ("percent",), top=100).draw(answer(("day", "percent"), (FIRST, Decimal("25.0"))))
    assert [(s.y, s.height) for s in drawing.segments] == [(75, 25)]


def test_days_of_the_period_without_a_row_have_their_place_too():
    last = FIRST + timedelta(days=29)
    rows = answer(("day", "up"), (FIRST + timedelta(days=8), 1))
    drawing = Columns("day", ("up",)).draw(rows, (FIRST, last))
    assert drawing.width == 30
    assert [s.x for s in drawing.segments] == [8]
    assert f"{FIRST} to {last}" in drawing.summary


def test_labels_name_the_year_where_there_are_two():
    rows = answer(("day", "plays"), (date(2018, 12, 31), 1), (date(2019, 1, 1), 1))
    assert Columns("day", ("plays",)).draw(rows).labels == ["31 Dec 2018", "01 Jan 2019"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (1000, "1,000"),
        (1234567.0, "1,234,567"),
        (Decimal("60.000000000000000"), "60"),
        (Decimal("33.3"), "33.3"),
        (0.04252199413489736, "0.0425"),
        (1e-07, "1e-07"),
    ],
)
def test_numbers_are_written_out(value, text):
    assert number(value) == text


@pytest.mark.parametrize("days", [1, 2, 5, 24, 30, 31, 365, 1000])
def test_labels_are_few_and_have_room(days):
    rows = [(FIRST + timedelta(days=number), 1) for number in range(days)]
    labels = Columns("day", ("plays",)).draw(answer(("day", "plays"), *rows)).labels
    shown = [number for number, label in enumerate(labels) if label]
    assert len(labels) == days
    assert 1 <= len(shown) <= 5
    assert labels[0] in ("01 Nov", "01 Nov 2018")
    assert days - shown[-1] > days / 10
