"""What a session needs of the server that holds it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from local_redshift.session.backend import Backend
from local_redshift.sql.copy_grammar import CopyCommand


class Host(Protocol):
    #: The database of clients that name none.
    database: str
    #: Those of the open sessions, by the key that a cancel request names.
    backends: dict[bytes, Backend]

    @property
    def backend_address(self) -> str: ...

    async def connect_backend(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...

    async def cancel(self, key: bytes) -> None:
        """End what the session does."""

    async def cancel_backend(self, key: bytes) -> None:
        """End what its backend does."""

    async def run_copy(self, backend: Backend, command: CopyCommand, user: str) -> list[str]:
        """Carry a COPY out on a backend that is taken over; what to tell the client of it."""
