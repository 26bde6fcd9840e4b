"""Trigger a DAG through Airflow's scheduler, as the UI does, and show its tasks while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from rich.markup import escape

from local.airflow import Api, TaskState, log_error, task_log
from local.steps import Steps

PIPELINE = "sparkify"
SCHEMA = "sparkify_schema"
RECONCILE = "sparkify_reconcile"
SWEEP = "sparkify_sweep"

RUN_DEADLINE = 1800


class WindowError(Exception):
    """A window that the pipeline could not load; the message says what to give."""


def parse_hour(option: str, text: str) -> datetime:
    """Read `2018-11-01` or `2018-11-01T05:00`, in UTC unless it names another zone."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WindowError(
            f"{option} {text!r} is not a date or a time. Enter one like 2018-11-01 or 2018-11-01T05:00 (UTC)."
        ) from None
    if moment.minute or moment.second or moment.microsecond:
        raise WindowError(f"{option} {text!r} is not a whole hour. The pipeline loads whole hours.")
    return moment


def window_conf(start: datetime, end: datetime, mode: str = "append") -> dict[str, str]:
    """The DAG's params for one run over `[start, end)`."""
    if start >= end:
        raise WindowError(
            f"The window ends at {end:%Y-%m-%d %H:%M}, which is not after its start {start:%Y-%m-%d %H:%M}.\n"
            "The end is exclusive: all of November 2018 is --start 2018-11-01 --end 2018-12-01."
        )
    return {
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "dimension_mode": mode,
    }


def run_schema(steps: Steps, api: Api, deadline: float = RUN_DEADLINE) -> None:
    """Create the tables that are missing."""
    run_dag(steps, api, SCHEMA, {}, f"Run {SCHEMA}: create the tables that are missing", deadline)


def run_sweep(steps: Steps, api: Api, deadline: float = RUN_DEADLINE) -> None:
    """Find the song files that are new, for the next run of the pipeline."""
    run_dag(steps, api, SWEEP, {}, f"Run {SWEEP}: find new song files", deadline)


def run_pipeline(
    steps: Steps,
    api: Api,
    start: datetime,
    end: datetime,
    mode: str = "append",
    deadline: float = RUN_DEADLINE,
    on_queued: Callable[[str], None] | None = None,
) -> str:
    """Load `[start, end)` by one run and return its id; `on_queued` as for `run_dag`."""
    title = f"Run {PIPELINE}: load {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} in one run"
    return run_dag(steps, api, PIPELINE, window_conf(start, end, mode), title, deadline, on_queued)


def run_dag(
    steps: Steps,
    api: Api,
    dag_id: str,
    conf: Mapping[str, object],
    title: str,
    deadline: float = RUN_DEADLINE,
    on_queued: Callable[[str], None] | None = None,
) -> str:
    """Run a DAG once and follow it to its end; return the run id, or raise what says why it failed.

    `on_queued` gets the run id; if the DAG is paused still, before any run of it starts.
    """
    with steps(title) as step:
        run_id = api.trigger(dag_id, conf)
        if on_queued:
            on_queued(run_id)
        api.unpause(dag_id)
        seen: dict[str, tuple[str, int]] = {}

        def show(tasks: list[TaskState]) -> None:
            for task in tasks:
                if seen.get(task.task_id) == (task.state, task.try_number):
                    continue
                seen[task.task_id] = (task.state, task.try_number)
                if task.state == "success":
                    steps.done(task.task_id, task.duration or 0, indent="  ")
                elif task.state == "up_for_retry":
                    error = log_error(task_log(api.settings.task_logs, dag_id, run_id, task))
                    steps.line(
                        f"  [yellow]{task.task_id} failed on try {task.try_number} and will be retried:[/] "
                        f"{escape(error)}"
                    )
            running = [task.task_id for task in tasks if task.state == "running"]
            step.detail(", ".join(running) or "waiting for the scheduler")

        tasks = api.wait_for_run(dag_id, run_id, deadline=deadline, on_change=show)
        step.result = f"{len(tasks)} task{'s' * (len(tasks) != 1)}"
    return run_id
