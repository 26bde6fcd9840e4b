"""The embedded servers: they survive their parent, start twice, say what is wrong, and clean up."""

import socket

import psutil
import pytest
from botocore.exceptions import ClientError

from local_redshift.embedded.detached import StartupError
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3
from wire import BUCKET

pytestmark = pytest.mark.integration


def test_postgres_keeps_its_data_over_a_restart_and_leaves_nothing_behind(tmp_path):
    server = EmbeddedPostgres(tmp_path / "pg", free_port(), "pw-1234567")
    server.start()
    try:
        server.start()
        server.ensure_role("analyst", "secret-1")
        server.ensure_database("dev", "analyst")
        server.stop()
        assert not server.is_running()
        server.start()
        server.ensure_database("dev", "analyst")
        with server.connect("dev") as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("dev",)
        home = server._home
    finally:
        server.remove()
    assert not home.exists()
    assert not server.is_running()


def test_postgres_names_the_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedPostgres(tmp_path / "pg", port, "pw-1234567")
        try:
            with pytest.raises(StartupError, match=f"Port {port} on 127.0.0.1 is taken"):
                server.start()
        finally:
            server.remove()


def test_s3_serves_folders_and_refuses_a_wrong_secret(s3, s3_client):
    s3_client.put_object(Bucket=BUCKET, Key="processes/a.json", Body=b"{}")
    assert (s3.root / BUCKET / "processes/a.json").read_bytes() == b"{}"
    stranger = LocalS3(s3.root, s3.port, s3.access_key, "wrong-secret").client()
    with pytest.raises(ClientError, match=r"403|Signature|InvalidAccessKeyId|AccessDenied"):
        stranger.list_buckets()


def test_no_process_has_a_secret_among_its_arguments(redshift_cluster):
    """Everyone on the machine can read these."""
    cluster = redshift_cluster
    secrets = [cluster.postgres.password, cluster.redshift.password, cluster.s3.secret_key]
    here = psutil.Process()
    lines = [" ".join(process.cmdline()) for process in here.children(recursive=True)]
    for program in ("rclone", "local_redshift", "postgres"):
        assert any(program in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_s3_takes_a_secret_with_quotes(tmp_path):
    server = LocalS3(tmp_path / "s3", free_port(), "key", 'a"b" d')
    server.start()
    try:
        server.client().create_bucket(Bucket="bucket")
        with pytest.raises(ClientError):
            LocalS3(server.root, server.port, "key", "a").client().list_buckets()
    finally:
        server.remove()


def test_s3_names_the_port_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = LocalS3(tmp_path / "s3", port, "key", "secret-1")
        with pytest.raises(StartupError, match=str(port)):
            server.start()
    assert not server.is_running()
