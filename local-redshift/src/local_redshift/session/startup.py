"""A client's way in: the requests before the startup packet, the password, PostgreSQL's login with it."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from scramp import ScramClient

from local_redshift import protocol
from local_redshift.errors import translate
from local_redshift.session.backend import Backend
from local_redshift.session.host import Host

SERVER_VERSION = "8.0.2"

STARTUP_KEPT = ("user", "database", "application_name", "options", "client_encoding")
STARTUP_ADDED = {
    # Redshift's SNAPSHOT isolation, its default for new clusters and for serverless.
    "default_transaction_isolation": "repeatable read",
    # What Redshift has committed, it keeps; the server beneath leaves that to each session.
    "synchronous_commit": "on",
    # Redshift's literals know backslash escapes.
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    # Redshift joins by hash or merge wherever an equality lets it, whatever it knows of the tables.
    "enable_nestloop": "off",
    # The server beneath may let its own processes wait for each other for much longer.
    "deadlock_timeout": "1s",
    "DateStyle": "ISO, MDY",
    "extra_float_digits": "1",
}


@dataclass
class Login:
    """A client that has been let in."""

    user: str
    backend: Backend


class Startup:
    def __init__(self, host: Host, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.host = host
        self.reader = reader
        self.writer = writer
        self.backend_reader: asyncio.StreamReader
        self.backend_writer: asyncio.StreamWriter
        self.parameters: dict[str, str] = {}
        self.key = b""

    async def run(self) -> Login | None:
        """Up to the first ReadyForQuery; None when there is no session to serve."""
        while True:
            code, body = await protocol.read_startup_packet(self.reader)
            if code in (protocol.SSL_REQUEST, protocol.GSSENC_REQUEST):
                self.writer.write(b"N")
                await self.writer.drain()
            elif code == protocol.CANCEL_REQUEST:
                await self.host.cancel(body[4:])
                return None
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
                await self.writer.drain()
                return None
        self.parameters = protocol.read_startup(body)
        kept = {name: self.parameters[name] for name in STARTUP_KEPT if name in self.parameters}
        kept.setdefault("database", self.host.database)
        # The driver misreads PostgreSQL's offer of SCRAM; a password in clear stays on loopback, or in the
        # network that --host was given for.
        self.writer.write(protocol.message(b"R", struct.pack("!I", protocol.AUTH_CLEARTEXT)))
        await self.writer.drain()
        kind, answer = await protocol.read_message(self.reader)
        if kind != b"p":
            raise protocol.ProtocolError(f"expected a password, got message {kind!r}")
        password = protocol.read_cstring(answer)[0].decode()
        try:
            self.backend_reader, self.backend_writer = await self.host.connect_backend()
        except OSError as error:
            self._tell_error(
                protocol.error_fields(
                    f"Local Redshift cannot reach its PostgreSQL backend at {self.host.backend_address}: "
                    f"{error.strerror or error}",
                    sqlstate="08001",
                    hint="Is the backend running? Start it, then connect again.",
                    severity="FATAL",
                )
            )
            await self.writer.drain()
            return None
        self.backend_writer.write(protocol.startup({**STARTUP_ADDED, **kept}))
        login = None
        try:
            login = await self._authenticate(password)
        finally:
            if login is None:
                self.backend_writer.close()
        return login

    async def _authenticate(self, password: str) -> Login | None:
        """Log in at the backend with the client's password, and relay the rest of the startup."""
        scram = ScramClient(["SCRAM-SHA-256"], self.parameters.get("user", ""), password)
        while True:
            kind, body = await protocol.read_message(self.backend_reader)
            if kind == b"E":
                self._tell_error(translate(protocol.read_fields(body)))
                await self.writer.drain()
                return None
            if kind == b"R":
                self._answer_authentication(scram, body, password)
                await self.backend_writer.drain()
                continue
            self._relay_startup(kind, body)
            if kind == b"Z":
                await self.writer.drain()
                user = self.parameters.get("user", "")
                return Login(user, Backend(self.backend_reader, self.backend_writer, self.key))

    def _answer_authentication(self, scram: ScramClient, body: bytes, password: str) -> None:
        (wanted,) = struct.unpack_from("!I", body)
        if wanted == protocol.AUTH_CLEARTEXT:
            self.backend_writer.write(protocol.message(b"p", protocol.cstring(password)))
        elif wanted == protocol.AUTH_SASL:
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
            self.writer.write(protocol.message(b"R", body))
        else:
            raise protocol.ProtocolError(
                f"the backend asks for authentication {wanted}; it must use scram-sha-256 or password"
            )

    def _relay_startup(self, kind: bytes, body: bytes) -> None:
        if kind == b"S" and body.startswith(b"server_version\x00"):
            self.writer.write(protocol.parameter_status("server_version", SERVER_VERSION))
            return
        if kind == b"K":
            self.key = body
        self.writer.write(protocol.message(kind, body))

    def _tell_error(self, fields: dict[str, str]) -> None:
        self.writer.write(protocol.report(b"E", fields))
