"""From nothing to the first answers: start the stack, seed the sample month, load it, ask."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console

from local.airflow import Api
from local.generator import grow, let_grow, sample_end, utc_now, written_until
from local.runs import PIPELINE, RECONCILE, SCHEMA, SWEEP, run_pipeline, run_schema
from local.sample_data import Sample, SampleSpec
from local.seed import complete_sample
from local.settings import UI_USER, Settings
from local.stack import Stack
from local.steps import Steps
from local.warehouse import Summary, claim_first_catalogue

# Long enough for a task's first retries to succeed, short enough for a person who waits.
RUN_DEADLINE = 300


def demo(settings: Settings, console: Console, started: float | None = None) -> None:
    """Do all of it; `started` is when the user's command began, which may be before Python did."""
    stack = Stack(settings)
    with Steps(console, started) as steps, stack.locked():
        month = SampleMonth(settings, steps)
        stack.up(steps, month.fill_lake)
        summary = month.load()
        if month.goes_on:
            stack.generator.launch()
        took = steps.elapsed
    summary.print(console)
    console.print(f"Time taken: {took:.0f} s", highlight=False)
    month.print_what_follows(console)
    print_where_to_look(settings, console)


class SampleMonth:
    """The sample in the lake and in the warehouse; unless its end is set, it goes on up to now."""

    def __init__(self, settings: Settings, steps: Steps):
        self.settings = settings
        self.steps = steps
        self.goes_on = settings.sample_end is None
        self.sample: Sample

    def fill_lake(self) -> None:
        """Put the sample into a lake that holds nothing else."""
        spec = SampleSpec(sample_end(self.settings))
        self.sample = Sample(spec)
        until = written_until(utc_now()) if self.goes_on else spec.end_time
        title = f"Seed sample logs of {spec.start_time:%F} to {spec.end} and {spec.songs} songs"
        with self.steps(title) as step:
            step.result = str(complete_sample(self.settings, self.sample, until))
        if self.goes_on:
            let_grow(self.settings, spec.end)

    def load(self) -> Summary:
        """Load the sample, up to this hour where it goes on, by one run through the scheduler; ask.

        Late events of the sample's days come after that run: they are left to reconciling.
        """
        start = loaded = self.sample.spec.start_time
        runs = []
        with Api(self.settings) as api:
            with self.steps("Wait for the DAGs"):
                api.wait_for_dags(PIPELINE, SCHEMA, SWEEP, RECONCILE)
            run_schema(self.steps, api, RUN_DEADLINE)
            # A second run, of an hour, where one ends meanwhile.
            while loaded < (until := self._until()):
                if self.goes_on:
                    grow(self.settings, self.sample, utc_now(), since=self.sample.spec.end_time)
                run_id = run_pipeline(
                    self.steps, api, loaded, until, deadline=RUN_DEADLINE, on_queued=self._leave_songs_to
                )
                runs.append((run_id, until))
                loaded = until
            if self.goes_on:
                grow(self.settings, self.sample, utc_now())
                api.unpause(SWEEP)
                api.unpause(RECONCILE)
        run_id, end = runs[0]
        with self.steps("Ask the warehouse"):
            return Summary.query(self.settings, run_id, start.replace(tzinfo=None), end.replace(tzinfo=None))

    def _leave_songs_to(self, run_id: str) -> None:
        """Of the runs that start together, let this one bring the songs that the summary shows."""
        claim_first_catalogue(self.settings, run_id)

    def _until(self) -> datetime:
        """The end of what there is to load."""
        end = self.sample.spec.end_time
        return max(end, utc_now().replace(minute=0, second=0, microsecond=0)) if self.goes_on else end

    def print_what_follows(self, console: Console) -> None:
        """Say what comes without being asked for."""
        if self.goes_on:
            console.print(
                "New events arrive every hour, some of them late. sparkify loads each hour, and every day "
                "sparkify_reconcile loads what came late.",
                highlight=False,
                soft_wrap=True,
            )


def print_where_to_look(settings: Settings, console: Console) -> None:
    """Say where the UI is and how to end what runs."""
    console.print()
    for line in (
        f"Airflow's UI     {settings.ui_url}   user {UI_USER}, password {settings.credentials.ui_password}",
        "Stop everything  make stop",
        "Delete the data  make clean",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
