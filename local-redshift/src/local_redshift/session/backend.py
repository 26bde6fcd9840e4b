"""A session's connection to PostgreSQL: what is relayed to it, and what the session does with it itself."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from local_redshift import protocol
from local_redshift.errors import BackendError, RedshiftError

#: The name of the session's own statement and portal.
OWN = b"_redshift"


@dataclass
class Expected:
    """What the backend still owes for the messages relayed to it, in order."""

    kinds: deque[bytes] = field(default_factory=deque)
    #: The backend ignores messages until the client's next Sync.
    skipping: bool = False

    def sent(self, kind: bytes) -> None:
        if kind == b"S":
            self.skipping = False
        elif self.skipping:
            return
        self.kinds.append(kind)

    def received(self, kind: bytes) -> None:
        kinds = self.kinds
        if kind == b"Z":
            while kinds and kinds.popleft() not in (b"S", b"Q"):
                pass
            return
        if not kinds:
            return
        head = kinds[0]
        if kind == b"E":
            if head == b"Q":
                return
            while kinds and kinds[0] != b"S":
                kinds.popleft()
            self.skipping = not kinds
        elif (head, kind) in ANSWERS:
            kinds.popleft()


ANSWERS = frozenset(
    [
        (b"P", b"1"),
        (b"B", b"2"),
        (b"C", b"3"),
        (b"D", b"T"),
        (b"D", b"n"),
        (b"E", b"C"),
        (b"E", b"I"),
        (b"E", b"s"),
    ]
)


class Backend:
    """Relays the client's messages; between them, taken over, it runs statements of the session's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes):
        self.reader = reader
        self.writer = writer
        #: Process id and secret, by which a cancel request names the session.
        self.key = key
        #: The transaction's status, as in ReadyForQuery.
        self.status = b"I"
        self.expected = Expected()
        #: What was relayed and not sent yet. Drivers ask for a flush after each message of a statement: one
        #: system call, and one awakening of the backend, is enough for all that came together.
        self.held: list[bytes] = []
        #: The backend owes nothing for what was relayed.
        self.dry = asyncio.Event()
        self.dry.set()
        #: Whether the session has taken it over, and where its messages go then.
        self.is_taken_over = False
        self.captured: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
        self.cancelled = False
        #: The work of the session's own that a cancel request ends, beside the backend's statement.
        self.cancellable_work: asyncio.Timeout | None = None
        self.deferred_settings: dict[str, str] = {}

    @property
    def pid(self) -> int:
        pid: int = struct.unpack_from("!I", self.key)[0]
        return pid

    # Relaying -------------------------------------------------------------------------------

    def forward(self, frame: bytes) -> None:
        """Relay one message; `let_go` sends it."""
        kind = frame[:1]
        if kind != b"H":
            self.expected.sent(kind)
            if self.expected.kinds:
                self.dry.clear()
        self.held.append(frame)

    async def let_go(self) -> None:
        """Send what was relayed."""
        if self.held:
            self.writer.write(protocol.joined(self.held))
            self.held.clear()
            await self.writer.drain()

    def received(self, kind: bytes) -> None:
        """Of what was relayed, an answer."""
        self.expected.received(kind)
        if not self.expected.kinds:
            self.dry.set()

    async def run_dry(self) -> None:
        """Wait until the backend owes nothing for what was relayed, or skips to the next Sync."""
        if self.expected.kinds:
            self.held.append(protocol.FLUSH)
        await self.let_go()
        await self.dry.wait()

    # In the session's own hands -------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def taken_over(self) -> AsyncIterator[None]:
        self.is_taken_over, self.captured = True, asyncio.Queue()
        self.cancelled = False
        try:
            yield
        finally:
            self.is_taken_over = False

    async def receive(self) -> tuple[bytes, bytes]:
        """Its next message, as type and body."""
        return await self.captured.get()

    async def ask(self, sql: str) -> list[list[str]]:
        """Run a statement of the session's own inside the client's transaction.

        Its rows as text; NULL is the empty one.
        """
        self.writer.write(
            protocol.close(b"S", OWN)
            + protocol.parse(OWN, sql)
            + protocol.close(b"P", OWN)
            + protocol.bind(OWN, OWN)
            + protocol.execute(OWN)
            + protocol.FLUSH
        )
        rows = []
        while True:
            kind, body = await self.receive()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind == b"D":
                rows.append([value or "" for value in protocol.data_row(body)])
            elif kind in (b"C", b"I", b"G"):
                return rows

    async def sync(self) -> None:
        self.writer.write(protocol.SYNC)
        await self._until_ready()

    async def fail_transaction(self) -> None:
        self.writer.write(protocol.query("REFUSED"))
        await self._until_ready()

    async def _until_ready(self) -> None:
        while (await self.receive())[0] != b"Z":
            pass

    async def apply_deferred_settings(self) -> None:
        """Settings that a failed transaction could not take any more."""
        if not self.deferred_settings or self.status != b"I" or self.expected.kinds or self.expected.skipping:
            return
        async with self.taken_over():
            for name, value in self.deferred_settings.items():
                await self.ask(f"SELECT set_config('{name}', '{value}', false)")
            await self.sync()
        self.deferred_settings.clear()

    # Cancelling -----------------------------------------------------------------------------

    def cancel(self) -> None:
        """End the work of the session's own; the backend itself is told by the server."""
        if self.cancellable_work is not None and not self.cancelled:
            self.cancellable_work.reschedule(asyncio.get_running_loop().time())
        self.cancelled = True

    @contextlib.asynccontextmanager
    async def cancellable(self) -> AsyncIterator[None]:
        """Around work that waits for others than the backend; it ends with RedshiftError once cancelled."""
        failure = RedshiftError("Query cancelled on user's request", sqlstate="57014")
        if self.cancelled:
            raise failure
        try:
            async with asyncio.timeout(None) as self.cancellable_work:
                yield
        except TimeoutError:
            if self.cancelled:
                raise failure from None
            raise
        finally:
            self.cancellable_work = None
