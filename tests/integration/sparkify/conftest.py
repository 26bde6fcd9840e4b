"""A pipeline on the stand-ins: an empty warehouse and empty buckets for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fresh_schema import FreshSchema
from tests.support.once import connected_once, made_once, read_once, said_once
from tests.support.warehouse import Pipeline, new_buckets


@pytest.fixture(scope="module", autouse=True)
def _once(redshift) -> Iterator[None]:
    """A file whose tests are about sessions has a fixture of this name that does nothing."""
    with read_once(), made_once(), said_once(), connected_once(redshift.port):
        yield


@pytest.fixture
def buckets(s3_client) -> tuple[str, str]:
    return new_buckets(s3_client)


@pytest.fixture
def empty_pipeline(redshift, s3_client, airflow_connections, buckets) -> Pipeline:
    """Without a schema."""
    pipeline = Pipeline(redshift, s3_client, buckets)
    pipeline.execute("DROP SCHEMA IF EXISTS sparkify CASCADE", "DROP SCHEMA IF EXISTS staging CASCADE")
    return pipeline


@pytest.fixture(scope="session")
def fresh_schema(postgres) -> FreshSchema:
    return FreshSchema(postgres)


@pytest.fixture
def pipeline(redshift, s3_client, airflow_connections, buckets, fresh_schema) -> Pipeline:
    """With empty tables."""
    pipeline = Pipeline(redshift, s3_client, buckets)
    fresh_schema.give(pipeline)
    return pipeline
