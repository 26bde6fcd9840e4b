"""AWS's control planes over HTTP: moto's server for Redshift and IAM, and a small one for Serverless."""

from __future__ import annotations

import json
import urllib.request

import boto3
import pytest

from tests.support.aws_cli import documented, run_command
from tests.support.once import read_once
from tests.support.serverless import serverless

PASSWORD = "Marker-Password-1"


@pytest.fixture(scope="package", autouse=True)
def _once():
    with read_once():
        yield


@pytest.fixture
def aws(moto_url, monkeypatch):
    """An empty account that Airflow's connections and boto3's own settings lead to; makes boto3 clients."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    connection = {
        "conn_type": "aws",
        "login": "marker-key-id",
        "password": "marker-secret-key",
        "extra": {"endpoint_url": moto_url, "region_name": "us-west-2"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    redshift = {"conn_type": "redshift", "login": "awsuser", "password": PASSWORD, "schema": "dev"}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "marker-key-id",
        "AWS_SECRET_ACCESS_KEY": "marker-secret-key",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ENDPOINT_URL": moto_url,
    }.items():
        monkeypatch.setenv(name, value)
    return lambda service: boto3.client(service, endpoint_url=moto_url, region_name="us-west-2")


@pytest.fixture
def copy_role(aws):
    """The role of COPY, by the commands of docs/aws.md; its ARN."""
    for arguments in documented("The role of COPY", BUCKET="lake", WORK_BUCKET="sparkify-work"):
        run_command(aws, arguments)
    return aws("iam").get_role(RoleName="sparkify-copy")["Role"]["Arn"]


@pytest.fixture
def local_serverless(aws, monkeypatch):
    """An account without namespaces; both of Airflow's and boto3's ways lead to it."""
    with serverless() as local:
        connection = {
            "conn_type": "aws",
            "login": "marker-key-id",
            "password": "marker-secret-key",
            "extra": {
                "region_name": "us-west-2",
                "endpoint_url": local.url,
                "service_config": {"iam": {"endpoint_url": _endpoint_of_aws()}},
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", local.url)
        yield local


def _endpoint_of_aws() -> str:
    import os

    return os.environ["AWS_ENDPOINT_URL"]
