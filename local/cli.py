"""The commands of `python -m local`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.airflow import Api, RunFailedError
from local.demo import demo, print_where_to_look
from local.generator import sample_end
from local.runs import (
    PIPELINE,
    SCHEMA,
    SWEEP,
    WindowError,
    parse_hour,
    run_pipeline,
    run_schema,
    run_sweep,
    window_conf,
)
from local.sample_data import Sample, SampleSpec
from local.seed import SeedError, seed_folder, seed_sample
from local.settings import Settings, SettingsError
from local.stack import Stack
from local.steps import Steps
from local.warehouse import Summary
from local_redshift.embedded.detached import StartupError

#: Its result is the exit code.
Command = Callable[[Settings, argparse.Namespace, Console], int | None]

USER_ERRORS = (SettingsError, StartupError, SeedError, WindowError, RunFailedError)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Whatever the user can mend ends in one message on stderr."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=False)
    try:
        return options.command(Settings.load(), options, console) or 0
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was started keeps running; `make stop` ends it.", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Run the pipeline on this machine: Airflow, and stand-ins for Amazon S3 and Redshift.",
        epilog="Ports: SPARKIFY_UI_PORT, SPARKIFY_S3_PORT, SPARKIFY_REDSHIFT_PORT, SPARKIFY_POSTGRES_PORT. "
        "State folder: SPARKIFY_STATE, .local by default. "
        "Last day of the sample: SPARKIFY_SAMPLE_END, yesterday (UTC) by default.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Command, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(command=command)
        return sub

    add("up", _up, "Start everything that is not running.")
    add("down", _down, "Stop everything and keep the data.")
    add("status", _status, "Show what is running. Exits with 3 unless everything is.")
    add("demo", _demo, "Start everything, seed sample data, load it and show the first answers.")
    add("clean", _clean, "Stop everything and delete the local data.")
    add("env", _env, 'Print exports for using `airflow` and `aws` here: eval "$(python -m local env)"')

    seed = add("seed", _seed, "Fill the lake from a folder or with sample data.")
    seed.add_argument(
        "--from",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="a folder that contains log_data/ and song_data/",
    )
    default = SampleSpec
    sizes = seed.add_argument_group("sample data, without --from")
    sizes.add_argument(
        "--days", type=int, metavar="N", help=f"days, the last of them yesterday ({default.days})"
    )
    sizes.add_argument("--users", type=int, metavar="N", help=f"registered users ({default.users})")
    sizes.add_argument("--songs", type=int, metavar="N", help=f"songs in the catalogue ({default.songs})")
    sizes.add_argument(
        "--events-per-day",
        type=int,
        metavar="N",
        help=f"events per day, on average ({default.events_per_day})",
    )
    sizes.add_argument("--seed", type=int, metavar="N", help=f"same seed, same bytes ({default.seed})")

    load = add("load", _load, "Load a window in one run through the scheduler.")
    load.add_argument("--start", required=True, help="first hour, UTC: 2018-11-01 or 2018-11-01T05:00")
    load.add_argument("--end", required=True, help="the hour after the last")
    load.add_argument(
        "--mode", choices=("append", "truncate"), default="append", help="how dimensions are loaded (append)"
    )
    return parser


def _up(settings: Settings, _: argparse.Namespace, console: Console) -> None:
    stack = Stack(settings)
    with Steps(console) as steps, stack.locked():
        stack.up(steps)
    print_where_to_look(settings, console)


def _down(settings: Settings, _: argparse.Namespace, console: Console) -> None:
    stack = Stack(settings)
    # Also without the lock: this is how a command that hangs is ended.
    with Steps(console) as steps, stack.locked(required=False):
        stack.down(steps)


def _clean(settings: Settings, _: argparse.Namespace, console: Console) -> None:
    stack = Stack(settings)
    with Steps(console) as steps, stack.locked():
        stack.clean(steps)


def _status(settings: Settings, _: argparse.Namespace, console: Console) -> int:
    stack = Stack(settings)
    parts = stack.parts()
    table = Table("part", "state", "address")
    for name, (runs, address) in parts.items():
        table.add_row(name, "[green]running[/]" if runs else "[red]stopped[/]", address)
    console.print(table)
    health = ", ".join(f"{name} {state}" for name, state in stack.airflow.health().items())
    console.print(f"Airflow's health: {health or 'no answer'}", highlight=False, soft_wrap=True)
    return 0 if all(runs for runs, _ in parts.values()) else 3


def _demo(settings: Settings, _: argparse.Namespace, console: Console) -> None:
    # The Makefile says when `make` began, so that the time taken includes the installation.
    started = os.environ.get("SPARKIFY_STARTED")
    demo(settings, console, float(started) if started else None)


def _env(settings: Settings, _: argparse.Namespace, console: Console) -> None:
    programs = Path(sys.executable).parent
    print(f"export PATH={shlex.quote(str(programs))}:$PATH")
    for name, value in {**settings.environment(), **settings.aws_environment()}.items():
        print(f"export {name}={shlex.quote(value)}")


def _seed(settings: Settings, options: argparse.Namespace, console: Console) -> None:
    sizes = {
        name: getattr(options, name)
        for name in ("days", "users", "songs", "events_per_day", "seed")
        if getattr(options, name) is not None
    }
    if options.folder and sizes:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in sizes)
        raise SeedError(f"--from uploads a folder as it is: leave out {given}, or leave out --from.")
    stack = Stack(settings)
    if not stack.s3.is_running():
        raise StartupError("Local S3 is not running.\n`make up` starts everything.")
    spec = None
    if options.folder:
        seeded = seed_folder(settings, options.folder, console)
    else:
        try:
            spec = SampleSpec(sample_end(settings), **sizes)
        except ValueError as error:
            raise SeedError(str(error)) from None
        seeded = seed_sample(settings, Sample(spec), console)
    console.print(f"The lake: {seeded}, {seeded.seconds:.1f} s", highlight=False)
    if spec:
        days = f"--start {spec.start_time:%F} --end {spec.end_time:%F}"
        console.print(f"Load it with: .venv/bin/python -m local load {days}", highlight=False, soft_wrap=True)


def _load(settings: Settings, options: argparse.Namespace, console: Console) -> None:
    start, end = parse_hour("--start", options.start), parse_hour("--end", options.end)
    window_conf(start, end)  # refuses an inverted window before anything else is asked
    if not Stack(settings).airflow.is_running():
        raise StartupError("Airflow is not running.\n`make up` starts everything.")
    with Steps(console) as steps, Api(settings) as api:
        with steps("Wait for the DAGs"):
            api.wait_for_dags(PIPELINE, SCHEMA, SWEEP)
        run_schema(steps, api)
        run_sweep(steps, api)
        run_id = run_pipeline(steps, api, start, end, options.mode)
        took = steps.elapsed
        summary = Summary.query(settings, run_id, start.replace(tzinfo=None), end.replace(tzinfo=None))
    summary.print(console)
    console.print(f"Time taken: {took:.0f} s", highlight=False)
