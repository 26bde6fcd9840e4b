"""The local stand-ins as session fixtures: started once, on free ports, in temporary folders."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from local_redshift.embedded.ports import free_port
from local_redshift.embedded.s3 import LocalS3
from tests.support.servers import aws_connection, new_postgres, new_redshift, redshift_connection

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """The embedded PostgreSQL server, with an empty superuser database only."""
    folder = tmp_path_factory.mktemp("postgres")
    server = new_postgres(folder)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """The local S3 endpoint, with an empty bucket `sparkify-test`."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "root" / "sparkify-test").mkdir(parents=True)
    server = LocalS3(folder / "root", free_port(), "test-key", "test-secret-key", folder / "s3.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3):
    return s3.client()


@pytest.fixture(scope="session")
def aws_environment(s3):
    """`S3Hook()` reaches the local S3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws_connection(s3)))
        yield


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """The public dataset, unpacked: a folder with log_data/, song_data/ and log_json_path.json."""
    source = Path(os.environ.get("SPARKIFY_DATASET", REPOSITORY.parent / "shared" / "data"))
    names = ("log_data.tar.gz", "song_data.tar.gz", "log_json_path.json")
    missing = [name for name in names if not (source / name).exists()]
    if missing:
        pytest.skip(f"The public dataset is not in {source}: {', '.join(missing)} missing (SPARKIFY_DATASET)")
    folder = tmp_path_factory.mktemp("dataset")
    for name in names:
        if name.endswith(".tar.gz"):
            with tarfile.open(source / name) as archive:
                archive.extractall(folder, filter="data")
        else:
            (folder / name).write_bytes((source / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def redshift(postgres, s3, tmp_path_factory):
    """Local Redshift over `postgres` and `s3`; `redshift.connect()` gives a redshift_connector connection."""
    folder = tmp_path_factory.mktemp("redshift")
    server = new_redshift(folder, postgres, s3)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def airflow_connections(aws_environment, redshift):
    """`S3Hook()` and `RedshiftSQLHook()` reach the stand-ins without an Airflow database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
        yield
