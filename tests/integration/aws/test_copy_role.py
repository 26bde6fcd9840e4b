"""The role of COPY: made by an administrator, checked by the DAGs, and nobody else's role taken for it."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.ownership import TAG_LIST
from tests.support.aws_cli import documented, run_command
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.integration

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
READS = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::lake",
         "arn:aws:s3:::lake/*", "arn:aws:s3:::sparkify-work", "arn:aws:s3:::sparkify-work/*"]}  # fmt: skip


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(**principal) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


REDSHIFT = trust(Service=["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"])


@pytest.fixture
def make_role(aws):
    """Makes a role with one inline policy, and what else IAM's API takes."""

    def make(name, trust, *statements, **more):
        aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)
        aws("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))

    return make


def state(aws, name):
    """All of the role that a takeover would change."""
    iam = aws("iam")
    role = iam.get_role(RoleName=name)["Role"]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    policies = {one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"] for one in names}
    return role["AssumeRolePolicyDocument"], role.get("Tags", []), policies


def check(name="sparkify-copy", dag_id="sparkify_cluster_create"):
    run = PipelineRun(load_dag(dag_id), {"role_name": name}, variables={"sparkify_bucket": "lake"})
    return run.run_task(run.dag.topological_sort()[0].task_id)


def refused(aws, name) -> str:
    """The message that refuses the role; it is as it was."""
    before = state(aws, name)
    with pytest.raises(AirflowFailException) as raised:
        check(name)
    assert state(aws, name) == before
    return str(raised.value)


def test_the_guides_commands_make_a_role_that_is_accepted(aws, copy_role, caplog):
    assert copy_role == "arn:aws:iam::123456789012:role/sparkify/sparkify-copy"
    for dag_id in ("sparkify_cluster_create", "sparkify_serverless_create"):
        caplog.clear()
        before = state(aws, "sparkify-copy")
        assert check(dag_id=dag_id) == copy_role
        assert state(aws, "sparkify-copy") == before
        assert "can be assumed by Service redshift.amazonaws.com and Service redshift-s" in caplog.text
        assert (
            "(inline policy sparkify-copy) allow nothing but to read s3://lake, read s3://spark"
            in caplog.text
        )


def test_a_role_without_a_path_is_accepted_once_it_has_the_tags(aws, make_role):
    make_role("sparkify-copy", REDSHIFT, READS)
    message = refused(aws, "sparkify-copy")
    tag_role, *_ = documented("Tag what an earlier version created")
    assert message.endswith(f"aws {' '.join(tag_role)}")
    run_command(aws, tag_role)
    assert check() == "arn:aws:iam::123456789012:role/sparkify-copy"


def test_a_role_that_is_not_there_is_not_made(aws):
    with pytest.raises(AirflowFailException, match=r"(?s)no IAM role sparkify-copy.*\nMake the role"):
        check()
    assert aws("iam").list_roles()["Roles"] == []


@pytest.mark.parametrize("tags", [[], TAG_LIST], ids=["foreign", "tagged"])
def test_the_companys_administrator_is_not_taken_over(aws, make_role, tags):
    admin = trust(AWS="arn:aws:iam::123456789012:root")
    make_role("company-admin", admin, EVERYTHING, Tags=tags)
    message = refused(aws, "company-admin")
    if tags:
        assert "AWS arn:aws:iam::123456789012:root may assume it" in message
        assert "inline policy own allows * on *" in message
    else:
        assert "is not this project's" in message
        assert "Its tags are none" in message


@pytest.mark.parametrize("tags", [[], TAG_LIST], ids=["foreign", "tagged"])
def test_a_role_of_lambda_is_not_taken_over(aws, make_role, tags):
    make_role("nightly-report", trust(Service="lambda.amazonaws.com"), READS, EVERYTHING, Tags=tags)
    message = refused(aws, "nightly-report")
    assert ("Service lambda.amazonaws.com may assume it" in message) == bool(tags)


def test_what_the_role_may_do_is_read_from_attached_policies_too(aws, copy_role):
    iam = aws("iam")
    arn = iam.create_policy(
        PolicyName="more",
        PolicyDocument=document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}),
    )["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="sparkify-copy", PolicyArn=arn)
    assert f"attached policy {arn} allows s3:GetObject on *" in refused(aws, "sparkify-copy")


def test_a_role_of_another_path_is_refused(aws, make_role):
    make_role("sparkify-copy", REDSHIFT, READS, Path="/team-b/", Tags=TAG_LIST)
    assert "its path is /team-b/" in refused(aws, "sparkify-copy")


def test_a_role_that_reads_too_little_is_refused(aws, make_role):
    make_role("sparkify-copy", REDSHIFT, {**READS, "Resource": READS["Resource"][:2]}, Tags=TAG_LIST)
    assert "no policy allows s3:GetObject on s3://sparkify-work" in refused(aws, "sparkify-copy")
