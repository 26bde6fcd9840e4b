"""The demo as a newcomer runs it, and what an engineer does next on the same stack.

Its sample ended yesterday, and each hour since has brought its events.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from local.airflow import RunFailedError
from local.generator import growing_since
from local.processes import stop_all
from local.runs import PIPELINE, RECONCILE, run_dag
from local.sample_data import DAY, HOUR, Sample, SampleSpec
from local.settings import BUCKET, CREDENTIALS_FILE, ROOT, UI_USER, Credentials, write_private
from local.steps import Steps
from tests.support.airflow_ui import AirflowUi
from tests.support.api_server import Readers
from tests.support.browser import NO_CHROMIUM, Browser, find_chromium
from tests.support.receivers import SlackWebhook
from tests.support.runs import wait_for_all_runs

pytestmark = pytest.mark.e2e


#: Secrets of a length that Airflow masks, and of one that it does not ([logging] min_length_masked_secret).
SECRETS = {"redshift_password": "q~Z4", "aws_secret_access_key": "Kq7~wX" + "z9Qj" * 8 + "_X"}


#: More than the API server has threads, and how long each of these readers waits.
READERS, PATIENCE_S = 45, 5

CHROMIUM = find_chromium()


#: Of a row of load_history, the events of its window.
EVENTS = "events_staged + landed_before - events_outside"

#: The checks that compare with what was published before, which is nothing or little.
OF_THE_PAST = {
    "hours_are_as_busy_as_usual",
    "observations_of_songs_are_kept",
    "published_artists_are_those_observed",
    "published_hours_keep_their_rows",
    "published_observations_have_their_span",
    "published_plays_are_kept",
    "published_songs_are_kept",
    "published_songs_are_those_observed",
    "published_spans_do_not_overlap",
    "published_users_are_kept",
}


@pytest.fixture(scope="module")
def demo(local_commands):
    """A stack on which the demo has run once, with what it printed and when; its lineage goes to a file."""
    commands = local_commands()
    del commands.environ["SPARKIFY_SAMPLE_END"]
    credentials = asdict(replace(Credentials(), **SECRETS))
    write_private(commands.state / CREDENTIALS_FILE, json.dumps(credentials))
    commands.lineage = commands.state.parent / "lineage"
    transport = {"type": "file", "log_file_path": str(commands.lineage), "append": True}
    commands.environ |= {f"OPENLINEAGE__TRANSPORT__{k.upper()}": str(v) for k, v in transport.items()}
    commands.began = datetime.now(UTC)
    commands.output = commands.ok("demo")
    # The first runs of the schedules bring events that came late.
    with commands.api() as api:
        for dag_id in (RECONCILE, PIPELINE):
            wait_for_all_runs(api, dag_id)
    commands.sample = Sample(SampleSpec(growing_since(commands.settings)))
    return commands


def day_of(demo, number, form="%Y-%m-%d"):
    """The n-th day of the sample, from 1 to 30."""
    return f"{demo.sample.spec.start_time + (number - 1) * DAY:{form}}"


def window_of_day(demo, number):
    start = demo.sample.spec.start_time + (number - 1) * DAY
    return {"window_start": start.isoformat(), "window_end": (start + DAY).isoformat()}


def of_the_first_run(demo, columns):
    """Of load_history, the row of the run that loaded the month."""
    [row] = demo.query(
        f"SELECT {columns} FROM sparkify.load_history "
        f"WHERE window_start = '{day_of(demo, 1)}' AND window_end > '{day_of(demo, 30)}'"
    )
    return row


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


def test_demo_loads_the_sample_month_in_one_run_and_shows_the_first_answers(demo):
    shown, counts = demo.figures(demo.output), demo.counts()
    assert shown.keys() == counts.keys() - {"rejected_rows"}
    assert shown["songs"] == counts["songs"] == 300
    assert shown["artists"] == counts["artists"]
    assert shown["songplays"] > 5000
    # A few events come late, by the first runs of the schedules.
    assert all(0 < rows <= counts[table] <= rows * 1.01 for table, rows in shown.items())
    assert "What do our users listen to?" in demo.output
    assert "Users by level:" in demo.output
    assert "+ 0 rejected rows" in demo.output
    assert f"load {day_of(demo, 1)} 00:00 to " in demo.output
    assert "New events arrive every hour" in demo.output
    assert f"http://127.0.0.1:{demo.ports['ui']}" in demo.output
    assert demo.settings.credentials.ui_password in demo.output
    with demo.api() as api:
        manual = [run for run in api.run_states("sparkify") if run.startswith("manual__")]
    # A second one, of an hour, where one ended meanwhile.
    assert len(manual) == demo.output.count("✓ Run sparkify: load ") <= 2


def test_demo_shows_each_step_and_task_as_it_ends(demo):
    for step in ("Start PostgreSQL", "Start local Redshift", "Start Airflow", "create_schema", "publish"):
        assert step in demo.output


def test_every_check_passed_and_every_event_is_accounted_for(demo):
    statuses = demo.query(
        "SELECT check_name, status FROM sparkify.quality_results "
        f"WHERE window_start = '{day_of(demo, 1)}' AND window_end > '{day_of(demo, 30)}'"
    )
    not_passed = {(name, status) for name, status in statuses if status != "passed"}
    assert not_passed <= {(name, "skipped") for name in OF_THE_PAST}
    assert len(statuses) > 40
    events, accounted = of_the_first_run(
        demo, f"{EVENTS}, songplays + duplicate_plays + other_pages + rejected_events"
    )
    [end] = of_the_first_run(demo, "window_end")
    end = end.replace(tzinfo=UTC)
    days = [file for file in demo.sample.log_files(end) if file.day >= demo.sample.spec.end_time]
    today = [json.loads(line)["ts"] for file in days for line in file.content(end).splitlines()]
    assert events == accounted == 7500 + sum(ts < end.timestamp() * 1000 for ts in today)


def test_all_whole_hours_since_the_sample_ended_are_loaded(demo):
    spec = demo.sample.spec
    assert demo.began - spec.end_time < DAY + timedelta(minutes=10)
    until = certified_until(demo)
    assert demo.began - HOUR < until <= datetime.now(UTC)
    days = [spec.end_time + number * DAY for number in range(2) if spec.end_time + number * DAY < until]
    in_files = [moment for day in days for moment in plays(log_file(demo, day).read_text()) if moment < until]
    since = f"SELECT COUNT(*) FROM sparkify.songplays WHERE start_time >= '{spec.end_time:%F}'"
    assert demo.query(since) == [(len(in_files),)]
    # The last day's file may be written again at any hour.
    month = [spec.start_time + number * DAY for number in range(29)]
    whole = f"SELECT COUNT(*) FROM sparkify.songplays WHERE start_time < '{spec.end}'"
    assert demo.query(whole) == [(sum(len(plays(log_file(demo, day).read_text())) for day in month),)]


def test_the_report_shows_what_was_loaded(demo, tmp_path):
    file = tmp_path / "report.html"
    days = [f"START={day_of(demo, 1)}", f"END={day_of(demo, 31)}"]
    command = ["make", "--no-print-directory", "report", f"REPORT={file}", f"RUN={sys.executable}", *days]
    done = subprocess.run(command, cwd=ROOT, env=demo.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Written: {file}" in done.stdout
    [(title, plays)] = demo.query(
        f"SELECT song_title, COUNT(*) FROM sparkify.songplays WHERE start_time < '{day_of(demo, 31)}' "
        "GROUP BY song_title ORDER BY 2 DESC, 1 LIMIT 1"
    )
    assert f"<td>{title}" in file.read_text()
    assert f"{plays:,}" in file.read_text()


def test_the_page_shows_what_was_loaded_to_who_is_logged_in(demo):
    login = {"username": UI_USER, "password": demo.settings.credentials.ui_password}
    month = {"start": day_of(demo, 1), "end": day_of(demo, 31)}
    with httpx.Client(base_url=demo.settings.ui_url, timeout=60, trust_env=False) as client:
        assert client.get("/sparkify/").status_code == 401
        token = client.post("/auth/token", json=login).json()["access_token"]
        page = client.get("/sparkify/", params=month, headers={"Authorization": f"Bearer {token}"})
    assert page.status_code == 200
    [(plays,)] = demo.query(
        f"SELECT COUNT(*) FROM sparkify.songplays WHERE start_time < '{day_of(demo, 31)}'"
    )
    assert f"{plays:,}" in page.text
    assert "no hours are missing in between" in page.text
    assert f"Certified from {day_of(demo, 1)} 00:00" in page.text


def test_status_tells_that_everything_runs(demo):
    assert "stopped" not in demo.ok("status")


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


def test_airflow_imports_every_dag_file(demo):
    result = demo.stack.airflow.run("dags", "list-import-errors", "--output", "json")
    assert result.returncode == 0, result.stdout + result.stderr
    # Warnings of libraries stand before it, on the same stream.
    assert result.stdout.splitlines()[-1] == "[]", result.stdout


def test_tasks_inherit_what_the_scheduler_has_prepared(demo):
    """What fails before a fork is told in the scheduler's log alone, and each task does it again."""
    log = (demo.settings.logs / "airflow-scheduler.log").read_text()
    assert "Starting the scheduler" in log
    assert "prepare_tasks" not in log


def test_the_local_stack_is_a_good_installation(demo):
    with demo.api() as api:
        run_dag(Steps(Console(quiet=True)), api, "sparkify_verify", {}, "Run sparkify_verify", deadline=180)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """The folder SPARKIFY_SCREENSHOTS, `screenshots` in the checkout where CI is set, or a temporary one."""
    kept = os.environ.get("SPARKIFY_SCREENSHOTS") or (os.environ.get("CI") and ROOT / "screenshots")
    return Path(kept or tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_a_person_loads_a_window_reads_its_log_and_starts_a_backfill(demo, pictures, tmp_path):
    """In Airflow's UI: a window by the form, its run, a task's log, a backfill."""
    with demo.api() as api, Browser(CHROMIUM, tmp_path / "chromium") as browser:
        browser.show_as(1440, "light")
        ui = AirflowUi(browser, demo.settings.ui_url, pictures)
        ui.log_in(UI_USER, demo.settings.credentials.ui_password)
        day, next_day = (day_of(demo, number, "%Y/%m/%d") for number in (4, 5))
        run_id = ui.trigger("sparkify", (day, "00:00"), (next_day, "00:00"))
        api.wait_for_run("sparkify", run_id, deadline=180)
        ui.sees("Success")
        ui.picture("3-run")

        ui.open(f"/dags/sparkify/runs/{run_id}/tasks/publish")
        # The log is scrolled to its end, and shows only what is in view.
        ui.sees("Done: rows_in=")
        ui.picture("4-log")

        day = day_of(demo, 3, "%Y/%m/%d")
        ui.start_backfill("sparkify", (day, "10:00"), (day, "11:00"), count=2)
        runs = wait_for_all_runs(api, "sparkify")
        ui.open("/dags/sparkify")
        ui.sees("run_quality_checks")
        ui.picture("6-grid")
    states = [state for run, state in runs.items() if run.startswith(f"backfill__{day_of(demo, 3)}")]
    assert states == ["success"] * 2, runs
    assert demo.query(
        "SELECT TO_CHAR(window_start, 'YYYY-MM-DD HH24'), TO_CHAR(window_end, 'YYYY-MM-DD HH24') "
        "FROM sparkify.load_history "
        f"WHERE window_start >= '{day_of(demo, 3)}' AND window_end <= '{day_of(demo, 5)}' "
        "ORDER BY window_start"
    ) == [
        (f"{day_of(demo, 3)} 10", f"{day_of(demo, 3)} 11"),
        (f"{day_of(demo, 3)} 11", f"{day_of(demo, 3)} 12"),
        (f"{day_of(demo, 4)} 00", f"{day_of(demo, 5)} 00"),
    ]


def test_each_failed_task_is_told_through_the_connection_of_notifications(demo):
    with SlackWebhook() as webhook, demo.api() as api:
        added = {
            "connection_id": "sparkify_alerts",
            "conn_type": "slackwebhook",
            "password": webhook.connection["password"],
        }
        api.call("POST", "/api/v2/connections", json=added)
        run_id = api.trigger("sparkify", {"window_start": window_of_day(demo, 1)["window_start"]})
        with pytest.raises(RunFailedError):
            api.wait_for_run("sparkify", run_id, deadline=120)
        api.call("DELETE", "/api/v2/connections/sparkify_alerts")
    texts = sorted(message["text"] for message in webhook.messages)
    assert len(texts) == 2
    for text, task in zip(texts, ("stage_events", "stage_songs"), strict=True):
        assert text.startswith(f"*sparkify.{task} failed*")
        assert "Window: cannot be resolved" in text
        assert "window_end is empty" in text
        assert f"<{demo.settings.ui_url}/dags/sparkify/runs/" in text


def test_publishing_is_an_event_of_each_tables_asset(demo):
    with demo.api() as api:
        names = {asset["name"] for asset in api.call("GET", "/api/v2/assets")["assets"]}
        of_publish = {"source_dag_id": "sparkify", "source_task_id": "publish", "limit": 1000}
        events = api.call("GET", "/api/v2/assets/events", params=of_publish)
    assert names == {f"sparkify/{table}" for table in ("songplays", "users", "songs", "artists", "time")}
    assert {event["name"] for event in events["asset_events"]} == names


def test_stage_load_and_publish_give_their_lineage(demo):
    complete: dict[str, dict] = {}
    for line in demo.lineage.read_text().splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE" and "manual__" in json.dumps(event["run"]["facets"]):
            complete.setdefault(event["job"]["name"], event)

    def names(task, side):
        return sorted(one["name"] for one in complete[f"sparkify.{task}"][side])

    warehouse = f"redshift://127.0.0.1:{demo.ports['redshift']}"
    [logs] = complete["sparkify.stage_events"]["inputs"]
    assert (logs["namespace"], logs["name"]) == (f"s3://{BUCKET}", "log_data")
    assert names("stage_events", "outputs") == ["dev.staging.events", "dev.staging.landed_events"]
    [derived] = [
        one for one in complete["sparkify.stage_events"]["outputs"] if one["name"] == "dev.staging.events"
    ]
    assert derived["namespace"] == warehouse
    [events] = of_the_first_run(demo, EVENTS)
    assert derived["outputFacets"]["outputStatistics"]["rowCount"] == events
    assert names("load_songplays", "inputs") == [
        f"dev.staging.{name}" for name in ("events", "songs", "songs_catalogue")
    ]
    assert names("load_songplays", "outputs") == ["dev.staging.songplays_candidate"]
    tables = ("artists", "songplays", "songs", "time", "users")
    assert names("publish", "inputs") == [f"dev.staging.{table}_candidate" for table in tables]
    assert names("publish", "outputs") == [f"dev.sparkify.{table}" for table in tables]


def test_no_secret_is_in_anything_that_was_written(demo):
    """Logs of tasks, of Airflow and of the stand-ins, rendered fields, XComs, tables, lineage."""
    assert sorted(map(len, SECRETS.values())) == [4, 40]
    settings = demo.settings
    private = {settings.credentials_file, settings.passwords_file}
    texts = {demo.lineage: demo.lineage.read_bytes()}
    for path in demo.state.rglob("*"):
        if path.is_file() and path not in private and not path.is_relative_to(settings.postgres_data):
            texts[path] = path.read_bytes()
    texts |= {f"table {name}": text for name, text in demo.dump().items()}
    assert {"table airflow.rendered_task_instance_fields", "table airflow.xcom"} <= texts.keys()
    assert any(str(path).endswith(".log") for path in texts)
    found = [
        f"{name} in {place}"
        for place, text in texts.items()
        for name, secret in SECRETS.items()
        if secret.encode() in text
    ]
    assert found == []


def test_demo_leaves_a_lake_with_other_data_alone(demo, tmp_path):
    stop_all([demo.stack.generator])
    other = tmp_path / f"log_data/{day_of(demo, 1, '%Y/%m/%Y-%m-%d')}-events.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    demo.ok("seed", "--from", str(tmp_path))
    result = demo("demo")
    assert result.returncode == 1
    assert "The lake holds data other than the sample" in result.stderr
    assert re.search(r"\b[123] objects uploaded", demo.ok("seed"))
    assert "all of them already there" in demo.ok("seed")


@pytest.fixture
def page_without_answers(demo):
    """The stack, whose API server meets a warehouse that says nothing once connected; the tasks' answers.

    It stays like that until it is stopped.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        airflow = demo.stack.airflow
        server = airflow.services[0]
        stop_all([server])
        connection = json.loads(server.environment["AIRFLOW_CONN_SPARKIFY_PAGE"])
        connection["port"] = silent.getsockname()[1]
        server.environment = {**server.environment, "AIRFLOW_CONN_SPARKIFY_PAGE": json.dumps(connection)}
        airflow.launch()
        airflow.wait_healthy()
        yield demo


@contextmanager
def flood(readers):
    """Readers without patience come in crowds."""
    over = threading.Event()

    def crowd():
        while not over.is_set():
            readers.ask("/sparkify/", READERS)
            over.wait(PATIENCE_S)
            readers.leave()

    crowds = threading.Thread(target=crowd)
    crowds.start()
    try:
        yield
    finally:
        over.set()
        crowds.join()


def test_a_run_goes_through_while_readers_flood_the_page_of_a_warehouse_that_hangs(page_without_answers):
    demo = page_without_answers
    login = {"username": UI_USER, "password": demo.settings.credentials.ui_password}
    with (
        httpx.Client(base_url=demo.settings.ui_url, timeout=60, trust_env=False) as client,
        demo.api() as api,
    ):
        token = client.post("/auth/token", json=login).json()["access_token"]
        with flood(Readers(demo.ports["ui"], token)):
            run_id = api.trigger("sparkify", window_of_day(demo, 2))
            tasks = api.wait_for_run("sparkify", run_id, deadline=120)
            page = client.get("/sparkify/", headers={"Authorization": f"Bearer {token}"})
    assert {task.try_number for task in tasks} == {1}
    assert page.status_code == 503
    assert "Retry-After" in page.headers


def test_the_sample_goes_on_after_a_stop(demo):
    ids = "SELECT songplay_id, start_time, user_id FROM sparkify.songplays ORDER BY 1"
    published = demo.query(ids)
    demo.ok("down")
    assert demo.leftovers() == []
    assert demo("status").returncode == 3
    again = demo.ok("demo")
    assert "already there" in again
    assert demo.figures(again)["songplays"] >= len(published)
    assert set(published) <= set(demo.query(ids))
    assert "sample generator" in demo.ok("status")
    assert certified_until(demo) > datetime.now(UTC) - 2 * HOUR


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
