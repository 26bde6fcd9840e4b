"""The project's DAGs, and a runner that executes their operators in order, in this process.

The runner does what Airflow's task runner does between the scheduler and `execute`: it builds the context,
renders the template fields and passes XComs on. Airflow's own processes are tested in tests/e2e.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DAGS = Path(__file__).resolve().parents[2] / "dags"


def load_dag(dag_id: str):
    """The DAG of that id, from its file in dags/."""
    paths = sorted(
        DAGS.glob("*.py"), key=lambda path: dag_id not in (path.stem, path.stem.removesuffix("_pipeline"))
    )
    for path in paths:
        specification = importlib.util.spec_from_file_location(f"dag_file_{path.stem}", path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        if module.dag.dag_id == dag_id:
            return module.dag
    raise LookupError(f"no file in {DAGS} declares the DAG {dag_id}")


@dataclass
class Airflow:
    """What Airflow knows of DAGs and runs, beside the run that asks.

    :param paused: DAG id to whether it is paused.
    :param states: (DAG id, run id) to the run's state.
    :param is_answering: whether it answers a task.
    """

    paused: dict[str, bool] = field(default_factory=dict)
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    is_answering: bool = True

    def count(self, dag_id: str, run_ids: list[str] | None, states: list[str] | None) -> int:
        return sum(
            of_dag == dag_id and run_id in (run_ids or [run_id]) and state in (states or [state])
            for (of_dag, run_id), state in self.states.items()
        )


@dataclass
class TaskInstance:
    """The part of Airflow's task instance that the operators use."""

    run: PipelineRun
    task_id: str
    try_number: int = 1
    map_index: int = -1
    rendered_map_index: str | None = None

    @property
    def dag_id(self) -> str:
        return self.run.dag.dag_id

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def log_url(self) -> str:
        return f"http://airflow.example/dags/{self.dag_id}/runs/{self.run_id}/tasks/{self.task_id}"

    def xcom_pull(self, task_ids: str, key: str = "return_value", default: Any = None, **_: Any) -> Any:
        return self.run.xcoms.get((task_ids, key), default)

    def xcom_push(self, key: str, value: Any) -> None:
        self.run.xcoms[self.task_id, key] = value

    def get_dr_count(self, **asked: Any) -> int:
        return self._ask("get_dr_count", **asked)

    def get_dag(self, dag_id: str) -> Any:
        return self._ask("get_dag", dag_id)

    def _ask(self, name: str, *arguments: Any, **asked: Any) -> Any:
        """Airflow's own way to ask; imported here, for Airflow reads its settings when it is imported."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        from tests.support.supervisor import supervised

        with supervised(self.run):
            return getattr(RuntimeTaskInstance, name)(*arguments, **asked)


@dataclass
class PipelineRun:
    """One DAG run.

    :param params: the run's conf over the DAG's defaults.
    :param interval: the data interval (start, end) of a scheduled run, whose logical date is the start; None
        for a manual run without logical date.
    :param variables: Airflow Variables.
    :param airflow: what Airflow knows beside the run.
    :param sweep: called before the run looks for songs.
    """

    dag: Any
    params: Mapping[str, Any] = field(default_factory=dict)
    interval: tuple[datetime, datetime] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    run_id: str = "manual__2018-12-01"
    run_after: datetime = datetime(2018, 12, 1, 0, 30, tzinfo=UTC)
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)
    sweep: Callable[[], object] | None = None
    airflow: Airflow = field(default_factory=Airflow)

    def work_table(self, name: str) -> str:
        """The run's work table of that name, with its schema."""
        from sparkify.work import Run

        return Run.from_context(self.context(self.dag.tasks[0])).table(name)

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        return self.dag.params.dump()

    def context(self, task: Any, try_number: int = 1) -> dict[str, Any]:
        instance = TaskInstance(self, task.task_id, try_number)
        interval = {}
        if self.interval:
            start, end = self.interval
            interval = {"logical_date": start, "data_interval_start": start, "data_interval_end": end}
        return {
            "dag": self.dag,
            "task": task,
            "ti": instance,
            "params": {**self._defaults, **self.params},
            "dag_run": SimpleNamespace(
                dag_id=self.dag.dag_id, run_id=self.run_id, run_after=self.run_after, conf=dict(self.params)
            ),
            "run_id": self.run_id,
            "var": {"value": dict(self.variables)},
            **interval,
        }

    def rendered(self, task_id: str, try_number: int = 1) -> tuple[Any, dict[str, Any]]:
        """The task with its template fields rendered, and its context."""
        task = self.dag.get_task(task_id).prepare_for_execution()
        context = self.context(task, try_number)
        task.render_template_fields(context)
        return task, context

    def run_task(self, task_id: str, try_number: int = 1) -> Any:
        """Render and execute one task; its result is its XCom."""
        if self.sweep and task_id == "stage_songs":
            self.sweep()
        task, context = self.rendered(task_id, try_number)
        task._pre_execute_hook(context)
        result = task.execute(context)
        self.xcoms[task_id, "return_value"] = result
        return result

    def run(
        self,
        upto: str | None = None,
        before: str | None = None,
        since: str | None = None,
        try_number: int = 1,
    ) -> Any:
        """Execute the tasks in topological order; the last one's result.

        :param upto: the last task to execute.
        :param before: the first task not to execute.
        :param since: the first task to execute, at this try.
        """
        result = None
        tasks = [task.task_id for task in self.dag.topological_sort()]
        for task_id in tasks[tasks.index(since) if since else 0 :]:
            if task_id == before:
                break
            result = self.run_task(task_id, try_number if task_id == since else 1)
            if task_id == upto:
                break
        return result
