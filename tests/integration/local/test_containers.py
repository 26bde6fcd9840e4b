"""The parts of docker-compose.yaml as their containers start them, without the containers."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import redshift_connector

from local.settings import ROOT
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address of Linux's loopback alone"),
]

# Who listens on 127.0.0.1 only does not answer here; who listens on every interface does.
ELSEWHERE = "127.0.0.2"


@pytest.fixture
def connections(tmp_path):
    """The environment of a container, with ports of this test's own."""
    aws = {"login": "sparkify", "password": "lake-password"}
    aws["extra"] = {"endpoint_url": f"http://{ELSEWHERE}:{free_port()}"}
    redshift = {"host": ELSEWHERE, "port": free_port(), "login": "awsuser", "password": "warehouse-password"}
    return {
        **os.environ,
        "SPARKIFY_STATE": str(tmp_path),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
        "AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(redshift),
        "AIRFLOW_CONN_SPARKIFY_PAGE": json.dumps(
            {**redshift, "login": "sparkify_page", "password": "page-pw"}
        ),
    }


@pytest.fixture
def start(connections, tmp_path):
    started = []

    def run(part):
        command = [sys.executable, "-m", "local.containers", part]
        started.append(subprocess.Popen(command, cwd=ROOT, env=connections))
        return started[-1].pid

    yield run
    for process in started:
        process.terminate()
        process.wait(30)
    EmbeddedPostgres(tmp_path / "redshift", 0, "").remove()


def eventually(attempt, errors, deadline=60):
    end = time.monotonic() + deadline
    while True:
        try:
            return attempt()
        except errors:
            assert time.monotonic() < end, "no answer"
            time.sleep(0.1)


def arguments_with(pids, secrets):
    """The arguments of these processes and all that they started, where a secret is in them."""
    roots = [psutil.Process(pid) for pid in pids]
    processes = [*roots, *(child for root in roots for child in root.children(recursive=True))]
    lines = [" ".join(process.cmdline()) for process in processes if process.is_running()]
    assert len(lines) >= len(roots)
    return [line for line in lines if any(secret in line for secret in secrets)]


def test_redshift_and_s3_serve_what_airflows_connections_ask_for(start, connections, tmp_path):
    aws, redshift, page = (
        json.loads(connections[f"AIRFLOW_CONN_{name}"])
        for name in ("AWS_DEFAULT", "REDSHIFT_DEFAULT", "SPARKIFY_PAGE")
    )
    started = [start("s3"), start("redshift")]

    def connect(login=redshift):
        return redshift_connector.connect(
            host=login["host"],
            port=login["port"],
            user=login["login"],
            password=login["password"],
            database="dev",
            ssl=False,
        )

    connection = eventually(connect, redshift_connector.InterfaceError)
    assert arguments_with(started, [aws["password"], redshift["password"]]) == []
    port = int(aws["extra"]["endpoint_url"].rpartition(":")[2])
    client = LocalS3(tmp_path / "s3", port, aws["login"], aws["password"]).client()
    client.put_object(Bucket="sparkify", Key="log_data/a.json", Body=b'{"n": 1}')
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n INT)")
        cursor.execute(
            "COPY t FROM 's3://sparkify/log_data/' IAM_ROLE default REGION 'us-west-2' JSON 'auto'"
        )
        cursor.execute("SELECT n FROM t")
        assert cursor.fetchall() == ([1],)
    errors = (redshift_connector.InterfaceError, redshift_connector.ProgrammingError)
    with eventually(lambda: connect(page), errors) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT groname FROM pg_group WHERE groname = 'analysts'")
        assert cursor.fetchall() == (["analysts"],)
        with pytest.raises(redshift_connector.ProgrammingError, match="permission denied"):
            cursor.execute("CREATE SCHEMA mine")


@pytest.mark.parametrize(
    ("part", "connection"), [("s3", "AWS"), ("redshift", "AWS"), ("redshift", "REDSHIFT")]
)
def test_a_part_without_a_password_ends_with_the_reason(connections, part, connection):
    variable = f"AIRFLOW_CONN_{connection}_DEFAULT"
    connections[variable] = json.dumps({**json.loads(connections[variable]), "password": ""})
    result = subprocess.run(
        [sys.executable, "-m", "local.containers", part],
        cwd=ROOT,
        env=connections,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {variable} has no password")
