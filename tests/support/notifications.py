"""Messages that S3 sends of its objects, in both forms."""

from __future__ import annotations


def record(name="ObjectCreated:Put", key="song_data/A/TR+1%2B%C3%A9.json", **of_object):
    """As "Event message structure" of the S3 User Guide has it."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {
            "bucket": {"name": "lake"},
            "object": {"key": key, "eTag": "0123abcd", "size": 9, **of_object},
        },
    }


def envelope(kind="Object Created", **of_object):
    """As "EventBridge event message structure" of the S3 User Guide has it."""
    return {
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": "lake"},
            "object": {"key": "song_data/A/TR 1+é.json", "etag": "0123abcd", "size": 9, **of_object},
            "reason": "PutObject",
        },
    }
