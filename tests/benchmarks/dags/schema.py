"""The DAG that creates the tables, as it is. Apart: a task makes all the DAGs of its file anew.

The DAG processor passes over a file that does not name airflow.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.support.pipeline import load_dag

schema = load_dag("sparkify_schema")
schema.fileloc = __file__
