"""Relays between the pipeline and its servers, where a test can count, hold, cut and kill.

Each listens on a free port of 127.0.0.1 and forwards to another. What passes is not changed.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

DEADLINE = 60


class Relay:
    """A TCP relay: a thread a direction and connection. A context manager."""

    def __init__(self, target_port: int):
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: set[socket.socket] = set()
        #: Connections of which one direction has ended.
        self._half_ended: set[frozenset[socket.socket]] = set()
        self._ending = threading.Lock()
        self._closed = False

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut every connection, and refuse any other."""
        self._closed = True
        with suppress(OSError):
            # Closing alone would not wake the thread that accepts, and the port would take one more.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close every connection, without a word to either side."""
        with self._ending:
            there = list(self._sockets)
        for one in there:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                # Refuse whoever comes: nobody would answer.
                self._listener.close()
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._ending:
                self._sockets.update((client, server))
            state = self.new_connection()
            for pump, source, target in ((self.upstream, client, server), (self.downstream, server, client)):
                threading.Thread(target=self._pump, args=(pump, state, source, target), daemon=True).start()

    def _pump(self, pump: Callable, state: object, source: socket.socket, target: socket.socket) -> None:
        try:
            pump(state, source, target)
        except OSError:
            pass
        finally:
            self._end_of_direction(source, target)

    def _end_of_direction(self, *connection: socket.socket) -> None:
        """Tell both sides; the direction that ends last closes the sockets: a process has only so many."""
        for one in connection:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._ending:
            self._half_ended.symmetric_difference_update((frozenset(connection),))
            if frozenset(connection) not in self._half_ended:
                self._sockets.difference_update(connection)
                for one in connection:
                    one.close()

    def new_connection(self) -> object:
        """What both directions of one connection know together."""
        return None

    def upstream(self, state: object, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            target.sendall(data)

    downstream = upstream


class IdleRelay(Relay):
    """Cuts a connection on which the client's side is silent for so long, as a gateway does; Linux only.

    :param seconds: a probe of TCP's keepalive counts as a word, though no program sees it.
    """

    def __init__(self, target_port: int, seconds: float):
        super().__init__(target_port)
        self.seconds = seconds

    def upstream(self, state: object, source: socket.socket, target: socket.socket) -> None:
        threading.Thread(target=self._watch, args=(source, target), daemon=True).start()
        super().upstream(state, source, target)

    def _watch(self, client: socket.socket, server: socket.socket) -> None:
        heard, since = -1, time.monotonic()
        while time.monotonic() - since < self.seconds:
            try:
                now = _segments_in(client)
            except OSError:
                return
            if now != heard:
                heard, since = now, time.monotonic()
            # The kernel counts the probes, and tells nobody.
            time.sleep(self.seconds / 50)
        for one in (client, server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _segments_in(one: socket.socket) -> int:
    """How many segments came in on it, by Linux's `tcp_info.tcpi_segs_in`."""
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144)
    return int.from_bytes(info[140:144], sys.byteorder)


@dataclass
class Fault:
    """Something to do when a statement passes for the nth time.

    :param pattern: searched in the statement's text, line by line, without regard to case.
    :param always: each time, and not only the nth.
    :param when: `before` the statement is carried out, or `after` that, with its answer not yet delivered.
    """

    pattern: str
    when: str
    action: Callable[[], None]
    nth: int = 1
    always: bool = False
    fired: threading.Event = field(default_factory=threading.Event)

    def matches(self, sql: str) -> bool:
        if not re.search(self.pattern, sql, re.IGNORECASE | re.MULTILINE):
            return False
        if self.always:
            return True
        self.nth -= 1
        return self.nth == 0


@dataclass
class _Session:
    statements: dict[bytes, str] = field(default_factory=dict)
    sql: str = ""
    due: Fault | None = None
    busy: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class RedshiftRelay(Relay):
    """In front of a server of Redshift's protocol; understands what the driver sends."""

    #: Whether a server that works on a statement is told that its client has left.
    tells_of_leaving = True

    def __init__(self, target_port: int):
        super().__init__(target_port)
        self.faults: list[Fault] = []

    def fault(self, pattern: str, when: str, action: Callable[[], None], nth: int = 1) -> Fault:
        self.faults.append(Fault(pattern, when, action, nth))
        return self.faults[-1]

    def new_connection(self) -> _Session:
        return _Session()

    def upstream(self, state: _Session, source: socket.socket, target: socket.socket) -> None:
        startup = _exactly(source, 4)
        target.sendall(startup + _exactly(source, int.from_bytes(startup) - 4))
        while True:
            kind, body = _message(source)
            if kind == b"X" and state.busy and not self.tells_of_leaving:
                return
            if kind == b"S":
                state.busy = True
            elif kind == b"P":
                name, sql, _ = body.split(b"\x00", 2)
                state.statements[name] = sql.decode()
            elif kind == b"B":
                _, name, _ = body.split(b"\x00", 2)
                state.sql = state.statements.get(name, "")
            elif kind == b"E":
                for fault in self.faults:
                    if fault.matches(state.sql):
                        if fault.when == "before":
                            _fire(fault)
                        else:
                            state.due = fault
            target.sendall(kind + (len(body) + 4).to_bytes(4) + body)

    def downstream(self, state: _Session, source: socket.socket, target: socket.socket) -> None:
        while True:
            kind, body = _message(source)
            # Ready for the next statement: this one is carried out.
            if kind == b"Z":
                state.busy = False
                if state.due is not None:
                    fault, state.due = state.due, None
                    _fire(fault)
            target.sendall(kind + (len(body) + 4).to_bytes(4) + body)


class HangingRelay(RedshiftRelay):
    """A warehouse that can hang. As Redshift while it computes, it does not notice that a client has left."""

    tells_of_leaving = False

    def __init__(self, target_port: int):
        super().__init__(target_port)
        self._released = threading.Event()
        self._connections_hang = False
        #: How many statements and connections wait for `release`.
        self.held = 0

    def hang(self, statements: str = "", connections: bool = False) -> None:
        """From now on deliver no statement that matches the pattern, and nothing of new connections."""
        self.held = 0
        self._released.clear()
        self._connections_hang = connections
        self.faults = [Fault(statements, "before", self._hold, always=True)] if statements else []

    def release(self) -> None:
        """Answer new connections again; those there are are cut."""
        self._connections_hang, self.faults = False, []
        self.cut()
        self._released.set()

    def __exit__(self, *_: object) -> None:
        self.release()
        super().__exit__()

    def upstream(self, state: _Session, source: socket.socket, target: socket.socket) -> None:
        if self._connections_hang:
            self._hold()
        try:
            super().upstream(state, source, target)
        finally:
            state.ended.wait(DEADLINE)

    def downstream(self, state: _Session, source: socket.socket, target: socket.socket) -> None:
        try:
            super().downstream(state, source, target)
        finally:
            state.ended.set()

    def _hold(self) -> None:
        self.held += 1
        self._released.wait(DEADLINE)


INTERNAL_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class S3Relay(Relay):
    """In front of an S3 server: counts requests by method and path, and can hold or refuse an answer.

    `failing` is a pattern of paths: a GET of one is answered by 500 Internal Server Error.
    """

    REQUEST = re.compile(rb"^(GET|PUT|HEAD|POST|DELETE) (/[^ ]*) HTTP/1\.1\r$", re.MULTILINE)

    def __init__(self, target_port: int):
        super().__init__(target_port)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.failing = ""
        self._hold = ""
        self._passing = 0
        self.held = threading.Event()
        self._released = threading.Event()

    def hold(self, pattern: str, passing: int = 0) -> None:
        """Hold the answer to a GET of a matching path in the middle of its body, until `release`.

        :param passing: how many such requests are answered before that one.
        """
        self._passing = passing
        self.held.clear()
        self._released.clear()
        self._hold = pattern

    def release(self) -> None:
        self._hold = ""
        self._released.set()

    def new_connection(self) -> dict[str, bool]:
        return {"hold": False}

    def upstream(self, state: dict[str, bool], source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            for method, path in self.REQUEST.findall(data):
                self.requests[method.decode(), path.decode()] += 1
                if self._hold and method == b"GET" and re.search(self._hold, path.decode()):
                    state["hold"] = self._passing == 0
                    self._passing -= 1
                if self.failing and method == b"GET" and re.search(self.failing, path.decode()):
                    source.sendall(INTERNAL_ERROR)
                    return
            target.sendall(data)

    def downstream(self, state: dict[str, bool], source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            if state["hold"]:
                state["hold"] = False
                half = max(len(data) - 100, 0)
                target.sendall(data[:half])
                data = data[half:]
                self.held.set()
                self._released.wait(DEADLINE)
            target.sendall(data)


def _fire(fault: Fault) -> None:
    fault.fired.set()
    fault.action()


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return bytes(data)


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    return head[:1], _exactly(source, int.from_bytes(head[1:]) - 4)
