"""Airflow imports this module at start-up; `local/settings.py` puts its folder on the path.

The scheduler's LocalExecutor forks a process for every task, and each would import the DAGs' operators,
their libraries and providers again. Imported here, once, before the fork, the children inherit them.
"""

import sys
from importlib import import_module

if sys.argv[1:2] == ["scheduler"]:
    for name in (
        "airflow.providers.amazon.aws.hooks.redshift_sql",
        "airflow.providers.amazon.aws.hooks.s3",
        "airflow.providers.common.sql.hooks.sql",
        "sparkify.operators",
    ):
        import_module(name)
