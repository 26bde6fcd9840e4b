"""The values of a file as it stands: what is counted, and what is hidden inside torn rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkify import json_values
from sparkify.json_values import MOST_CHARACTERS, Value, values

pytestmark = pytest.mark.unit

KNOWN = frozenset({"ts", "page"})
ROW = b'{"ts": 1, "page": "Home", "song": "a } \\" {"}'


def read(text: bytes, known: frozenset[str] | None = KNOWN, size: int = 1 << 20) -> list[Value]:
    return list(values((text[start : start + size] for start in range(0, len(text), size)), known))


def hidden(text: bytes) -> list[int | None]:
    return [value.hidden for value in read(text)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b" \n\t\r\n", []),
        (ROW, [1]),
        (ROW + b"\n" + ROW, [1, 2]),
        (ROW + ROW, [1, 1]),
        (b"\r\n" + ROW + b"\r\n\r\n" + ROW, [2, 4]),
        (json.dumps(json.loads(ROW), indent=1).encode() + b"\n" + ROW, [5, 6]),
        (b"[1]\n" + ROW, [1, 2]),
        (b"a lone\rCR" + b"\n" + ROW, [1, 2]),
        (b"\xef\xbb\xbf" + ROW, [1, 1]),
        (b"\xff" + ROW.replace(b"Home", b"H\xe4me"), [1, 1]),
    ],
)
def test_each_value_has_the_number_of_its_last_line(text, lines):
    assert [value.line for value in read(text)] == lines
    assert [value.line for value in read(text, size=3)] == lines


def test_what_is_no_object_has_no_keys():
    text = b"\n".join([ROW, b"[1]", b"junk", b'{"ts": }', b"{}"])
    assert [value.keys for value in read(text)] == [
        frozenset({"ts", "page", "song"}), None, None, None, frozenset(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"ts": 1, "page": "Ho\n' + ROW + b"\n" + ROW, 2),
        (b'{"ts": 1,\n' + ROW + b"\n" + ROW, 2),
        (b'{"ts": 1, "page": {"a": \n' + ROW + b"\n" + ROW, 2),
        (b'{"ts": 1, "page": [\n' + ROW, 1),
        (b'{"ts": 1, "pa' + ROW + ROW, 2),
        (b'{"ts": 1, "page": "Ho' + ROW, 1),
        (ROW + b"\n" + b'{"ts": 1, "page": "Ho', 0),
        (b"{x}{y}{z}\n" + ROW, 0),
        (b'{"ts": 1, "user": {"name": "x"}, "page": tru}\n' + ROW, 0),
        (b'{"ts": 1, "page": "a\tb"}\n' + ROW, 0),
        (b"[" + ROW + b",\n" + ROW + b"]\n" + ROW, 2),
        (b'{"Records": [' + ROW + b",\n" + ROW + b'], "count": 2}\n' + ROW, 2),
        (b'{"ts": 1, "context": {"ts": 2, "page": "a"}}\n[1, {"a": 1}]\n"text"\n{}', 0),
        (b"[" + ROW + b"\n" + ROW + b"]\n" + ROW, 2),
    ],
)
def test_whole_objects_inside_a_torn_row_are_hidden(text, expected):
    assert sum(hidden(text)) == expected


def test_a_value_that_is_longer_than_a_row_may_be_hides_nothing_of_its_own():
    row = b'{"ts": 1, "page": "' + b"x" * MOST_CHARACTERS + b'"}'
    assert read(row + b"\n" + ROW) == [Value(None, 1), Value(frozenset({"ts", "page", "song"}), 2)]


def test_what_is_hidden_is_found_behind_any_number_of_bytes():
    with patch.object(json_values, "MOST_CHARACTERS", 100), patch.object(json_values, "EFFORT", 1000):
        for torn in (b'{"ts": 1, "page": "Ho\n', b'{"ts": [\n', b'{"ts":' + b"x" * 1000):
            text = torn + b"\n".join([ROW] * 5000)
            assert sum(hidden(text)) == 5000
            assert sum(value.hidden for value in read(text, size=7)) == 5000


@pytest.mark.parametrize(
    "text",
    [
        b"[\n" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":' * 200_000 + b"\n" + ROW,
        b"{" * 2_000_000,
        b'{"' * 500_000,
        b'{"a": "' + b"{x" * 500_000,
        b"\xff" * 2_000_000,
    ],
    ids=["lines", "nested", "nested, then a row", "braces", "names", "in a string", "no text"],
)
def test_the_search_takes_no_more_than_its_share_of_effort(text):
    """In characters that the decoder was given, not in seconds."""
    given = 0

    class Counting(json.JSONDecoder):
        def raw_decode(self, part: str, position: int = 0):
            nonlocal given
            given += len(part)
            return super().raw_decode(part, position)

    with patch.object(json_values.json, "JSONDecoder", Counting):
        assert read(text)
    attempts = json_values.EFFORT * (len(text) + MOST_CHARACTERS) // json_values.LEAST_EFFORT
    assert given <= attempts * json_values.USUAL_CHARACTERS + 2 * len(text)


def test_what_cannot_be_told_is_not_called_zero():
    with patch.object(json_values, "MOST_CHARACTERS", 10), patch.object(json_values, "DEEP", 10**9):
        assert None in hidden(b'{"a":' * 20_000 + b"\n" + ROW)


rows = st.builds(
    lambda number, text: json.dumps({"ts": number, "page": text, "inner": {"a": [text]}}).encode(),
    st.integers(0, 99),
    st.text(max_size=5),
)


@given(st.lists(rows, min_size=1, max_size=6), st.data())
@settings(max_examples=200, deadline=None)
def test_no_row_is_neither_counted_nor_hidden(lines, data):
    """Of rows of which one is torn somewhere, all others are there or hidden."""
    torn = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(1, len(lines[torn]) - 1))
    whole = [line for index, line in enumerate(lines) if index != torn]
    text = b"\n".join([*lines[:torn], lines[torn][:cut], *lines[torn + 1 :]])
    found = read(text, size=data.draw(st.integers(1, 50)))
    seen = sum(not KNOWN.isdisjoint(value.keys or ()) for value in found)
    assert seen + sum(value.hidden for value in found) >= len(whole)


def test_the_file_is_read_as_it_is_looked_at():
    def chunks() -> Iterator[bytes]:
        yield ROW + b"\n"
        yield b"x" * 3 * MOST_CHARACTERS
        raise AssertionError("read on before it was needed")

    assert next(values(chunks())).line == 1
