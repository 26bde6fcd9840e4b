"""One COPY: S3 to rows to COPY FROM STDIN on the client's own backend connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from local_redshift import protocol
from local_redshift.catalog.columns import COLUMNS, Column
from local_redshift.catalog.journal import Journal
from local_redshift.catalog.records import LoadRecord
from local_redshift.copy.convert import Converter, TooManyErrors
from local_redshift.copy.mapping import Mapping
from local_redshift.copy.source import Part, S3Endpoint, S3Object, S3Source, split_address
from local_redshift.errors import BackendError, RedshiftError
from local_redshift.session.backend import Backend
from local_redshift.sql.copy_grammar import CopyCommand
from local_redshift.sql.names import literal, quoted

log = logging.getLogger("local_redshift")

#: What is converted at once, and how many batches may wait for their conversion.
BATCH_BYTES = 1 << 17
BATCH_FILES = 1000
AHEAD = 8


class Load:
    """Carries one CopyCommand out, on a backend that is taken over."""

    def __init__(
        self, s3: S3Endpoint, journal: Journal, backend: Backend, command: CopyCommand, user: str = ""
    ):
        self.s3 = s3
        self.journal = journal
        self.backend = backend
        self.command = command
        self.user = user
        #: What the backend ended the COPY with, once it has: it says so once.
        self.backend_error: BackendError | None = None

    async def run(self) -> list[str]:
        """What to tell the client. Raises RedshiftError or BackendError; then nothing of the load stays."""
        command, backend = self.command, self.backend
        await self._refuse_role()
        columns, table_id, was_empty = await self._columns()
        record = await self.journal.begin(
            backend.pid, self.user, command.table_name, table_id, command.source
        )
        try:
            source = S3Source(self.s3, command.credentials, command.region, record.query)
            async with backend.cancellable():
                mapping = await self._mapping(source, columns)
                objects = await source.objects(command)
            converter = Converter(command, mapping)
            await self._load(source, objects, converter, record)
        except BaseException as error:
            record.status = "aborted"
            record.message = str(error)
            await self.journal.end(record)
            if record.loading:
                backend.deferred_settings.update(
                    {"redshift.last_copy_count": "0", "redshift.last_copy_id": str(record.query)}
                )
            raise
        record.status = "completed"
        await backend.ask(
            f"SELECT set_config('redshift.last_copy_count', '{record.rows}', false), "
            f"set_config('redshift.last_copy_id', '{record.query}', false)"
        )
        await self.journal.end(record)
        if not command.no_load and (was_empty if command.stat_update is None else command.stat_update):
            await backend.ask(f"SELECT redshift.analyze({literal(command.table_sql)})")
        name = command.table_name
        told = [f"Load into table '{name}' completed, {record.rows} record(s) loaded successfully."]
        if record.errors:
            told.append(
                f"Load into table '{name}' completed, {len(record.errors)} record(s) could not be loaded.  "
                "Check 'stl_load_errors' system table for details."
            )
        return told

    async def _refuse_role(self) -> None:
        """Refuse a role that the user may not assume ("Usage notes for granting ASSUMEROLE")."""
        role = self.command.iam_role
        if self.command.credentials.access_key is not None:
            return
        [[may_assume]] = await self.backend.ask(
            f"SELECT pg_catalog.has_assumerole_privilege({literal(role)}, 'COPY')"
        )
        if may_assume != "t":
            raise RedshiftError(
                f'User {self.user} does not have ASSUMEROLE permission on IAM role "{role}" for COPY',
                sqlstate="42501",
            )

    async def _columns(self) -> tuple[list[Column], int, bool]:
        """The columns to load, in order, the table's oid, and whether the table is empty.

        IDENTITY columns are left to the table.
        """
        rows = await self.backend.ask(COLUMNS.format(table=literal(self.command.table_sql)))
        table = [
            Column(name, type_name, int(modifier), not_null == "t", identity == "t")
            for name, type_name, modifier, not_null, identity, *_ in rows
        ]
        table_id, was_empty = (int(rows[0][5]), rows[0][6] == "t") if rows else (0, True)
        if self.command.columns is None:
            return [column for column in table if not column.identity], table_id, was_empty
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
        return chosen, table_id, was_empty

    async def _mapping(self, source: S3Source, columns: list[Column]) -> Mapping:
        if not self.command.json.startswith("s3://"):
            return Mapping.auto(columns, ignore_case=self.command.json == "auto ignorecase")
        bucket, key = split_address(self.command.json)
        text = await source.read_small(bucket, key)
        return Mapping.json_paths(columns, text, self.command.json)

    async def _load(
        self, source: S3Source, objects: list[S3Object], converter: Converter, record: LoadRecord
    ) -> None:
        backend, command = self.backend, self.command
        record.loading = True
        copying = not command.no_load
        if copying:
            names = ", ".join(quoted(column.name) for column in converter.mapping.columns)
            await backend.ask(f"COPY {command.table_sql} ({names}) FROM STDIN")
        try:
            async with (
                backend.cancellable(),
                aclosing(self._converted(source, objects, converter)) as converted,
            ):
                async for rows in converted:
                    if copying and rows:
                        backend.writer.write(protocol.message(b"d", rows))
                        await backend.writer.drain()
                    self._check_backend()
        except TooManyErrors:
            failure = RedshiftError(
                f"Load into table '{command.table_name}' failed.  "
                "Check 'stl_load_errors' system table for details."
            )
            await self._abandon(copying, failure)
        except RedshiftError as error:
            await self._abandon(copying, error)
        except (BackendError, ConnectionError):
            raise
        except Exception as error:
            log.exception("COPY failed inside the stand-in")
            await self._abandon(copying, RedshiftError(f"Local Redshift failed in COPY: {error!r}"))
        finally:
            record.errors = converter.errors
            record.files = converter.files
        record.rows = 0 if command.no_load else converter.rows
        if copying:
            backend.writer.write(protocol.COPY_DONE + protocol.FLUSH)
            await self._complete()

    def _check_backend(self) -> None:
        if not self.backend.captured.empty():
            kind, body = self.backend.captured.get_nowait()
            if kind == b"E":
                self.backend_error = BackendError(protocol.read_fields(body))
                raise self.backend_error

    async def _complete(self) -> None:
        while True:
            kind, body = await self.backend.receive()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind == b"C":
                return

    async def _abandon(self, copying: bool, error: RedshiftError) -> None:
        """Make the backend fail the COPY, and with it the transaction; then raise the error."""
        if not copying:
            raise error
        if self.backend_error is not None:
            # A cancel request reaches the backend before the session, which may be unwinding already.
            raise self.backend_error
        self.backend.writer.write(protocol.copy_fail(error.text) + protocol.FLUSH)
        while True:
            kind, _ = await self.backend.receive()
            if kind == b"E":
                raise BackendError(error.fields())

    async def _converted(
        self, source: S3Source, objects: list[S3Object], converter: Converter
    ) -> AsyncGenerator[bytes, None]:
        """Rows in COPY's text format: a thread converts batch after batch while this one reads and sends."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy")
        pending: deque[asyncio.Future[bytes]] = deque()
        try:
            async with aclosing(source.chunks(objects, self.command.compression)) as chunks:
                async for batch in _batches(chunks):
                    pending.append(loop.run_in_executor(thread, converter.convert, batch))
                    if len(pending) > AHEAD:
                        yield await pending.popleft()
            while pending:
                yield await pending.popleft()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(*pending, return_exceptions=True)


async def _batches(chunks: AsyncIterator[Part]) -> AsyncIterator[list[Part]]:
    batch: list[Part] = []
    size = 0
    async for part in chunks:
        batch.append(part)
        size += len(part[1])
        if size >= BATCH_BYTES or len(batch) >= BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
