"""The values of a file as it stands: what is counted, and what is hidden inside torn rows."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
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
        (b'{"page of": {"Records": [' + ROW + b",\n" + ROW + b"]}}\n" + ROW, 2),
        (b'[[[{"a": {"b": ' + ROW + b'}}]], {"a": 1}, ' + ROW + b"]", 2),
        (b'{"a": {"b": [' + ROW + b"]}, " + ROW, 2),
        (b"[" * 500 + ROW + b"]" * 500, 1),
    ],
)
def test_whole_objects_inside_a_torn_row_are_hidden(text, expected):
    assert sum(hidden(text)) == expected


@pytest.mark.parametrize("number", ["9" * 5_000, "-" + "9" * 50_000, "0." + "9" * 5_000, "1e" + "9" * 5_000])
def test_a_number_may_have_any_number_of_digits(number):
    assert read(f'{{"ts": {number}}}'.encode()) == [Value(frozenset({"ts"}), 1)]
    assert hidden(f'[{{"ts": {number}}}]'.encode()) == [1]


def test_where_the_keys_of_a_row_are_unknown_every_object_may_be_one():
    assert [value.hidden for value in read(b"[" + ROW + b"]\n" + ROW, None)] == [1, 0]


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


@pytest.mark.parametrize(
    "text", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
)
def test_what_is_nested_too_deeply_is_no_row(text):
    assert [value.keys for value in read(text + b"\n" + ROW)] == [None, frozenset({"ts", "page", "song"})]


@pytest.mark.parametrize(
    ("head", "body", "times"),
    [(b"", b"[\n", 100_000), (b"", b'{"a":', 40_000), (b"", b'{"', 50_000), (b'{"a": "', b'\\"', 100_000),
     (b'["', b"{", 100_000), (b"", b"{x}\n", 3_000), (b"", b"{}", 3_000), (b"", b"x\n", 3_000)],
    ids=["lines", "nested", "names", "escapes", "in a string", "no JSON", "empty objects", "words"],
)  # fmt: skip
@pytest.mark.parametrize("search", [False, True], ids=["keys", "hidden rows"])
def test_twice_the_text_is_twice_the_work(head, body, times, search, monkeypatch):
    """In calls of the decoder and of the search for brackets and quotes."""
    work = Counter()

    class Counting:
        def __init__(self, pattern):
            self.pattern = pattern

        def search(self, *where):
            work["steps"] += 1
            return self.pattern.search(*where)

    class CountingDecoder(json.JSONDecoder):
        def raw_decode(self, part: str, position: int = 0):
            work["decoded"] += 1
            return super().raw_decode(part, position)

    for name in ("IN_STRING", "OUTSIDE_STRING"):
        monkeypatch.setattr(json_values, name, Counting(getattr(json_values, name)))
    monkeypatch.setattr(json_values.json, "JSONDecoder", CountingDecoder)
    # A short text does not use up the effort that a file may take beyond its length.
    monkeypatch.setattr(json_values, "MOST_CHARACTERS", 20_000)
    done = []
    for text in (head + body * times, head + body * 2 * times):
        work.clear()
        list(values([text], KNOWN, search=search))
        done.append(work.copy())
    for of in ("steps", "decoded"):
        assert done[1][of] <= 2.5 * done[0][of] + 100


@pytest.mark.parametrize("known", [None, KNOWN])
@pytest.mark.parametrize(
    "text",
    [b"[" + b"{}," * 300_000 + b"{}]", b'{"a": [' + b"[]," * 300_000 + b"[]]}",
     b"{" + b",".join(b'"k%d":0' % number for number in range(100_000)) + b"}"],
    ids=["objects", "arrays", "keys"],
)  # fmt: skip
def test_a_value_takes_a_bounded_multiple_of_its_length_of_memory(text, known):
    tracemalloc.start()
    try:
        assert len(read(text, known)) == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(text)


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
