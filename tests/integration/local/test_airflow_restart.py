"""Airflow is started while what ran before is still going down."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from local.airflow import HEALTH_COMPONENTS, Airflow
from local.processes import Service
from local.settings import Settings
from tests.support.servers import free_port

pytestmark = pytest.mark.integration

DEADLINE = 30
#: Gives a sign of life ten times a second, none once it is told to end, and takes two seconds more.
SCHEDULER = """
import datetime, os, pathlib, signal, sys, threading
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
beat = pathlib.Path(sys.argv[1])
while not told.wait(0.1):
    beat.with_suffix(".new").write_text(datetime.datetime.now(datetime.UTC).isoformat())
    os.replace(beat.with_suffix(".new"), beat)
beat.with_suffix(".told").touch()
threading.Event().wait(2)
"""


@pytest.fixture
def airflow(tmp_path, monkeypatch) -> Iterator[Airflow]:
    """A scheduler alone, and an API server that calls it healthy after a sign of life, as Airflow does."""
    monkeypatch.setenv("SPARKIFY_STATE", str(tmp_path))
    monkeypatch.setenv("SPARKIFY_UI_PORT", str(free_port()))
    settings = Settings.load()
    beat = tmp_path / "beat"

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = datetime.now(UTC).isoformat()
            beats = dict.fromkeys(HEALTH_COMPONENTS, now)
            beats["scheduler"] = beat.read_text() if beat.exists() else None
            parts = {
                name: {"status": "healthy" if last else "unhealthy", f"latest_{name}_heartbeat": last}
                for name, last in beats.items()
            }
            parts["metadatabase"] = {"status": "healthy"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(parts).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", settings.ports.ui), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    airflow = Airflow(settings)
    airflow.services = [
        Service(
            "airflow scheduler",
            [sys.executable, "-c", SCHEDULER, str(beat)],
            os.environ,
            pid_file=tmp_path / "scheduler.pid",
            log_file=tmp_path / "scheduler.log",
            cwd=tmp_path,
        )
    ]
    yield airflow
    airflow.stop()
    server.shutdown()
    server.server_close()


def up(airflow: Airflow) -> psutil.Process:
    airflow.launch()
    airflow.wait_healthy()
    process = airflow.services[0].find()
    assert process is not None
    return process


def wait_for(file: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not file.exists():
        assert time.monotonic() < end, f"{file} never came"
        time.sleep(0.02)


def test_a_scheduler_that_is_going_down_is_waited_for_and_started_anew(airflow, tmp_path):
    first = up(airflow)
    first.terminate()
    wait_for(tmp_path / "beat.told")
    second = up(airflow)
    assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE
    assert second.pid != first.pid


def test_a_scheduler_that_runs_is_left_alone(airflow):
    first = up(airflow)
    assert up(airflow) == first


def test_an_old_sign_of_life_is_not_taken_for_one_of_the_new_scheduler(airflow, tmp_path):
    first = up(airflow)
    first.kill()
    first.wait(DEADLINE)
    before = (tmp_path / "beat").read_text()
    up(airflow)
    assert (tmp_path / "beat").read_text() > before
