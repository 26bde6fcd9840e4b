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

from sparkify.warehouse import IN_UTC


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


#: What stays in a session until it ends, or under its number in the system tables: the errors of a COPY.
STAYS = ("PREPARE", "DECLARE", "TABLE #", "SESSION AUTHORIZATION")
COPY = re.compile(r"(\s*--[^\n]*\n)*\s*COPY\b")
TEMPORARY = re.compile(r"\b(?:TEMP|TEMPORARY) TABLE (\w+)")


@contextmanager
def connected_once(port: int, user: str = "awsuser") -> Iterator[None]:
    """One connection of that user to the Local Redshift at that port for one session after another.

    A third of what a run costs in a test is what PostgreSQL and the driver do for each of its sixteen
    connections. What a session has left is taken out of it at its end; where that cannot be told, and where
    the connection is broken, it is closed. All sessions of the pipeline set the same time zone.
    """
    connect = redshift_connector.connect
    free: dict[tuple, list[redshift_connector.Connection]] = defaultdict(list)

    def connect_once(**options: Any) -> redshift_connector.Connection:
        if (options.get("port"), options.get("user")) != (port, user):
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
        is_left = is_set = False
        tables: set[str] = set()

        def watched(cursor: Any, statement: str, values: Any) -> None:
            nonlocal is_left, is_set
            text = statement.upper()
            is_left = is_left or COPY.match(text) is not None or any(word in text for word in STAYS)
            # RESET ALL takes it back.
            is_set = is_set or ("SET" in text and statement != IN_UTC)
            if "TEMP" in text:
                tables.update(TEMPORARY.findall(text))
            execute(cursor, statement, values)

        def give_back() -> None:
            if connection in kept:
                raise redshift_connector.InterfaceError("connection is closed")
            if not is_left and is_quiet(connection) and is_emptied():
                kept.append(connection)
            else:
                close()

        def is_emptied() -> bool:
            nonlocal is_set
            try:
                connection.rollback()
                connection.autocommit = True
                cursor = connection.cursor()
                if tables:
                    # Where they were not rolled back.
                    names = ", ".join(f"pg_temp.{name}" for name in sorted(tables))
                    cursor.execute(f"DROP TABLE IF EXISTS {names}")
                if is_set:
                    cursor.execute("RESET ALL")
                tables.clear()
                connection.autocommit = is_set = False
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
