"""
# sparkify_cluster_pause: a cluster that costs no compute

Pauses the cluster and waits until it is paused. AWS goes on charging for storage, but not for compute. If the
cluster is already paused, the run succeeds and the log says so. Pause `sparkify` and the other scheduled DAGs
first: their runs would fail and be retried.

**When it fails.** The log of `plan` shows the state of the cluster. If the state is temporary, such as
modifying, the retries look again; otherwise run the DAG again later.
"""

from datetime import datetime, timedelta

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftPauseClusterOperator
from airflow.providers.amazon.aws.sensors.redshift_cluster import RedshiftClusterSensor
from airflow.sdk import DAG, TriggerRule

from sparkify.operators.cluster import PlanClusterOperator
from sparkify.settings import cluster_param, task_defaults

CLUSTER = "{{ params.cluster_identifier }}"

with DAG(
    dag_id="sparkify_cluster_pause",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params=cluster_param(),
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    plan = PlanClusterOperator(task_id="plan", action="pause")
    pause = RedshiftPauseClusterOperator(task_id="pause", cluster_identifier=CLUSTER)
    wait = RedshiftClusterSensor(
        task_id="wait",
        cluster_identifier=CLUSTER,
        target_status="{{ ti.xcom_pull(task_ids='plan', key='target') }}",
        deferrable=True,
        poke_interval=30,
        timeout=3600,
        # Also where there was nothing to pause.
        trigger_rule=TriggerRule.NONE_FAILED,
    )

    plan >> pause >> wait
