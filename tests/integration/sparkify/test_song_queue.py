"""A queue of notifications tells of new song files; none is lost, whatever becomes of its messages."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from sparkify import song_queue
from sparkify.warehouse import TransientError, Warehouse
from tests.support import reference
from tests.support.notifications import envelope, record
from tests.support.servers import aws_connection
from tests.support.source import event, song

pytestmark = pytest.mark.integration

HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")
NEXT = ("2018-11-01 11:00", "2018-11-01 12:00")
PLAYS = [event("2018-11-01 10:10"), event("2018-11-01 10:20", itemInSession=1, song="Other")]
FIRST, OTHER, THIRD = song(), song("SO2", "AR2", title="Other"), song("SO3", "AR3", title="Third")
#: As AWS calls it; the connection leads elsewhere.
URL = "https://sqs.us-west-2.amazonaws.com/123456789012/songs"


class Queue:
    """A pipeline with a queue, and what S3 would write into it."""

    def __init__(self, pipeline, sqs):
        self.pipeline = pipeline
        self.sqs = sqs

    def send(self, *messages) -> None:
        for message in messages:
            body = message if isinstance(message, str) else json.dumps(message)
            self.sqs.send_message(QueueUrl=URL, MessageBody=body)

    def put(self, key, *songs, form=record, bucket="") -> None:
        """A song file, and the notification of it."""
        self.pipeline.put({key: "\n".join(map(json.dumps, songs)).encode()})
        self.send(self.message(key, form, bucket))

    def message(self, key, form=record, bucket="", **of_object):
        head = self.pipeline.s3.head_object(Bucket=self.pipeline.bucket, Key=key)
        etag = head["ETag"].strip('"')
        if form is record:
            told = record(key=urllib.parse.quote_plus(key), eTag=etag, **of_object)
            told["s3"]["bucket"]["name"] = bucket or self.pipeline.bucket
            return {"Records": [told]}
        told = envelope(key=key, etag=etag, **of_object)
        told["detail"]["bucket"]["name"] = bucket or self.pipeline.bucket
        return told

    def load(self, *hour):
        return self.pipeline.load(*hour, sweep=False, sparkify_song_queue_url=URL)

    def messages(self) -> int:
        """How many there are, those that are invisible included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=URL, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def changes(self) -> list[str]:
        return [key for (key,) in self.pipeline.query("SELECT object_key FROM staging.song_changes")]

    def songs(self) -> set[str]:
        return {song_id for (song_id,) in self.pipeline.query("SELECT song_id FROM sparkify.songs")}


@pytest.fixture
def queue(pipeline, s3, moto_url, monkeypatch) -> Queue:
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    connection = aws_connection(s3)
    connection["extra"]["service_config"] = {"sqs": {"endpoint_url": moto_url}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    sqs = boto3.client(
        "sqs", endpoint_url=moto_url, region_name=s3.region, aws_access_key_id="a", aws_secret_access_key="b"
    )
    sqs.create_queue(QueueName="songs")
    monkeypatch.setattr(song_queue, "WAIT_SECONDS", 0)
    pipeline.put_events(*PLAYS)
    pipeline.put_songs(FIRST)
    pipeline.load(*HOUR, sweep=False)
    return Queue(pipeline, sqs)


@pytest.mark.parametrize("form", [record, envelope], ids=["S3", "EventBridge"])
def test_a_run_loads_the_songs_that_the_queue_tells_of(queue, form):
    queue.put("song_data/A/Tr 1+é%20.json", OTHER, form=form)
    queue.load(*NEXT)
    assert queue.pipeline.tables() == reference.tables(PLAYS, [FIRST, OTHER])
    assert queue.messages() == 0
    assert queue.changes() == []
    assert queue.pipeline.work_objects() == []


def test_a_removed_file_is_told_too(queue):
    [key] = [f"song_data/A/B/C/TR{FIRST['song_id']}.json"]
    queue.put("song_data/A/other.json", OTHER)
    told = queue.message(key)
    told["Records"][0]["eventName"] = "ObjectRemoved:Delete"
    queue.pipeline.s3.delete_object(Bucket=queue.pipeline.bucket, Key=key)
    queue.send(told)
    queue.load(*NEXT)
    assert queue.songs() == {"SO2"}
    assert queue.changes() == []


def test_twice_is_once(queue):
    queue.put("song_data/A/other.json", OTHER)
    queue.send(*[queue.message("song_data/A/other.json")] * 3)
    queue.load(*NEXT)
    queue.send(queue.message("song_data/A/other.json"))
    run = queue.load(*NEXT)
    assert run.xcoms["stage_songs", "return_value"]["files"] == 0
    assert queue.pipeline.tables() == reference.tables(PLAYS, [FIRST, OTHER])
    assert queue.messages() == 0
    assert queue.changes() == []


def test_what_is_about_other_objects_is_passed_over_and_deleted(queue, caplog):
    queue.pipeline.put({"logs/x.json": b"", "song_data/A/readme.txt": b"", "song_data/A/x.json": b""})
    queue.send(
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": queue.pipeline.bucket},
        queue.message("logs/x.json"),
        queue.message("song_data/A/readme.txt"),
        queue.message("song_data/A/x.json", bucket="another"),
    )
    queue.load(*NEXT)
    assert queue.messages() == 0
    assert "4 message(s) received from the queue" in caplog.text
    assert "4 of them about other objects, and 0 that cannot be read" in caplog.text
    assert queue.songs() == {"SO1"}


def test_a_message_that_cannot_be_read_stays_with_a_warning_and_holds_up_none(queue, caplog):
    queue.send("{", '{"Type": "Notification", "Message": "{}"}')
    queue.put("song_data/A/other.json", OTHER)
    queue.load(*NEXT)
    assert queue.songs() == {"SO1", "SO2"}
    assert queue.messages() == 2
    assert caplog.text.count("is none of S3's notifications and stays in the queue") == 2


def test_messages_are_recorded_before_they_are_deleted(queue, monkeypatch):
    queue.put("song_data/A/other.json", OTHER)
    call = BaseClient._make_api_call
    recorded = []

    def recording(client, operation, parameters):
        if operation == "DeleteMessageBatch":
            recorded.extend(queue.changes())
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    queue.load(*NEXT)
    assert recorded == ["song_data/A/other.json"]


def test_a_run_that_cannot_record_leaves_the_messages(queue, monkeypatch):
    queue.put("song_data/A/other.json", OTHER)
    with monkeypatch.context() as patch:
        patch.setattr(song_queue, "INVISIBLE_SECONDS", 0)
        patch.setattr(song_queue, "MOST_MESSAGES", 1)
        patch.setattr(Warehouse, "transaction", lambda _: (_ for _ in ()).throw(TransientError("lost")))
        run = queue.pipeline.new_run(*NEXT, sweep=False, sparkify_song_queue_url=URL)
        with pytest.raises(TransientError):
            run.run_task("stage_songs")
    assert queue.messages() == 1
    queue.load(*NEXT)
    assert queue.songs() == {"SO1", "SO2"}


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes"])
def test_a_queue_that_denies_an_action_fails_no_run(queue, monkeypatch, caplog, operation):
    queue.pipeline.put_songs(THIRD)
    queue.pipeline.sweep()
    queue.put("song_data/A/other.json", OTHER)
    call = BaseClient._make_api_call

    def denying(client, name, parameters):
        if name == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)
        return call(client, name, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", denying)
        queue.load(*NEXT)
    assert "AccessDenied" in caplog.text
    assert queue.songs() == {"SO1", "SO3"} | ({"SO2"} if operation != "ReceiveMessage" else set())
    assert queue.messages() == (0 if operation == "GetQueueAttributes" else 1)
    if operation == "ReceiveMessage":
        assert (
            "The run goes on with the changes that are known. Songs may come later, but none" in caplog.text
        )
        queue.load(*NEXT)
    assert queue.songs() == {"SO1", "SO2", "SO3"}


def test_a_queue_that_is_not_there_fails_no_run(queue, caplog):
    queue.sqs.delete_queue(QueueUrl=URL)
    queue.pipeline.put_songs(OTHER)
    queue.load(*NEXT)
    assert "NonExistentQueue" in caplog.text
    assert queue.songs() == {"SO1"}
    queue.pipeline.sweep()
    queue.load(*NEXT)
    assert queue.songs() == {"SO1", "SO2"}


def test_a_run_takes_a_bounded_number_of_messages_and_says_what_is_left(queue, monkeypatch, caplog):
    monkeypatch.setattr(song_queue, "MOST_MESSAGES", 1)
    monkeypatch.setattr(song_queue, "AT_ONCE", 1)
    queue.put("song_data/A/other.json", OTHER)
    queue.put("song_data/A/third.json", THIRD)
    queue.load(*NEXT)
    assert queue.messages() == 1
    assert "About 1 message(s) are left in the queue" in caplog.text
    queue.load(*NEXT)
    assert queue.messages() == 0
    assert queue.songs() == {"SO1", "SO2", "SO3"}
