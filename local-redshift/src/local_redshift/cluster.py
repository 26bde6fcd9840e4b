"""All that a test or a benchmark needs, in one step."""

from __future__ import annotations

import copy
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3
from local_redshift.process import LocalRedshift

if TYPE_CHECKING:
    from botocore.client import BaseClient


@dataclass(frozen=True)
class Bucket:
    """A bucket of the local S3; COPY reads it by IAM_ROLE default, or by these keys."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    #: A boto3 client.
    client: BaseClient

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, body: str | bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


class LocalCluster:
    """An embedded PostgreSQL, a local S3 and Local Redshift over them, on free ports of 127.0.0.1.

    A context manager: at its end the servers end, and their data in `folder` is deleted.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.postgres = EmbeddedPostgres(
            folder / "postgres",
            free_port(),
            secrets.token_urlsafe(24),
            folder / "postgres.log",
            is_throwaway=True,
        )
        self.s3 = LocalS3(folder / "s3", free_port(), "LOCAL", secrets.token_hex(20), folder / "s3.log")
        self.redshift = LocalRedshift.over(self.postgres, self.s3, folder)
        self._running = ExitStack()

    def __enter__(self) -> LocalCluster:
        with ExitStack() as started:
            started.callback(self.postgres.remove)
            self.postgres.start()
            started.callback(self.s3.remove)
            self.s3.start()
            started.callback(self.redshift.stop)
            self.redshift.start()
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @contextmanager
    def new_database(self) -> Iterator[LocalRedshift]:
        """The same server with an empty database, which is dropped at the end, connections or not."""
        database = copy.copy(self.redshift)
        database.database = f"db_{secrets.token_hex(4)}"
        self.redshift.execute(f"CREATE DATABASE {database.database}")
        try:
            yield database
        finally:
            with self.postgres.connect("postgres") as connection:
                connection.execute(f"DROP DATABASE {database.database} WITH (FORCE)")

    @contextmanager
    def new_bucket(self) -> Iterator[Bucket]:
        """An empty bucket, which is deleted at the end with all that is in it."""
        s3 = self.s3
        client = s3.client()
        name = f"bucket-{secrets.token_hex(4)}"
        client.create_bucket(Bucket=name)
        try:
            yield Bucket(name, s3.endpoint_url, s3.access_key, s3.secret_key, s3.region, client)
        finally:
            shutil.rmtree(s3.root / name)
