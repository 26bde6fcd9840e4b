"""Airflow imports this module at start-up; `local/settings.py` puts its folder on the path.

The scheduler's LocalExecutor forks a process for every task, and each would import the DAGs' providers and
the pipeline again. Imported here, once, before the fork, the children inherit them; a change in `plugins/`
takes effect when the scheduler starts again.
"""

import inspect
import sys
from contextlib import suppress

if sys.argv[1:2] == ["scheduler"]:
    import airflow.providers.amazon.aws.hooks.redshift_sql
    import airflow.providers.amazon.aws.hooks.s3
    import airflow.providers.common.sql.hooks.sql  # noqa: F401

    import sparkify.operators
    import sparkify.settings  # noqa: F401
    from sparkify.checks import read_checks
    from sparkify.paths import SQL

    for path in SQL.rglob("checks.yaml"):
        # What is wrong with a file is told by the task that reads it.
        with suppress(ValueError):
            read_checks(path)
    # The AWS hook looks up who called it. The first look resolves the file of every module, in 0.2 s.
    inspect.stack()
