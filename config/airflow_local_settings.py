"""Airflow imports this module at start-up; `local/settings.py` puts its folder on the path.

The scheduler's LocalExecutor forks a process for every task. What each of them would import, read and look up
again is done here once, before the first fork, and the children inherit it; a change in `plugins/`
or `include/` takes effect when the scheduler starts again.
"""

import os
import sys
from functools import cache


@cache
def prepare_tasks() -> None:
    """Not at start-up: most of Airflow is imported after this module."""
    import inspect
    from contextlib import suppress

    import airflow.providers.amazon.aws.hooks.redshift_sql
    import airflow.providers.amazon.aws.hooks.s3
    import airflow.providers.common.sql.hooks.sql
    import airflow.sdk.execution_time.task_runner  # noqa: F401
    import botocore.session

    import sparkify.operators
    import sparkify.settings  # noqa: F401
    from sparkify.checks import read_checks
    from sparkify.paths import SQL

    for path in SQL.rglob("checks.yaml"):
        # What is wrong with a file is told by the task that reads it.
        with suppress(ValueError):
            read_checks(path)
    # AWS's descriptions of its services, megabytes of JSON: each session would read its own.
    botocore.session.create_loader = cache(botocore.session.create_loader)
    botocore.session.get_session().create_client("s3", region_name="us-west-2")
    # The AWS hook looks up who called it. The first look resolves the file of every module, in 0.2 s.
    inspect.stack()


if sys.argv[1:2] == ["scheduler"]:
    os.register_at_fork(before=prepare_tasks)
