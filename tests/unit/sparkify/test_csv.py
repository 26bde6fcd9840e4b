"""Answers as CSV: numbers as numbers, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import unicodedata
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkify.analytics import Answer, questions
from sparkify.web.page import as_csv

pytestmark = pytest.mark.unit

#: In ASCII, full width, small, raised and lowered; OWASP, "CSV Injection", names the first two.
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207c\u208a\N{MINUS SIGN}"
BLANK = ["Zs", "Zl", "Zp", "Cc", "Cf"]


def rows(columns, *values):
    text = as_csv(Answer(questions()["top_songs"], 10, columns, values))
    return list(csv.reader(io.StringIO(text, newline="")))


def cell(value):
    """What a spreadsheet reads of a value, as a column's name and as text."""
    [[name], [text]] = rows((value,), (value,))
    assert name == text
    return text


INVISIBLE = st.text(st.characters(categories=BLANK))


@given(INVISIBLE, st.sampled_from(SIGNS), st.text())
@example("\ufeff", "=", "1")
@example("\v", "=", "1")
@example("\f", "+", "1")
@example("\0", "-", "1")
@example(" \N{NO-BREAK SPACE}", "@", "A1")
@example("\N{IDEOGRAPHIC SPACE}\N{ZERO WIDTH SPACE}", "\uff1d", "1")
def test_text_whose_first_visible_character_is_a_sign_is_led_by_an_apostrophe(before, sign, after):
    text = before + sign + after
    assert cell(text) == "'" + text


@given(INVISIBLE, st.characters(categories=["L", "N"]), st.text())
def test_text_that_begins_with_a_letter_or_a_digit_is_as_it_was(before, first, after):
    text = first + before + after
    if unicodedata.normalize("NFKC", first)[0].isalnum():
        assert cell(text) == text


@pytest.mark.parametrize("start", ["\0", "\t", "\n", "\v", "\f", "\r", "\x1b", "\x85"])
def test_text_that_begins_with_a_control_character_is_led_by_an_apostrophe(start):
    assert cell(start + "a") == f"'{start}a"


@pytest.mark.parametrize("filler", "\u115f\u1160\u2800\u3164\uffa0\u034f\ufe0f")
def test_a_sign_behind_what_shows_as_nothing_is_a_sign(filler):
    assert cell(f"{filler}=1") == f"'{filler}=1"


@pytest.mark.parametrize(
    "text", ["", " ", "\ufeff", "a=1", "a;=1", "1-1", "(-1)", "'=1", "\N{EN DASH}1 live", "\ufeffa"]
)
def test_other_text_is_as_it_was(text):
    assert cell(text) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (-1, "-1"),
        (-1.5, "-1.5"),
        (Decimal("-1.50"), "-1.50"),
        (None, '""'),
        (True, "True"),
        ("-1", '"\'-1"'),
        (float("-inf"), '"\'-inf"'),
        (datetime(2018, 11, 1), '"2018-11-01 00:00:00"'),
        ("+41", '"\'+41"'),
    ],
)
def test_numbers_are_numbers_and_everything_else_is_quoted(value, written):
    answer = Answer(questions()["top_songs"], 10, ("a",), ((value,),))
    assert as_csv(answer) == f'"a"\r\n{written}\r\n'


def test_quotes_and_separators_stay_within_their_cell():
    text = 'a",=1\r\n=2;"'
    assert rows(("a", "b"), (text, "-1"))[1] == [text, "'-1"]
