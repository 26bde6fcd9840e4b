"""Waiting for what happens elsewhere, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(
    condition: Callable[[], object],
    what: str | Callable[[], str],
    seconds: float = 10,
    pause_s: float = 0.02,
) -> None:
    """Ask until the answer is true.

    :param what: has not happened, as the error says; called where it has to be found out.
    :param pause_s: before it is asked again: longer where asking costs as much as what is waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds:g} s")
        time.sleep(pause_s)
