from __future__ import annotations

import itertools

import pytest

from wire import BUCKET

_numbers = itertools.count(1)


@pytest.fixture
def connection(redshift):
    """A redshift_connector connection in autocommit mode, closed after the test."""
    connection = redshift.connect()
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def run(connection):
    """Runs one statement; its rows as tuples, or None when it has no result."""

    def run(sql, *parameters):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else None

    return run


@pytest.fixture
def table(run):
    """The name of a table that the test may create; dropped after it."""
    name = f"t{next(_numbers)}"
    yield name
    run(f"DROP TABLE IF EXISTS {name} CASCADE")


class Prefix:
    """A place in the bucket for one test."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.address = f"s3://{BUCKET}/{name}"

    def put(self, files):
        for key, body in files.items():
            body = body if isinstance(body, bytes) else body.encode()
            self.client.put_object(Bucket=BUCKET, Key=f"{self.name}/{key}", Body=body)
        return self


@pytest.fixture
def prefix(s3, s3_client):
    return Prefix(s3_client, f"test-{next(_numbers)}")
