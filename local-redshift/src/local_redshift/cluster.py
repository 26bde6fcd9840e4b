"""All that a test or a benchmark needs, in one step."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path

from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3
from local_redshift.process import LocalRedshift


class LocalCluster:
    """An embedded PostgreSQL, a local S3 and Local Redshift over them, on free ports of 127.0.0.1.

    A context manager: at its end the servers end, and their data in `folder` is deleted.
    """

    def __init__(self, folder: Path):
        self.postgres = EmbeddedPostgres(
            folder / "postgres", free_port(), secrets.token_urlsafe(24), folder / "postgres.log"
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
