"""Airflow's UI in headless Chromium: a window by the form, its run, a task's log, a backfill.

The pictures are kept in the folder SPARKIFY_SCREENSHOTS, `screenshots` in the checkout where CI is set.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.settings import ROOT, UI_USER
from tests.support.airflow_ui import AirflowUi
from tests.support.browser import NO_CHROMIUM, Browser, find_chromium
from tests.support.runs import wait_for_all_runs

pytestmark = pytest.mark.e2e

PROGRAM = find_chromium()


@pytest.fixture
def pictures(tmp_path) -> Path:
    kept = os.environ.get("SPARKIFY_SCREENSHOTS") or (os.environ.get("CI") and ROOT / "screenshots")
    return Path(kept or tmp_path)


@pytest.mark.skipif(PROGRAM is None, reason=NO_CHROMIUM)
def test_a_person_loads_a_window_reads_its_log_and_starts_a_backfill(local_commands, pictures, tmp_path):
    stack = local_commands()
    stack.ok("up")
    stack.ok("seed")
    with stack.api() as api:
        for dag_id in ("sparkify_schema", "sparkify"):
            api.unpause(dag_id)
        api.wait_for_run("sparkify_schema", api.trigger("sparkify_schema", {}), deadline=120)
        with Browser(PROGRAM, tmp_path / "chromium") as browser:
            browser.show_as(1440, "light")
            ui = AirflowUi(browser, stack.settings.ui_url, pictures)
            ui.log_in(UI_USER, stack.settings.credentials.ui_password)
            run_id = load_a_day(ui)
            api.wait_for_run("sparkify", run_id, deadline=180)
            ui.sees("Success")
            ui.picture("3-run")

            ui.open(f"/dags/sparkify/runs/{run_id}/tasks/publish")
            # The log is scrolled to its end, and shows only what is in view.
            ui.sees("Done: rows_in=")
            ui.picture("4-log")

            start_a_backfill(ui)
            runs = wait_for_all_runs(api, "sparkify")
            states = {run: state for run, state in runs.items() if "backfill" in run}
            ui.open("/dags/sparkify")
            ui.sees("run_quality_checks")
            ui.picture("6-grid")
    assert list(states.values()) == ["success"] * 2
    assert stack.query(
        "SELECT TO_CHAR(window_start, 'DD HH24'), TO_CHAR(window_end, 'DD HH24') FROM sparkify.load_history "
        "WHERE window_start < '2019-01-01' ORDER BY window_end - window_start, window_start"
    ) == [("03 10", "03 11"), ("03 11", "03 12"), ("02 00", "03 00")]
    stack.ok("clean")


def load_a_day(ui: AirflowUi) -> str:
    """Trigger the DAG with a window by the form; the run's id."""
    ui.open("/dags/sparkify")
    ui.click("button", "Trigger")
    ui.sees("Window start (UTC, inclusive)")
    ui.picture("1-form")
    # The first date of the form is the logical date.
    ui.enter_moment(1, "2018/11/02", "00:00")
    ui.enter_moment(2, "2018/11/03", "00:00")
    ui.picture("2-form-filled")
    ui.click("[data-testid=trigger-dag-submit]")
    ui.browser.wait_for("location.pathname.includes('/runs/manual__')")
    return ui.browser.evaluate("decodeURIComponent(location.pathname.split('/runs/')[1])")


def start_a_backfill(ui: AirflowUi) -> None:
    """Two hours, by the same form."""
    ui.open("/dags/sparkify")
    ui.click("button", "Trigger")
    ui.click("input[type=radio][value=backfill]")
    ui.sees("Date Range")
    ui.enter_moment(0, "2018/11/03", "10:00")
    ui.enter_moment(1, "2018/11/03", "11:00")
    ui.sees("2 runs will be triggered")
    ui.picture("5-backfill")
    ui.click("button", "Run Backfill")
    ui.sees("Backfill in progress")
