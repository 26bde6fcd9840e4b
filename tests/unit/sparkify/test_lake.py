"""What a run writes to the work bucket."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import boto3
import pytest
from botocore.stub import Stubber

from sparkify.lake import Lake, SourceFile, file_rows, files_digest, hour_rows, json_lines, manifest

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


def test_each_hour_has_a_row_for_each_file_of_its_day_and_one_without_any():
    hours = [datetime(2018, 11, 1, 23, tzinfo=UTC), datetime(2018, 11, 2, 0, tzinfo=UTC)]
    rows = list(hour_rows(LISTED_AT, hours, {date(2018, 11, 1): FILES, date(2018, 11, 2): []}))
    assert [(row["hour_start"], row.get("etag")) for row in rows] == [
        ("2018-11-01 23:00:00.000000", "e1"),
        ("2018-11-01 23:00:00.000000", "e2"),
        ("2018-11-02 00:00:00.000000", None),
    ]


@pytest.mark.parametrize("change", [{"etag": "e3"}, {"object_key": "another"}])
def test_the_digest_of_a_days_files_changes_with_any_key_or_etag(change):
    changed = [FILES[0], replace(FILES[1], **change)]
    assert files_digest(changed) != files_digest(FILES)
    assert files_digest(FILES[:1]) != files_digest(FILES)
    assert files_digest(reversed(FILES)) == files_digest(FILES)


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
