"""A COPY that its backend has ended already, and that is cancelled while it unwinds."""

import asyncio
from types import SimpleNamespace

import pytest

from local_redshift.copy.load import Load
from local_redshift.errors import BackendError
from local_redshift.session.backend import Backend
from local_redshift.sql.copy_grammar import CopyCommand

pytestmark = pytest.mark.unit


def backend_in_a_copy():
    """A backend that takes rows for a COPY, and then ends it with an error."""
    writer = SimpleNamespace(write=lambda data: None, drain=lambda: asyncio.sleep(0))
    backend = Backend(None, writer, bytes(8))
    backend.captured = asyncio.Queue()
    backend.captured.put_nowait((b"G", b""))
    backend.captured.put_nowait((b"E", b"SERROR\x00C57014\x00Mcanceling statement\x00\x00"))
    return backend


def test_a_cancel_while_the_backends_error_unwinds_waits_for_no_second_error(monkeypatch):
    async def copy():
        backend = backend_in_a_copy()

        async def converted(*_):
            try:
                yield b"1\n"
            finally:
                backend.cancel()
                await asyncio.sleep(1)

        load = Load(None, None, backend, CopyCommand(("t",), None, "s3://bucket/key"))
        monkeypatch.setattr(load, "_converted", converted)
        converter = SimpleNamespace(mapping=SimpleNamespace(columns=[]), errors=[], files=0, rows=0)
        async with asyncio.timeout(5):
            await load._load(None, [], converter, SimpleNamespace())

    with pytest.raises(BackendError, match="canceling statement"):
        asyncio.run(copy())
