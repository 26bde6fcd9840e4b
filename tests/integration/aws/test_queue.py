"""The queue of docs/aws.md: its commands make one that S3 can send to and the pipeline can read."""

from __future__ import annotations

import json

import pytest

from sparkify.song_queue import SongQueue
from tests.support.aws_cli import documented, run_command

pytestmark = pytest.mark.integration


@pytest.fixture
def queue_url(aws):
    aws("s3").create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    aws("iam").create_role(RoleName="sparkify-airflow", AssumeRolePolicyDocument="{}")
    for arguments in documented("A queue that tells of new songs", BUCKET="lake", AWS_REGION="us-west-2"):
        service, *rest = arguments
        run_command(aws, [{"s3api": "s3"}.get(service, service), *rest])
    return aws("sqs").get_queue_url(QueueName="sparkify-songs")["QueueUrl"]


def test_the_guides_commands_make_a_queue_with_a_dead_letter_queue(aws, queue_url):
    attributes = aws("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    redrive = json.loads(attributes["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(":sparkify-songs-dead")
    [statement] = json.loads(attributes["Policy"])["Statement"]
    assert statement["Resource"] == attributes["QueueArn"]
    assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:s3:::lake"}
    policy = aws("iam").get_role_policy(RoleName="sparkify-airflow", PolicyName="airflow-queue-policy")
    [allowed] = policy["PolicyDocument"]["Statement"]
    assert allowed["Resource"] == attributes["QueueArn"]


def test_the_buckets_notifications_are_read(aws, queue_url):
    queue = SongQueue(queue_url, "aws_default")
    aws("s3").put_object(Bucket="lake", Key="song_data/A/one two.json", Body=b"{}")
    aws("s3").put_object(Bucket="lake", Key="log_data/x.json", Body=b"{}")
    messages = queue.receive(lambda bucket, key: bucket == "lake")
    told = [(change.kind, change.object_key) for message in messages for change in message.changes]
    assert told == [("created", "song_data/A/one two.json")]
    queue.delete(messages)
    assert queue.receive(lambda bucket, key: True) == []
