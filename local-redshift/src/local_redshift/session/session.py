"""One client's session: relays the wire protocol to PostgreSQL and steps in where Redshift differs.

Every statement is planned when it arrives (Parse, or a simple Query). Most plans are one rewritten
text, and their messages are only relayed. A plan with further steps, or a COPY, is carried out by the
session at Execute: it lets the relay run dry, takes the backend over for a while, and hands it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import AsyncIterator

from local_redshift import protocol
from local_redshift.errors import BackendError, RedshiftError, translate
from local_redshift.session.backend import OWN
from local_redshift.session.host import Host
from local_redshift.session.startup import Login
from local_redshift.sql.plan import Plan, SessionSettings
from local_redshift.sql.rewrite import plan_statements

log = logging.getLogger("local_redshift")

#: What the client says last before it waits for an answer, which acknowledges it: Sync, a simple Query. After
#: a Flush it may go on.
LAST = ([b"S"], [b"Q"])
#: Linux alone has it.
QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)


class Session:
    """One client connection and its backend connection."""

    def __init__(self, host: Host, login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.host = host
        self.user = login.user
        self.backend = login.backend
        self.client_reader = reader
        self.client_writer = writer
        self.settings = SessionSettings()
        self.statements: dict[bytes, Plan] = {}
        self.portals: dict[bytes, Plan] = {}
        #: What the client is told instead of the backend's next errors.
        self.stand_in_errors: deque[dict[str, str]] = deque()

    # Connection -----------------------------------------------------------------------------

    async def run(self) -> None:
        backend = self.backend
        self.host.backends[backend.key] = backend
        pump = asyncio.create_task(self._pump())
        work = asyncio.create_task(self._serve())
        try:
            await asyncio.wait({pump, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left_politely = work.done() and not work.cancelled() and not backend.expected.kinds
            self.host.backends.pop(backend.key, None)
            if not left_politely:
                # A backend that computes does not notice that its client is gone.
                with contextlib.suppress(OSError):
                    await self.host.cancel_backend(backend.key)
            for task in (pump, work):
                task.cancel()
            await asyncio.gather(pump, work, return_exceptions=True)
            with contextlib.suppress(OSError):
                backend.writer.close()
            for task in (pump, work):
                if not task.cancelled() and (error := task.exception()) and not ordinary_end(error):
                    log.error("session of %s ended", self.user, exc_info=error)

    # The backend's messages -----------------------------------------------------------------

    async def _pump(self) -> None:
        """Relay what the backend sends, or hand it to the session while it has taken over."""
        backend = self.backend
        frames = protocol.FrameBuffer()
        while data := await backend.reader.read(1 << 16):
            out: list[bytes] = []
            for kind, frame in frames.feed(data):
                if kind == b"Z":
                    backend.status = frame[protocol.HEADER : protocol.HEADER + 1]
                if backend.is_taken_over and kind not in (b"N", b"S", b"A"):
                    if out:
                        self.client_writer.write(protocol.joined(out))
                        out = []
                    backend.captured.put_nowait((kind, frame[protocol.HEADER :]))
                    continue
                if kind == b"E":
                    frame = protocol.report(b"E", self._client_error(frame[protocol.HEADER :]))
                elif kind == b"S" and frame[protocol.HEADER :].startswith(b"server_version\x00"):
                    continue
                out.append(frame)
                if kind != b"D":
                    backend.received(kind)
            if out:
                self.client_writer.write(protocol.joined(out))
                await self.client_writer.drain()

    def _client_error(self, body: bytes) -> dict[str, str]:
        if self.stand_in_errors:
            return self.stand_in_errors.popleft()
        return translate(protocol.read_fields(body))

    def _tell_error(self, fields: dict[str, str]) -> None:
        self.client_writer.write(protocol.report(b"E", fields))

    # The client's messages ------------------------------------------------------------------

    async def _bursts(self) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """The client's messages, as many as came together; notices that it is gone while one is served."""
        queue: asyncio.Queue[list[tuple[bytes, bytes]] | None] = asyncio.Queue(maxsize=8)
        me = asyncio.current_task()

        async def read() -> None:
            frames = protocol.FrameBuffer()
            with contextlib.suppress(ConnectionError, protocol.ProtocolError):
                while data := await self.client_reader.read(1 << 16):
                    burst = frames.feed(data)
                    kinds = [kind for kind, _ in burst]
                    if b"X" in kinds:
                        await queue.put(burst[: kinds.index(b"X")])
                        await queue.put(None)
                        return
                    if kinds[-1:] not in LAST:
                        self._acknowledge()
                    if burst:
                        await queue.put(burst)
            if me is not None:
                me.cancel()

        reader = asyncio.create_task(read())
        try:
            while (burst := await queue.get()) is not None:
                yield burst
        finally:
            reader.cancel()

    def _acknowledge(self) -> None:
        """Have the kernel say at once that the client's bytes are here.

        A driver that leaves Nagle's algorithm on, such as redshift_connector, holds the rest of what does not
        fit in its buffer until then, and the kernel would wait 40 ms for an answer to send it along with.
        """
        if QUICK_ACKNOWLEDGEMENT is not None:
            self.client_writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, QUICK_ACKNOWLEDGEMENT, 1
            )

    async def _serve(self) -> None:
        async for burst in self._bursts():
            for kind, frame in burst:
                await self._serve_message(kind, frame)
            await self.backend.let_go()

    async def _serve_message(self, kind: bytes, frame: bytes) -> None:
        if kind == b"Q":
            await self._simple_query(frame)
        elif kind == b"P":
            await self._parse(frame)
        elif kind == b"E":
            portal, _ = protocol.read_cstring(frame, protocol.HEADER)
            plan = self.portals.get(portal)
            if plan is None or plan.plain:
                self.backend.forward(frame)
            else:
                await self._execute(plan, frame)
        elif kind in (b"d", b"c", b"f"):
            pass  # COPY FROM STDIN is refused; what the client had sent already is dropped
        else:
            if kind == b"B":
                portal, after = protocol.read_cstring(frame, protocol.HEADER)
                statement, _ = protocol.read_cstring(frame, after)
                self.portals.pop(portal, None)
                if statement in self.statements:
                    self.portals[portal] = self.statements[statement]
            elif kind == b"C":
                what, name = frame[protocol.HEADER : protocol.HEADER + 1], frame[protocol.HEADER + 1 : -1]
                (self.statements if what == b"S" else self.portals).pop(name, None)
            self.backend.forward(frame)

    async def _parse(self, frame: bytes) -> None:
        name, after = protocol.read_cstring(frame, protocol.HEADER)
        text, rest = protocol.read_cstring(frame, after)
        await self.backend.run_dry()
        if self.backend.expected.skipping:
            self.backend.forward(frame)
            return
        await self.backend.apply_deferred_settings()
        self.statements.pop(name, None)
        try:
            plans = plan_statements(text.decode(), self.settings, self.backend.status)
            if len(plans) > 1:
                raise RedshiftError(
                    "cannot insert multiple commands into a prepared statement", sqlstate="42601"
                )
        except RedshiftError as error:
            self._refuse(error)
            return
        except UnicodeDecodeError as error:
            self._refuse(RedshiftError(f"invalid byte sequence for encoding UTF8: {error}", sqlstate="22021"))
            return
        if plans:
            self.statements[name] = plans[0]
            self.backend.forward(protocol.parse(name, plans[0].sql, frame[rest:]))
        else:
            self.backend.forward(frame)

    def _refuse(self, error: RedshiftError) -> None:
        """Answer with this error, and let the backend fail too: it aborts the transaction, skips to Sync."""
        self.stand_in_errors.append(error.fields())
        self.backend.forward(protocol.parse(b"", "REFUSED"))

    async def _execute(self, plan: Plan, frame: bytes) -> None:
        """Execute of a plan that has more to it than its text."""
        await self.backend.run_dry()
        if self.backend.expected.skipping:
            self.backend.forward(frame)
            return
        try:
            async with self.backend.taken_over():
                await self._carry_out(plan, frame)
        except BackendError as error:
            self._tell_error(translate(error.fields))
            self.backend.expected.skipping = True
        except RedshiftError as error:
            self._refuse(error)
        await self.client_writer.drain()

    async def _carry_out(self, plan: Plan, execute: bytes) -> None:
        """The plan's steps on the taken-over backend; tells the client rows and the command tag."""
        if plan.copy is not None:
            for told in await self.host.run_copy(self.backend, plan.copy, self.user):
                self._notice(told)
            self.client_writer.write(protocol.command_complete("COPY"))
        else:
            self.backend.writer.write(execute + protocol.FLUSH)
            complete = await self._relay_until_complete()
            for sql in plan.after:
                await self.backend.ask(sql)
            if plan.commits and self.backend.status == b"T":
                await self.backend.ask("COMMIT")
            self.client_writer.write(complete)
        if plan.settings is not None:
            plan.settings(self.settings)

    async def _relay_until_complete(self) -> bytes:
        while True:
            kind, body = await self.backend.receive()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind in (b"C", b"I", b"s"):
                return protocol.message(kind, body)
            if kind in (b"T", b"D"):
                self.client_writer.write(protocol.message(kind, body))
            if kind == b"D" and self.backend.captured.empty():
                await self.client_writer.drain()

    # Simple queries -------------------------------------------------------------------------

    async def _simple_query(self, frame: bytes) -> None:
        await self.backend.run_dry()
        await self.backend.apply_deferred_settings()
        text, _ = protocol.read_cstring(frame, protocol.HEADER)
        try:
            plans = plan_statements(text.decode(errors="replace"), self.settings, self.backend.status)
        except RedshiftError as error:
            self.stand_in_errors.append(error.fields())
            self.backend.forward(protocol.query("REFUSED"))
            return
        if all(plan.plain for plan in plans):
            self.backend.forward(protocol.query("; ".join(plan.sql for plan in plans)))
            return
        async with self.backend.taken_over():
            try:
                for plan in plans:
                    await self._simple_step(plan)
            except BackendError as error:
                self._tell_error(translate(error.fields))
            except RedshiftError as error:
                await self.backend.fail_transaction()
                self._tell_error(error.fields())
            self.client_writer.write(protocol.ready_for_query(self.backend.status))
        await self.client_writer.drain()

    async def _simple_step(self, plan: Plan) -> None:
        """One statement of a simple query whose text has a plan with steps in it."""
        if plan.plain:
            self.backend.writer.write(protocol.query(plan.sql))
            failure = None
            while True:
                kind, body = await self.backend.receive()
                if kind == b"Z":
                    break
                if kind == b"E":
                    failure = BackendError(protocol.read_fields(body))
                else:
                    self.client_writer.write(protocol.message(kind, body))
            if failure:
                raise failure
            return
        try:
            execute = (
                protocol.close(b"S", OWN + b"_q")
                + protocol.parse(OWN + b"_q", plan.sql)
                + protocol.close(b"P", OWN + b"_q")
                + protocol.bind(OWN + b"_q", OWN + b"_q")
                + protocol.message(b"D", b"P" + OWN + b"_q\x00")
                + protocol.execute(OWN + b"_q")
            )
            await self._carry_out(plan, execute)
        except (BackendError, RedshiftError):
            await self.backend.sync()
            raise
        await self.backend.sync()

    def _notice(self, text: str) -> None:
        fields = protocol.error_fields(text, sqlstate="00000", severity="INFO")
        self.client_writer.write(protocol.report(b"N", fields))


def ordinary_end(error: BaseException) -> bool:
    return isinstance(error, (asyncio.IncompleteReadError, ConnectionError, protocol.ProtocolError))
