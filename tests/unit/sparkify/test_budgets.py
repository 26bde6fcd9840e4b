"""What a stage task looks at in source files is bounded, and it says where that ends."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
import tracemalloc
import zlib
from types import SimpleNamespace

import pytest
from botocore.response import StreamingBody

from sparkify import drift, lake
from sparkify.drift import LIMIT, Shapes, jsonpaths_keys
from sparkify.json_values import values
from sparkify.lake import SourceFile, decompressed, zstd
from sparkify.operators import StageToRedshiftOperator, stage
from sparkify.text import fit

pytestmark = pytest.mark.unit

KNOWN = frozenset({"ts", "page"})
ROW = b'{"ts": 1, "page": "Home"}\n'
MEGABYTE = 1024 * 1024


class Bucket:
    """S3 as far as it is read here: objects, and the keys of those that were opened."""

    def __init__(self, **bodies: bytes) -> None:
        self.bodies = bodies
        self.opened: list[str] = []

    @property
    def files(self) -> list[SourceFile]:
        return [SourceFile(key, "e", len(body), "") for key, body in self.bodies.items()]

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-"):
        self.opened.append(Key)
        body = self.bodies[Key][int(Range[6:-1]) :]
        return {"Body": StreamingBody(io.BytesIO(body), len(body))}


def stage_of(bucket: Bucket) -> StageToRedshiftOperator:
    task = StageToRedshiftOperator(
        task_id="stage", source="events", s3_bucket="b", s3_prefix="", work_bucket="w"
    )
    task.lake.client = bucket
    return task


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock takes a second."""
    ticks = itertools.count()
    monkeypatch.setattr(stage, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    return ticks


def test_of_a_compressed_file_only_those_bytes_count_whose_text_was_looked_at(monkeypatch):
    """A few hundred kilobytes may hold hundreds of megabytes of text."""
    bucket = Bucket(**{"bomb.gz": gzip.compress(b" " * (64 * MEGABYTE))})
    given = []
    original = stage.values
    monkeypatch.setattr(
        stage, "values", lambda chunks, **options: original(map(counted(given), chunks), **options)
    )
    look = stage_of(bucket)._look_at(bucket.files)
    assert look.bytes_read == look.bytes_of_keys == 0
    assert sum(given) <= drift.BYTES_PER_FILE + lake.CHUNK_BYTES


def counted(sizes: list[int]):
    def count(chunk: bytes) -> bytes:
        sizes.append(len(chunk))
        return chunk

    return count


def test_of_a_compressed_file_that_was_looked_at_to_its_end_every_byte_counts():
    bucket = Bucket(**{"small.gz": gzip.compress(ROW * 1000), "empty.gz": b""})
    look = stage_of(bucket)._look_at(bucket.files)
    assert look.bytes_read == look.bytes_of_keys == len(bucket.bodies["small.gz"])
    assert look.shapes.objects == 1000


def test_of_a_file_as_long_as_what_is_looked_at_every_byte_counts(monkeypatch):
    monkeypatch.setattr(stage, "BYTES_PER_FILE", 10 * len(ROW))
    bucket = Bucket(file=ROW * 10)
    look = stage_of(bucket)._look_at(bucket.files)
    assert (look.bytes_read, look.bytes_of_keys) == (10 * len(ROW), 10 * len(ROW))


def test_the_budget_of_bytes_is_one_of_text(monkeypatch):
    monkeypatch.setattr(stage, "BYTES_PER_RUN", 5000)
    bucket = Bucket(**{f"f{number}.gz": gzip.compress(ROW * 40) for number in range(300)})
    look = stage_of(bucket)._look_at(bucket.files)
    assert bucket.opened == ["f0.gz", "f1.gz", "f2.gz", "f3.gz", "f4.gz"]
    assert look.bytes_read == 5 * len(bucket.bodies["f0.gz"])
    # The budget is of the run, whose files are looked at batch by batch.
    stage_of(bucket)._look_at(bucket.files, look)
    assert len(bucket.opened) == 5


def test_when_the_time_is_over_no_file_is_looked_at_any_more(clock):
    bucket = Bucket(**{f"f{number}": ROW * 10 for number in range(300)})
    look = stage_of(bucket)._look_at(bucket.files)
    whole = len(bucket.opened) - 1
    assert 0 < whole < 10
    assert look.bytes_read == look.bytes_of_keys == whole * 10 * len(ROW)
    assert 10 * whole <= look.shapes.objects < 10 * whole + 10
    [(problem, sentence, *_)] = look.shapes.limits()
    assert problem == "time"
    assert sentence == (
        f"looking at the files was given up after 60 s: {whole} of 300 were looked at, the next was "
        f"s3://b/f{whole}"
    )


def test_the_search_for_hidden_rows_ends_with_the_time_and_cannot_tell(clock):
    bucket = Bucket(torn=b'{"ts": 1, "pa\n' + ROW * 10)
    task = stage_of(bucket)
    assert task._hidden(bucket.files[0], KNOWN, 1_000)[2:] == (10, None)
    for seconds in (3, 0):
        found = task._hidden(bucket.files[0], KNOWN, next(clock) + seconds)
        assert found[2:] == (None, "it could not be read to its end within 1200 s")
    assert bucket.opened == ["torn", "torn"]


def test_sets_of_keys_beyond_the_budget_are_counted_together_and_said():
    rows = [json.dumps({"ts": 1, "page": "", f"k{number}": 1}).encode() for number in range(6000)]
    shapes = Shapes()
    shapes.look_at("s3://b/f", values([b"\n".join([*rows, *rows[:10]])]))
    assert len(shapes.shapes) == drift.MOST_SHAPES
    assert shapes.others.rows == 1000
    assert sum(shape.rows for shape in shapes.shapes.values()) + shapes.others.rows == shapes.objects == 6010
    [(problem, sentence, count, keys, file)] = shapes.limits()
    assert (problem, count, keys, file) == (LIMIT, 1000, 0, "s3://b/f")
    assert sentence == (
        "the keys of 1,000 object(s) are not known: their files have more than 5,000 different sets of keys, "
        "or 4 MB of them"
    )


def test_files_of_objects_that_were_not_told_apart_do_not_count_as_known(monkeypatch):
    monkeypatch.setattr(drift, "MOST_SHAPES", 1)
    bucket = Bucket(one=ROW * 3, other=b'{"ts": 1}\n', more=ROW)
    look = stage_of(bucket)._look_at(bucket.files)
    assert look.bytes_read == sum(map(len, bucket.bodies.values()))
    assert look.bytes_of_keys == look.bytes_read - len(bucket.bodies["other"])


def test_no_keys_are_kept_beyond_the_budget_of_memory():
    """8 MB of objects each with keys of its own."""
    text = [
        json.dumps({f"k{number}_{key}": 1 for key in range(20)}).encode() + b"\n" for number in range(30_000)
    ]
    shapes = Shapes()
    tracemalloc.start()
    try:
        shapes.look_at("f", values(text, search=False))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shapes.objects == 30_000
    assert shapes.others.rows > 0
    assert kept < 40 * MEGABYTE


def test_many_members_of_a_gzip_file_are_decompressed_in_one_pass(monkeypatch):
    """In bytes that the decompressors were given."""
    given = []

    class Counting:
        def __init__(self, wbits):
            self.member = zlib.decompressobj(wbits)

        def decompress(self, data, size):
            given.append(len(data))
            return self.member.decompress(data, size)

        def __getattr__(self, name):
            return getattr(self.member, name)

    monkeypatch.setattr(lake, "zlib", SimpleNamespace(decompressobj=Counting, error=zlib.error))
    body = gzip.compress(b"", mtime=0) * 10_000
    assert b"".join(decompressed([body], "GZIP")) == b""
    assert sum(given) < 200 * len(body)


@pytest.mark.parametrize("compression", ["GZIP", "BZIP2", "ZSTD"])
def test_what_is_decompressed_comes_in_parts(compression):
    compress = {"GZIP": gzip.compress, "BZIP2": bz2.compress, "ZSTD": zstd.compress}[compression]
    body = compress(b"x" * 50 * MEGABYTE)
    assert len(body) < MEGABYTE
    tracemalloc.start()
    try:
        sizes = [len(part) for part in decompressed([body], compression)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 50 * MEGABYTE
    assert max(sizes) <= lake.CHUNK_BYTES
    assert peak < 20 * MEGABYTE


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"jsonpaths": ' + b"[" * 100_000, b'{"jsonpaths": ["$.a"', b'{"jsonpaths": 1}']
)
def test_what_is_no_jsonpaths_file_names_no_keys(text):
    assert jsonpaths_keys(text) is None


def test_of_an_object_no_more_is_read_than_asked():
    bucket = Bucket(file=b"x" * 5 * MEGABYTE)
    assert stage_of(bucket).lake.read("b", "file", 100) == b"x" * 100


def test_of_a_long_text_only_the_beginning_is_made_visible(monkeypatch):
    looked_at = []
    monkeypatch.setattr("sparkify.text.visible", lambda text: looked_at.append(len(text)) or text)
    assert fit("\0" * 4_000_000, 512).endswith("… (4,000,000 bytes)")
    assert sum(looked_at) <= 513
