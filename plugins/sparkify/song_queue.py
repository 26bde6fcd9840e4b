"""The queue of notifications about song files: its messages are read, and deleted once they are recorded.

S3 sends a message for each object, at least once and in any order. Losing one is no loss: a sweep finds what
no message told.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from sparkify.text import fit

log = logging.getLogger(__name__)

#: How much a run takes from the queue, at most. A message takes about 3 ms in its region, and 2 kB of memory.
MOST_MESSAGES = 20_000
MOST_SECONDS = 120
#: How long nobody else receives a message: until it is recorded and deleted.
INVISIBLE_SECONDS = 15 * 60
#: "ReceiveMessage" and "DeleteMessageBatch" take so many at once.
AT_ONCE = 10
#: With a wait, all of the queue's servers are asked ("Short and long polling" of the SQS Developer Guide).
WAIT_SECONDS = 1
#: Of a queue that does not answer: the hourly run does not wait for it.
CLIENT = {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}
#: The beginnings of event names, and the types of EventBridge, to what they say of the object.
EVENTS = {"ObjectCreated:": "created", "ObjectRemoved:": "removed", "LifecycleExpiration:": "removed"}
TYPES = {"Object Created": "created", "Object Deleted": "removed"}
#: What no table holds, and columns of song_changes are shorter than.
NO_TEXT = re.compile("[\x00\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
KEY_BYTES, ETAG_BYTES = 1024, 128


class UnreadableError(ValueError):
    """A message is none of S3's."""


@dataclass(frozen=True)
class Change:
    """What a message says of one object: that it was `created`, with an ETag, or `removed`."""

    kind: str
    bucket: str
    object_key: str
    etag: str | None


@dataclass(frozen=True)
class Message:
    """A message that can be read; `receipt` deletes it."""

    receipt: str
    changes: tuple[Change, ...]


def read_message(body: str) -> list[Change]:
    """What a message says of objects; nothing, where it is about something else.

    There are two forms. "Event message structure" of the S3 User Guide has `Records`, whose object keys are
    URL-encoded, with `+` for blanks; S3 also sends an `s3:TestEvent` when notifications are switched on:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html.
    "EventBridge event message structure" has a `detail-type`, and keys as they are:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.

    :raises UnreadableError: where it has neither form.
    """
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        if "detail-type" in message:
            return list(_of_eventbridge(message))
        return [change for record in message["Records"] for change in _of_record(record)]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _of_record(record: dict[str, Any]) -> Iterator[Change]:
    name = record["eventName"].removeprefix("s3:")
    for beginning, kind in EVENTS.items():
        if name.startswith(beginning):
            s3 = record["s3"]
            key = unquote_plus(s3["object"]["key"], errors="strict")
            yield _change(kind, s3["bucket"]["name"], key, s3["object"].get("eTag"))


def _of_eventbridge(message: dict[str, Any]) -> Iterator[Change]:
    if message["source"] == "aws.s3" and (kind := TYPES.get(message["detail-type"])):
        detail = message["detail"]
        yield _change(kind, detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("etag"))


def _change(kind: str, bucket: str, key: str, etag: str | None) -> Change:
    """Raises ValueError where a table does not hold it."""
    etag = etag.strip('"') if kind == "created" and etag else None
    for text, size in ((bucket, KEY_BYTES), (key, KEY_BYTES), (etag or "", ETAG_BYTES)):
        if NO_TEXT.search(text) or len(text.encode()) > size:
            raise ValueError(f"{text!r:.200} is no name or ETag of an object")
    return Change(kind, bucket, key, etag)


def rows_told(messages: Iterable[Message]) -> list[dict[str, str | None]]:
    """A row of staging.song_changes for each different change that the messages tell."""
    found_by, found_at = uuid.uuid4().hex, f"{datetime.now(UTC):%F %T.%f}"
    return [
        {
            "found_by": found_by,
            "found_at": found_at,
            "kind": change.kind,
            "bucket": change.bucket,
            "object_key": change.object_key,
            "etag": change.etag,
        }
        for change in dict.fromkeys(change for message in messages for change in message.changes)
    ]


class SongQueue:
    """An SQS queue behind an Airflow connection. What it cannot do is told, and fails nobody.

    :param url: the queue's URL.
    :param aws_conn_id: an Airflow connection of type `aws`.
    """

    def __init__(self, url: str, aws_conn_id: str) -> None:
        self.url = url
        self.aws_conn_id = aws_conn_id

    @cached_property
    def client(self) -> Any:
        from airflow.providers.amazon.aws.hooks.sqs import SqsHook

        return SqsHook(aws_conn_id=self.aws_conn_id, config=CLIENT).get_conn()

    def receive(self, is_ours: Callable[[str, str], bool]) -> list[Message]:
        """Messages that can be read, to be deleted once what they tell is recorded.

        One that cannot be read stays in the queue, which moves it to its dead-letter queue in time.

        :param is_ours: whether an object, by bucket and key, is one that changes are told of.
        """
        messages: list[Message] = []
        unreadable = others = 0
        began = time.monotonic()
        try:
            while len(messages) + unreadable < MOST_MESSAGES and time.monotonic() < began + MOST_SECONDS:
                received = self.client.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=AT_ONCE,
                    WaitTimeSeconds=WAIT_SECONDS,
                    VisibilityTimeout=INVISIBLE_SECONDS,
                ).get("Messages", ())
                if not received:
                    break
                for one in received:
                    try:
                        changes = read_message(one["Body"])
                    except UnreadableError as error:
                        unreadable += 1
                        log.warning(
                            "Message %s is none of S3's notifications and stays in the queue: %s\n%s",
                            one["MessageId"], fit(str(error), 512), fit(one["Body"], 512),
                        )  # fmt: skip
                        continue
                    ours = tuple(change for change in changes if is_ours(change.bucket, change.object_key))
                    others += not ours
                    messages.append(Message(one["ReceiptHandle"], ours))
        except Exception as error:
            self._warn("received", error)
        log.info(
            "%d message(s) received from the queue in %.1f s, %d of them about other objects, and %d that "
            "cannot be read",
            len(messages), time.monotonic() - began, others, unreadable,
        )  # fmt: skip
        return messages

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that stays comes again, and twice is once."""
        failed = 0
        try:
            for start in range(0, len(messages), AT_ONCE):
                entries = [
                    {"Id": str(number), "ReceiptHandle": message.receipt}
                    for number, message in enumerate(messages[start : start + AT_ONCE])
                ]
                answer = self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)
                failed += len(answer.get("Failed", ()))
        except Exception as error:
            self._warn("deleted, though they are recorded,", error)
        if failed:
            log.warning("%d message(s) could not be deleted from the queue; they come again", failed)

    def log_what_is_left(self) -> None:
        """How many messages the queue holds, as far as it knows."""
        name = "ApproximateNumberOfMessages"
        try:
            answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
            log.info("About %s message(s) are left in the queue", answer["Attributes"][name])
        except Exception as error:
            log.warning("How many messages are left in the queue cannot be told: %s", error)

    def _warn(self, done: str, error: Exception) -> None:
        log.warning(
            "Some messages of the queue %s could not be %s: %s.\nThe run goes on with the changes that are "
            "known. Songs may come later, but none is lost: messages stay in the queue, and sparkify_sweep "
            "finds what no message told. Check the Airflow Variable sparkify_song_queue_url, and that the "
            "connection %r may receive and delete the queue's messages.",
            self.url, done, error, self.aws_conn_id,
        )  # fmt: skip
