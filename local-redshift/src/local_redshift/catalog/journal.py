"""What the system tables tell of loads, written on a connection of its own: it survives a rollback."""

from __future__ import annotations

import asyncio
import datetime

import psycopg

from local_redshift.catalog.records import LoadError, LoadRecord


class Journal:
    """Writes the load tables."""

    def __init__(self, dsn: str, connection: psycopg.AsyncConnection):
        self._dsn = dsn
        self._connection = connection
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, dsn: str) -> Journal:
        return cls(dsn, await _connect(dsn))

    async def close(self) -> None:
        await self._connection.close()

    async def _reopen_when_lost(self) -> None:
        """PostgreSQL may have been restarted since the last load."""
        try:
            await self._connection.execute("SELECT 1")
        except psycopg.OperationalError:
            await self.close()
            self._connection = await _connect(self._dsn)

    async def begin(self, pid: int, user: str, table: str, table_id: int, source: str) -> LoadRecord:
        async with self._lock:
            await self._reopen_when_lost()
            cursor = await self._connection.execute("SELECT nextval('redshift.query_id'), clock_timestamp()")
            [(query, started)] = await cursor.fetchall()
            started = started.astimezone(datetime.UTC).replace(tzinfo=None)
            record = LoadRecord(query, pid, user, table, table_id, source, started)
            await self._connection.execute(
                "INSERT INTO redshift.load_history "
                "(query, session, username, table_name, table_id, data_source, status, started) "
                "VALUES (%s, %s, %s, %s, %s, %s, 'running', %s)",
                [query, pid, user, table, table_id, source, record.started],
            )
        return record

    async def end(self, record: LoadRecord) -> None:
        async with self._lock, self._connection.transaction(), self._connection.cursor() as cursor:
            await cursor.execute(
                "UPDATE redshift.load_history SET status = %s, ended = clock_timestamp() AT TIME ZONE 'UTC', "
                "loaded_rows = %s, files = %s, bytes = %s, errors = %s, message = %s WHERE query = %s",
                [
                    record.status,
                    record.rows,
                    len(record.files),
                    sum(read.bytes for read in record.files),
                    len(record.errors),
                    record.message,
                    record.query,
                ],
            )
            await cursor.executemany(
                INSERT_ERROR, [self._error_row(record, error) for error in record.errors]
            )
            async with cursor.copy(
                "COPY redshift.load_files (query, session, filename, lines, bytes, finished) FROM STDIN"
            ) as copy:
                for read in record.files:
                    await copy.write_row(
                        [
                            record.query,
                            record.pid,
                            read.url,
                            read.lines,
                            read.bytes,
                            read.finished.replace(tzinfo=None),
                        ]
                    )

    @staticmethod
    def _error_row(record: LoadRecord, error: LoadError) -> dict[str, object]:
        return {
            "query": record.query,
            "session": record.pid,
            "username": record.user,
            "table_id": record.table_id,
            "started": record.started,
            "filename": error.file,
            "line_number": error.line,
            "colname": error.column.name if error.column else "",
            "type": error.column.kind if error.column else "",
            "col_length": error.column.length_text if error.column else "",
            "raw_line": _clip(error.raw_line, 1024),
            "raw_field_value": _clip(error.raw_value, 1024),
            "err_code": error.code,
            "err_reason": _clip(error.reason, 512),
            "start_offset": error.offset,
        }


ERROR_COLUMNS = [
    "query",
    "session",
    "username",
    "table_id",
    "started",
    "filename",
    "line_number",
    "colname",
    "type",
    "col_length",
    "raw_line",
    "raw_field_value",
    "err_code",
    "err_reason",
    "start_offset",
]
INSERT_ERROR = (
    f"INSERT INTO redshift.load_errors ({', '.join(ERROR_COLUMNS)}) "
    f"VALUES ({', '.join(f'%({name})s' for name in ERROR_COLUMNS)})"
)


async def _connect(dsn: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, application_name="local-redshift")


def _clip(text: str, size: int) -> str:
    return text.replace("\x00", "").encode()[:size].decode(errors="ignore")
