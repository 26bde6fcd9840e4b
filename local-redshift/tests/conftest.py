"""The servers of the session: started once, on free ports, in a temporary folder."""

from __future__ import annotations

import pytest

from local_redshift.cluster import LocalCluster
from wire import BUCKET


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("redshift")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres(cluster):
    """The embedded PostgreSQL behind Local Redshift."""
    return cluster.postgres


@pytest.fixture(scope="session")
def s3(cluster):
    """The local S3, with an empty bucket."""
    (cluster.s3.root / BUCKET).mkdir()
    return cluster.s3


@pytest.fixture(scope="session")
def s3_client(s3):
    return s3.client()


@pytest.fixture(scope="session")
def redshift(cluster):
    """Local Redshift; `redshift.connect()` gives a redshift_connector connection."""
    return cluster.redshift
