"""The DAG that finds new song files, as it is, but for its schedule. Apart: see schema.py.

The DAG processor passes over a file that does not name airflow.
"""

import sys
from pathlib import Path

from airflow.sdk.definitions.timetables.simple import NullTimetable

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.support.pipeline import load_dag

sweep = load_dag("sparkify_sweep")
sweep.fileloc = __file__
# Runs are triggered by the benchmark alone.
sweep.timetable = NullTimetable()
