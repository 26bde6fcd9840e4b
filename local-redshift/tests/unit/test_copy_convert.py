"""Objects that are built to keep COPY busy, or to break it: each is a rejected row, in one pass."""

from __future__ import annotations

import asyncio
import bz2
import gzip

import pytest

from local_redshift.catalog.columns import Column
from local_redshift.copy import convert
from local_redshift.copy.convert import Converter
from local_redshift.copy.mapping import Mapping
from local_redshift.copy.source import CHUNK, S3Endpoint, S3Object, S3Source, zstd
from local_redshift.errors import RedshiftError
from local_redshift.sql.copy_grammar import CopyCommand, Credentials

pytestmark = pytest.mark.unit

OBJECT = S3Object("bucket", "key")
COLUMNS = [Column("page", "varchar", 260, False, False)]
ROW = b'{"page": "Home"}'


def converted(text: bytes, paths: bytes = b"", size: int = CHUNK) -> Converter:
    mapping = Mapping.json_paths(COLUMNS, paths, "s3://bucket/paths") if paths else Mapping.auto(COLUMNS)
    converter = Converter(CopyCommand(("t",), None, "s3://bucket/key", max_error=100), mapping)
    for start in range(0, len(text), size):
        converter.convert([(OBJECT, text[start : start + size], start + size >= len(text))])
    return converter


@pytest.mark.parametrize("paths", [b"", b'{"jsonpaths": ["$.page"]}', b'{"jsonpaths": ["$.page.a.a"]}'])
@pytest.mark.parametrize("key", [b"a", b"page"])
def test_what_is_nested_too_deeply_is_a_rejected_row(key, paths):
    deep = b'{"%s":' % key + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    converter = converted(deep + b"\n" + b'{"page": {"a": {"a": "x"}}}', paths)
    assert [(error.line, error.code, error.reason) for error in converter.errors][:1] == [
        (1, 1216, "Invalid value: it is nested too deeply.")
    ]
    assert len(converter.errors) == 1
    assert converter.rows == 1


def test_what_is_nested_and_never_ends_is_a_rejected_row():
    converter = converted(ROW + b"\n" + b'{"a":' * 100_000)
    assert (converter.rows, len(converter.errors)) == (1, 1)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"jsonpaths": ' + b"[" * 100_000])
def test_a_jsonpaths_file_that_is_nested_too_deeply_is_none(text):
    with pytest.raises(RedshiftError, match="Invalid JSONPath file"):
        Mapping.json_paths(COLUMNS, text, "s3://bucket/paths")


@pytest.mark.parametrize(
    "text",
    [b'{"page": "' + b'\\"' * 200_000, b'{"page": "' + b'\\"\n' * 200_000, b'{"a":' + b"[\n" * 200_000,
     b'{"page": "' + b"x" * 500_000, b'{"page": "' + b"x\n" * 200_000 + b'"}'],
    ids=["escapes", "lines of escapes", "brackets", "one string", "a string of lines"],
)  # fmt: skip
def test_a_value_is_read_once_however_many_parts_it_comes_in(text, monkeypatch):
    """In bytes that the search for its end passes."""
    passed = 0

    class Counting:
        def __init__(self, pattern):
            self.pattern = pattern

        def search(self, text, position):
            nonlocal passed
            match = self.pattern.search(text, position)
            passed += (match.end() if match else len(text)) - position
            return match

    for name in ("IN_STRING", "OUTSIDE_STRING"):
        monkeypatch.setattr(convert, name, Counting(getattr(convert, name)))
    converter = converted(text)
    assert (converter.rows, len(converter.errors)) == (0, 1)
    assert len(text) // 2 <= passed <= len(text)


def test_what_is_kept_of_a_rejected_value_is_its_beginning():
    [error] = converted(b'{"page": "' + b"x" * 1_000_000 + b'"}').errors
    assert (len(error.raw_line), len(error.raw_value)) == (1024, 1024)


def parts(body: bytes, compression: str) -> list[bytes]:
    source = S3Source(S3Endpoint("", "", "", ""), Credentials(), None, 1)

    async def read():
        return [part async for part, _ in source._stream(OBJECT, body, compression)]

    return asyncio.run(read())


COMPRESSIONS = pytest.mark.parametrize(
    ("compression", "compress"),
    [("GZIP", gzip.compress), ("BZIP2", bz2.compress), ("ZSTD", zstd.compress)],
    ids=["gzip", "bzip2", "zstd"],
)


@COMPRESSIONS
def test_what_a_small_object_inflates_to_comes_in_parts(compression, compress):
    found = parts(compress(b" " * 50_000_000), compression)
    assert sum(map(len, found)) == 50_000_000
    assert max(map(len, found)) <= CHUNK


@COMPRESSIONS
def test_the_members_of_a_compressed_object_are_one_text(compression, compress):
    body = b"".join(compress(b"%d\n" % number) for number in range(1000))
    assert b"".join(parts(body, compression)) == b"".join(b"%d\n" % number for number in range(1000))
    assert parts(b"", compression) == [b""]
    for damaged in (body[:-1], b"plain"):
        with pytest.raises(RedshiftError, match=f"Failed to decompress file as {compression}"):
            parts(damaged, compression)
