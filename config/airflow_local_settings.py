"""Airflow imports this module at start-up; `local/settings.py` puts its folder on the path.

The scheduler's LocalExecutor forks a process for every task. What each of them would import, read and look up
again is done here once, before the first fork, and the children inherit it; a change in `plugins/`
or `include/` takes effect when the scheduler starts again.

And each of Airflow's processes searches what it has imported for garbage less often.
"""

import gc
import os
import sys
import time
from functools import cache

#: Airflow's processes that go on, and how long they take to start at most.
SERVICES, STARTED_S = ("api-server", "scheduler", "dag-processor", "triggerer"), 15


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
    # AWS's descriptions of its services, megabytes of JSON: each session would read its own. It has keys, so
    # that it looks for none; it sends no request.
    botocore.session.create_loader = cache(botocore.session.create_loader)
    keys = dict.fromkeys(("aws_access_key_id", "aws_secret_access_key"), "none")
    botocore.session.get_session().create_client("s3", region_name="us-west-2", **keys)
    # The AWS hook looks up who called it. The first look resolves the file of every module, in 0.2 s.
    inspect.stack()


def collect_less() -> None:
    """While it starts, a process makes half a million objects that stay: a tenth of its time was for these.

    Nor does it look at them later, when people wait for its answers.
    """
    began, threshold = time.monotonic(), gc.get_threshold()

    def freeze(phase: str, _: object) -> None:
        if phase == "stop" and time.monotonic() > began + STARTED_S:
            gc.callbacks.remove(freeze)
            gc.freeze()
            gc.set_threshold(*threshold)

    gc.callbacks.append(freeze)
    gc.set_threshold(50_000)


if sys.argv[1:2] and sys.argv[1] in SERVICES:
    collect_less()
if sys.argv[1:2] == ["scheduler"]:
    os.register_at_fork(before=prepare_tasks)
