"""The local stand-ins as session fixtures: started once, on free ports, in temporary folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.months import DATASET, unpack
from tests.support.servers import aws_connection, redshift_connection

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def postgres(redshift_cluster):
    """The embedded PostgreSQL server behind the local Redshift."""
    return redshift_cluster.postgres


@pytest.fixture(scope="session")
def s3(redshift_cluster):
    """The local S3 endpoint."""
    return redshift_cluster.s3


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
def moto_url():
    """Moto's server: AWS's services over HTTP."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """The public dataset, unpacked: a folder with log_data/, song_data/ and log_json_path.json."""
    source = Path(os.environ.get("SPARKIFY_DATASET", REPOSITORY.parent / "shared" / "data"))
    missing = [name for name in DATASET if not (source / name).exists()]
    if missing:
        pytest.skip(f"The public dataset is not in {source}: {', '.join(missing)} missing (SPARKIFY_DATASET)")
    folder = tmp_path_factory.mktemp("dataset")
    unpack(source, folder)
    return folder


@pytest.fixture(scope="session")
def redshift(redshift_cluster):
    """Local Redshift over `postgres` and `s3`; `redshift.connect()` gives a redshift_connector connection."""
    return redshift_cluster.redshift


@pytest.fixture(scope="session")
def airflow_connections(aws_environment, redshift):
    """`S3Hook()` and `RedshiftSQLHook()` reach the stand-ins without an Airflow database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
        yield
