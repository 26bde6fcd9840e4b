"""The listening side of Local Redshift: sessions, cancel requests, the journal of loads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct

from local_redshift import protocol
from local_redshift.catalog.journal import Journal
from local_redshift.copy.load import Load
from local_redshift.copy.source import S3Endpoint
from local_redshift.session.backend import Backend
from local_redshift.session.session import Session, ordinary_end
from local_redshift.session.startup import Startup
from local_redshift.sql.copy_grammar import CopyCommand

log = logging.getLogger("local_redshift")


class RedshiftServer:
    """Serves clients, each with a backend connection of its own."""

    def __init__(self, *, backend: tuple[str, int], database: str, s3: S3Endpoint, journal: Journal):
        self.backend = backend
        self.database = database
        self.s3 = s3
        self.journal = journal
        self.backends: dict[bytes, Backend] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def backend_address(self) -> str:
        return "{}:{}".format(*self.backend)

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError when the address cannot be had or the port is taken."""
        self._server = await asyncio.start_server(self._client, host, port, limit=1 << 20)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
        try:
            login = await Startup(self, reader, writer).run()
            if login is not None:
                await Session(self, login, reader, writer).run()
        except asyncio.CancelledError:
            pass  # the server closes
        except Exception as error:
            if not ordinary_end(error):
                log.exception("a session failed")
        finally:
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def connect_backend(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.backend, limit=1 << 20)

    async def cancel(self, key: bytes) -> None:
        """A client's CancelRequest, which names a session by the backend's key."""
        backend = self.backends.get(key)
        try:
            await self.cancel_backend(key)
        finally:
            if backend is not None:
                backend.cancel()

    async def cancel_backend(self, key: bytes) -> None:
        reader, writer = await self.connect_backend()
        with contextlib.suppress(OSError), contextlib.closing(writer):
            writer.write(struct.pack("!II", 16, protocol.CANCEL_REQUEST) + key)
            # PostgreSQL hangs up once it has passed the request on, which then cannot hit a later statement.
            async with asyncio.timeout(5):
                await reader.read()

    async def run_copy(self, backend: Backend, command: CopyCommand, user: str) -> list[str]:
        return await Load(self.s3, self.journal, backend, command, user).run()
