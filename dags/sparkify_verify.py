"""
# sparkify_verify: is this installation ready?

Run it first, and again whenever AWS or a connection changes. It leaves everything as it was: it writes a
probe to the work bucket and deletes it.

- *variables*: the Airflow Variables are valid, and none is misspelt.
- *connections*: the Airflow connections exist and provide credentials, and Redshift accepts the user.
- *buckets*: Airflow can list both buckets and write to the work bucket; both are in the region of COPY.
- *layout*: the log files lie where the Variables say. The log shows what a run of the last hour would find.
- *copy*: the role of COPY can read both buckets (one file, NOLOAD).
- *statements*: Redshift can plan every statement of the pipeline, of reconciling and of the page, and who
  waits for the publish lock sees what its holder commits. The log warns of plans that are dear.
- *schema*: the tables, columns, types and keys are those that this version needs.
- *tables*: the tables hold the rows that were published, and published days all their hours. Reads them
  completely.
- *clocks*: those of the worker, the warehouse and S3 agree.
- *schedules*: the log warns of a schedule that is paused, or of which Airflow does not say it. This does not
  fail, because a new installation is verified before it is unpaused.

**When it fails.** The last line of the failed task's log says what was found and what to do. Do that, then
clear the task.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from sparkify.operators.statements import VerifyStatementsOperator
from sparkify.operators.verify import (
    VerifyBucketsOperator,
    VerifyClocksOperator,
    VerifyConnectionsOperator,
    VerifyCopyOperator,
    VerifyLayoutOperator,
    VerifySchedulesOperator,
    VerifySchemaOperator,
    VerifyTablesOperator,
    VerifyVariablesOperator,
)
from sparkify.paths import SQL
from sparkify.settings import BUCKET, COPY, FILTERS, LAYOUT, TABLES, VARIABLES, WORK, task_defaults, variable

PREFIXES = [variable("sparkify_song_prefix"), variable("sparkify_log_prefix")]

with DAG(
    dag_id="sparkify_verify",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(minutes=5), retry_delay=timedelta(seconds=5)),
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "maintenance"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    variables = VerifyVariablesOperator(
        task_id="variables", variables={name: variable(name) for name in VARIABLES}
    )
    connections = VerifyConnectionsOperator(task_id="connections")
    buckets = VerifyBucketsOperator(
        task_id="buckets", s3_bucket=BUCKET, s3_prefixes=PREFIXES, region=COPY["region"], **WORK
    )
    layout = VerifyLayoutOperator(task_id="layout", **LAYOUT)
    copy = VerifyCopyOperator(task_id="copy", s3_bucket=BUCKET, s3_prefixes=PREFIXES, **WORK, **COPY)
    schema = VerifySchemaOperator(task_id="schema")
    statements = VerifyStatementsOperator(
        task_id="statements", tables=TABLES, execution_timeout=timedelta(minutes=15)
    )
    tables = VerifyTablesOperator(task_id="tables", execution_timeout=timedelta(hours=1))
    clocks = VerifyClocksOperator(task_id="clocks", s3_bucket=BUCKET)
    schedules = VerifySchedulesOperator(task_id="schedules")

    variables >> [connections, schedules]
    connections >> [buckets, schema, clocks]
    schema >> [tables, statements]
    buckets >> [copy, layout]
