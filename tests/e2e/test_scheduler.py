"""One stack: a day of the sample, with tasks killed, cleared and healed; then the public dataset."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from local.airflow import RunFailedError
from local.runs import PIPELINE, SCHEMA, window_conf
from local.runs import parse_hour as hour
from local.seed import JSONPATHS_FILE
from local.settings import BUCKET, ROOT, UI_USER
from sparkify.fingerprint import TableFingerprint
from sparkify.fingerprint import fingerprint as fingerprint_of
from sparkify.warehouse import Warehouse
from tests.support.runs import PAUSE_S, wait_for_all_runs
from tests.support.schedule import TASKS
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

#: The last whole day, so that the runs of the schedule, which go on meanwhile, are of other hours.
DAY = f"{datetime.now(UTC) - timedelta(days=1):%F}"
FIRST, LAST = 9, 13
FIRST_HOUR, HOUR = datetime.fromisoformat(f"{DAY} {FIRST:02}:00"), timedelta(hours=1)
BACKFILL = (
    f"backfill create --dag-id {PIPELINE} --from-date {DAY}T{FIRST:02}:00:00 --to-date {DAY}T{LAST:02}:00:00 "
    "--max-active-runs 4"
)
#: A task for each hour, of the first levels of the graph and the last.
SPREAD = ("stage_events", "stage_songs", "load_songplays", "load_users", "run_quality_checks")
#: Shorter than a task takes; and not less, as each look goes through all processes.
LOOK_S = 0.1
#: The title that Airflow gives the process of a task: the task instance's id.
TASK_TITLE = re.compile(r"airflow worker -- ([0-9a-f]{8}-[0-9a-f-]{27})")


@pytest.fixture(scope="module")
def stack(local_commands):
    """A stack whose lake holds one day of the sample, before its tables are created."""
    commands = local_commands()
    # A sample whose end is set does not go on.
    commands.environ["SPARKIFY_SAMPLE_END"] = DAY
    commands.ok("up")
    commands.ok("seed", "--days", "1", "--songs", "50", "--events-per-day", "600")
    return commands


def run(commands, dag_id: str, conf: dict) -> str:
    with commands.api() as api:
        api.wait_for_dags(dag_id)
        api.unpause(dag_id)
        run_id = api.trigger(dag_id, conf)
        api.wait_for_run(dag_id, run_id, deadline=300)
    return run_id


def printed_fingerprint(commands) -> str:
    """As an operator prints it."""
    environ = {**os.environ, **commands.settings.environment(), "PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-m", "sparkify.fingerprint"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if " rows  " in line)


def fingerprint(commands) -> dict[str, TableFingerprint]:
    """The same, without the seconds in which Airflow is imported."""
    connection = "AIRFLOW_CONN_REDSHIFT_DEFAULT"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(connection, commands.settings.environment()[connection])
        return fingerprint_of(Warehouse())


def task_processes(commands) -> Iterator[tuple[str, psutil.Process]]:
    """The processes of tasks that run, each with the id of its task instance."""
    [scheduler] = [one for one in commands.stack.airflow.services if one.name == "airflow scheduler"]
    for process in scheduler.members():
        with suppress(psutil.Error):
            if title := TASK_TITLE.match(" ".join(process.cmdline())):
                yield title[1], process


def kill_task(commands, api, deadline: float = 60) -> None:
    """SIGKILL a task, so that Airflow tries it again.

    One that has told Airflow its success before its process is killed is not tried again: then another is.
    """

    def killed_before_success() -> bool:
        instance, process = next(task_processes(commands), (None, None))
        if process is None:
            return False
        process.kill()
        eventually(
            lambda: state_of(api, instance) not in ("queued", "running"),
            "Airflow did not notice that a task was killed",
            deadline,
            PAUSE_S,
        )
        return state_of(api, instance) != "success"

    eventually(killed_before_success, "no task was killed before its success", deadline, LOOK_S)


def state_of(api, instance: str) -> str | None:
    """The state of a task instance; None for one that has been replaced by its next try."""
    return next(
        (
            task.state
            for run_id in api.run_states(PIPELINE)
            for task in api.task_states(PIPELINE, run_id)
            if task.id == instance
        ),
        None,
    )


def test_a_load_without_tables_names_the_task_its_log_and_the_remedy(stack):
    with pytest.raises(RunFailedError) as failure:
        run(stack, PIPELINE, window_conf(hour("start", f"{DAY}T00"), hour("end", f"{DAY}T01")))
    message = str(failure.value)
    assert "Task stage_" in message
    assert "sparkify_schema" in message
    assert str(stack.settings.task_logs) in message
    run(stack, SCHEMA, {})


def test_a_backfill_with_killed_tasks_gives_the_tables_of_one_run(stack, record_testsuite_property):
    began = time.monotonic()
    with stack.api() as api:
        api.wait_for_dags(PIPELINE)
        # The schedule runs too: unpaused, the DAG loads the last complete hour.
        api.unpause(PIPELINE)
        created = stack.stack.airflow.run(*BACKFILL.split())
        assert created.returncode == 0, created.stderr
        for done in (1, 3):
            wait_for_backfill(api, done)
            kill_task(stack, api)
        states = wait_for_backfill(api, LAST - FIRST + 1)
        tries = [task.try_number for run_id in states for task in api.task_states(PIPELINE, run_id)]
    record_testsuite_property(
        f"backfill of {LAST - FIRST + 1} hours, in seconds", round(time.monotonic() - began)
    )
    assert sum(number - 1 for number in tries) >= 2, "no task was tried again"

    assert stack.query(
        "SELECT window_start, window_end FROM sparkify.load_history "
        f"WHERE TRUNC(window_start) = '{DAY}' ORDER BY window_start"
    ) == [(at, at + HOUR) for at in (FIRST_HOUR + number * HOUR for number in range(LAST - FIRST + 1))]
    backfilled = printed_fingerprint(stack)
    run(stack, SCHEMA, {"drop_existing": True, "confirm_drop": "DROP sparkify"})
    run(stack, PIPELINE, window_conf(hour("start", f"{DAY}T{FIRST:02}"), hour("end", f"{DAY}T{LAST + 1:02}")))
    assert printed_fingerprint(stack) == backfilled
    hours = [
        datetime.fromtimestamp(event["ts"] / 1000, UTC).hour
        for event in map(json.loads, lake(stack).read_text().splitlines())
        if event["page"] == "NextSong"
    ]
    assert stack.counts()["songplays"] == sum(FIRST <= hour <= LAST for hour in hours) > 100


def clear(api, run_id: str, task_id: str, *, downstream: bool) -> None:
    """As the UI does, also where the task has succeeded."""
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False,
            "include_downstream": downstream, "reset_dag_runs": True}  # fmt: skip
    api.call("POST", f"/api/v2/dags/{PIPELINE}/clearTaskInstances", json=body)


def test_every_task_of_an_old_run_may_be_cleared(stack):
    """Alone, one after the other in one run; some also with what follows, in several runs at once.

    Each with what follows, one run after the other: tests/integration/sparkify/test_cleared_tasks.py.
    """
    before = fingerprint(stack)
    with stack.api() as api:
        wait_for_all_runs(api, PIPELINE)
        runs = sorted(run_id for run_id in api.run_states(PIPELINE) if run_id.startswith("backfill__"))
        assert len(runs) == LAST - FIRST + 1
        for task_id in TASKS:
            clear(api, runs[0], task_id, downstream=False)
            states = api.wait_for_run(PIPELINE, runs[0], deadline=120)
            assert {task.state for task in states} == {"success"}, task_id
        assert min(task.try_number for task in states) >= 2
        assert fingerprint(stack) == before
        cleared = dict(zip(runs, SPREAD, strict=True))
        for run_id, task_id in cleared.items():
            clear(api, run_id, task_id, downstream=True)
        for run_id in cleared:
            states = api.wait_for_run(PIPELINE, run_id, deadline=400)
            assert {task.state for task in states} == {"success"}, run_id
    assert fingerprint(stack) == before
    logs = stack.settings.task_logs
    again = {task_id for task_id in TASKS for log in logs.rglob(f"*task_id={task_id}/*.log")
             if "made again" in log.read_text()}  # fmt: skip
    assert again >= {"load_songplays", "load_users", "run_quality_checks"}


def wait_for_backfill(api, count: int, deadline: float = 400) -> dict[str, str]:
    """The states of the backfill's runs, once so many have succeeded."""

    def states() -> dict[str, str]:
        found = {
            run_id: state
            for run_id, state in api.run_states(PIPELINE).items()
            if run_id.startswith("backfill__")
        }
        assert "failed" not in found.values(), found
        return found

    eventually(
        lambda: list(states().values()).count("success") >= count,
        lambda: f"{count} successful of {states()}",
        deadline,
        PAUSE_S,
    )
    return states()


def lake(stack):
    """The day's log file, in the folder that is the local S3."""
    [path] = stack.state.rglob(f"{BUCKET}/log_data/*/*/{DAY}-events.json")
    return path


def test_reconciling_loads_a_day_again_whose_file_was_rewritten(stack):
    plays = stack.counts()["songplays"]
    text = lake(stack).read_text()
    last = next(line for line in reversed(text.splitlines()) if '"NextSong"' in line)
    late = {**json.loads(last), "itemInSession": 999}
    lake(stack).write_text(f"{text}\n{json.dumps(late)}")

    run(stack, "sparkify_reconcile", {"lookback_days": 3})
    # The whole day is loaded, also the hours that were never backfilled.
    assert plays < stack.counts()["songplays"] == text.count('"NextSong"') + 1
    with stack.api() as api:
        reloads = {name: state for name, state in api.run_states(PIPELINE).items() if "reconcile" in name}
    assert list(reloads.values()) == ["success"]

    run_id = run(stack, "sparkify_reconcile", {"lookback_days": 3})
    with stack.api() as api:
        states = {task.task_id: task.state for task in api.task_states("sparkify_reconcile", run_id)}
    assert states == {
        "rebuild_tables": "success",
        "find_changed_days": "success",
        "reload_days": "skipped",
        "find_hours_left": "success",
        "reload_hours_left": "skipped",
        "report_changes": "success",
    }


def commands_of(document: str) -> list[str]:
    """What follows `$ ` in the console blocks of a document, with its continuation lines."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return [
        command.strip() for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]


def test_the_documented_commands_work_as_written(stack):
    settings = stack.settings
    environ = {
        **stack.environ,
        "AIRFLOW_URL": settings.ui_url,
        "AIRFLOW_USER": UI_USER,
        "AIRFLOW_PASSWORD": settings.credentials.ui_password,
    }
    with stack.api() as api:
        for dag_id in (PIPELINE, "sparkify_reconcile"):
            api.unpause(dag_id)
        before = wait_for_all_runs(api, PIPELINE)
    script = ["set -euo pipefail", f'eval "$({sys.executable} -m local env)"']
    for command in commands_of("docs/loading.md"):
        done = subprocess.run(
            ["bash", "-c", "\n".join([*script, command])],
            cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if command.startswith("TOKEN="):
            script.append(command)
        if "backfill" in command:
            with stack.api() as api:
                wait_for_all_runs(api, PIPELINE)
    with stack.api() as api:
        states = api.run_states(PIPELINE)
    assert {states[run_id] for run_id in states.keys() - before.keys()} == {"success"}


#: Of the public dataset, counted independently.
FIGURES = {
    "songplays": 6820,
    "users": 106,
    "songs": 14896,
    "artists": 9553,
    "time": 6813,
    "rejected_rows": 0,
}


def test_a_month_of_the_public_dataset_is_loaded_with_its_own_column_mapping(stack, dataset):
    """The full catalogue and all logs, in place of the sample."""
    with stack.api() as api:
        wait_for_all_runs(api, PIPELINE)
    for folder in (stack.settings.lake / BUCKET).iterdir():
        shutil.rmtree(folder)
    run(stack, SCHEMA, {"drop_existing": True, "confirm_drop": "DROP sparkify"})
    assert stack.counts() == dict.fromkeys(FIGURES, 0)
    # 14,896 songs, 30 logs and the column mapping.
    assert "14,927 objects uploaded" in stack.ok("seed", "--from", str(dataset))
    variable = ("sparkify_log_json_path", f"s3://{BUCKET}/{JSONPATHS_FILE}")
    assert stack.stack.airflow.run("variables", "set", *variable).returncode == 0
    stack.ok("load", "--start", "2018-11-01", "--end", "2018-12-01")
    with stack.api() as api:
        # Where the schedule's run was first, it brings the songs.
        wait_for_all_runs(api, PIPELINE)
    assert stack.counts() == FIGURES
    assert stack.query("SELECT COUNT(*) FROM sparkify.songplays WHERE song_id IS NOT NULL") == [(333,)]
    assert stack.query("SELECT COUNT(DISTINCT user_id) FROM sparkify.users") == [(97,)]
