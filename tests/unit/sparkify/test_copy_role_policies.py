"""What a role may do beyond reading the two buckets, as its policies say."""

from __future__ import annotations

import dataclasses

import pytest

from sparkify.copy_role import Role, conditions, faults, keys_of

pytestmark = pytest.mark.unit

BUCKETS = ["lake", "work"]
EVERY = [f"arn:aws:s3:::{bucket}{key}" for bucket in BUCKETS for key in ("", "/*")]


def allow(action, resource, **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trusting(principal, **more):
    return {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]}


READS = allow(["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject"], EVERY)
ROLE = Role(
    name="copy",
    arn="arn:aws:iam::123456789012:role/copy",
    path="/",
    tags={},
    trust=trusting({"Service": "redshift.amazonaws.com"}),
    policies={"inline policy own": {"Statement": READS}},
)


def faults_with(*statements):
    return faults(
        dataclasses.replace(ROLE, policies={"inline policy own": {"Statement": [READS, *statements]}}),
        BUCKETS,
    )


@pytest.mark.parametrize(
    "statement",
    [
        allow("S3:getobject", "arn:aws:s3:::lake/log_data/*"),
        allow("s3:GetObject", "arn:aws-us-gov:s3:::lake/*"),
        allow("kms:Decrypt", "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab"),
        {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"},
    ],
    ids=str,
)
def test_reading_the_two_buckets_is_no_fault(statement):
    assert faults_with(statement) == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (allow("*", "*"), "* on *"),
        (allow("s3:*", "arn:aws:s3:::lake/*"), "s3:* on arn:aws:s3:::lake/*"),
        (allow("s3:Get*", EVERY[:1]), "s3:Get* on arn:aws:s3:::lake"),
        (allow("s3:PutObject", "arn:aws:s3:::work/*"), "s3:PutObject on arn:aws:s3:::work/*"),
        (allow("s3:GetObject", ["arn:aws:s3:::lake*", *EVERY]), "s3:GetObject on arn:aws:s3:::lake*"),
        (allow("s3:GetObject", "arn:aws:s3:::lakes/*"), "s3:GetObject on arn:aws:s3:::lakes/*"),
        (allow("s3:GetObject", "arn:aws:s3:::l?ke/*"), "s3:GetObject on arn:aws:s3:::l?ke/*"),
        (allow("kms:Decrypt", "*"), "kms:Decrypt on *"),
        (allow("iam:PassRole", "arn:aws:iam::1:role/x"), "iam:PassRole on arn:aws:iam::1:role/x"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, "all but iam:* on *"),
        (
            {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::x/*"},
            "s3:GetObject on all but arn:aws:s3:::x/*",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_all_else_is_named(statement, what):
    assert faults_with(statement) == [f"inline policy own allows {what}"]


@pytest.mark.parametrize(
    ("principal", "who"),
    [
        ("*", "anyone"),
        ({"AWS": "*"}, "AWS *"),
        ({"AWS": "arn:aws:iam::1:root"}, "AWS arn:aws:iam::1:root"),
        ({"Service": ["redshift.amazonaws.com", "lambda.amazonaws.com"]}, "Service lambda.amazonaws.com"),
        ({"Federated": "accounts.google.com"}, "Federated accounts.google.com"),
    ],
    ids=str,
)
def test_everyone_else_who_may_assume_it_is_named(principal, who):
    assert f"{who} may assume it" in faults(dataclasses.replace(ROLE, trust=trusting(principal)), BUCKETS)


def test_an_excluding_principal_is_named():
    trust = {"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "sts:AssumeRole"}}
    assert "anyone except {'AWS': 'x'} may assume it" in faults(
        dataclasses.replace(ROLE, trust=trust), BUCKETS
    )


def test_redshift_itself_must_be_trusted():
    trust = trusting({"Service": "redshift-serverless.amazonaws.com"})
    assert faults(dataclasses.replace(ROLE, trust=trust), BUCKETS) == [
        "redshift.amazonaws.com may not assume it"
    ]


def test_what_copy_needs_must_be_allowed():
    assert faults(dataclasses.replace(ROLE, policies={}), ["lake"]) == [
        "no policy allows s3:ListBucket on s3://lake",
        "no policy allows s3:GetObject on s3://lake",
    ]


def test_the_keys_that_it_decrypts_with_are_told():
    key = "arn:aws:kms:us-west-2:123456789012:key/1234abcd"
    policies = {"attached policy a": {"Statement": allow(["kms:Decrypt", "s3:GetObject"], [key])}}
    assert keys_of(dataclasses.replace(ROLE, policies=policies)) == [key]
    assert keys_of(ROLE) == []


def test_the_conditions_of_the_trust_are_told():
    external = {"StringEquals": {"sts:ExternalId": "arn:aws:redshift:us-west-2:1:dbuser:sparkify/etl"}}
    assert "dbuser:sparkify/etl" in conditions(trusting("*", Condition=external))
    assert conditions(ROLE.trust) == ""
