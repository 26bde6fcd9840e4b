"""The file of a rejected row, of whose name Redshift keeps 256 bytes."""

from __future__ import annotations

import pytest

from sparkify.rejected import RejectedRow

pytestmark = pytest.mark.unit

LONG = "song_data/" + "x" * 240
KEYS = sorted([
    "song_data/a.json", "song_data/a.json.json", LONG + "/1.json", LONG + "/2.json", "y" * 260 + ".json",
    "é" * 140 + ".json",
])  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file_name", "object_key"),
    [
        pytest.param("song_data/a.json", "song_data/a.json", "song_data/a.json", id="whole"),
        pytest.param("y" * 247, "y" * 260 + ".json", "y" * 260 + ".json", id="cut, of one file"),
        pytest.param(LONG[:247], LONG[:247] + "…", LONG[:247], id="cut, of two files"),
        pytest.param("é" * 123 + "\ufffd", "é" * 140 + ".json", "é" * 140 + ".json", id="cut in a character"),
        pytest.param("song_data/b.json", "song_data/b.json…", "", id="of no file: any may be meant"),
        pytest.param("z" * 247, "z" * 247 + "…", "", id="cut, of no file: any may be meant"),
    ],
)
def test_a_rejected_row_belongs_to_a_file_or_to_all_that_it_may_be_of(name, file_name, object_key):
    row = RejectedRow(f"s3://lake/{name}", 1, "title", 1213, "Missing data", None).of_file("lake", KEYS)
    assert (row.file_name, row.object_key) == (f"s3://lake/{file_name}", object_key)
