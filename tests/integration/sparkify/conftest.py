"""A pipeline on the stand-ins: an empty warehouse and empty buckets for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.api_server import ApiServer
from tests.support.fresh_schema import FreshSchema, Kept
from tests.support.once import connected_once, made_once, read_once, said_once
from tests.support.relay import HangingRelay
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


@pytest.fixture(scope="module")
def made_by(fresh_schema, redshift, s3_client, airflow_connections) -> Callable:
    """What a function makes of an empty pipeline: made once a module, and brought back for each test."""
    made: dict[Callable, Kept] = {}

    def bring_back(make: Callable[[Pipeline], object]) -> Pipeline:
        if make not in made:
            pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
            fresh_schema.give(pipeline)
            make(pipeline)
            made[make] = fresh_schema.keep(pipeline)
        return fresh_schema.bring_back(made[make])

    return bring_back


@pytest.fixture(scope="session")
def page_relay(redshift) -> Iterator[HangingRelay]:
    """Between the page and the warehouse."""
    with HangingRelay(redshift.port) as relay:
        yield relay


@pytest.fixture(scope="session")
def api_server(page_relay, postgres, redshift, tmp_path_factory) -> Iterator[ApiServer]:
    """Airflow's API server with the page, whose login may read once `let_the_page_read` was called."""
    server = ApiServer(tmp_path_factory.mktemp("api-server"), postgres, redshift, page_relay.port)
    try:
        server.start()
        yield server
    finally:
        server.stop()
