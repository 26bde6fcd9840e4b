"""What a message of the queue says of song files."""

from __future__ import annotations

import json

import pytest

from sparkify.song_queue import Change, Message, UnreadableError, read_message, rows_told
from tests.support.notifications import envelope, record

pytestmark = pytest.mark.unit

CREATED = Change("created", "lake", "song_data/A/TR 1+é.json", "0123abcd")
REMOVED = Change("removed", "lake", "song_data/A/TR 1+é.json", None)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        pytest.param({"Records": [record()]}, [CREATED], id="S3"),
        pytest.param({"Records": [record("ObjectCreated:CompleteMultipartUpload")]}, [CREATED], id="parts"),
        pytest.param({"Records": [record("ObjectRemoved:Delete")]}, [REMOVED], id="removed"),
        pytest.param({"Records": [record("ObjectRemoved:DeleteMarkerCreated")]}, [REMOVED], id="marker"),
        pytest.param({"Records": [record("LifecycleExpiration:Delete")]}, [REMOVED], id="expired"),
        pytest.param(
            {"Records": [record("ObjectRemoved:Delete"), record()]}, [REMOVED, CREATED], id="several"
        ),
        pytest.param({"Records": [record("ObjectTagging:Put")]}, [], id="another event"),
        pytest.param({"Records": []}, [], id="no event"),
        pytest.param(
            {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lake"}, [], id="test event"
        ),
        pytest.param(envelope(), [CREATED], id="EventBridge"),
        pytest.param(envelope("Object Deleted"), [REMOVED], id="EventBridge removed"),
        pytest.param(envelope("Object Tags Added"), [], id="another type"),
        pytest.param(
            {"Records": [record(eTag=None)]},
            [Change("created", "lake", CREATED.object_key, None)],
            id="no ETag",
        ),
    ],
)
def test_both_forms_are_read(message, changes):
    assert read_message(json.dumps(message)) == changes


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", "1", "{}", '{"Records": 1}', '{"Records": [1]}', '{"Message": "{}"}'),
        "[" * 100_000,
        json.dumps({"Records": [record(key="song_data/%00.json")]}),
        json.dumps({"Records": [record(key="song_data/%FF.json")]}),
        json.dumps({"Records": [record(key="song_data/" + "x" * 1024)]}),
        json.dumps({"Records": [record(eTag="x" * 129)]}),
        json.dumps({"Records": [record(eTag=5)]}),
        json.dumps({"Records": [record(), {"eventName": "ObjectCreated:Put"}]}),
        json.dumps({"Records": [{"eventName": None}]}),
        json.dumps(envelope(key="song_data/\ud800.json")),
        json.dumps({"detail-type": "Object Created", "source": "aws.s3"}),
    ],
    ids=range(19),
)
def test_what_is_none_of_s3s_is_refused(body):
    with pytest.raises(UnreadableError):
        read_message(body)


def test_what_is_told_twice_is_one_row():
    rows = rows_told([Message("1", (CREATED, CREATED)), Message("2", (REMOVED,)), Message("3", (CREATED,))])
    assert [(row["kind"], row["object_key"], row["etag"]) for row in rows] == [
        ("created", CREATED.object_key, "0123abcd"),
        ("removed", CREATED.object_key, None),
    ]
    assert len({row["found_by"] for row in rows}) == 1
