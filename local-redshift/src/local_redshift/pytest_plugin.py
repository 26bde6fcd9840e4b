"""Fixtures for the tests of any project that talks to Redshift; pytest finds them once this is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_redshift.cluster import Bucket, LocalCluster
from local_redshift.process import LocalRedshift


@pytest.fixture(scope="session")
def redshift_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """PostgreSQL, S3 and Local Redshift, started at first use and removed at the session's end."""
    with LocalCluster(tmp_path_factory.mktemp("redshift")) as cluster:
        yield cluster


@pytest.fixture
def redshift(redshift_cluster: LocalCluster) -> Iterator[LocalRedshift]:
    """An empty database of the cluster: host, port, database, user and password; connect() and execute()."""
    with redshift_cluster.new_database() as database:
        yield database


@pytest.fixture
def s3_bucket(redshift_cluster: LocalCluster) -> Iterator[Bucket]:
    """An empty bucket that COPY can read: url, put(), a boto3 client."""
    with redshift_cluster.new_bucket() as bucket:
        yield bucket
