"""What each of Airflow's task processes makes for itself, made once for tests that run tasks in their own."""

from __future__ import annotations

import logging
import os
import re
import select
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import botocore.session
import jinja2
import pytest
import redshift_connector
from airflow.providers.amazon.aws.hooks.s3 import S3Hook


@contextmanager
def read_once() -> Iterator[None]:
    """AWS's descriptions of its services: megabytes of JSON that each session of botocore reads anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@contextmanager
def made_once() -> Iterator[None]:
    """One client of S3 a connection, and one translation of each template."""
    make_client, translate = S3Hook.get_client_type, jinja2.Environment.compile
    clients: dict[tuple, Any] = {}
    translations: dict[tuple, Any] = {}

    def client(hook: S3Hook, region_name: str | None = None, config: Any = None) -> Any:
        connection = os.environ.get(f"AIRFLOW_CONN_{hook.aws_conn_id}".upper())
        key = (connection, hook.aws_conn_id, region_name, config)
        if key not in clients:
            clients[key] = make_client(hook, region_name, config)
        return clients[key]

    def compile_once(environment: jinja2.Environment, source: Any, *names: str | None, **options: Any) -> Any:
        key = (type(environment), source, *names, *options.items())
        if key not in translations:
            translations[key] = translate(environment, source, *names, **options)
        return translations[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Hook, "get_client_type", client)
        patch.setattr(jinja2.Environment, "compile", compile_once)
        yield


#: What stays in a session and no RESET takes out of it.
STAYS = re.compile(
    r"(?i)\b(TEMP|TEMPORARY|PREPARE|DECLARE|COPY)\b|CREATE\s+TABLE\s+#|SESSION\s+AUTHORIZATION"
)


@contextmanager
def connected_once(port: int) -> Iterator[None]:
    """One connection to the Local Redshift at that port for one session after another.

    A third of what a run costs in a test is what PostgreSQL and the driver do for each of its sixteen
    connections. A session ends with ROLLBACK and RESET ALL. One that something else may be left of is closed,
    and so is one that is broken.
    """
    connect = redshift_connector.connect
    free: dict[tuple, list[redshift_connector.Connection]] = defaultdict(list)

    def connect_once(**options: Any) -> redshift_connector.Connection:
        if options.get("port") != port:
            return connect(**options)
        kept = free[tuple(sorted((name, repr(value)) for name, value in options.items()))]
        while kept:
            connection = kept.pop()
            if is_quiet(connection):
                return connection
            connection.close()
        return lasting(connect(**options), kept)

    def lasting(connection: Any, kept: list[Any]) -> Any:
        execute, close = connection.execute, connection.close
        is_left = False

        def watched(cursor: Any, statement: str, values: Any) -> None:
            nonlocal is_left
            is_left = is_left or bool(STAYS.search(statement))
            execute(cursor, statement, values)

        def give_back() -> None:
            if connection in kept:
                raise redshift_connector.InterfaceError("connection is closed")
            if not is_left and is_quiet(connection) and is_reset():
                kept.append(connection)
            else:
                close()

        def is_reset() -> bool:
            try:
                connection.rollback()
                connection.autocommit = True
                connection.cursor().execute("RESET ALL")
                connection.autocommit = False
            except (redshift_connector.Error, OSError):
                return False
            return True

        connection.execute, connection.close = watched, give_back
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redshift_connector, "connect", connect_once)
        yield
    for connection in (one for kept in free.values() for one in kept):
        del connection.execute, connection.close
        with suppress(redshift_connector.Error):
            connection.close()


def is_quiet(connection: Any) -> bool:
    """Whether the server has said nothing that nobody asked for, as that it hangs up."""
    one = connection._usock
    return one.fileno() >= 0 and not select.select([one], [], [], 0)[0]


@contextmanager
def said_once() -> Iterator[None]:
    """What pytest shows of a failed test's log: Airflow's own handler would print it as well."""
    root = logging.getLogger()
    handlers = [one for one in root.handlers if type(one) is logging.StreamHandler]
    for handler in handlers:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.addHandler(handler)
