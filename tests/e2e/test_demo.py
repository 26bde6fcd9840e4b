"""The demo as a newcomer runs it, and what an engineer does next on the same stack."""

import socket
import subprocess
import sys
import time

import httpx
import pytest

from local.settings import ROOT, UI_USER

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def demo(local_commands):
    """A stack on which the demo has run once, with what it printed."""
    commands = local_commands()
    commands.output = commands.ok("demo")
    return commands


def test_demo_loads_the_sample_month_in_one_run_and_shows_the_first_answers(demo):
    shown = demo.figures(demo.output)
    assert shown["songs"] == 300
    assert shown["songplays"] > 5000
    assert shown == {table: n for table, n in demo.counts().items() if table != "rejected_rows"}
    assert "What do our users listen to?" in demo.output
    assert "Users by level:" in demo.output
    assert "+ 0 rejected rows" in demo.output
    assert f"http://127.0.0.1:{demo.ports['ui']}" in demo.output
    assert demo.settings.credentials.ui_password in demo.output
    with demo.api() as api:
        manual = [run for run in api.run_states("sparkify") if run.startswith("manual__")]
    assert len(manual) == 1


def test_demo_shows_each_step_and_task_as_it_ends(demo):
    for step in ("Start PostgreSQL", "Start local Redshift", "Start Airflow", "create_schema", "publish"):
        assert step in demo.output


def test_every_check_passed_and_every_event_is_accounted_for(demo):
    assert demo.query("SELECT COUNT(*) FROM sparkify.quality_results WHERE status <> 'passed'") == [(0,)]
    ((events, plays, other, rejected),) = demo.query(
        "SELECT events_in_window, songplays, other_pages, rejected_rows FROM sparkify.load_history "
        "WHERE window_end = '2018-12-01'"
    )
    assert events == plays + other + rejected == 7500


def test_the_report_shows_what_was_loaded(demo, tmp_path):
    file = tmp_path / "report.html"
    command = ["make", "--no-print-directory", "report", f"REPORT={file}", f"RUN={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, env=demo.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Written: {file}" in done.stdout
    [(title, plays)] = demo.query(
        "SELECT song_title, COUNT(*) FROM sparkify.songplays GROUP BY song_title ORDER BY 2 DESC, 1 LIMIT 1"
    )
    assert f"<td>{title}" in file.read_text()
    assert f"{plays:,}" in file.read_text()


def test_the_page_shows_what_was_loaded_to_who_is_logged_in(demo):
    login = {"username": UI_USER, "password": demo.settings.credentials.ui_password}
    with httpx.Client(base_url=demo.settings.ui_url, timeout=60, trust_env=False) as client:
        assert client.get("/sparkify/").status_code == 401
        token = client.post("/auth/token", json=login).json()["access_token"]
        page = client.get("/sparkify/", headers={"Authorization": f"Bearer {token}"})
    assert page.status_code == 200
    assert f"{demo.counts()['songplays']:,}" in page.text


def test_demo_run_twice_works_twice_and_changes_nothing(demo):
    before = demo.query("SELECT songplay_id, start_time FROM sparkify.songplays ORDER BY 1")
    again = demo.ok("demo")
    assert demo.figures(again) == demo.figures(demo.output)
    assert "all there already" in again
    assert demo.query("SELECT songplay_id, start_time FROM sparkify.songplays ORDER BY 1") == before


def test_status_tells_that_everything_runs(demo):
    assert "stopped" not in demo.ok("status")


def test_airflow_imports_every_dag_file(demo):
    result = demo.stack.airflow.run("dags", "list-import-errors", "--output", "json")
    assert result.returncode == 0, result.stdout + result.stderr
    # Warnings of libraries stand before it, on the same stream.
    assert result.stdout.splitlines()[-1] == "[]", result.stdout


def test_a_backfill_loads_the_hour_of_each_data_interval(demo):
    before = demo.counts()
    result = demo.stack.airflow.run(
        *("backfill", "create", "--dag-id", "sparkify", "--max-active-runs", "3"),
        *("--from-date", "2018-11-02T15:00:00+00:00", "--to-date", "2018-11-02T17:00:00+00:00"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    with demo.api() as api:
        deadline = time.monotonic() + 180
        while True:
            states = {run: s for run, s in api.run_states("sparkify").items() if run.startswith("backfill__")}
            if len(states) == 3 and set(states.values()) <= {"success", "failed"}:
                break
            assert time.monotonic() < deadline, states
            time.sleep(0.5)
    assert set(states.values()) == {"success"}, states
    windows = demo.query(
        "SELECT window_start, window_end FROM sparkify.load_history "
        "WHERE DATEDIFF(hour, window_start, window_end) = 1 AND window_start < '2018-12-01' ORDER BY 1"
    )
    assert [(f"{start:%Y-%m-%d %H:%M}", f"{end:%H:%M}") for start, end in windows] == [
        ("2018-11-02 15:00", "16:00"),
        ("2018-11-02 16:00", "17:00"),
        ("2018-11-02 17:00", "18:00"),
    ]
    assert demo.counts() == before


def test_demo_leaves_a_lake_with_other_data_alone(demo, tmp_path):
    (tmp_path / "log_data/2018/11").mkdir(parents=True)
    (tmp_path / "log_data/2018/11/2018-11-01-events.json").write_text("{}")
    demo.ok("seed", "--from", str(tmp_path))
    result = demo("demo")
    assert result.returncode == 1
    assert "The lake holds other data than the sample" in result.stderr
    demo.ok("seed")


def test_stop_ends_every_process_and_the_demo_works_again(demo):
    demo.ok("down")
    assert demo.leftovers() == []
    assert demo("status").returncode == 3
    assert demo.figures(demo.ok("demo")) == demo.figures(demo.output)


def test_clean_removes_everything_that_the_stack_put_on_disk(demo):
    demo.ok("clean")
    assert demo.leftovers() == []
    assert not demo.state.exists()


def test_a_taken_port_is_named_with_its_remedy_and_nothing_is_started(local_commands):
    commands = local_commands()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", commands.ports["ui"]))
        taken.listen()
        result = commands("demo")
    assert result.returncode == 1
    assert f"Port {commands.ports['ui']} is taken by" in result.stderr
    assert "choose another port: SPARKIFY_UI_PORT=" in result.stderr
    assert commands.leftovers() == []
