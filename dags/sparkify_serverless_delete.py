"""
# sparkify_serverless_delete: the workgroup, the namespace and its data

Deletes the workgroup, then the namespace, by default with a final snapshot, and waits until both are gone.
Enter the name as `confirm_delete`. If they are already gone, the run succeeds and the log says so. The IAM
role of COPY stays. What is not this project's is not deleted (docs/aws.md, "What is this project's").

**When it fails.** The error is AWS's own. Fix what it names and run the DAG again. The workers need
include/aws/deletion-policy.json.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG

from sparkify.operators.serverless import DeleteServerlessOperator, ServerlessSensor
from sparkify.settings import deletion_params, serverless_param, task_defaults

NAME = "{{ params.name }}"
CONFIRMATION = "{{ params.confirm_delete }}"

with DAG(
    dag_id="sparkify_serverless_delete",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=1)),
    params={**serverless_param(), **deletion_params("the name")},
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    delete_workgroup = DeleteServerlessOperator(
        task_id="delete_workgroup", resource="workgroup", name=NAME, confirmation=CONFIRMATION
    )
    wait_workgroup = ServerlessSensor(task_id="wait_workgroup", resource="workgroup", name=NAME, gone=True)
    delete_namespace = DeleteServerlessOperator(
        task_id="delete_namespace",
        resource="namespace",
        name=NAME,
        confirmation=CONFIRMATION,
        settings={
            "finalSnapshotName": "{{ params.name ~ dag_run.run_after.strftime('-final-%Y-%m-%d-%H-%M-%S') "
            "if params.final_snapshot else '' }}"
        },
    )
    wait_namespace = ServerlessSensor(task_id="wait_namespace", resource="namespace", name=NAME, gone=True)

    delete_workgroup >> wait_workgroup >> delete_namespace >> wait_namespace
