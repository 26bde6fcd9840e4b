"""Text about data, made fit for a VARCHAR: what no table holds is written out, what is too long is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkify.text import fit, visible

pytestmark = pytest.mark.unit

ANY_TEXT = st.text(st.characters(codec=None, categories=None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\0b", r"a\u0000b"),
        ("\ud800", r"\ud800"),
        ("\ufeff{", r"\ufeff{"),
        ("a\rb\x1b[31m", r"a\u000db\u001b[31m"),
        ("\ufdd0\uffff", r"\ufdd0\uffff"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("é 中 😀\t\n", "é 中 😀\t\n"),
    ],
)
def test_what_no_table_holds_or_nobody_sees_is_written_out(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "size", "fitted"),
    [
        ("song", 4, "song"),
        ("x" * 600, 32, "x" * 17 + "… (600 bytes)"),
        ("é" * 1000, 34, "é" * 8 + "… (2,000 bytes)"),
        ("\0" * 600, 32, r"\u0000\u0000\u000" + "… (600 bytes)"),
    ],
)
def test_what_is_too_long_says_how_long_it_was(text, size, fitted):
    assert fit(text, size) == fitted


def test_the_beginning_of_a_text_says_how_long_all_of_it_was():
    assert fit("x" * 100, 64, length=5_000_000).endswith("x… (5,000,000 bytes)")
    assert fit("xy", 64, length=2) == "xy"


@given(ANY_TEXT, st.integers(32, 64))
def test_any_text_fits(text, size):
    fitted = fit(text, size)
    assert len(fitted.encode()) <= size
    assert "\0" not in fitted
    assert visible(fitted) == fitted
