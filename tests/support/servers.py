"""The local stand-ins as tests start them: on free ports, in folders of their own."""

from __future__ import annotations

import socket
from pathlib import Path

from local.postgres import EmbeddedPostgres
from local.redshift import LocalRedshift
from local.s3 import LocalS3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def new_postgres(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "data", free_port(), "test-superuser-password", folder / "postgres.log")


def new_redshift(folder: Path, postgres: EmbeddedPostgres, s3: LocalS3, s3_port: int = 0) -> LocalRedshift:
    """Local Redshift over the two; `s3_port` is that of a relay in front of the S3."""
    return LocalRedshift(
        port=free_port(),
        user="awsuser",
        password="test-redshift-password",
        database="dev",
        backend_port=postgres.port,
        backend_password=postgres.password,
        s3_endpoint=f"http://127.0.0.1:{s3_port or s3.port}",
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        pid_file=folder / "redshift.pid",
        log_file=folder / "redshift.log",
    )


def redshift_connection(redshift: LocalRedshift, port: int = 0) -> dict:
    """An Airflow connection; `port` is that of a relay in front of the server."""
    return {
        "conn_type": "redshift",
        "host": "127.0.0.1",
        "port": port or redshift.port,
        "schema": redshift.database,
        "login": redshift.user,
        "password": redshift.password,
        "extra": {"ssl": False},
    }


def aws_connection(s3: LocalS3, port: int = 0) -> dict:
    """An Airflow connection; `port` is that of a relay in front of the server."""
    return {
        "conn_type": "aws",
        "login": s3.access_key,
        "password": s3.secret_key,
        "extra": {
            "endpoint_url": f"http://127.0.0.1:{port or s3.port}",
            "region_name": s3.region,
            # rclone answers a part of an object with the checksum of all of it.
            "config_kwargs": {
                "s3": {"addressing_style": "path"},
                "response_checksum_validation": "when_required",
            },
        },
    }
