"""
# sparkify_cluster_delete: the cluster and its data

Deletes the cluster, by default with a final snapshot, and waits until it is gone. Enter the cluster's
identifier as `confirm_delete`. If the cluster is already gone, the run succeeds and the log says so. The IAM
role of COPY stays. A cluster that is not this project's is not deleted (docs/aws.md, "What is this
project's").

**When it fails.** The DAG waits for a busy cluster. If the final snapshot cannot be taken, the
cluster stays as it is: read AWS's error, and run the DAG again. The workers need
include/aws/deletion-policy.json.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from sparkify.operators.cluster import PlanClusterOperator
from sparkify.operators.deletion import DeleteClusterOperator
from sparkify.settings import cluster_param, deletion_params, task_defaults

#: A truth value, once it is rendered.
WITHOUT_SNAPSHOT: Any = "{{ not params.final_snapshot }}"
FINAL_SNAPSHOT = (
    "{{ params.cluster_identifier ~ dag_run.run_after.strftime('-final-%Y-%m-%d-%H-%M-%S') "
    "if params.final_snapshot else none }}"
)

with DAG(
    dag_id="sparkify_cluster_delete",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params={**cluster_param(), **deletion_params("the cluster's identifier")},
    # Truth values stay what they are. No secret is rendered here.
    render_template_as_native_obj=True,
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    plan = PlanClusterOperator(task_id="plan", action="delete")
    delete = DeleteClusterOperator(
        task_id="delete",
        cluster_identifier="{{ params.cluster_identifier }}",
        skip_final_cluster_snapshot=WITHOUT_SNAPSHOT,
        final_cluster_snapshot_identifier=FINAL_SNAPSHOT,
        deferrable=True,
        poll_interval=30,
        max_attempts=120,
    )

    plan >> delete
