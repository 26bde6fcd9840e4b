"""
# sparkify_cluster_resume: resume a paused cluster

Resumes the cluster and waits until it is available. If the cluster is already available, the run succeeds and
the log says so. Unpause `sparkify` afterwards: it continues with the last complete hour. Load the hours that
were missed with one run over a window.

**When it fails.** The log of `plan` shows the state of the cluster. If the state is temporary, such as
pausing, the retries look again; otherwise run the DAG again later.
"""

from datetime import datetime, timedelta

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftResumeClusterOperator
from airflow.providers.amazon.aws.sensors.redshift_cluster import RedshiftClusterSensor
from airflow.sdk import DAG, TriggerRule

from sparkify.operators.cluster import PlanClusterOperator
from sparkify.settings import cluster_param, task_defaults

CLUSTER = "{{ params.cluster_identifier }}"

with DAG(
    dag_id="sparkify_cluster_resume",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params=cluster_param(),
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    plan = PlanClusterOperator(task_id="plan", action="resume")
    resume = RedshiftResumeClusterOperator(task_id="resume", cluster_identifier=CLUSTER)
    wait = RedshiftClusterSensor(
        task_id="wait",
        cluster_identifier=CLUSTER,
        target_status="{{ ti.xcom_pull(task_ids='plan', key='target') }}",
        deferrable=True,
        poke_interval=30,
        timeout=3600,
        # Also where there was nothing to resume.
        trigger_rule=TriggerRule.NONE_FAILED,
    )

    plan >> resume >> wait
