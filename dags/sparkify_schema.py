"""
# sparkify_schema: the tables that the pipeline needs

Creates the schemas `sparkify` (published) and `staging` (internal) and the tables that are missing, and
brings the tables of an earlier version to this one by the migrations that they have not seen. Data stays as
it is, so it may be run at any time; run it once before the first load, after each deployment, and whenever a
task says that a table is missing. Readers are granted the published tables (Variable `sparkify_readers`).

With `drop_existing`, and `DROP sparkify` entered as `confirm_drop`, both schemas are dropped first, with all
data and also the ledger of loaded files: the next runs load everything again.

**When it fails.** A missing table that held rows is not made empty: `sparkify_reconcile` brings it back. A
migration that fails is rolled back, and those before it stay: mend what its error names and clear the task. A
group or role that does not exist must be created first.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from sparkify.operators import SchemaOperator
from sparkify.paths import CREATE_SQL, SQL
from sparkify.settings import FILTERS, task_defaults, variable

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
            title="Confirmation of the drop",
            description="Enter DROP sparkify to confirm. Not needed, and ignored, without the drop.",
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
