"""The benchmark of the hourly run publishes a true past, tells what it costs, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from local_redshift.embedded.postgres import EmbeddedPostgres
from sparkify.fingerprint import fingerprint
from sparkify.warehouse import Warehouse
from tests.benchmarks import history
from tests.conftest import REPOSITORY
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

SERVERS = 3
HOURLY = 240
USERS = 300
SERVICE = history.Service(HOURLY, USERS)
WEEK = 168 * HOURLY


@pytest.fixture
def servers(empty_pipeline, postgres, s3, redshift):
    """What the benchmark has of its own: here, those of the session, without a schema."""
    return SimpleNamespace(postgres=postgres, s3=s3, redshift=redshift)


def test_the_past_is_what_its_log_would_have_loaded(servers):
    past = history.History(servers, SERVICE)
    past.fill(WEEK - 1)
    published = fingerprint(Warehouse())
    assert past.plays == published["songplays"].rows == published["time"].rows == WEEK
    assert published["users"].rows == USERS + 4, "the level of four users changes in this week"

    past.pipeline.put_events(*(event for hour in range(168) for event in past.service.hour(hour)))
    end = history.BEGINNING + timedelta(days=7)
    past.pipeline.load(f"{history.BEGINNING:%F %H:%M}", f"{end:%F %H:%M}", mode="truncate")
    assert fingerprint(Warehouse()) == published


def test_hours_are_loaded_behind_the_past(servers):
    past = history.History(servers, SERVICE)
    past.fill(1)
    measured = past.measure(rounds=1)
    assert measured.plays == WEEK
    for cost in measured.costs.values():
        assert cost.seconds > cost.locked > 0
        assert "staging/copy.sql 1/1 COPY staging.events_copied" in cost.statements()

    pipeline = past.pipeline
    assert pipeline.query("SELECT COUNT(*) FROM sparkify.songplays") == [(WEEK + 4 * HOURLY,)]
    assert pipeline.query("SELECT COUNT(*) FROM sparkify.songs") == [(history.SONGS + 6,)]
    for first in (SERVICE.hits(0), history.SONGS):
        new = ", ".join(f"'SO{first + number}'" for number in range(history.SONGS_AT_ONCE))
        matched = f"SELECT COUNT(*) > 0 FROM sparkify.songplays WHERE song_id IN ({new})"
        assert pipeline.query(matched) == [(True,)]
    past.fill(2 * WEEK)
    assert pipeline.query("SELECT COUNT(*) FROM sparkify.songplays") == [(past.plays,)]
    assert past.plays >= 2 * WEEK


@pytest.mark.parametrize(
    ("seconds", "met", "verdicts"),
    [(1.1, True, ["ok", "ok"]), (1.9, False, ["MISSED", "ok"]), (2.1, False, ["MISSED", "MISSED"])],
)
def test_the_report_tells_the_ratios_and_whether_the_targets_are_met(
    monkeypatch, capsys, seconds, met, verdicts
):
    class Measurements:
        def __init__(self, servers, service):
            self.plays = 0

        def fill(self, plays):
            self.plays = plays

        def measure(self, rounds):
            spent = 1.0 if self.plays == 1000 else seconds
            sql = Counter({"INSERT INTO a": 0.5 * spent, "COPY b": 0.5 * spent})
            cost = history.Cost([history.Spent(sql, 0.25)] * rounds)
            return history.Measured(self.plays, dict.fromkeys(history.KINDS, cost))

    monkeypatch.setattr(history, "History", Measurements)
    assert history.report(None, SERVICE, [2000, 1000], 1) == met
    told = capsys.readouterr().out
    assert f"2,000       {seconds:.2f}    {seconds:.2f}    0.25" in told
    assert "INSERT INTO a" in told
    assert [line.rpartition(" ")[2] for line in told.splitlines()[-2:]] == verdicts


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--users", "0"], ["--plays-an-hour", "7"]])
def test_what_cannot_be_measured_is_refused(wrong):
    with pytest.raises(SystemExit, match="2"):
        history.main(wrong)


def test_an_interrupted_run_leaves_nothing_behind(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.history", "--plays", "1000000000"],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": "plugins:local-redshift/src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = []
    try:
        # The heading: the servers run and the schema is there.
        assert run.stdout.readline() == "\n"
        assert "plays an hour" in run.stdout.readline()
        started = psutil.Process(run.pid).children(recursive=True)
        assert len(psutil.Process(run.pid).children()) == SERVERS
        (folder,) = tmp_path.glob("bench-history-*")
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=60)
        assert run.returncode == 128 + signal.SIGTERM, output
        assert not [process for process in started if process.is_running()]
        eventually(lambda: list(tmp_path.iterdir()) == [], "nothing is left in the temporary folder")
        assert not Path(EmbeddedPostgres(folder / "postgres", 0, "")._home).exists()
    finally:
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        run.kill()
        run.wait()
