"""A whole local stack for the tests: own state folder, free ports, ended and removed afterwards."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest

from local.airflow import Api
from local.settings import METADATA, ROOT, WAREHOUSE, Ports, Settings
from local.stack import Stack
from local.warehouse import connect, rows

COMMAND_DEADLINE = 600
PORTS = ("ui", "s3", "redshift", "postgres")


class LocalCommands:
    """`python -m local` as a user runs it, on one state folder and ports of its own."""

    def __init__(self, state: Path, ports: dict[str, int]):
        self.state = state
        self.ports = ports
        self.environ = {
            **os.environ,
            "SPARKIFY_STATE": str(state),
            "SPARKIFY_SAMPLE_END": "2018-11-30",
            **{Ports.variable(name): str(port) for name, port in ports.items()},
        }

    @property
    def settings(self) -> Settings:
        return Settings.load(self.environ)

    @property
    def stack(self) -> Stack:
        return Stack(self.settings)

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments],
            cwd=ROOT,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE,
        )

    def ok(self, *arguments: str) -> str:
        """Run one command that has to succeed, and return what it printed."""
        result = self(*arguments)
        assert result.returncode == 0, f"{' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def api(self) -> Api:
        return Api(self.settings)

    def query(self, sql: str) -> list:
        with connect(self.settings) as connection:
            return [tuple(row) for row in rows(connection, sql)]

    def dump(self) -> dict[str, bytes]:
        """Every table of both databases as text, as PostgreSQL itself has it: `<database>.<table>`."""
        tables = {}
        for database in (METADATA, WAREHOUSE):
            with psycopg.connect(
                host="127.0.0.1",
                port=self.ports["postgres"],
                user="postgres",
                password=self.settings.credentials.postgres_password,
                dbname=database,
            ) as connection:
                names = connection.execute(
                    "SELECT table_schema, table_name FROM information_schema.tables "
                    "WHERE table_type = 'BASE TABLE' "
                    "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
                ).fetchall()
                for schema, name in names:
                    with connection.cursor().copy(f'COPY "{schema}"."{name}" TO STDOUT') as rows_of_table:
                        tables[f"{database}.{name}"] = b"".join(rows_of_table)
        return tables

    def counts(self) -> dict[str, int]:
        tables = ("songplays", "users", "songs", "artists", "time", "rejected_rows")
        return {table: self.query(f"SELECT COUNT(*) FROM sparkify.{table}")[0][0] for table in tables}

    @staticmethod
    def figures(output: str) -> dict[str, int]:
        """The rows a table that a summary shows."""
        shown = re.findall(r"sparkify\.(\w+) +[│|] +([\d,]+)", output)
        return {name: int(count.replace(",", "")) for name, count in shown}

    def leftovers(self) -> list[str]:
        """Processes of this stack that still run: by their environment, or by one of its ports."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("SPARKIFY_STATE") == str(self.state)
                ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"}
                if process.status() != psutil.STATUS_ZOMBIE and (ours or ports & set(self.ports.values())):
                    found.append(f"{process.pid} {' '.join(process.cmdline())}")
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def local_commands(tmp_path_factory) -> Iterator:
    """Make commands for a state folder of their own; whatever they started is removed at the module's end."""
    made: list[LocalCommands] = []

    def make() -> LocalCommands:
        with ExitStack() as sockets:
            ports = {}
            for name in PORTS:
                probe = sockets.enter_context(socket.socket())
                probe.bind(("127.0.0.1", 0))
                ports[name] = probe.getsockname()[1]
        made.append(LocalCommands(tmp_path_factory.mktemp("stack") / "state", ports))
        return made[-1]

    yield make
    for commands in made:
        commands.ok("clean")
        assert not commands.leftovers()
