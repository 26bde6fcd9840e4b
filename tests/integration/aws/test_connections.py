"""Each form of connection that docs/aws.md shows, through the hook and the driver. No Redshift is there."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
import redshift_connector
from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook
from airflow.sdk._shared.module_loading import import_string

from sparkify.warehouse import EXTRA, Warehouse

pytestmark = pytest.mark.integration

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "aws.md").read_text()
CONNECTION = re.compile(r"<!-- connection: ([\w ]+) -->\n```json\n(.*?)```", re.DOTALL)
BACKEND = re.compile(r"<!-- backend: ([\w ]+) -->\n```console\n\w+=(\S+)\n\w+=(.*?)\n```", re.DOTALL)
FORMS = {name: json.loads(text) for name, text in CONNECTION.findall(DOCUMENT)}
BACKENDS = {name: (path, json.loads(arguments)) for name, path, arguments in BACKEND.findall(DOCUMENT)}
PROVISIONED = "sparkify.abc123xyz789.us-west-2.redshift.amazonaws.com"
SERVERLESS = "sparkify.123456789012.us-west-2.redshift-serverless.amazonaws.com"


@pytest.fixture
def reaching(monkeypatch):
    """The arguments that reach the driver's function, and those that its connection is then made with."""

    def reach(connection: dict) -> tuple[dict, dict]:
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
        given, made = {}, {}
        connect = redshift_connector.connect

        def recording(**arguments):
            given.update(arguments)
            return connect(**arguments)

        monkeypatch.setattr(redshift_connector, "connect", recording)
        monkeypatch.setattr(redshift_connector, "Connection", lambda **arguments: made.update(arguments))
        RedshiftSQLHook().get_conn()
        inspect.signature(connect).bind(**given)
        return given, made

    return reach


def shown(arguments: dict) -> dict:
    return {key: arguments[key] for key in ("host", "port", "database", "user", "ssl", "sslmode")}


def test_the_document_shows_these_forms():
    assert set(FORMS) == {"password", "iam", "serverless"}
    assert set(BACKENDS) == {"secrets manager", "ssm"}


def test_a_password_goes_to_the_cluster_as_it_is_and_over_tls(aws, reaching):
    given, made = reaching({**FORMS["password"], "password": "Marker-1"})
    assert given == {
        "host": PROVISIONED, "port": 5439, "database": "dev", "user": "awsuser", "password": "Marker-1",
    }  # fmt: skip
    assert made["password"] == "Marker-1"
    assert shown(made) == {
        "host": PROVISIONED, "port": 5439, "database": "dev", "user": "awsuser",
        "ssl": True, "sslmode": "verify-full",
    }  # fmt: skip


@pytest.mark.parametrize("own", [{}, {"application_name": "etl", "max_prepared_statements": 9, "timeout": 5}])
def test_the_drivers_options_are_the_pipelines_unless_the_connection_has_its_own(monkeypatch, own):
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps({**FORMS["password"], "extra": own}))
    assert Warehouse().hook.conn.extra_dejson == {**EXTRA, **own}
    assert EXTRA["application_name"] == "sparkify"
    assert EXTRA["max_prepared_statements"] == 0


def test_iam_credentials_are_temporary_and_the_drivers_own(aws, reaching):
    aws("redshift").create_cluster(
        ClusterIdentifier="sparkify", NodeType="ra3.large", MasterUsername="m", MasterUserPassword="Marker-1"
    )
    given, made = reaching(FORMS["iam"])
    assert given | {"password": ""} == {
        "host": PROVISIONED, "port": 5439, "database": "dev", "user": "IAM:etl", "password": "",
        "iam": True, "cluster_identifier": "sparkify", "db_user": "etl", "region": "us-west-2",
    }  # fmt: skip
    assert shown(made) == {
        "host": PROVISIONED, "port": 5439, "database": "dev", "user": "IAM:etl",
        "ssl": True, "sslmode": "verify-full",
    }  # fmt: skip
    assert len(made["password"]) == 32


def test_serverless_credentials_are_those_of_the_workgroup(local_serverless, reaching):
    given, made = reaching(FORMS["serverless"])
    assert given == {
        "host": SERVERLESS, "port": 5439, "database": "dev",
        "user": "IAM:etl", "password": "temporary-password",
        "iam": True, "is_serverless": True, "serverless_work_group": "sparkify", "region": "us-west-2",
    }  # fmt: skip
    assert shown(made) == {
        "host": SERVERLESS, "port": 5439, "database": "dev", "user": "IAM:etl",
        "ssl": True, "sslmode": "verify-full",
    }  # fmt: skip
    assert made["password"] == "temporary-password"
    asked = [arguments for action, arguments in local_serverless.requests if action == "GetCredentials"]
    assert {(a["dbName"], a["workgroupName"]) for a in asked} == {("dev", "sparkify")}


def test_serverless_takes_a_password_too(aws, reaching):
    _, made = reaching({**FORMS["password"], "host": SERVERLESS})
    assert (made["host"], made["user"]) == (SERVERLESS, "awsuser")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_secrets_backend_gives_the_connection_back(aws, backend, form):
    path, arguments = BACKENDS[backend]
    text = json.dumps(FORMS[form])
    if backend == "ssm":
        aws("ssm").put_parameter(
            Name="/airflow/connections/redshift_default", Value=text, Type="SecureString"
        )
    else:
        aws("secretsmanager").create_secret(Name="airflow/connections/redshift_default", SecretString=text)
    found = import_string(path)(**arguments)
    connection = json.loads(found.get_conn_value("redshift_default"))
    assert {key: value for key, value in connection.items() if value is not None} == FORMS[form]
    assert found.get_conn_value("aws_default") is None
    assert found.get_variable("sparkify_bucket") is None
