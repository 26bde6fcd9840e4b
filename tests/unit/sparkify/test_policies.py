"""The IAM policies of include/aws: least privilege, and placeholders that docs/aws.md fills in."""

from __future__ import annotations

import json
import re

import pytest

from sparkify.copy_role import Role, conditions, faults
from sparkify.ownership import TAGS
from sparkify.paths import INCLUDE
from tests.support.aws_cli import GUIDE, filled

pytestmark = pytest.mark.unit

FILES = sorted((INCLUDE / "aws").glob("*.json"))
BY_NAME = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
#: Actions of AWS's that take no resource ("Actions, resources, and condition keys").
WITHOUT_RESOURCE = re.compile(r"ec2:Describe|redshift:Describe")
#: What changes nothing in IAM. PassRole has a test of its own.
READS_IAM = re.compile(r"iam:(Get|List)\w+|iam:PassRole")
DELETES = re.compile(r"\w[\w-]*:Delete\w+")
TAG_KEYS = {f"aws:ResourceTag/{key}": value for key, value in TAGS.items()}
#: Nobody but AWS sets a tag that begins with aws: ("Tag naming and usage conventions").
OWNED_BY_REDSHIFT = {"aws:ResourceTag/aws:secretsmanager:owningService": "redshift"}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def statements(path) -> list[dict]:
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    return policy["Statement"]


def problems(statement: dict) -> list[str]:
    """What a statement of the workers' would let somebody do who took them over."""
    found = []
    actions, resources = as_list(statement["Action"]), as_list(statement.get("Resource", []))
    equals = statement.get("Condition", {}).get("StringEquals", {})
    for action in actions:
        boundary = "iam:PermissionsBoundary" in equals
        if action.startswith("iam:") and not READS_IAM.fullmatch(action) and not boundary:
            found.append(f"{action} changes IAM without a boundary")
        if action == "iam:PassRole" and "iam:PassedToService" not in equals:
            found.append("iam:PassRole to any service")
        if action == "iam:PassRole" and any("*" in resource for resource in resources):
            found.append("iam:PassRole of any role")
        if action == "redshift-serverless:GetCredentials" and equals != TAG_KEYS:
            found.append("passwords for workgroups of others")
        if action.startswith("sqs:") and "*" in str(resources):
            found.append(f"{action} of any queue")
        if DELETES.fullmatch(action) and action not in ("s3:DeleteObject", "sqs:DeleteMessage"):
            if equals not in (TAG_KEYS, OWNED_BY_REDSHIFT):
                found.append(f"{action} without tags")
            if "*" in resources:
                found.append(f"{action} of everything")
    return found


@BY_NAME
def test_no_policy_allows_more_than_it_names(path):
    for statement in statements(path):
        actions = as_list(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if "*" in as_list(statement.get("Resource", [])):
            assert all(WITHOUT_RESOURCE.match(action) for action in actions)


@BY_NAME
def test_no_policy_changes_iam_or_deletes_what_is_not_the_projects(path):
    assert [problem for statement in statements(path) for problem in problems(statement)] == []


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["iam:GetRole", "iam:PutRolePolicy"], "Resource": "arn:aws:iam::1:role/sparkify-copy"},
        {"Action": "iam:UpdateAssumeRolePolicy", "Resource": "arn:aws:iam::1:role/sparkify-copy"},
        {"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/x"},
        {
            "Action": "iam:PassRole",
            "Resource": "arn:aws:iam::1:role/*",
            "Condition": {"StringEquals": {"iam:PassedToService": "redshift.amazonaws.com"}},
        },
        {"Action": "redshift-serverless:GetCredentials", "Resource": "arn:aws:redshift-serverless:r:1:*"},
        {"Action": "redshift-serverless:DeleteNamespace", "Resource": "arn:aws:redshift-serverless:r:1:*"},
        {"Action": "sqs:DeleteMessage", "Resource": "arn:aws:sqs:us-west-2:1:*"},
        {"Action": "secretsmanager:DeleteSecret", "Resource": "arn:aws:secretsmanager:r:1:secret:redshift!*"},
        {
            "Action": "redshift:DeleteCluster",
            "Resource": "*",
            "Condition": {"StringEquals": TAG_KEYS},
        },
    ],
    ids=lambda statement: str(statement["Action"]),
)
def test_a_statement_that_does_is_found(statement):
    assert problems(statement)


@BY_NAME
def test_what_workers_create_must_carry_the_tags(path):
    for statement in statements(path):
        for action in as_list(statement["Action"]):
            if re.fullmatch(r"redshift(-serverless)?:(Create(?!ClusterSnapshot)|Tag)\w+", action):
                asked = {f"aws:RequestTag/{key}": value for key, value in TAGS.items()}
                assert statement["Condition"]["StringEquals"] == asked
                assert statement["Condition"]["ForAllValues:StringEquals"] == {"aws:TagKeys": [*TAGS]}


@BY_NAME
def test_the_documents_fill_in_every_placeholder(path):
    assert f"include/aws/{path.name}" in GUIDE
    text = filled(path.stem, BUCKET="lake", WORK_BUCKET="work", AWS_REGION="us-west-2")
    assert json.loads(text)
    assert "${" not in text
    assert "arn:aws:s3:::lake" in text or "bucket" not in path.read_text()


def copy_role(trust: dict) -> Role:
    policy = json.loads(filled("copy-role-policy", BUCKET="lake", WORK_BUCKET="work"))
    return Role("copy", "arn:aws:iam::1:role/copy", "/", TAGS, trust, {"inline policy sparkify-copy": policy})


def test_the_role_of_copy_is_as_narrow_as_the_dags_demand():
    assert faults(copy_role(json.loads(filled("copy-role-trust"))), ["lake", "work"]) == []


@pytest.mark.parametrize("kind", ["provisioned", "serverless"])
def test_a_trust_policy_by_external_id_is_accepted_too(kind):
    document = re.search(rf"<!-- trust: {kind} -->\n```json\n(.*?)```", GUIDE, re.DOTALL)
    trust = json.loads(document[1])
    assert faults(copy_role(trust), ["lake", "work"]) == []
    assert ":dbuser:" in conditions(trust)
