"""A whole local stack for a benchmark: own state folder, free ports, the DAGs of `tests/benchmarks/dags`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from local.airflow import Api, TaskState, task_log
from local.runs import PIPELINE, SCHEMA, SWEEP
from local.settings import BUCKET, Ports, Settings
from local.stack import Stack
from local.steps import Steps
from local_redshift.embedded.interruption import Interruption
from local_redshift.embedded.ports import free_port
from tests.benchmarks.timing import KINDS, MARK

DAGS = Path(__file__).parent / "dags"
NO_OP = "no_op"
SAMPLE_END = date(2018, 11, 30)
RUN_DEADLINE = 600


@dataclass
class Task:
    """What one task spent.

    :param start, end: by Airflow, in seconds since the epoch.
    :param spent: what it wrote to its log (`tests.benchmarks.timing`); empty for a no-op.
    """

    start: float
    end: float
    spent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def parts(self) -> dict[str, float]:
        """Its seconds by what they went to."""
        if not self.spent:
            return {}
        seconds = self.spent["seconds"]
        within = self.spent["done"] - self.spent["ready"]
        return {
            "start-up": self.spent["ready"] - self.start,
            **{kind: seconds.get(kind, 0.0) for kind in KINDS},
            "own": within - sum(seconds.values()),
            "end": self.end - self.spent["done"],
        }


@dataclass
class Run:
    """One run: from the trigger to its last task's end, in seconds, and its tasks."""

    seconds: float
    tasks: dict[str, Task]

    def count(self, what: str) -> int:
        return sum(task.spent["counts"].get(what, 0) for task in self.tasks.values())

    @property
    def connected(self) -> float:
        return sum(task.spent["connected"] for task in self.tasks.values())


class BenchStack:
    """A stack whose schedules all rest; runs are triggered by hand."""

    def __init__(self, settings: Settings, api: Api):
        self.settings = settings
        self.api = api

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write into the lake, whose buckets are folders."""
        for key, body in files.items():
            path = self.settings.lake / BUCKET / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    def run(self, dag_id: str, conf: Mapping[str, object] | None = None) -> Run:
        """Trigger a run and wait for its end."""
        run_id = self.api.trigger(dag_id, conf or {})
        self.api.wait_for_run(dag_id, run_id, deadline=RUN_DEADLINE)
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        run = self.api.call("GET", path)
        tasks = {
            task["task_id"]: Task(_epoch(task["start_date"]), _epoch(task["end_date"]), self._spent(task))
            for task in self.api.call("GET", f"{path}/taskInstances")["task_instances"]
        }
        return Run(max(task.end for task in tasks.values()) - _epoch(run["queued_at"]), tasks)

    def _spent(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        state = TaskState(task["task_id"], task["state"], task["try_number"])
        path = task_log(self.settings.task_logs, task["dag_id"], task["dag_run_id"], state)
        for line in path.read_text().splitlines():
            event = json.loads(line).get("event", "")
            if event.startswith(MARK):
                found: dict[str, Any] = json.loads(event.removeprefix(MARK))
                return found
        return {}


@contextmanager
def bench_stack() -> Iterator[BenchStack]:
    """A running stack with an empty lake and its tables; ended and removed afterwards."""
    interruption = Interruption()
    with tempfile.TemporaryDirectory(prefix="bench-run-") as folder:
        ports = {Ports.variable(name): str(free_port()) for name in ("ui", "s3", "redshift", "postgres")}
        environ = {
            **os.environ,
            **ports,
            "SPARKIFY_STATE": f"{folder}/state",
            "SPARKIFY_SAMPLE_END": f"{SAMPLE_END}",
        }
        settings = replace(Settings.load(environ), dags_folder=DAGS)
        stack = Stack(settings)
        steps = Steps(Console(quiet=True))
        try:
            with steps:
                stack.up(steps)
            with interruption.let_through(), Api(settings) as api:
                api.wait_for_dags(PIPELINE, SCHEMA, SWEEP, NO_OP)
                for dag_id in (SCHEMA, PIPELINE, SWEEP, NO_OP):
                    api.unpause(dag_id)
                bench = BenchStack(settings, api)
                bench.run(SCHEMA)
                yield bench
        finally:
            with steps:
                stack.clean(steps)


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
