"""
# sparkify_cluster_snapshot: a manual snapshot of the cluster

Takes a snapshot and waits until it is complete. It is kept until somebody deletes it; Redshift deletes its
automatic snapshots after one day. If the cluster already has a snapshot of that name, it stays as it is, and
the log says so. Cluster and snapshot must be this project's (docs/aws.md, "What is this project's").

**When it fails.** The log of `plan` shows the state of the cluster: it must be available.
"""

from datetime import datetime, timedelta

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftCreateClusterSnapshotOperator
from airflow.sdk import DAG, Param

from sparkify.operators.cluster import PlanClusterOperator
from sparkify.ownership import TAG_LIST
from sparkify.settings import cluster_param, task_defaults, whole

SNAPSHOT = (
    "{{ params.snapshot_identifier or "
    "params.cluster_identifier ~ dag_run.run_after.strftime('-%Y-%m-%d-%H-%M-%S') }}"
)

with DAG(
    dag_id="sparkify_cluster_snapshot",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params={
        **cluster_param(),
        "snapshot_identifier": Param(
            "",
            type="string",
            pattern=whole(r"([a-zA-Z](?!.*--)[a-zA-Z0-9-]{0,253}[a-zA-Z0-9])?"),
            title="Snapshot",
            description="Name of the snapshot; empty for the cluster's name and the time.",
        ),
    },
    tags=["sparkify", "redshift", "aws"],
    doc_md=__doc__,
) as dag:
    plan = PlanClusterOperator(task_id="plan", action="snapshot", snapshot_identifier=SNAPSHOT)
    snapshot = RedshiftCreateClusterSnapshotOperator(
        task_id="snapshot",
        cluster_identifier="{{ params.cluster_identifier }}",
        snapshot_identifier=SNAPSHOT,
        tags=TAG_LIST,
        deferrable=True,
        poll_interval=30,
        max_attempt=120,
    )

    plan >> snapshot
