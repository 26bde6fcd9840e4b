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

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftDeleteClusterOperator
from airflow.sdk import DAG

from sparkify.operators.cluster import PlanClusterOperator
from sparkify.settings import cluster_param, deletion_params, task_defaults

with DAG(
    dag_id="sparkify_cluster_delete",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params={**cluster_param(), **deletion_params("the cluster's identifier")},
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    plan = PlanClusterOperator(
        task_id="plan",
        action="delete",
        arguments={
            "final_cluster_snapshot_identifier": "{{ params.cluster_identifier }}"
            "{{ dag_run.run_after.strftime('-final-%Y-%m-%d-%H-%M-%S') }}"
        },
    )
    delete = RedshiftDeleteClusterOperator.partial(
        task_id="delete",
        map_index_template="{{ task.cluster_identifier }}",
        deferrable=True,
        poll_interval=30,
        max_attempts=120,
    ).expand_kwargs(plan.output)
