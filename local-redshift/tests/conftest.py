"""The servers of the session, by the fixtures that this distribution gives to any project."""

from __future__ import annotations

import pytest

from wire import BUCKET


def pytest_configure(config):
    config.addinivalue_line("markers", "unit: no process, no network")
    config.addinivalue_line("markers", "integration: the real driver against Local Redshift")


@pytest.fixture(scope="session")
def postgres(redshift_cluster):
    """The embedded PostgreSQL behind Local Redshift."""
    return redshift_cluster.postgres


@pytest.fixture(scope="session")
def s3_client(redshift_cluster):
    return redshift_cluster.s3.client()


@pytest.fixture(scope="session")
def s3(redshift_cluster, s3_client):
    """The local S3, with an empty bucket."""
    s3_client.create_bucket(Bucket=BUCKET)
    return redshift_cluster.s3


@pytest.fixture(scope="session")
def redshift(redshift_cluster):
    """Its first database, for all tests."""
    return redshift_cluster.redshift
