"""What a task spends its time on: counted in its own process, and written to its log as one line of JSON.

The DAG files in `tests/benchmarks/dags` install it; the product knows nothing of it.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

MARK = "Measured: "
#: Where a task's seconds go, beside its start-up and what it computes itself.
KINDS = ("connect", "listing", "s3", "sql", "clean_up")
COUNTS = ("connections", "statements", "round_trips", "commits", "requests")

log = logging.getLogger("bench")


class Meter:
    """The time and the counts of one task; what is nested counts for the outer kind."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.connected: float = 0
        self._opened: dict[int, float] = {}
        self._kind = ""
        #: When `execute` began.
        self.ready = 0.0

    @contextmanager
    def of_kind(self, kind: str) -> Iterator[None]:
        if self._kind:
            yield
            return
        self._kind, began = kind, time.perf_counter()
        try:
            yield
        finally:
            self._kind = ""
            self.seconds[kind] += time.perf_counter() - began

    def wrap(self, owner: Any, name: str, kind: str) -> None:
        """Count the time in a method under a kind."""
        method = getattr(owner, name)

        @wraps(method)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.of_kind(kind):
                return method(*arguments, **named)

        setattr(owner, name, timed)

    def count(self, owner: Any, name: str, what: str) -> None:
        """Count the calls of a method."""
        method = getattr(owner, name)

        @wraps(method)
        def counted(*arguments: Any, **named: Any) -> Any:
            self.counts[what] += 1
            return method(*arguments, **named)

        setattr(owner, name, counted)

    def opened(self, connection: Any) -> None:
        self.counts["connections"] += 1
        self._opened[id(connection)] = time.perf_counter()

    def closed(self, connection: Any) -> None:
        if began := self._opened.pop(id(connection), 0):
            self.connected += time.perf_counter() - began


def measure(dag: Any) -> None:
    """Have each task of a DAG write what it spent."""
    meter = Meter()

    def before(hook: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
        def note(context: Mapping[str, Any]) -> None:
            # Only now: the DAG processor need not import the driver.
            _install(meter)
            meter.ready = time.time()
            if hook:
                hook(context)

        return note

    def after(context: Mapping[str, Any], result: Any = None) -> None:
        done = {
            "ready": meter.ready,
            "done": time.time(),
            "seconds": dict(meter.seconds),
            "counts": dict(meter.counts),
            "connected": meter.connected,
        }
        log.info("%s%s", MARK, json.dumps(done))

    for task in dag.tasks:
        task._pre_execute_hook = before(task._pre_execute_hook)
        task._post_execute_hook = after


def _install(meter: Meter) -> None:
    from botocore.client import BaseClient
    from redshift_connector.core import Connection

    from sparkify.lake import Lake
    from sparkify.operators.publish import PublishOperator
    from sparkify.warehouse import Transaction, Warehouse

    for name in ("handle_messages", "handle_messages_merge_socket_read"):
        meter.count(Connection, name, "round_trips")
    meter.count(Connection, "execute", "statements")
    meter.count(Connection, "commit", "commits")
    meter.count(BaseClient, "_make_api_call", "requests")
    meter.wrap(PublishOperator, "_clean_up", "clean_up")
    meter.wrap(Transaction, "execute", "sql")
    meter.wrap(Connection, "commit", "sql")

    connection, begin, close = Warehouse._connection, Warehouse._begin, Connection.close

    def connecting(self: Any, connect: Callable[[], Any]) -> Any:
        def connect_timed() -> Any:
            with meter.of_kind("connect"):
                made = connect()
            meter.opened(made)
            return made

        return connection(self, connect_timed)

    def begin_timed(self: Any, *arguments: Any) -> Any:
        with meter.of_kind("connect"):
            return begin(self, *arguments)

    def close_timed(self: Any) -> None:
        meter.closed(self)
        with meter.of_kind("connect"):
            close(self)

    Warehouse._connection, Warehouse._begin, Connection.close = connecting, begin_timed, close_timed

    call = BaseClient._make_api_call

    def call_timed(self: Any, operation: str, parameters: Any) -> Any:
        with meter.of_kind("listing" if operation.startswith("List") else "s3"):
            return call(self, operation, parameters)

    BaseClient._make_api_call = call_timed
    client = Lake.__dict__["client"]
    make = client.func

    def make_timed(self: Any) -> Any:
        with meter.of_kind("s3"):
            return make(self)

    client.func = make_timed
