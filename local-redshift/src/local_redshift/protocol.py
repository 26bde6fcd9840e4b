"""Messages of the PostgreSQL wire protocol 3.0, which Redshift speaks: framing, building, reading.

Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol".
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
PROTOCOL_3_0 = 196608

AUTH_OK = 0
AUTH_CLEARTEXT = 3
AUTH_SASL = 10
AUTH_SASL_CONTINUE = 11
AUTH_SASL_FINAL = 12

#: A message's type and length.
HEADER = 5

MAX_STARTUP = 10_000
MAX_MESSAGE = 1 << 30

FLUSH = b"H\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"
COPY_DONE = b"c\x00\x00\x00\x04"


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def cstring(text: str) -> bytes:
    return text.encode() + b"\x00"


def query(sql: str) -> bytes:
    return message(b"Q", cstring(sql))


def parse(name: bytes, sql: str, parameter_types: bytes = b"\x00\x00") -> bytes:
    return message(b"P", name + b"\x00" + cstring(sql) + parameter_types)


def bind(portal: bytes, statement: bytes) -> bytes:
    return message(b"B", portal + b"\x00" + statement + b"\x00" + b"\x00" * 6)


def execute(portal: bytes) -> bytes:
    return message(b"E", portal + b"\x00" + b"\x00" * 4)


def close(kind: bytes, name: bytes) -> bytes:
    return message(b"C", kind + name + b"\x00")


def copy_fail(reason: str) -> bytes:
    return message(b"f", cstring(reason))


def command_complete(tag: str) -> bytes:
    return message(b"C", cstring(tag))


def ready_for_query(status: bytes) -> bytes:
    return message(b"Z", status)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", cstring(name) + cstring(value))


def report(kind: bytes, fields: dict[str, str]) -> bytes:
    """An ErrorResponse (kind E) or NoticeResponse (kind N)."""
    return message(kind, b"".join(k.encode() + cstring(v) for k, v in fields.items()) + b"\x00")


def error_fields(
    text: str, *, sqlstate: str, detail: str = "", hint: str = "", severity: str = "ERROR"
) -> dict[str, str]:
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text, "D": detail, "H": hint}
    return {key: value for key, value in fields.items() if value}


def read_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse."""
    fields = {}
    for part in body.rstrip(b"\x00").split(b"\x00"):
        if part:
            fields[chr(part[0])] = part[1:].decode(errors="replace")
    return fields


def read_cstring(body: bytes, start: int = 0) -> tuple[bytes, int]:
    end = body.index(b"\x00", start)
    return body[start:end], end + 1


def data_row(body: bytes) -> list[str | None]:
    """The values of a DataRow in text format."""
    (count,) = struct.unpack_from("!H", body)
    values: list[str | None] = []
    offset = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, offset)
        offset += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[offset : offset + length].decode())
            offset += length
    return values


def startup(parameters: dict[str, str]) -> bytes:
    body = struct.pack("!I", PROTOCOL_3_0)
    for name, value in parameters.items():
        body += cstring(name) + cstring(value)
    body += b"\x00"
    return struct.pack("!I", len(body) + 4) + body


def read_startup(body: bytes) -> dict[str, str]:
    parts = body[4:].rstrip(b"\x00").decode(errors="replace").split("\x00")
    if parts == [""]:
        return {}
    if len(parts) % 2:
        parts.append("")
    return dict(zip(parts[::2], parts[1::2], strict=True))


async def read_startup_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The code (protocol version or request) and the body, which begins with that code."""
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    if not 8 <= length <= MAX_STARTUP:
        raise ProtocolError(f"invalid length of startup packet: {length}")
    body = await reader.readexactly(length - 4)
    return struct.unpack_from("!I", body)[0], body


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One typed message: its type and its body."""
    header = await reader.readexactly(HEADER)
    (length,) = struct.unpack_from("!I", header, 1)
    return header[:1], await reader.readexactly(_checked(length) - 4)


class FrameBuffer:
    """Cuts a byte stream into messages, whole reads at a time."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The complete messages that are there now, as (type, whole message with its header).

        :raises ProtocolError: where a message begins with a length that none has.
        """
        buffer = self._data
        buffer += data
        start, end = 0, len(buffer)
        frames = []
        while end - start >= HEADER:
            length = _checked(int.from_bytes(buffer[start + 1 : start + HEADER], "big")) + 1
            if end - start < length:
                break
            frames.append((bytes(buffer[start : start + 1]), bytes(buffer[start : start + length])))
            start += length
        if start:
            del buffer[:start]
        return frames


def _checked(length: int) -> int:
    if not 4 <= length <= MAX_MESSAGE:
        raise ProtocolError(f"invalid message length: {length}")
    return length


def joined(messages: Iterable[bytes]) -> bytes:
    return b"".join(messages)
