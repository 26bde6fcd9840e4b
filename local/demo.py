"""From nothing to the first answers: start the stack, seed the sample month, load it, ask."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console

from local.airflow import Api
from local.runs import PIPELINE, SCHEMA, run_pipeline, run_schema
from local.sample_data import FIRST_DAY, SampleSpec
from local.seed import check_only_sample, seed_sample
from local.settings import UI_USER, Settings
from local.stack import Stack
from local.steps import Steps
from local.warehouse import Summary

# Long enough for a task's first retries to succeed, short enough for a person who waits.
RUN_DEADLINE = 300


# The month of the sample.
SPEC = SampleSpec()
START, END = FIRST_DAY, FIRST_DAY + timedelta(days=SPEC.days)


def demo(settings: Settings, console: Console, started: float | None = None) -> None:
    """Do all of it; `started` is when the user's command began, which may be before Python did."""
    stack = Stack(settings)
    with Steps(console, started) as steps, stack.locked():
        stack.up(steps, lambda: fill_lake(settings, steps))
        summary = load_sample(settings, steps)
        took = steps.elapsed
    summary.print(console)
    console.print(f"Time taken: {took:.0f} s", highlight=False)
    print_where_to_look(settings, console)


def fill_lake(settings: Settings, steps: Steps) -> None:
    """Put the sample into a lake that holds nothing else."""
    check_only_sample(settings, SPEC)
    with steps(f"Seed {SPEC.days} days of sample logs and {SPEC.songs} songs") as step:
        step.result = str(seed_sample(settings, SPEC))


def load_sample(settings: Settings, steps: Steps) -> Summary:
    """Load the sample month by one run through the scheduler, and ask the first questions."""
    with Api(settings) as api:
        with steps("Wait for the DAGs"):
            api.wait_for_dags(PIPELINE, SCHEMA)
        run_schema(steps, api, RUN_DEADLINE)
        run_id = run_pipeline(steps, api, START, END, deadline=RUN_DEADLINE)
    with steps("Ask the warehouse"):
        return Summary.query(settings, run_id, START.replace(tzinfo=None), END.replace(tzinfo=None))


def print_where_to_look(settings: Settings, console: Console) -> None:
    """Say where the UI is and how to end what runs."""
    console.print()
    for line in (
        f"Airflow's UI     {settings.ui_url}   user {UI_USER}, password {settings.credentials.ui_password}",
        "Stop everything  make stop",
        "Delete the data  make clean",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
