"""The benchmark of COPY leaves nothing behind when it is interrupted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import bench_copy as bench
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.process import SOURCE
from wire import BUCKET, eventually

pytestmark = pytest.mark.integration

SERVERS = 3


def test_files_are_waited_for_until_the_local_s3_shows_them(s3, monkeypatch):
    monkeypatch.setattr(bench, "BUCKET", BUCKET)
    folder = s3.root / BUCKET / "late"
    folder.mkdir()
    (folder / "1.json").write_text("{}")
    eventually(lambda: bench.keys(s3, "late") == ["late/1.json"], "the first file is shown")
    for number in range(2, 5):
        (folder / f"{number}.json").write_text("{}")
    bench.wait_until_shown(s3, "late", 4)
    assert len(bench.keys(s3, "late")) == 4


@pytest.mark.parametrize(
    ("number", "servers"),
    [(signal.SIGINT, SERVERS), (signal.SIGTERM, SERVERS), (signal.SIGTERM, 1)],
    ids=["interrupt while it measures", "terminate while it measures", "terminate while servers start"],
)
def test_an_interrupted_bench_leaves_nothing_behind(tmp_path, number, servers):
    run = subprocess.Popen(
        [sys.executable, bench.__file__, "--events", "20000", "--rounds", "1000"],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    children = psutil.Process(run.pid).children
    started = []
    try:
        eventually(lambda: len(children()) >= servers, "the servers start", 30)
        if servers == SERVERS:
            eventually(lambda: list(tmp_path.glob("*/s3/bench/events/*")), "it measures", 30)
        started = children(recursive=True)
        (folder,) = tmp_path.iterdir()
        run.send_signal(number)
        output, _ = run.communicate(timeout=30)
        assert run.returncode == 128 + number, output
        assert not [process for process in started if process.is_running()]
        assert list(tmp_path.iterdir()) == []
        assert not Path(EmbeddedPostgres(folder / "postgres", 0, "")._home).exists()
    finally:
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        run.kill()
        run.wait()
