"""How much of the API server the page may take: a few requests at a time, on threads of their own.

FastAPI runs synchronous routes on threads that also serve Airflow's REST API and the tasks of runs: a page
that waited on them for a warehouse that hangs would fail these tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from sparkify.analytics import PATIENCE_S, Answer, Period, Question, ask
from sparkify.warehouse import GRACE_S, Deadline, Warehouse, WarehouseError
from sparkify.web.login import CONNECTION_ID, page_warehouse

if TYPE_CHECKING:
    from fastapi import Request, Response

#: Requests that an API server process answers at a time. A page takes about a second, so four serve a team.
#: With QUESTIONS_AT_ONCE they bound the page's threads (16) and its sessions in the warehouse (12), in whose
#: queue the pipeline waits too.
PLACES = 4
#: Of one request. A topic has two or three questions, one has seven of small tables.
QUESTIONS_AT_ONCE = 3
#: What a reader without a place is told to wait.
RETRY_AFTER_S = 5


class NoPlaceError(Exception):
    """Every place is taken; the message says what to do."""


class Inquiry:
    """Questions that belong together: a few at a time, all of them until one deadline.

    A context manager. Leaving it ends the questions that still wait, in the warehouse too; that takes seconds
    where it hangs.
    """

    def __init__(self, warehouse: Warehouse, deadline: Deadline) -> None:
        self._warehouse = warehouse
        self._deadline = deadline
        self._threads = ThreadPoolExecutor(QUESTIONS_AT_ONCE, thread_name_prefix="sparkify-question")

    @property
    def shares_a_login(self) -> bool:
        """Whether it asks with the pipeline's login, and not with the page's own."""
        return self._warehouse.redshift_conn_id != CONNECTION_ID

    def __enter__(self) -> Inquiry:
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.give_up()
        self._warehouse.end_sessions(self._deadline)
        self._threads.shutdown()

    def ask(self, asked: Sequence[tuple[Question, int]], period: Period) -> list[Answer | WarehouseError]:
        """The answers, or what each lacks one for, in order.

        :param asked: questions with how many rows to answer at most.
        """
        answers = [
            self._threads.submit(ask, self._warehouse, question, period, rows, self._deadline)
            for question, rows in asked
        ]
        given_up, late = self._deadline.given_up, set(answers)
        while late and (left := self._deadline.left):
            waited: set[Future[Any]] = {*late, given_up}
            _, unanswered = wait(waited, left + GRACE_S, FIRST_COMPLETED)
            late = unanswered - {given_up}
        return [self._outcome(answer) for answer in answers]

    def _outcome(self, answer: Future[Answer]) -> Answer | WarehouseError:
        if answer.cancel() or not answer.done():
            return self._warehouse.too_late(self._deadline)
        try:
            return answer.result()
        except WarehouseError as error:
            return error


class Places:
    """The places of one API server process."""

    def __init__(self) -> None:
        self._free = BoundedSemaphore(PLACES)
        self._threads = ThreadPoolExecutor(PLACES, thread_name_prefix="sparkify-page")

    async def answer(self, request: Request, work: Callable[[Inquiry], Response]) -> Response:
        """What `work` makes, on a thread of a place. If the client leaves first, its questions are given up.

        :raises NoPlaceError: at once, where no place is free. One is taken until its last thread has ended.
        """
        from fastapi import Response

        if not self._free.acquire(blocking=False):
            raise NoPlaceError(
                f"This page serves {PLACES} readers at a time, and all places are taken.\n"
                f"Try again in a few seconds."
            )
        deadline = Deadline(PATIENCE_S)
        made: Future[Response] = Future()
        made.set_running_or_notify_cancel()
        self._threads.submit(self._work, work, deadline, made)
        response = asyncio.wrap_future(made)
        leaving = asyncio.ensure_future(_leaves(request))
        try:
            await asyncio.wait((response, leaving), return_when=asyncio.FIRST_COMPLETED)
            return await response if response.done() else Response(status_code=499)
        finally:
            leaving.cancel()
            deadline.give_up()

    def _work(self, work: Callable[[Inquiry], Response], deadline: Deadline, made: Future[Response]) -> None:
        try:
            with Inquiry(page_warehouse(), deadline) as inquiry:
                try:
                    made.set_result(work(inquiry))
                except Exception as error:
                    made.set_exception(error)
        finally:
            self._free.release()


async def _leaves(request: Request) -> None:
    """Returns once the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
