"""What an hourly run takes, beside one of its shape that does nothing: `python -m tests.benchmarks.run`.

On a stack that it starts and removes itself, it loads the sample month but for its last days. Then it
triggers hours of these, each followed by a run of the DAG `no_op`: nine tasks in the same five steps. It does
so with the sample's catalogue, and with one of 15,000 song files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from local.runs import PIPELINE, SWEEP, window_conf
from local.sample_data import Sample, SampleSpec
from tests.benchmarks.history import at_least
from tests.benchmarks.stack import NO_OP, SAMPLE_END, BenchStack, Run, bench_stack
from tests.benchmarks.timing import COUNTS
from tests.support import source

TARGET = 1.5
SPEC = SampleSpec(SAMPLE_END)
STEPS = (
    *(("stage_events",), ("stage_songs",), ("load_songplays",)),
    ("load_users", "load_songs", "load_artists", "load_time"),
    *(("run_quality_checks",), ("publish",)),
)


def more_songs(count: int, songs: int) -> dict[str, bytes]:
    """Files of songs that nobody plays, beside those of the sample, so that there are `songs` of them."""
    added = (
        source.song(f"SOBENCH{number:05}", f"ARBENCH{number // 3:05}", title=f"Title {number}",
                    artist_name=f"Artist {number // 3}", duration=100 + number / 100)
        for number in range(count, songs)
    )  # fmt: skip
    return {
        f"song_data/Z/{one['song_id'][-5:-3]}/{one['song_id']}.json": json.dumps(one).encode()
        for one in added
    }


def first_hour(sizes: int, rounds: int) -> datetime:
    """Where the last days begin that have an hour for each round, and for the first run of each size."""
    return SPEC.end_time - timedelta(days=ceil(sizes * (rounds + 1) / 24))


class Hours:
    """Hours from a first one on, in order."""

    def __init__(self, bench: BenchStack, first: datetime):
        self.bench = bench
        self.next = first

    def load(self) -> Run:
        start, self.next = self.next, self.next + timedelta(hours=1)
        return self.bench.run(PIPELINE, window_conf(start, self.next))


def report(bench: BenchStack, sizes: list[int], rounds: int) -> int:
    """Print each size's figures; 1 where an hour takes more than the target allows."""
    first = first_hour(len(sizes), rounds)
    bench.put(dict(Sample(SPEC).objects()))
    bench.run(PIPELINE, window_conf(SPEC.start_time, first))
    hours, met = Hours(bench, first), True
    for size in sorted(sizes):
        bench.put(more_songs(SPEC.songs, size))
        bench.run(SWEEP)
        hours.load()
        pairs = [(hours.load(), bench.run(NO_OP)) for _ in range(rounds)]
        runs, no_ops = [run for run, _ in pairs], [no_op for _, no_op in pairs]
        ratio = median([run.seconds for run in runs]) / median([run.seconds for run in no_ops])
        met = met and ratio <= TARGET
        print(*lines(size, runs, no_ops), sep="\n", flush=True)
        print(f"{size:,} songs: {ratio:.2f} times a run that does nothing, at most {TARGET:g}: "
              f"{'ok' if ratio <= TARGET else 'MISSED'}\n", flush=True)  # fmt: skip
    return 0 if met else 1


def lines(size: int, runs: list[Run], no_ops: list[Run]) -> Iterator[str]:
    """What the runs with so many songs took, in the median; of a step of several tasks, its slowest."""
    nothing = median([run.seconds for run in no_ops])
    yield f"{size:,} songs, {len(runs)} runs, medians:"
    for title, seconds in (
        ("an hour", [run.seconds for run in runs]),
        ("nine tasks that do nothing", [run.seconds for run in no_ops]),
    ):
        yield f"  {title:34} {median(seconds):6.2f} s  {median(seconds) / nothing:5.2f}"
    yield f"  {counts(runs)}"
    yield from breakdown(runs, no_ops)


def counts(runs: list[Run]) -> str:
    """What the runs asked of the warehouse and of S3, in the median."""
    found = {what: median([run.count(what) for run in runs]) for what in COUNTS}
    told = ", ".join(f"{count:g} {what.replace('_', ' ')}" for what, count in found.items())
    return f"{told} (to S3), {median([run.connected for run in runs]):.2f} s connected"


def breakdown(runs: list[Run], no_ops: list[Run]) -> Iterator[str]:
    """A line a task, with its seconds by what they went to, its statements and round trips."""
    names = list(runs[0].tasks["publish"].parts())
    titles = (f"{name:>8}" for name in [*names, "SQL", "trips"])
    yield f"  {'seconds':20} {'task':>6} {'no-op':>6} " + " ".join(titles)
    for task_id in (task_id for step in STEPS for task_id in step):
        tasks = [run.tasks[task_id] for run in runs]
        parts = [task.parts() for task in tasks]
        cells = " ".join(f"{median([one[name] for one in parts]):8.3f}" for name in names)
        for what in ("statements", "round_trips"):
            cells += f" {median([task.spent['counts'].get(what, 0) for task in tasks]):8g}"
        nothing = median([run.tasks[task_id].seconds for run in no_ops])
        yield f"  {task_id:20} {median([task.seconds for task in tasks]):6.2f} {nothing:6.2f} {cells}"


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 where an hour takes more than the target allows."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.run", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--songs", type=int, nargs="+", default=[300, 15_000], help="song files in the lake (300 15000)"
    )
    parser.add_argument(
        "--rounds",
        type=at_least(1),
        default=10,
        help="hours of each size, of which the median counts (10)",
    )
    options = parser.parse_args(argv)
    with bench_stack() as bench:
        return report(bench, options.songs, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
