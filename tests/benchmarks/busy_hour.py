"""What an hour of a million events costs behind a long history: a figure of `tests.benchmarks.lake`.

The history is that of `tests.benchmarks.history`. Each task of the hour has a process of its own, as in
Airflow, which tells how much memory it took at most. An hour of a tenth of the events goes before.
"""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from local_redshift.cluster import LocalCluster
from tests.benchmarks.history import BEGINNING, PLAYS_A_PAGE, History, Service, verdict
from tests.support.task_process import TaskProcess

PLAYS_AN_HOUR = 10_000
USERS = 10_000
EVENTS_A_PART = 10_000
VARIABLES = {"sparkify_log_keys": "{year}/{month}/{day}/{hour}/*", "sparkify_log_suffixes": ".json.gz"}
TASK_DEADLINE_S = 3600
#: Megabytes, and times those of the smaller hour.
MEMORY_TARGET_MB = 300
GROWTH_TARGET = 1.2


@dataclass
class Task:
    """A task of a run: its seconds, with those of its process, and the most memory that it took."""

    seconds: float
    peak_bytes: int


def report_busy_hour(servers: LocalCluster, events: int, plays: int) -> bool:
    """Print what the hours cost; whether the memory of the worker stays small."""
    history = History(servers, Service(PLAYS_AN_HOUR, USERS))
    history.fill(plays)
    history.pipeline.variables |= VARIABLES
    print(f"\nAn hour behind {history.plays:,} plays, each task in a process of its own:")
    peaks = []
    for size in (events // 10, events):
        rows, tasks = run_busy_hour(history, size)
        seconds = sum(task.seconds for task in tasks.values())
        peaks.append(max(task.peak_bytes for task in tasks.values()) / 1e6)
        print(f"  {rows:9,} events: {seconds:.1f} s, {rows / seconds:,.0f} rows per second, at most "
              f"{peaks[-1]:.0f} MB of memory")  # fmt: skip
        for name, task in tasks.items():
            print(f"    {name:20} {task.seconds:6.1f} s {task.peak_bytes / 1e6:5.0f} MB", flush=True)
    growth = peaks[1] / peaks[0]
    met = growth <= GROWTH_TARGET and peaks[1] < MEMORY_TARGET_MB
    print(f"memory of the worker: {growth:.2f} times that for a tenth of the events, at most "
          f"{GROWTH_TARGET}, and less than {MEMORY_TARGET_MB} MB: {verdict(met)}", flush=True)  # fmt: skip
    return met


def run_busy_hour(history: History, events: int) -> tuple[int, dict[str, Task]]:
    """Load the first hour of the next day with about so many events; how many they are, and the tasks."""
    service = Service(events * PLAYS_A_PAGE // (PLAYS_A_PAGE + 1), USERS)
    start = BEGINNING + timedelta(hours=history.hours)
    remaining, rows = service.hour(history.hours), 0
    while part := list(islice(remaining, EVENTS_A_PART)):
        body = gzip.compress("\n".join(map(json.dumps, part)).encode(), 6, mtime=0)
        history.pipeline.put({f"log_data/{start:%Y/%m/%d/%H}/part-{rows:09}.json.gz": body})
        rows += len(part)
    pipeline_run = history.pipeline.new_run(
        f"{start:%F %H:%M}", f"{start + timedelta(hours=1):%F %H:%M}", sweep=False
    )
    tasks = {}
    for task in pipeline_run.dag.topological_sort():
        began = time.perf_counter()
        process = TaskProcess(pipeline_run, task.task_id)
        process.result(TASK_DEADLINE_S)
        tasks[task.task_id] = Task(time.perf_counter() - began, process.peak_bytes)
    history.hours += 24
    history.plays += service.plays_an_hour
    return rows, tasks
