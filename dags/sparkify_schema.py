"""
# sparkify_schema: the tables that the pipeline needs

Creates the schemas `sparkify` (published) and `staging` (internal) and any missing tables, and upgrades the
tables of an earlier version by the migrations that they have not had yet. Data stays as it is, so you can run
it at any time. Run it before the first load, after each deployment, and whenever a task says that a table is
missing. It also grants the readers access to the published tables (Variable `sparkify_readers`).

With `drop_existing`, and `DROP sparkify` entered as `confirm_drop`, it first drops both schemas with all
data, including the ledger of loaded files: the next runs load everything again.

**When it fails.** It does not recreate a table empty that held rows: `sparkify_reconcile` restores it. A
migration that fails is rolled back, and those before it stay: fix what its error names, then clear the task.
A group or role that does not exist must be created first.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from sparkify.operators import SchemaOperator
from sparkify.paths import CREATE_SQL, SQL
from sparkify.settings import CONFIRMATION, FILTERS, task_defaults, variable

with DAG(
    dag_id="sparkify_schema",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(minutes=10)),
    params={
        "drop_existing": Param(
            False,
            type="boolean",
            title="Drop existing tables first",
            description="Deletes all published data and the ledger of loaded files.",
        ),
        "confirm_drop": Param(
            "",
            type="string",
            pattern=CONFIRMATION,
            title="Confirmation of the drop",
            description="Enter DROP sparkify to confirm. Ignored unless tables are to be dropped.",
        ),
    },
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "maintenance"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    create_schema = SchemaOperator(
        task_id="create_schema",
        create_sql=list(CREATE_SQL),
        readers=variable("sparkify_readers"),
        drop_existing="{{ params.drop_existing }}",
        confirmation="{{ params.confirm_drop }}",
    )
