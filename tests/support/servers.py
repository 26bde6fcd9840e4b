"""The local stand-ins as tests start them: on free ports, in folders of their own."""

from __future__ import annotations

from pathlib import Path

from local_redshift import LocalRedshift
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3


def new_postgres(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        *(folder / "data", free_port(), "test-superuser-password", folder / "postgres.log"), is_throwaway=True
    )


def new_redshift(folder: Path, postgres: EmbeddedPostgres, s3: LocalS3, s3_port: int = 0) -> LocalRedshift:
    """Local Redshift over the two; `s3_port` is that of a relay in front of the S3."""
    return LocalRedshift.over(postgres, s3, folder, f"http://127.0.0.1:{s3_port}" if s3_port else "")


def redshift_connection(redshift: LocalRedshift, port: int = 0) -> dict:
    """An Airflow connection; `port` is that of a relay in front of the server."""
    return {
        "conn_type": "redshift",
        "host": "127.0.0.1",
        "port": port or redshift.port,
        "schema": redshift.database,
        "login": redshift.user,
        "password": redshift.password,
        # Without a name of its own the driver looks for the module that called it, and takes long.
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
