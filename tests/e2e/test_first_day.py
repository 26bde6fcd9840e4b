"""The demo as a user runs it: the sample ended yesterday, and each hour since has brought its events."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from rich.console import Console

from local.generator import growing_since
from local.processes import stop_all
from local.runs import PIPELINE, RECONCILE, run_dag
from local.sample_data import DAY, HOUR, Sample, SampleSpec
from local.settings import BUCKET, UI_USER
from local.steps import Steps
from tests.support.runs import wait_for_all_runs

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo(local_commands):
    """A stack on which the demo has run once, with what it printed and when."""
    commands = local_commands()
    del commands.environ["SPARKIFY_SAMPLE_END"]
    commands.began = datetime.now(UTC)
    commands.output = commands.ok("demo")
    commands.sample = Sample(SampleSpec(growing_since(commands.settings)))
    return commands


def log_file(demo, day):
    return demo.settings.lake / BUCKET / f"log_data/{day:%Y/%m/%Y-%m-%d}-events.json"


def plays(content):
    """When the plays of a log file began."""
    events = [json.loads(line) for line in content.splitlines()]
    return [datetime.fromtimestamp(e["ts"] / 1000, UTC) for e in events if e["page"] == "NextSong"]


def certified_until(demo):
    (start, end, status), *awaited = demo.query(
        "SELECT window_start, window_end, status FROM sparkify.certified_windows ORDER BY window_start"
    )
    assert status == "certified"
    # An hour that a run of the schedule loads meanwhile: its file was not written since it ended.
    assert [row for row in awaited if row[2] != "awaited" or row[0] != end] == []
    assert start.replace(tzinfo=UTC) == demo.sample.spec.start_time
    return end.replace(tzinfo=UTC)


def test_the_demo_loads_the_month_and_all_whole_hours_since(demo):
    spec = demo.sample.spec
    assert demo.began - spec.end_time < DAY + timedelta(minutes=10)
    assert f"load {spec.start_time:%F} 00:00 to " in demo.output
    assert "New events arrive every hour" in demo.output
    until = certified_until(demo)
    assert demo.began - HOUR < until <= datetime.now(UTC)
    days = [spec.end_time + number * DAY for number in range(2) if spec.end_time + number * DAY < until]
    in_files = [moment for day in days for moment in plays(log_file(demo, day).read_text()) if moment < until]
    since = f"SELECT COUNT(*) FROM sparkify.songplays WHERE start_time >= '{spec.end_time:%F}'"
    assert demo.query(since) == [(len(in_files),)]
    [(events,)] = demo.query(
        "SELECT SUM(events_staged + landed_before - events_outside) "
        f"FROM sparkify.load_history WHERE window_start = '{spec.start_time:%F}'"
    )
    assert events >= 7500


def test_the_page_misses_no_hour(demo):
    login = {"username": UI_USER, "password": demo.settings.credentials.ui_password}
    with httpx.Client(base_url=demo.settings.ui_url, timeout=60, trust_env=False) as client:
        token = client.post("/auth/token", json=login).json()["access_token"]
        page = client.get("/sparkify/", headers={"Authorization": f"Bearer {token}"})
    assert "no hours are missing in between" in page.text
    assert f"Certified from {demo.sample.spec.start_time:%F} 00:00" in page.text


def test_reconciling_loads_what_came_late_for_the_day_before(demo):
    stop_all([demo.stack.generator])
    spec = demo.sample.spec
    content = log_file(demo, spec.end).read_bytes()
    [file] = demo.sample.log_files(spec.end_time)[-1:]
    if demo.began > spec.end_time + HOUR:
        assert content != file.content(spec.end_time), "nothing came late"
    with demo.api() as api:
        run_dag(Steps(Console(quiet=True)), api, RECONCILE, {}, "Run sparkify_reconcile", deadline=400)
        assert set(wait_for_all_runs(api, RECONCILE).values()) == {"success"}
        assert set(wait_for_all_runs(api, PIPELINE).values()) == {"success"}
    published = demo.query(
        "SELECT COUNT(*) FROM sparkify.songplays "
        f"WHERE start_time >= '{spec.end}' AND start_time < '{spec.end_time:%F}'"
    )
    assert published == [(len(plays(content)),)]


def test_the_sample_goes_on_after_a_stop(demo):
    ids = "SELECT songplay_id, start_time, user_id FROM sparkify.songplays ORDER BY 1"
    plays = demo.query(ids)
    demo.ok("down")
    assert demo.leftovers() == []
    again = demo.ok("demo")
    assert "already there" in again
    assert demo.figures(again)["songplays"] >= len(plays)
    assert set(plays) <= set(demo.query(ids))
    assert "sample generator" in demo.ok("status")
    assert certified_until(demo) > datetime.now(UTC) - 2 * HOUR
    demo.ok("clean")
    assert demo.leftovers() == []
    assert not demo.state.exists()
