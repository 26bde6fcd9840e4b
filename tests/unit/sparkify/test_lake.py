"""What a run writes to the work bucket."""

import io
import json
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from sparkify.lake import (
    CHUNK_BYTES,
    Lake,
    Line,
    SourceFile,
    file_rows,
    files_digest,
    json_lines,
    manifest,
)

pytestmark = pytest.mark.unit

LISTED_AT = datetime(2018, 11, 2, 0, 5, tzinfo=UTC)
FILES = [
    SourceFile("log_data/2018/11/2018-11-01-events.json", "e1", 10, "2018-11-02 00:00:00"),
    SourceFile('log_data/odd "key"\\ü.json', "e2", 20, "2018-11-02 00:00:00"),
]


def test_a_manifest_lets_no_file_be_missing():
    entries = json.loads(manifest("lake", FILES))["entries"]
    assert entries == [{"url": f"s3://lake/{file.object_key}", "mandatory": True} for file in FILES]


def test_the_ledgers_rows_are_one_json_object_a_line():
    lines = json_lines(file_rows(LISTED_AT, FILES)).decode().split("\n")
    assert [json.loads(line)["object_key"] for line in lines] == [file.object_key for file in FILES]
    assert json.loads(lines[0])["listed_at"] == "2018-11-02 00:05:00.000000"


ETAGS = {file.object_key: file.etag for file in FILES}


@pytest.mark.parametrize("change", [{"another": "e2"}, {FILES[1].object_key: "e3"}])
def test_the_digest_of_files_changes_with_any_key_or_etag(change):
    [first, *_] = ETAGS
    assert files_digest({first: ETAGS[first], **change}) != files_digest(ETAGS)
    assert files_digest({first: ETAGS[first]}) != files_digest(ETAGS)
    assert files_digest(dict(reversed(ETAGS.items()))) == files_digest(ETAGS)


def lines(body: bytes, numbers: set[int], size: int) -> dict[int, Line]:
    lake = Lake()
    lake.client = SimpleNamespace(
        get_object=lambda **_: {"Body": StreamingBody(io.BytesIO(body), len(body))},
    )
    return lake.lines("lake", "key", numbers, size)


@given(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bc" * 9, b"\0", b"\x85"])),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_lines_end_with_newlines_and_only_their_beginnings_are_kept(parts, size, chunk):
    body = b"".join(parts)
    expected = {number: line for number, line in enumerate(body.split(b"\n"), 1) if line}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparkify.lake.CHUNK_BYTES", chunk)
        for wanted in ({1}, {2, 4}, set(range(1, 9))):
            assert lines(body, wanted, size) == {
                number: Line(line[:size], len(line)) for number, line in expected.items() if number in wanted
            }


def test_a_line_of_any_length_is_read_in_one_pass():
    """In memory for no more than a few parts of the object, however long the line is."""
    body = b"a\n" + b"x" * 32_000_000 + b"\nb"
    tracemalloc.start()
    try:
        found = lines(body, {2, 3}, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == {2: Line(b"x" * 100, 32_000_000), 3: Line(b"b", 1)}
    assert peak < 8 * CHUNK_BYTES


def test_folder_markers_are_no_files():
    """Keys that consoles and other tools write to show an empty folder; rclone cannot hold them."""
    lake = Lake()
    lake.client = boto3.client(
        "s3", region_name="us-west-2", aws_access_key_id="k", aws_secret_access_key="s"
    )
    at = datetime(2018, 11, 2, tzinfo=UTC)
    entries = [
        {"Key": key, "ETag": '"e"', "Size": size, "LastModified": at}
        for key, size in (("song_data/", 0), ("song_data/A/", 0), ("song_data/A/TR1.json", 9))
    ]
    with Stubber(lake.client) as stubber:
        stubber.add_response("list_objects_v2", {"Contents": entries, "IsTruncated": False})
        found = list(lake.list_files("lake", ["song_data/"]))
    assert found == [SourceFile("song_data/A/TR1.json", "e", 9, "2018-11-02 00:00:00")]
