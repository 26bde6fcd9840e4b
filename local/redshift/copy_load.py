"""One COPY: S3 to rows to COPY FROM STDIN on the client's own backend connection."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from local.redshift import protocol
from local.redshift.copy_fields import Column
from local.redshift.copy_json import Converter, Mapping, TooManyErrors
from local.redshift.errors import BackendError, RedshiftError
from local.redshift.s3_source import S3Source, split_address
from local.redshift.text import literal, quoted

if TYPE_CHECKING:
    from local.redshift.copy_command import CopyCommand
    from local.redshift.proxy import Session

log = logging.getLogger("local.redshift")

COLUMNS = """
SELECT a.attname, t.typname, a.atttypmod, a.attnotnull, a.attidentity <> '', c.relname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

BATCH = 1 << 20


class Load:
    """Carries one CopyCommand out, on a session that has taken its backend over."""

    def __init__(self, session: Session, command: CopyCommand):
        self.session = session
        self.command = command
        self.server = session.server

    async def run(self) -> None:
        """Raises RedshiftError or BackendError; then nothing of the load stays."""
        command, session = self.command, self.session
        columns = await self._columns()
        record = await self.server.journal.begin(session, command)
        try:
            source = S3Source(self.server.s3, command.credentials, command.region, record.query)
            mapping = await self._mapping(source, columns)
            objects = await source.objects(command)
            record.files = len(objects)
            converter = Converter(command, mapping)
            await self._load(source, objects, converter, record)
        except BaseException:
            record.status = "aborted"
            await self.server.journal.end(record)
            if record.loading:
                session.deferred_settings.update(
                    {"redshift.last_copy_count": "0", "redshift.last_copy_id": str(record.query)}
                )
            raise
        record.status = "completed"
        await session.ask(
            f"SELECT set_config('redshift.last_copy_count', '{record.rows}', false), "
            f"set_config('redshift.last_copy_id', '{record.query}', false)"
        )
        await self.server.journal.end(record)
        name = command.table_name
        session.notice(f"Load into table '{name}' completed, {record.rows} record(s) loaded successfully.")
        if record.errors:
            session.notice(
                f"Load into table '{name}' completed, {len(record.errors)} record(s) could not be loaded.  "
                "Check 'stl_load_errors' system table for details."
            )

    async def _columns(self) -> list[Column]:
        """The columns to load, in order; IDENTITY columns are left to the table."""
        rows = await self.session.ask(COLUMNS.format(table=literal(self.command.table_sql)))
        table = [
            Column(name, type_name, int(modifier), not_null == "t", identity == "t")
            for name, type_name, modifier, not_null, identity, _ in rows
        ]
        if self.command.columns is None:
            return [column for column in table if not column.identity]
        by_name = {column.name: column for column in table}
        chosen = []
        for name in self.command.columns:
            if name not in by_name:
                raise RedshiftError(
                    f'column "{name}" of relation "{self.command.table_name}" does not exist',
                    sqlstate="42703",
                )
            if by_name[name].identity:
                raise RedshiftError(f'cannot set an identity column "{name}" to a value', sqlstate="0A000")
            chosen.append(by_name[name])
        return chosen

    async def _mapping(self, source: S3Source, columns: list[Column]) -> Mapping:
        if not self.command.json.startswith("s3://"):
            return Mapping.auto(columns, ignore_case=self.command.json == "auto ignorecase")
        bucket, key = split_address(self.command.json)
        text = await source.read_small(bucket, key)
        return Mapping.json_paths(columns, text, self.command.json)

    async def _load(self, source: S3Source, objects, converter: Converter, record) -> None:
        session, command = self.session, self.command
        record.loading = True
        copying = not command.no_load
        if copying:
            names = ", ".join(quoted(column.name) for column in converter.mapping.columns)
            await session.ask(f"COPY {command.table_sql} ({names}) FROM STDIN")
        try:
            async for rows in self._converted(source, objects, converter, record):
                if copying and rows:
                    session.backend_writer.write(protocol.message(b"d", rows))
                    await session.backend_writer.drain()
                self._check_backend()
        except TooManyErrors:
            failure = RedshiftError(
                f"Load into table '{command.table_name}' failed.  Check 'stl_load_errors' system table for details."
            )
            await self._abandon(copying, failure)
        except RedshiftError as error:
            await self._abandon(copying, error)
        except (BackendError, ConnectionError):
            raise
        except Exception as error:
            log.exception("COPY failed inside the stand-in")
            await self._abandon(copying, RedshiftError(f"Local Redshift failed in COPY: {error!r}"))
        record.rows = 0 if command.no_load else converter.rows
        if copying:
            session.backend_writer.write(protocol.COPY_DONE + protocol.FLUSH)
            await self._complete()

    def _check_backend(self) -> None:
        if self.session.cancelled:
            raise RedshiftError("Query cancelled on user's request", sqlstate="57014")
        if not self.session.captured.empty():
            kind, body = self.session.captured.get_nowait()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))

    async def _complete(self) -> None:
        while True:
            kind, body = await self.session.captured.get()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind == b"C":
                return

    async def _abandon(self, copying: bool, error: RedshiftError) -> None:
        """Make the backend fail the COPY, and with it the transaction; then raise the error."""
        if not copying:
            raise error
        self.session.backend_writer.write(protocol.copy_fail(error.text) + protocol.FLUSH)
        while True:
            kind, body = await self.session.captured.get()
            if kind == b"E":
                raise BackendError(error.fields())

    async def _converted(self, source: S3Source, objects, converter: Converter, record):
        """Rows in COPY's text format, converted in a thread while the next bytes are read."""
        batch, size = [], 0

        async def convert():
            rows = await asyncio.to_thread(converter.convert, batch)
            record.bytes += size
            record.errors = converter.errors
            return rows

        async for item, data, last in source.chunks(objects, self.command.gzip):
            batch.append((item, data, last))
            size += len(data)
            if size >= BATCH or len(batch) >= 2000:
                yield await convert()
                batch, size = [], 0
        if batch:
            yield await convert()
