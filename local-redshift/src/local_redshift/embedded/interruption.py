"""SIGINT and SIGTERM for a command that starts servers: it removes what it started, whenever they come."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption:
    """Ends the command from within, with 128 + the signal's number.

    The signals wait while servers start and stop: one half started or half stopped would be left behind.
    """

    def __init__(self) -> None:
        self._received = 0
        self._held = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """The signals end what runs inside, one that came before included."""
        self._held = False
        try:
            self._end_unless_held()
            yield
        finally:
            self._held = True

    def _receive(self, number: int, frame: object) -> None:
        self._received = number
        self._end_unless_held()

    def _end_unless_held(self) -> None:
        if self._received and not self._held:
            self._held = True
            raise SystemExit(128 + self._received)
