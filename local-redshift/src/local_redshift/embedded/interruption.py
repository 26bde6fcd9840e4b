"""SIGINT and SIGTERM for a command that starts servers: it removes what it started, whenever they come."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _exit(number: int) -> None:
    raise SystemExit(128 + number)


class Interruption:
    """Ends the command from within.

    The signals wait while servers start and stop: one half started or half stopped would be left behind.
    """

    def __init__(self) -> None:
        self._received = 0
        self._end: Callable[[int], object] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    @contextmanager
    def let_through(self, end: Callable[[int], object] = _exit) -> Iterator[None]:
        """A signal, one that came before included, calls `end` once; else it exits with 128 + its number."""
        self._end = end
        try:
            self._end_unless_held()
            yield
        finally:
            self._end = None

    def _receive(self, number: int, frame: object) -> None:
        self._received = number
        self._end_unless_held()

    def _end_unless_held(self) -> None:
        if self._received and self._end is not None:
            end, self._end = self._end, None
            end(self._received)
