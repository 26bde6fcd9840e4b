"""Airflow imports this module at start-up; `local/settings.py` puts its folder on the path.

The scheduler's LocalExecutor forks a process for every task, and each would import the DAGs' operators,
their libraries and providers again. Imported here, once, before the fork, the children inherit them.
"""

import sys

if sys.argv[1:2] == ["scheduler"]:
    import airflow.providers.amazon.aws.hooks.redshift_sql
    import airflow.providers.amazon.aws.hooks.s3
    import airflow.providers.common.sql.hooks.sql
    import airflow.providers.standard.version_compat
    import boto3.session
    import redshift_connector
    import sparkify.operators  # noqa: F401
