"""What a month takes as one run in Airflow: `python -m tests.benchmarks.month`.

On a stack that it starts and removes itself, with an empty warehouse: November 2018 of the public dataset, if
SPARKIFY_DATASET names its folder, or else a sample of about its size.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from local.runs import PIPELINE, window_conf
from local.sample_data import Sample, SampleSpec
from tests.benchmarks.run import breakdown, counts, more_songs
from tests.benchmarks.stack import NO_OP, SAMPLE_END, Run, bench_stack
from tests.support.months import dataset_month, unpack

TARGET_S = 25
#: As the public dataset: 8,056 events, 14,896 songs.
SPEC = SampleSpec(SAMPLE_END, events_per_day=269)
SONGS = 14_896


def month() -> dict[str, bytes]:
    """The files of the month, by key."""
    folder = os.environ.get("SPARKIFY_DATASET")
    if not folder:
        return dict(Sample(SPEC).objects()) | more_songs(SPEC.songs, SONGS)
    with tempfile.TemporaryDirectory(prefix="dataset-") as unpacked:
        unpack(Path(folder), Path(unpacked))
        return dataset_month(Path(unpacked))


def report(files: dict[str, bytes], run: Run, no_op: Run) -> int:
    """Print the run's figures; 1 where it takes more than the target allows."""
    print(f"{len(files):,} files, {sum(map(len, files.values())):,} bytes")
    print(f"  {counts([run])}")
    print(*breakdown([run], [no_op]), sep="\n")
    is_met = run.seconds <= TARGET_S
    print(f"A month: {run.seconds:.2f} s, at most {TARGET_S}: {'ok' if is_met else 'MISSED'}")
    return 0 if is_met else 1


def main() -> int:
    """Print the figures; 1 where the month takes more than the target allows."""
    files = month()
    with bench_stack() as bench:
        bench.put(files)
        # The first run after a start is slower by what Airflow itself has to begin.
        bench.run(NO_OP)
        no_op = bench.run(NO_OP)
        run = bench.run(PIPELINE, window_conf(SPEC.start_time, SPEC.end_time))
    return report(files, run, no_op)


if __name__ == "__main__":
    sys.exit(main())
