"""What each of Airflow's task processes makes for itself, made once for tests that run tasks in their own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.session
import jinja2
import pytest
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
