"""One client's session: relays the wire protocol to PostgreSQL and steps in where Redshift differs.

Every statement is planned when it arrives (Parse, or a simple Query). Most plans are one rewritten
text, and their messages are only relayed. A plan with further steps, or a COPY, is carried out by the
session at Execute: it lets the relay run dry, takes the backend over for a while, and hands it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from scramp import ScramClient

from local_redshift import protocol
from local_redshift.errors import BackendError, RedshiftError, translate
from local_redshift.sql.rewrite import Plan, SessionSettings, plan_statements

log = logging.getLogger("local_redshift")

SERVER_VERSION = "8.0.2"
OWN = b"_redshift"

STARTUP_KEPT = ("user", "database", "application_name", "options", "client_encoding")
STARTUP_ADDED = {
    # Redshift's SNAPSHOT isolation, its default for new clusters and for serverless.
    "default_transaction_isolation": "repeatable read",
    # What Redshift has committed, it keeps; the server beneath leaves that to each session.
    "synchronous_commit": "on",
    # Redshift's literals know backslash escapes.
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "extra_float_digits": "1",
}


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


class Session:
    """One client connection and its backend connection."""

    def __init__(self, server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.server = server
        self.client_reader = reader
        self.client_writer = writer
        self.backend_reader: asyncio.StreamReader
        self.backend_writer: asyncio.StreamWriter
        self.parameters: dict[str, str] = {}
        self.settings = SessionSettings()
        self.status = b"I"
        self.pid = 0
        self.key = b""
        self.cancelled = False
        #: The work of the session's own that a cancel request ends, beside the backend's statement.
        self.cancellable_work: asyncio.Timeout | None = None
        self.statements: dict[bytes, Plan] = {}
        self.portals: dict[bytes, Plan] = {}
        self.expected = Expected()
        self.dry = asyncio.Event()
        self.dry.set()
        #: Where the backend's messages go while the session has taken it over.
        self.captured: asyncio.Queue[tuple[bytes, bytes]] | None = None
        #: What the client is told instead of the backend's next errors.
        self.stand_in_errors: deque[dict[str, str]] = deque()
        self.deferred_settings: dict[str, str] = {}

    # Connection -----------------------------------------------------------------------------

    async def run(self) -> None:
        if not await self._begin():
            return
        pump = asyncio.create_task(self._pump())
        work = asyncio.create_task(self._serve())
        try:
            await asyncio.wait({pump, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left_politely = work.done() and not work.cancelled() and not self.expected.kinds
            self.server.sessions.pop(self.key, None)
            if not left_politely:
                # A backend that computes does not notice that its client is gone.
                with contextlib.suppress(OSError):
                    await self.server.cancel_backend(self.key)
            for task in (pump, work):
                task.cancel()
            await asyncio.gather(pump, work, return_exceptions=True)
            with contextlib.suppress(OSError):
                self.backend_writer.close()
            for task in (pump, work):
                if not task.cancelled() and (error := task.exception()) and not _ordinary_end(error):
                    log.error("session of %s ended", self.parameters.get("user"), exc_info=error)

    async def _begin(self) -> bool:
        """The startup up to the first ReadyForQuery; False when there is no session to serve."""
        while True:
            code, body = await protocol.read_startup_packet(self.client_reader)
            if code in (protocol.SSL_REQUEST, protocol.GSSENC_REQUEST):
                self.client_writer.write(b"N")
                await self.client_writer.drain()
            elif code == protocol.CANCEL_REQUEST:
                await self.server.cancel(body[4:])
                return False
            elif code >> 16 == 3:
                break
            else:
                self._tell_error(
                    protocol.error_fields(
                        f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}",
                        sqlstate="0A000",
                        severity="FATAL",
                    )
                )
                await self.client_writer.drain()
                return False
        self.parameters = protocol.read_startup(body)
        kept = {name: self.parameters[name] for name in STARTUP_KEPT if name in self.parameters}
        kept.setdefault("database", self.server.database)
        # The driver misreads PostgreSQL's offer of SCRAM; a password in clear stays on loopback, or in the
        # network that --host was given for.
        self.client_writer.write(protocol.message(b"R", struct.pack("!I", protocol.AUTH_CLEARTEXT)))
        await self.client_writer.drain()
        kind, answer = await protocol.read_message(self.client_reader)
        if kind != b"p":
            raise protocol.ProtocolError(f"expected a password, got message {kind!r}")
        password = protocol.read_cstring(answer)[0].decode()
        try:
            self.backend_reader, self.backend_writer = await self.server.connect_backend()
        except OSError as error:
            self._tell_error(
                protocol.error_fields(
                    f"Local Redshift cannot reach its PostgreSQL backend at {self.server.backend_address}: "
                    f"{error.strerror or error}",
                    sqlstate="08001",
                    hint="Is the backend running? Start it again, and then connect again.",
                    severity="FATAL",
                )
            )
            await self.client_writer.drain()
            return False
        self.backend_writer.write(protocol.startup({**STARTUP_ADDED, **kept}))
        logged_in = False
        try:
            logged_in = await self._authenticate(password)
        finally:
            if not logged_in:
                self.backend_writer.close()
        return logged_in

    async def _authenticate(self, password: str) -> bool:
        """Log in at the backend with the client's password, and relay the rest of the startup."""
        scram = ScramClient(["SCRAM-SHA-256"], self.parameters.get("user", ""), password)
        while True:
            kind, body = await protocol.read_message(self.backend_reader)
            if kind == b"E":
                self._tell_error(translate(protocol.read_fields(body)))
                await self.client_writer.drain()
                return False
            if kind == b"R":
                self._answer_authentication(scram, body)
                await self.backend_writer.drain()
                continue
            self._relay_startup(kind, body)
            if kind == b"Z":
                await self.client_writer.drain()
                self.server.sessions[self.key] = self
                return True

    def _answer_authentication(self, scram: ScramClient, body: bytes) -> None:
        (wanted,) = struct.unpack_from("!I", body)
        if wanted == protocol.AUTH_SASL:
            first = scram.get_client_first().encode()
            self.backend_writer.write(
                protocol.message(b"p", b"SCRAM-SHA-256\x00" + struct.pack("!I", len(first)) + first)
            )
        elif wanted == protocol.AUTH_SASL_CONTINUE:
            scram.set_server_first(body[4:].decode())
            self.backend_writer.write(protocol.message(b"p", scram.get_client_final().encode()))
        elif wanted == protocol.AUTH_SASL_FINAL:
            scram.set_server_final(body[4:].decode())
        elif wanted == protocol.AUTH_OK:
            self.client_writer.write(protocol.message(b"R", body))
        else:
            raise protocol.ProtocolError(
                f"the backend asks for authentication {wanted}; it must use scram-sha-256"
            )

    def _relay_startup(self, kind: bytes, body: bytes) -> None:
        if kind == b"S" and body.startswith(b"server_version\x00"):
            self.client_writer.write(protocol.parameter_status("server_version", SERVER_VERSION))
            return
        if kind == b"K":
            (self.pid,) = struct.unpack_from("!I", body)
            self.key = body
        self.client_writer.write(protocol.message(kind, body))

    # The backend's messages -----------------------------------------------------------------

    async def _pump(self) -> None:
        """Relay what the backend sends, or hand it to the session while it has taken over."""
        frames = protocol.FrameBuffer()
        while data := await self.backend_reader.read(1 << 16):
            out = []
            for kind, frame in frames.feed(data):
                if kind == b"Z":
                    self.status = frame[5:6]
                if self.captured is not None and kind not in (b"N", b"S", b"A"):
                    if out:
                        self.client_writer.write(protocol.joined(out))
                        out = []
                    self.captured.put_nowait((kind, frame[5:]))
                    continue
                if kind == b"E":
                    frame = protocol.report(b"E", self._client_error(frame[5:]))
                elif kind == b"S" and frame[5:].startswith(b"server_version\x00"):
                    continue
                out.append(frame)
                if kind != b"D":
                    self.expected.received(kind)
                    if not self.expected.kinds:
                        self.dry.set()
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

    async def _messages(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """The client's messages; notices that the client is gone even while one of them is served."""
        queue: asyncio.Queue[tuple[bytes, bytes] | None] = asyncio.Queue(maxsize=64)
        me = asyncio.current_task()

        async def read() -> None:
            try:
                while True:
                    kind, body = await protocol.read_message(self.client_reader)
                    if kind == b"X":
                        break
                    await queue.put((kind, body))
            except (asyncio.IncompleteReadError, ConnectionError):
                me.cancel()
            finally:
                with contextlib.suppress(asyncio.QueueFull):
                    queue.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (item := await queue.get()) is not None:
                yield item
        finally:
            reader.cancel()

    async def _serve(self) -> None:
        async for kind, body in self._messages():
            if kind == b"Q":
                await self._simple_query(body)
            elif kind == b"P":
                await self._parse(body)
            elif kind == b"B":
                portal, after = protocol.read_cstring(body)
                statement, _ = protocol.read_cstring(body, after)
                self.portals.pop(portal, None)
                if statement in self.statements:
                    self.portals[portal] = self.statements[statement]
                self._forward(kind, body)
            elif kind == b"E":
                portal, _ = protocol.read_cstring(body)
                plan = self.portals.get(portal)
                if plan is None or plan.plain:
                    self._forward(kind, body)
                else:
                    await self._execute(plan, body)
            elif kind == b"C":
                (self.statements if body[:1] == b"S" else self.portals).pop(body[1:-1], None)
                self._forward(kind, body)
            elif kind in (b"H", b"S", b"D"):
                self._forward(kind, body)
            elif kind in (b"d", b"c", b"f"):
                pass  # COPY FROM STDIN is refused; what the client had sent already is dropped
            else:
                self._forward(kind, body)
            await self.backend_writer.drain()

    def _forward(self, kind: bytes, body: bytes) -> None:
        if kind != b"H":
            self.expected.sent(kind)
            if self.expected.kinds:
                self.dry.clear()
        self.backend_writer.write(protocol.message(kind, body))

    async def _parse(self, body: bytes) -> None:
        name, after = protocol.read_cstring(body)
        text, rest = protocol.read_cstring(body, after)
        await self._run_dry()
        if self.expected.skipping:
            self._forward(b"P", body)
            return
        await self._apply_deferred_settings()
        self.statements.pop(name, None)
        try:
            plans = plan_statements(text.decode(), self.settings, self.status)
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
            self._forward(b"P", name + b"\x00" + protocol.cstring(plans[0].sql) + body[rest:])
        else:
            self._forward(b"P", body)

    def _refuse(self, error: RedshiftError) -> None:
        """Answer with this error, and let the backend fail too: it aborts the transaction, skips to Sync."""
        self.stand_in_errors.append(error.fields())
        self._forward(b"P", b"\x00" + protocol.cstring("REFUSED") + b"\x00\x00")

    async def _execute(self, plan: Plan, body: bytes) -> None:
        """Execute of a plan that has more to it than its text."""
        await self._run_dry()
        if self.expected.skipping:
            self._forward(b"E", body)
            return
        try:
            async with self._takeover():
                await self._carry_out(plan, protocol.message(b"E", body))
        except BackendError as error:
            self._tell_error(self._error_of(error))
            self.expected.skipping = True
        except RedshiftError as error:
            self._refuse(error)
        await self.client_writer.drain()

    async def _carry_out(self, plan: Plan, execute: bytes) -> None:
        """The plan's steps on the taken-over backend; tells the client rows and the command tag."""
        for sql in plan.before:
            await self.ask(sql)
        if plan.copy is not None:
            from local_redshift.copy.load import Load

            await Load(self, plan.copy).run()
            self.client_writer.write(protocol.command_complete("COPY"))
        else:
            self.backend_writer.write(execute + protocol.FLUSH)
            complete = await self._relay_until_complete()
            for sql in plan.after:
                await self.ask(sql)
            if plan.commits and self.status == b"T":
                await self.ask("COMMIT")
            self.client_writer.write(complete)
        if plan.settings is not None:
            plan.settings(self.settings)

    async def _relay_until_complete(self) -> bytes:
        while True:
            kind, body = await self.captured.get()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind in (b"C", b"I", b"s"):
                return protocol.message(kind, body)
            if kind in (b"T", b"D"):
                self.client_writer.write(protocol.message(kind, body))
            if kind == b"D" and self.captured.empty():
                await self.client_writer.drain()

    # Simple queries -------------------------------------------------------------------------

    async def _simple_query(self, body: bytes) -> None:
        await self._run_dry()
        await self._apply_deferred_settings()
        text, _ = protocol.read_cstring(body)
        try:
            plans = plan_statements(text.decode(errors="replace"), self.settings, self.status)
        except RedshiftError as error:
            self.stand_in_errors.append(error.fields())
            self._forward(b"Q", protocol.cstring("REFUSED"))
            return
        if all(plan.plain for plan in plans):
            self._forward(b"Q", protocol.cstring("; ".join(plan.sql for plan in plans)))
            return
        async with self._takeover():
            try:
                for plan in plans:
                    await self._simple_step(plan)
            except BackendError as error:
                self._tell_error(self._error_of(error))
            except RedshiftError as error:
                await self._fail_transaction()
                self._tell_error(error.fields())
            self.client_writer.write(protocol.ready_for_query(self.status))
        await self.client_writer.drain()

    async def _simple_step(self, plan: Plan) -> None:
        """One statement of a simple query whose text has a plan with steps in it."""
        if plan.plain:
            self.backend_writer.write(protocol.query(plan.sql))
            failure = None
            while True:
                kind, body = await self.captured.get()
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
            await self._sync()
            raise
        await self._sync()

    async def _sync(self) -> None:
        self.backend_writer.write(protocol.SYNC)
        while (await self.captured.get())[0] != b"Z":
            pass

    async def _fail_transaction(self) -> None:
        self.backend_writer.write(protocol.query("REFUSED"))
        while (await self.captured.get())[0] != b"Z":
            pass

    # The backend in the session's own hands -------------------------------------------------

    async def _run_dry(self) -> None:
        """Wait until the backend owes nothing for what was relayed, or skips to the next Sync."""
        if self.expected.kinds:
            self.backend_writer.write(protocol.FLUSH)
            await self.backend_writer.drain()
            await self.dry.wait()

    @contextlib.asynccontextmanager
    async def _takeover(self) -> AsyncIterator[None]:
        self.captured = asyncio.Queue()
        self.cancelled = False
        try:
            yield
        finally:
            self.captured = None

    def cancel(self) -> None:
        """End the work of the session's own; the backend is told by the server."""
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

    async def ask(self, sql: str) -> list[list[str | None]]:
        """Run a statement of the session's own inside the client's transaction; its rows as text."""
        self.backend_writer.write(
            protocol.close(b"S", OWN)
            + protocol.parse(OWN, sql)
            + protocol.close(b"P", OWN)
            + protocol.bind(OWN, OWN)
            + protocol.execute(OWN)
            + protocol.FLUSH
        )
        rows = []
        while True:
            kind, body = await self.captured.get()
            if kind == b"E":
                raise BackendError(protocol.read_fields(body))
            if kind == b"D":
                rows.append(protocol.data_row(body))
            elif kind in (b"C", b"I", b"G"):
                return rows

    def _error_of(self, error: BackendError) -> dict[str, str]:
        return translate(error.fields)

    def notice(self, text: str, detail: str = "") -> None:
        fields = protocol.error_fields(text, sqlstate="00000", detail=detail, severity="INFO")
        self.client_writer.write(protocol.report(b"N", fields))

    async def _apply_deferred_settings(self) -> None:
        """Settings that a failed transaction could not take any more."""
        if not self.deferred_settings or self.status != b"I" or self.expected.kinds or self.expected.skipping:
            return
        async with self._takeover():
            for name, value in self.deferred_settings.items():
                await self.ask(f"SELECT set_config('{name}', '{value}', false)")
            await self._sync()
        self.deferred_settings.clear()


def _ordinary_end(error: BaseException) -> bool:
    return isinstance(error, (asyncio.IncompleteReadError, ConnectionError, protocol.ProtocolError))
