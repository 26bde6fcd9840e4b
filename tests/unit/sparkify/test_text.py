"""Text about data, made fit for a VARCHAR: what no table holds is written out, what is too long is cut."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkify import drift, rejected
from sparkify.json_values import values
from sparkify.operators import quality
from sparkify.paths import SQL
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


def width(path: str, column: str) -> int:
    """Of a VARCHAR, as a table declares it."""
    return int(re.search(rf"^    {column} VARCHAR\((\d+)\)", (SQL / path).read_text(), re.MULTILINE)[1])


@pytest.mark.parametrize(
    ("size", "path", "column"),
    [
        (drift.KEY_NAME_BYTES, "staging/create_keys.sql", "key_name"),
        (drift.FILE_NAME_BYTES, "staging/create_keys.sql", "first_file"),
        *[
            (size, path, column)
            for path in ("staging/create_rejected.sql", "rejected_rows/create.sql")
            for size, column in [
                (rejected.FILE_NAME_BYTES, "file_name"),
                (rejected.REASON_BYTES, "reason"),
                (rejected.RAW_LINE_BYTES, "raw_line"),
            ]
        ],
        (1024, "staging/create_rejected.sql", "object_key"),
        (quality.DETAIL_BYTES, "quality_results/create.sql", "detail"),
    ],
)
def test_what_is_fitted_fits_its_column(size, path, column):
    assert size <= width(path, column)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.integers(1, 10**7))
def test_any_rejected_row_fits_its_table(file, reason, raw, length):
    row = rejected.RejectedRow(file, 1, "song", 1220, reason, raw, "", length)
    file_name, _, _, _, reason, raw_line, _, _ = row.values().values()
    assert len(file_name.encode()) <= rejected.FILE_NAME_BYTES
    assert len(reason.encode()) <= rejected.REASON_BYTES
    assert len(raw_line.encode()) <= rejected.RAW_LINE_BYTES


@given(st.dictionaries(ANY_TEXT, st.integers(), max_size=150))
def test_any_keys_of_an_object_fit_their_table(row):
    shapes = drift.Shapes()
    text = json.dumps(row)
    shapes.look_at("s3://lake/" + "k" * 1024, values([text.encode()]))
    rows = shapes.drift(frozenset({"song"}))
    assert sum(count for problem, _, _, count, _ in rows if problem == "unknown") == len(
        json.loads(text).keys() - {"song"}
    )
    for _, key, _, _, file in rows:
        assert key is None or 0 < len(key.encode()) <= drift.KEY_NAME_BYTES
        assert len(file.encode()) <= drift.FILE_NAME_BYTES
