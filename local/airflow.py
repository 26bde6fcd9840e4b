"""Airflow on this machine: its metadata database, its four processes, and a small client of its REST API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psycopg

from local.processes import Service, stop_all, wait_until
from local.settings import HOST, METADATA, ROOT, UI_USER, Settings
from local_redshift.embedded.detached import StartupError

# Without --skip-serve-logs the log servers would listen on all interfaces. The API server reads the log
# files itself, as everything is on one machine.
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
HEALTH_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

NO_LOG = "(the task wrote no log: it may have been killed before it began; see airflow-scheduler.log)"

START_DEADLINE = 180
REQUEST_TIMEOUT = 30


class RunFailedError(Exception):
    """A DAG run failed or did not end in time; the message names the task, its log and the remedy."""


class Airflow:
    """Airflow's processes for one state folder."""

    def __init__(self, settings: Settings):
        self.settings = settings
        environment = settings.process_environment()
        self.services = [
            Service(
                f"airflow {name}",
                [sys.executable, "-m", "airflow", *arguments],
                environment,
                pid_file=settings.pids / f"{name}.pid",
                log_file=settings.logs / f"airflow-{name}.log",
                cwd=ROOT,
            )
            for name, arguments in COMMANDS.items()
        ]

    def is_running(self) -> bool:
        return all(service.find() is not None for service in self.services)

    def migrate(self) -> None:
        """Create or upgrade the metadata schema; a stamp skips that while Airflow and the database stay."""
        stamp = self.settings.airflow_home / "migrated"
        revision = self._schema_revision()
        if revision and stamp.exists() and stamp.read_text() == f"{version('apache-airflow')} {revision}":
            return
        log = self.settings.logs / "airflow-db-migrate.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        result = self.run("db", "migrate")
        log.write_text(result.stdout + result.stderr)
        if result.returncode:
            tail = "\n".join(f"    {line}" for line in log.read_text().splitlines()[-15:])
            raise StartupError(f"`airflow db migrate` failed:\n{tail}\nFull log: {log}")
        self.settings.airflow_home.mkdir(parents=True, exist_ok=True)
        stamp.write_text(f"{version('apache-airflow')} {self._schema_revision()}")

    def _schema_revision(self) -> str | None:
        with psycopg.connect(
            host=HOST,
            port=self.settings.ports.postgres,
            dbname=METADATA,
            user=METADATA,
            password=self.settings.credentials.metadata_password,
        ) as connection:
            if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return row[0] if row else None

    def launch(self) -> None:
        """Start the processes that do not run; `wait_healthy` tells when they are of use."""
        self._launched = datetime.now(UTC)
        self.settings.write_ui_passwords()
        for service in self.services:
            service.launch()

    def wait_healthy(self) -> None:
        """Wait until each component has given a sign of life since `launch`.

        Airflow calls one healthy for half a minute after its last, also while its process is going down.
        """
        wait_until(self._is_healthy, self.services, START_DEADLINE, "Airflow was not healthy")

    def stop(self) -> None:
        """End the processes, the API server last: a task that runs tells it that it ends, and would wait."""
        api_server, *others = self.services
        stop_all(others)
        stop_all([api_server])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `airflow` command against this stack."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.settings.process_environment(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def health(self) -> dict[str, str]:
        """Each component's state as the API server sees it; empty while it does not answer."""
        return {name: part.get("status") or "missing" for name, part in self._monitor().items() if part}

    def _monitor(self) -> dict[str, dict[str, str | None] | None]:
        try:
            answer = httpx.get(
                f"{self.settings.ui_url}/api/v2/monitor/health", timeout=REQUEST_TIMEOUT, trust_env=False
            )
            monitor: dict[str, dict[str, str | None] | None] = answer.json()
        except (httpx.HTTPError, ValueError):
            return {}
        return monitor

    def _is_healthy(self) -> bool:
        monitor = self._monitor()
        return all(self._is_alive(name, monitor.get(name) or {}) for name in HEALTH_COMPONENTS)

    def _is_alive(self, name: str, part: dict[str, str | None]) -> bool:
        heartbeat = part.get(f"latest_{name}_heartbeat")
        since_launch = heartbeat is None or datetime.fromisoformat(heartbeat) >= self._launched
        return part.get("status") == "healthy" and since_launch


@dataclass
class TaskState:
    """One task instance of a run, as the REST API tells it.

    :param id: of this try; Airflow names the process of the task by it.
    """

    task_id: str
    state: str
    try_number: int = 0
    duration: float | None = None
    id: str = ""


class Api:
    """The few REST calls that the local commands need, with the UI's login; use it as a context manager."""

    def __init__(self, settings: Settings, client: httpx.Client | None = None):
        self.settings = settings
        self._client = client or httpx.Client(
            base_url=settings.ui_url, timeout=REQUEST_TIMEOUT, trust_env=False
        )

    def __enter__(self) -> Api:
        login = {"username": UI_USER, "password": self.settings.credentials.ui_password}
        answer = self._request("POST", "/auth/token", json=login)
        if answer.status_code != 201:
            self._client.close()
            raise StartupError(
                f"{self.settings.ui_url} refused this stack's login ({answer.status_code}): it may be "
                "another stack's Airflow.\nStop that one, or choose another port: SPARKIFY_UI_PORT=8081"
            )
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def wait_for_dags(self, *dag_ids: str, deadline: float = 90) -> None:
        """Wait until the DAG processor has parsed these DAGs; fail with the import errors when it cannot."""
        end = time.monotonic() + deadline
        missing = list(dag_ids)
        while True:
            missing = [dag_id for dag_id in missing if self._get_or_none(f"/api/v2/dags/{dag_id}") is None]
            if not missing:
                return
            errors = self.import_errors()
            if errors:
                listing = "\n\n".join(f"{name}\n{trace}" for name, trace in errors.items())
                raise StartupError(
                    f"Airflow cannot import {len(errors)} DAG file(s):\n\n{listing}\n"
                    "Correct the file, then run the command again."
                )
            if time.monotonic() > end:
                raise StartupError(
                    f"Airflow did not find the DAG {', '.join(missing)} in {self.settings.dags_folder} "
                    f"within {deadline:.0f} s. See {self.settings.logs / 'airflow-dag-processor.log'}"
                )
            time.sleep(0.5)

    def import_errors(self) -> dict[str, str]:
        """File name to traceback of every DAG file that does not import."""
        answer = self.call("GET", "/api/v2/importErrors")
        return {entry["filename"]: entry["stack_trace"] for entry in answer["import_errors"]}

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> str:
        """Queue one manual run and return its run id."""
        run = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def run_states(self, dag_id: str) -> dict[str, str]:
        """Run id to state of the DAG's latest 100 runs."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "-id", "limit": 100})
        return {run["dag_run_id"]: run["state"] for run in answer["dag_runs"]}

    def has_active_backfill(self, dag_id: str) -> bool:
        """Whether a backfill is not completed yet: Airflow allows one a DAG at a time."""
        answer = self.call("GET", "/api/v2/backfills", params={"dag_id": dag_id})
        return any(backfill["completed_at"] is None for backfill in answer["backfills"])

    def task_states(self, dag_id: str, run_id: str) -> list[TaskState]:
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return [
            TaskState(ti["task_id"], ti["state"] or "waiting", ti["try_number"], ti["duration"], ti["id"])
            for ti in answer["task_instances"]
        ]

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        deadline: float,
        on_change: Callable[[list[TaskState]], None] | None = None,
    ) -> list[TaskState]:
        """Follow a run to its end; raise `RunFailedError` when it fails or takes longer than `deadline` s.

        :param on_change: shown the tasks whenever Airflow is asked; without it, they are asked for last.
        """
        end = time.monotonic() + deadline
        while True:
            state = self.run_state(dag_id, run_id)
            is_late = time.monotonic() > end
            if on_change or is_late or state in ("success", "failed"):
                tasks = self.task_states(dag_id, run_id)
            if on_change:
                on_change(tasks)
            if state == "success":
                return tasks
            if state == "failed":
                raise RunFailedError(self._failure(dag_id, run_id, tasks))
            if is_late:
                states = ", ".join(f"{task.task_id} {task.state}" for task in tasks)
                raise RunFailedError(
                    "\n".join(
                        [
                            f"The run {run_id} of {dag_id} is {state} after {deadline:.0f} s: {states}.",
                            *self._failed_tasks(dag_id, run_id, tasks),
                            f"Watch it at {self._run_url(dag_id, run_id)}",
                            f"The scheduler's log: {self.settings.logs / 'airflow-scheduler.log'}",
                        ]
                    )
                )
            time.sleep(0.3)

    def _failure(self, dag_id: str, run_id: str, tasks: list[TaskState]) -> str:
        parts = [f"The run {run_id} of {dag_id} failed."]
        failed = self._failed_tasks(dag_id, run_id, tasks)
        parts += failed or [f"None of its tasks failed. See {self._run_url(dag_id, run_id)}"]
        return "\n".join(parts)

    def _failed_tasks(self, dag_id: str, run_id: str, tasks: list[TaskState]) -> list[str]:
        parts = []
        for task in tasks:
            if task.state not in ("failed", "up_for_retry"):
                continue
            log = task_log(self.settings.task_logs, dag_id, run_id, task)
            parts.append(f"Task {task.task_id} failed (try {task.try_number}). Its log ends with:")
            parts += [f"    {line}" for line in log_tail(log)]
            parts.append(f"Full log: {log}")
            parts.append(f"In the UI: {self._run_url(dag_id, run_id)}/tasks/{task.task_id}")
        return parts

    def _run_url(self, dag_id: str, run_id: str) -> str:
        return f"{self.settings.ui_url}/dags/{dag_id}/runs/{run_id}"

    def _get_or_none(self, path: str) -> dict[str, Any] | None:
        answer = self._request("GET", path)
        return None if answer.status_code == 404 else self._checked(answer)

    def call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        """One request of the REST API; its answer, `{}` for none.

        :raises StartupError: where it is refused.
        """
        return self._checked(self._request(method, path, **arguments))

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise StartupError(
                f"Airflow at {self.settings.ui_url} does not answer ({error!r}).\n"
                "`make status` shows what is running; `make up` starts the rest."
            ) from error

    @staticmethod
    def _checked(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            detail = answer.text
            with suppress(ValueError, KeyError, TypeError):
                detail = answer.json()["detail"]
            raise StartupError(
                f"Airflow answered {answer.status_code} to {answer.request.method} "
                f"{answer.request.url.path}: {detail}"
            )
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document


def task_log(folder: Path, dag_id: str, run_id: str, task: TaskState) -> Path:
    """Where LocalExecutor writes the log of a task's last try."""
    return (
        folder
        / f"dag_id={dag_id}"
        / f"run_id={run_id}"
        / f"task_id={task.task_id}"
        / f"attempt={task.try_number}.log"
    )


def log_tail(path: Path, lines: int = 12) -> list[str]:
    """The end of a task's log, one readable line per record: level, event, and an exception's message."""
    readable: list[str] = []
    for record in _log_records(path):
        if "event" not in record:
            readable += record["text"].splitlines()
        elif not record["event"].startswith(("::group::", "::endgroup::")):
            readable += f"{str(record.get('level', 'info')).upper():8}{record['event']}".splitlines()
            readable += _errors(record)
    return readable[-lines:] or [NO_LOG]


def log_error(path: Path) -> str:
    """The first line of the exception that ended a task, as its log has it."""
    errors = [line for record in _log_records(path) for line in _errors(record)[:1]]
    return errors[-1] if errors else log_tail(path)[-1]


def _log_records(path: Path) -> list[dict[str, Any]]:
    """The log's records; a line that is not JSON becomes one with a `text` only."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
            records.append({**record, "event": str(record["event"])})
        except (ValueError, KeyError, TypeError):
            records.append({"text": line})
    return records


def _errors(record: dict[str, Any]) -> list[str]:
    """The messages of an exception and of its causes, the outermost first."""
    lines = []
    for error in record.get("error_detail") or []:
        lines += f"{error.get('exc_type')}: {error.get('exc_value')}".splitlines()
    return lines
