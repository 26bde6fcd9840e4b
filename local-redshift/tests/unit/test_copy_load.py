"""A COPY that its backend has ended already, and that is cancelled while it unwinds."""

import asyncio
from types import SimpleNamespace

import pytest

from local_redshift.copy.load import Load
from local_redshift.errors import BackendError
from local_redshift.session.session import Session
from local_redshift.sql.copy_grammar import CopyCommand

pytestmark = pytest.mark.unit


class SessionOfACopy:
    """A session in the middle of a COPY, whose backend has answered with an error."""

    cancel, cancellable = Session.cancel, Session.cancellable

    def __init__(self):
        self.server = None
        self.cancelled, self.cancellable_work = False, None
        self.captured = asyncio.Queue()
        self.captured.put_nowait((b"E", b"SERROR\x00C57014\x00Mcanceling statement\x00\x00"))
        self.backend_writer = SimpleNamespace(write=lambda data: None, drain=lambda: asyncio.sleep(0))

    async def ask(self, sql):
        return []


def test_a_cancel_while_the_backends_error_unwinds_waits_for_no_second_error(monkeypatch):
    async def copy():
        session = SessionOfACopy()

        async def converted(*_):
            try:
                yield b"1\n"
            finally:
                session.cancel()
                await asyncio.sleep(1)

        load = Load(session, CopyCommand(("t",), None, "s3://bucket/key"))
        monkeypatch.setattr(load, "_converted", converted)
        converter = SimpleNamespace(mapping=SimpleNamespace(columns=[]), errors=[], files=0, rows=0)
        async with asyncio.timeout(5):
            await load._load(None, [], converter, SimpleNamespace())

    with pytest.raises(BackendError, match="canceling statement"):
        asyncio.run(copy())
