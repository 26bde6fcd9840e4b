"""`python -m local_redshift`: one step to a Redshift with its own S3, and nothing left when it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys

import boto3
import psutil
import pytest
import redshift_connector

from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.process import SOURCE
from wire import eventually

pytestmark = pytest.mark.integration

SECRETS = ("REDSHIFT_PASSWORD", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Command:
    def __init__(self, temporary, *arguments):
        self.port = free_port()
        kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local_redshift", "--port", str(self.port), *arguments],
            env={**kept, "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.children: list[psutil.Process] = []

    def told(self) -> str:
        """What it prints until it is ready."""
        lines = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(self.process.stdout.readline())
            assert lines[-1], f"it ended: {lines}"
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        return "".join(lines)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def start(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    started = []

    def run(*arguments):
        started.append(Command(temporary, *arguments))
        return started[-1]

    run.temporary = temporary
    yield run
    for command in started:
        for process in [*command.children, command.process]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.kill()
        command.process.wait()


def connect(command, told):
    password = re.search(r"password (\w+)", told)[1]
    return redshift_connector.connect(
        host="127.0.0.1", port=command.port, database="dev", user="awsuser", password=password, ssl=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_prints_is_enough_to_load_from_s3_and_it_leaves_nothing(start, number):
    command = start()
    told = command.told()
    access_key, secret = re.search(r"access key (\w+), secret (\w+)", told).groups()
    client = boto3.client(
        "s3",
        endpoint_url=re.search(r"http://\S+\d", told)[0],
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        region_name="us-west-2",
    )
    client.create_bucket(Bucket="lake")
    client.put_object(Bucket="lake", Key="a.json", Body=b'{"n": 1}')
    with connect(command, told) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n INT)")
        cursor.execute("COPY t FROM 's3://lake/' IAM_ROLE default JSON 'auto'")
        cursor.execute("SELECT n FROM t")
        assert cursor.fetchall() == ([1],)
        connection.commit()
    (folder,) = start.temporary.iterdir()
    assert command.end(number) == 0
    assert len(command.children) > 2
    assert [process for process in command.children if process.is_running()] == []
    assert list(start.temporary.iterdir()) == []
    assert not EmbeddedPostgres(folder, 0, "")._home.exists()


def test_a_signal_while_its_servers_start_leaves_nothing_either(start):
    command = start()
    eventually(lambda: psutil.Process(command.process.pid).children(), "a server starts", 30)
    assert command.end(signal.SIGTERM) == 0
    assert list(start.temporary.iterdir()) == []


def test_data_and_secrets_that_are_kept_are_there_again(start, tmp_path):
    folder = tmp_path / "kept"
    try:
        first = start("--data-dir", str(folder))
        told = first.told()
        with connect(first, told) as connection:
            connection.cursor().execute("CREATE TABLE t AS SELECT 1 AS n")
            connection.commit()
        first.end(signal.SIGTERM)
        assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600
        second = start("--data-dir", str(folder))
        with connect(second, second.told()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM t")
            assert cursor.fetchall() == ([1],)
        assert re.search(r"password (\w+)", told)
        second.end(signal.SIGTERM)
    finally:
        EmbeddedPostgres(folder, 0, "").remove()
