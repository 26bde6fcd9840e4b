"""A client on a bare socket, for what the driver cannot do: cancel, vanish, send and not wait."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from local_redshift import protocol

#: A bucket of the session, in which a test takes a prefix of its own.
BUCKET = "tests"


class WireClient:
    """A session of the configured user, from the startup packet on."""

    def __init__(self, redshift):
        self.socket = socket.create_connection(("127.0.0.1", redshift.port), timeout=30)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(startup(redshift))
        self.key = dict(self.until_ready())[b"K"]
        self.pid = backend_pid(self.key)

    def send(self, sql: str) -> None:
        """A simple query, whose answer is left to be read."""
        self.socket.sendall(protocol.query(sql))

    def send_extended(self, sql: str) -> None:
        """The same as drivers send it: Parse, Bind, Execute and Sync."""
        execute = protocol.parse(b"", sql) + protocol.bind(b"", b"") + protocol.execute(b"")
        self.socket.sendall(execute + protocol.SYNC)

    def query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.send(sql)
        return self.until_ready()

    def until_ready(self) -> list[tuple[bytes, bytes]]:
        messages = []
        while not messages or messages[-1][0] != b"Z":
            kind, length = struct.unpack("!cI", self._read(5))
            messages.append((kind, self._read(length - 4)))
        return messages

    def _read(self, size: int) -> bytes:
        data = self.stream.read(size)
        if len(data) < size:
            raise EOFError("the server closed the connection")
        return data

    def vanish(self) -> None:
        """Close without a word: what is under way meets a reset."""
        self.stream.close()
        reset(self.socket)


def startup(redshift) -> bytes:
    """The startup packet and the password, together."""
    parameters = {"user": redshift.user, "database": redshift.database}
    return protocol.startup(parameters) + protocol.message(b"p", protocol.cstring(redshift.password))


def reset(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def cancel(redshift, key: bytes) -> None:
    """What libpq's PQcancel does, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", redshift.port), timeout=10) as connected:
        connected.sendall(struct.pack("!II", 16, protocol.CANCEL_REQUEST) + key)
        while connected.recv(1):
            pass


def backend_pid(key: bytes) -> int:
    return struct.unpack_from("!I", key)[0]


def eventually(condition: Callable[[], object], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)
