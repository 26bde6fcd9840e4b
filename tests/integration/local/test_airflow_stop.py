"""Airflow is stopped while a task runs, which tells the API server how it ended."""

from __future__ import annotations

import os
import sys

import pytest

from local.airflow import Airflow
from local.processes import Service, wait_until
from local.settings import Settings
from tests.support.servers import free_port

pytestmark = pytest.mark.integration

API_SERVER = """
import http.server, pathlib, sys
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
pathlib.Path("api-server.ready").touch()
server.serve_forever()
"""
#: Once it is told to end, it asks the API server again and again until that answers.
SCHEDULER = """
import contextlib, pathlib, signal, sys, threading, urllib.request
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
pathlib.Path("scheduler.ready").touch()
told.wait()
while not pathlib.Path("answered").exists():
    with contextlib.suppress(OSError):
        threading.Event().wait(0.5)
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/").close()
        pathlib.Path("answered").touch()
"""


@pytest.fixture
def airflow(tmp_path, monkeypatch):
    port = str(free_port())
    monkeypatch.setenv("SPARKIFY_STATE", str(tmp_path))
    monkeypatch.setenv("SPARKIFY_UI_PORT", port)
    airflow = Airflow(Settings.load())
    airflow.services = [
        Service(
            f"airflow {name}",
            [sys.executable, "-c", program, port],
            os.environ,
            pid_file=tmp_path / f"{name}.pid",
            log_file=tmp_path / f"{name}.log",
            cwd=tmp_path,
        )
        for name, program in {"api-server": API_SERVER, "scheduler": SCHEDULER}.items()
    ]
    airflow.launch()
    yield airflow
    airflow.stop()


def test_the_api_server_is_there_until_the_last_task_has_told_how_it_ended(airflow, tmp_path):
    for name in ("api-server", "scheduler"):
        ready = tmp_path / f"{name}.ready"
        wait_until(ready.exists, airflow.services, 30, f"{name} did not start")
    airflow.stop()
    assert (tmp_path / "answered").exists()
    assert [service.find() for service in airflow.services] == [None, None]
