"""COPY converts whole batches fast and what is unusual value by value: rows and errors are the same."""

from __future__ import annotations

import itertools
import json
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_redshift.catalog.columns import Column
from local_redshift.copy import convert
from local_redshift.copy.convert import UNIT_BYTES, Converter
from local_redshift.copy.mapping import Mapping
from local_redshift.copy.source import S3Object
from local_redshift.sql.copy_grammar import parse_copy
from local_redshift.sql.lexer import tokenize

pytestmark = pytest.mark.unit

COLUMNS = [
    Column("name", "varchar", 8 + 4),
    Column("number", "int4"),
    Column("big", "int8"),
    Column("ratio", "float8"),
    Column("small", "float4"),
]
PATHS = json.dumps({"jsonpaths": [f"$['{column.name}']" for column in COLUMNS]}).encode()
OPTIONS = ["", "TRUNCATECOLUMNS", "EMPTYASNULL", "BLANKSASNULL"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**33), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(["", " ", "12", "1.5", "1e5", "é" * 5, 'a"b', "a\\b", "tab\t", "new\nline", "\x00"]),
    st.lists(st.integers(0, 3), max_size=2),
)
objects = st.dictionaries(st.sampled_from([*(c.name for c in COLUMNS), "other"]), scalars, max_size=6)
clean = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("abc ", max_size=8),
        "number": st.integers(0, 9999),
        "big": st.integers(0, 10**12),
        "ratio": st.sampled_from([0.5, 12.25, 300000.125]),
        "small": st.sampled_from([1, 2.5, -3.75]),
        "other": st.just({"nested": [1]}),
    },
)
ODD = [
    *(("name", value) for value in ("é" * 4, "é" * 5, 'a"b', "t\ta", "n\nb", " ", "", None, 12, "a" * 9)),
    *(
        ("number", value)
        for value in (2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 1.0, "12", "", "x", None, True)
    ),
    *(("big", value) for value in (2**63 - 1, 2**63, -1, 10**30)),
    *(("ratio", value) for value in (1e300, 1e-320, 10**400, "1.5", "", None, [1], -0.0)),
    *(("small", value) for value in (1e39, 3e38, 1e-50, 10**16, 10**40, "2")),
]


@st.composite
def nearly_clean(draw) -> list[str]:
    """Objects that all take the fast path, but for one value in one of them."""
    rows = draw(st.lists(clean, min_size=1, max_size=5))
    key, value = draw(st.sampled_from(ODD))
    rows[draw(st.integers(0, len(rows) - 1))][key] = value
    return [json.dumps(row) for row in rows]


lines = st.one_of(
    objects.map(json.dumps),
    objects.map(lambda value: json.dumps(value, ensure_ascii=False)),
    objects.map(lambda value: json.dumps(value, indent=1)),
    st.sampled_from(["", "  ", "{", '{"name": 1}{"name": 2}', "[1]", "not json", '{"number": 1.0}']),
    st.just('[\n{"name": "a"}\n]'),
)


def converted(text: bytes, option: str, cuts: list[int] = (), unit: int = UNIT_BYTES, *, fast: bool):
    """Rows, errors and lines of a file that arrives in parts and is converted in units of about that size."""
    command = parse_copy(
        tokenize(f"COPY t FROM 's3://b/p' IAM_ROLE default JSON 's3://b/paths' MAXERROR 100000 {option}")
    )
    converter = Converter(command, Mapping.json_paths(COLUMNS, PATHS, "s3://b/paths"))
    assert converter._fast is not None
    if not fast:
        converter._fast = None
    bounds = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    source = S3Object("b", "p")
    rows = b""
    parts = list(itertools.pairwise(bounds))
    with patch.object(convert, "UNIT_BYTES", unit):
        for number, (start, end) in enumerate(parts, 1):
            rows += converter.convert([(source, text[start:end], number == len(parts))])
    errors = [(e.line, e.column, e.code, e.reason, e.offset) for e in converter.errors]
    [file] = converter.files
    assert (file.lines, file.bytes) == (len(text.split(b"\n")) - (text[-1:] in b"\n"), len(text))
    return rows, converter.rows, errors


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(nearly_clean(), st.lists(lines, max_size=8)),
    st.sampled_from(OPTIONS),
    st.lists(st.integers(0, 2000), max_size=3),
    st.sampled_from([1, 40, UNIT_BYTES]),
)
def test_both_paths_give_the_same_rows_and_errors(texts, option, cuts, unit):
    text = "\n".join(texts).encode("utf-8", "surrogatepass")
    assert converted(text, option, cuts, unit, fast=True) == converted(text, option, fast=False)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.one_of(
            lines, st.lists(objects, min_size=1, max_size=4).map(lambda value: json.dumps(value, indent=1))
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_objects_over_the_limit_are_one_error_each_wherever_the_parts_are_cut(texts, cuts):
    text = "\n".join(texts).encode("utf-8", "surrogatepass")
    with patch.object(convert, "MAX_OBJECT", 60):
        *rows, errors = converted(text, "", cuts, 40, fast=True)
        *expected_rows, expected_errors = converted(text, "", fast=False)
    # An error is told before the last line of its object is known.
    assert (rows, [error[1:] for error in errors]) == (
        expected_rows,
        [error[1:] for error in expected_errors],
    )
