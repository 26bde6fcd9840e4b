"""What a run writes to the work bucket."""

import json

import pytest

from sparkify.lake import SourceFile, json_lines, manifest

pytestmark = pytest.mark.unit

FILES = [
    SourceFile("log_data/2018/11/2018-11-01-events.json", "e1", 10, "2018-11-02 00:00:00"),
    SourceFile('log_data/odd "key"\\ü.json', "e2", 20, "2018-11-02 00:00:00"),
]


def test_a_manifest_lets_no_file_be_missing():
    entries = json.loads(manifest("lake", FILES))["entries"]
    assert entries == [{"url": f"s3://lake/{file.object_key}", "mandatory": True} for file in FILES]


def test_file_descriptions_are_one_json_object_a_line():
    lines = json_lines(FILES).decode().split("\n")
    assert [json.loads(line)["object_key"] for line in lines] == [file.object_key for file in FILES]
