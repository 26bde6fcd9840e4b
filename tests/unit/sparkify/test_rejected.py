"""The file of a rejected row, of whose name Redshift keeps 256 bytes."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from botocore.response import StreamingBody

from sparkify.lake import Lake, SourceFile
from sparkify.operators.stage import StageToRedshiftOperator
from sparkify.rejected import RejectedRow
from sparkify.warehouse import WarehouseError

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


def test_a_rejected_row_without_a_file_may_be_of_any():
    row = RejectedRow(None, None, "title", 1213, "Missing data", None).of_file("lake", KEYS)
    assert (row.file_name, row.object_key) == (None, "")
    assert row.sentence() == "a file of the run, column title: Missing data (error 1213)"


def test_a_refused_row_without_a_line_number_is_kept_without_its_text():
    """Redshift Serverless keeps no text: it is read from the file, where file and line are known."""
    stage = StageToRedshiftOperator(
        task_id="stage", source="songs", s3_bucket="lake", s3_prefix="song_data", work_bucket="work"
    )
    stage.lake = Lake()
    stage.lake.client = SimpleNamespace(
        get_object=lambda **_: {"Body": StreamingBody(io.BytesIO(b"first\nsecond\n"), 13)}
    )
    refused = [
        RejectedRow(name, line, "title", 1213, "Missing data", None)
        for name, line in ((f"s3://lake/{KEYS[0]}", 2), (f"s3://lake/{KEYS[0]}", None), (None, 1))
    ]
    stage.load_errors = SimpleNamespace(read=lambda session, at_least: (refused, None))
    files = [SourceFile(KEYS[0], "e1", 13, "2018-11-02 00:00:00")]
    rows, lacking = stage._refused(SimpleNamespace(), files, at_least=3)
    assert lacking is None
    assert [(row.object_key, row.line_number, row.raw_line) for row in rows] == [
        (KEYS[0], 2, "second"),
        (KEYS[0], None, None),
        ("", 1, None),
    ]


@pytest.mark.parametrize("failure", [WarehouseError("no right to read"), OSError("no answer from S3")])
def test_a_look_up_that_fails_does_not_hide_why_copy_failed(failure, monkeypatch, caplog):
    refusal = WarehouseError("COPY failed", message="Load into table 't' failed.  Check 'stl_load_errors'")

    def fail(*_, **__):
        raise refusal

    def look_up(*_, **__):
        raise failure

    stage = StageToRedshiftOperator(
        task_id="stage", source="songs", s3_bucket="lake", s3_prefix="song_data", work_bucket="work"
    )
    monkeypatch.setattr(stage, "_refused", look_up)
    transaction = SimpleNamespace(execute=lambda *_, **__: [(1, None)], run_script=fail, notices=list)
    with pytest.raises(WarehouseError) as raised:
        stage._copy(SimpleNamespace(), transaction, [], "COPY")
    assert raised.value is refusal
    assert str(failure) in caplog.text
