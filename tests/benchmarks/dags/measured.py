"""The project's pipeline as it is; each of its tasks writes to its log what it spent."""

import sys
from pathlib import Path

from airflow.sdk.definitions.timetables.simple import NullTimetable

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.benchmarks.timing import measure
from tests.support.pipeline import load_dag

pipeline = load_dag("sparkify")
pipeline.fileloc = __file__
# Runs are triggered by the benchmark alone.
pipeline.timetable = NullTimetable()
measure(pipeline)
