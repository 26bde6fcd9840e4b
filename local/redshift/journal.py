"""What the system tables tell of loads, written on a connection of its own: it survives a rollback."""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from local.redshift.copy_command import CopyCommand
    from local.redshift.copy_json import LoadError
    from local.redshift.proxy import Session


@dataclass
class LoadRecord:
    """One COPY, as sys_load_history shows it."""

    query: int
    pid: int
    user: str
    table: str
    source: str
    started: datetime.datetime
    status: str = "running"
    loading: bool = False
    rows: int = 0
    files: int = 0
    bytes: int = 0
    errors: list[LoadError] = field(default_factory=list)
    message: str = ""


class Journal:
    """Installs Redshift's functions and system tables into the database, and writes the load tables."""

    def __init__(self, dsn: str):
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        self._connection = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, application_name="local-redshift"
        )

    async def install(self) -> None:
        """Create or update what the stand-in needs inside the database."""
        for name in ("catalog.sql", "functions.sql"):
            text = resources.files("local.redshift").joinpath(name).read_text()
            async with self._connection.transaction():
                await self._connection.execute("SELECT pg_advisory_xact_lock(7265647368)")
                await self._connection.execute("SET LOCAL allow_system_table_mods = on")
                await self._connection.execute(text)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def begin(self, session: Session, command: CopyCommand) -> LoadRecord:
        async with self._lock:
            cursor = await self._connection.execute("SELECT nextval('redshift.query_id'), clock_timestamp()")
            query, started = await cursor.fetchone()
            record = LoadRecord(
                query,
                session.pid,
                session.parameters.get("user", ""),
                command.table_name,
                command.source,
                started.astimezone(datetime.UTC).replace(tzinfo=None),
            )
            await self._connection.execute(
                "INSERT INTO redshift.load_history (query, session, username, table_name, data_source, status, started) "
                "VALUES (%s, %s, %s, %s, %s, 'running', %s)",
                [query, record.pid, record.user, record.table, record.source, record.started],
            )
        return record

    async def end(self, record: LoadRecord) -> None:
        async with self._lock, self._connection.cursor() as cursor:
            await cursor.execute(
                "UPDATE redshift.load_history SET status = %s, ended = clock_timestamp() AT TIME ZONE 'UTC', "
                "loaded_rows = %s, files = %s, bytes = %s, errors = %s WHERE query = %s",
                [record.status, record.rows, record.files, record.bytes, len(record.errors), record.query],
            )
            await cursor.executemany(
                "INSERT INTO redshift.load_errors (query, session, username, table_name, started, filename, "
                "line_number, colname, type, col_length, raw_line, raw_field_value, err_code, err_reason, start_offset) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    [
                        record.query,
                        record.pid,
                        record.user,
                        record.table,
                        record.started,
                        error.file,
                        error.line,
                        error.column.name if error.column else "",
                        error.column.kind if error.column else "",
                        error.column.length_text if error.column else "",
                        _clip(error.raw_line, 1024),
                        _clip(error.raw_value, 1024),
                        error.code,
                        error.reason,
                        error.offset,
                    ]
                    for error in record.errors
                ],
            )


def _clip(text: str, size: int) -> str:
    return text.replace("\x00", "").encode()[:size].decode(errors="ignore")
