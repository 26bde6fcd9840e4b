"""Local Redshift as a detached child process: what the local stack and the tests start."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_redshift.embedded.detached import DetachedProcess, StartupError
from local_redshift.embedded.ports import free_port

if TYPE_CHECKING:
    from redshift_connector.core import Connection

    from local_redshift.embedded.postgres import EmbeddedPostgres
    from local_redshift.embedded.s3 import LocalS3

SOURCE = Path(__file__).resolve().parents[1]


class LocalRedshift:
    """`python -m local_redshift` over a PostgreSQL backend that runs already; survives its parent."""

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        port: int,
        user: str,
        password: str,
        database: str,
        backend_port: int,
        backend_password: str,
        s3_endpoint: str,
        access_key: str,
        secret_key: str,
        pid_file: Path,
        log_file: Path | None = None,
        region: str = "us-west-2",
    ):
        self.port = port
        self.user = user
        self.password = password
        self.database = database
        self.backend_port = backend_port
        self.backend_password = backend_password
        self.s3_endpoint = s3_endpoint
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region
        self.log_file = log_file
        self._process = DetachedProcess("Local Redshift", Path(pid_file), log_file)

    @classmethod
    def over(
        cls, postgres: EmbeddedPostgres, s3: LocalS3, folder: Path, s3_endpoint: str = ""
    ) -> LocalRedshift:
        """One on a free port, with its files in `folder`.

        The password is PostgreSQL's: several servers over one have the same users.
        `s3_endpoint` is that of a relay in front of the S3.
        """
        return cls(
            port=free_port(),
            user="awsuser",
            password=postgres.password,
            database="dev",
            backend_port=postgres.port,
            backend_password=postgres.password,
            s3_endpoint=s3_endpoint or s3.endpoint_url,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            region=s3.region,
            pid_file=folder / "redshift.pid",
            log_file=folder / "redshift.log",
        )

    def start(self) -> None:
        if self.is_running():
            return
        if self._answers():
            raise StartupError(
                f"Port {self.port} on 127.0.0.1 is taken: "
                "Local Redshift needs it (--port). Choose another port."
            )
        command = [
            *(sys.executable, "-m", "local_redshift"),
            *("--port", str(self.port)),
            *("--backend", f"127.0.0.1:{self.backend_port}"),
            *("--user", self.user),
            *("--database", self.database),
            *("--s3-endpoint", self.s3_endpoint),
            *("--region", self.region),
        ]
        secrets = {
            "REDSHIFT_PASSWORD": self.password,
            "PGPASSWORD": self.backend_password,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
        self._process.start(
            command,
            ready=self._answers,
            env={**os.environ, **secrets, "PYTHONPATH": path},
            timeout=60,
        )

    def stop(self) -> None:
        self._process.stop()

    def is_running(self) -> bool:
        return self._process.find() is not None and self._answers()

    def connect(self, **options: Any) -> Connection:
        """A redshift_connector connection of the configured user; keyword arguments override."""
        import redshift_connector

        settings = {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
            "ssl": False,
            # Else the driver looks for the module that called it, and takes long.
            "application_name": "local_redshift",
        }
        return redshift_connector.connect(**{**settings, **options})

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own, committed; its rows, none where it has no result."""
        # What the driver keeps prepared for a next time, it closes one by one.
        with closing(self.connect(max_prepared_statements=0)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql, parameters or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True
