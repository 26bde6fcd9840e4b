"""Who holds the publish lock: told in the log of whoever waits for it, with what to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

log = logging.getLogger(__name__)

#: How long a wait goes without a word, and how much later the next one comes.
FIRST_S, NEXT_S = 5, 60
#: How long the answer to LOCK may take once the server has granted it.
GRANTED_S = 0.5
RUNBOOK = "docs/runbook.md, 'A stuck publish lock'"

#: Session (pid), user, and when its transaction began, in UTC.
Holder = tuple[int, str, datetime]


class LockWatch:
    """While its block waits for the lock, a thread says who holds it: after some seconds, then each minute.

    The thread never fails the task nor keeps it waiting: a question without an answer yet is left behind.

    :param holders: asks the warehouse, on a connection of its own and in bounded time.
    :param place: what the warehouse is called.
    """

    def __init__(self, holders: Callable[[], Sequence[Holder]], place: str) -> None:
        self._holders = holders
        self._place = place
        self._over = threading.Event()
        #: Who held the lock when last asked, and on a line of its own what to do; empty before.
        self.found = ""

    def __enter__(self) -> LockWatch:
        self._began = time.monotonic()
        threading.Thread(target=self._watch, name="lock watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self.found:
            log.info("Waited %.0f s for the publish lock", time.monotonic() - self._began)

    def _watch(self) -> None:
        pause = FIRST_S
        while not self._over.wait(pause):
            pause = NEXT_S
            found = self._ask()
            # What was granted meanwhile may have been granted to this task itself.
            if not self._over.wait(GRANTED_S):
                self.found = found
                log.warning(
                    "Still waiting for the publish lock after %.0f s. %s",
                    time.monotonic() - self._began,
                    found,
                )

    def _ask(self) -> str:
        try:
            holders = self._holders()
        except Exception as error:
            return f"Its holder cannot be determined ({error}).\nTo find and end that session, see {RUNBOOK}."
        if not holders:
            return (
                f"Its holder is not visible: the user of {self._place} sees only their own sessions, and "
                f"none of these holds it.\nAsk a superuser to find and end that session: {RUNBOOK}."
            )
        sessions = " and ".join(
            f"session {pid} of user {user}, in a transaction that began at {began} UTC"
            for pid, user, began in holders
        )
        users = " or ".join(sorted({user for _, user, _ in holders}))
        ends = " ".join(f"SELECT PG_TERMINATE_BACKEND({pid});" for pid, _, _ in holders)
        return (
            f"It is held by {sessions}. If a task of another run is publishing, this takes seconds.\n"
            f"If none is, a worker vanished without closing its session. Make sure in Airflow that no "
            f"running task holds the lock, then end the session as user {users} or as a superuser: {ends}"
        )
