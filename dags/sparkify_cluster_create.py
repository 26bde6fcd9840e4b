"""
# sparkify_cluster_create: a Redshift cluster for the pipeline

Checks the IAM role with which COPY reads the two buckets, and creates a cluster with that role as its
default. An administrator makes the role once (docs/aws.md, "The role of COPY"). The cluster is encrypted, and
not reachable from the internet unless you ask for it. The DAG waits for it and reports what and where it is.

A cluster that exists is left as it is, and the log says so. One that is not this project's (it lacks the tags
`project=sparkify` and `managed-by=sparkify-airflow`), or not as open as you ask for, fails `plan`.

The master user, the password and the database are login, password and schema of the Airflow connection
`redshift_default`: create it first, without a host. The password has 8 to 64 characters, with an upper-case
letter, a lower-case letter and a digit.

**When it fails.** `check_copy_role` and `plan` say what is wrong with what is there, and what to do. Other
errors are AWS's own: most often a missing permission (include/aws/cluster-policy.json lists them) or a quota.
Fix that and run the DAG again. Redshift may not know a new role for some seconds: the retries cover that.
"""

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.amazon.aws.operators.redshift_cluster import RedshiftCreateClusterOperator
from airflow.providers.amazon.aws.sensors.redshift_cluster import RedshiftClusterSensor
from airflow.sdk import DAG, Param, TriggerRule

from sparkify.operators.cluster import CheckCopyRoleOperator, PlanClusterOperator, ReportClusterOperator
from sparkify.ownership import TAG_LIST
from sparkify.settings import (
    BUCKET,
    FILTERS,
    WORK,
    cluster_param,
    entered,
    network_params,
    role_param,
    task_defaults,
    whole,
)

CLUSTER = "{{ params.cluster_identifier }}"

with DAG(
    dag_id="sparkify_cluster_create",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    params={
        **cluster_param(),
        "node_type": Param(
            "ra3.large",
            type="string",
            pattern=whole(r"[a-z0-9]{1,20}\.[a-z0-9]{1,20}"),
            title="Node type",
            description="ra3.large is the smallest; Amazon's documentation lists the others.",
        ),
        "number_of_nodes": Param(
            1,
            type="integer",
            minimum=1,
            maximum=128,
            title="Nodes",
            description="Number of compute nodes.",
        ),
        "subnet_group": Param(
            None,
            type=["null", "string"],
            pattern=whole(r"[A-Za-z0-9_.-]{1,255}"),
            title="Subnet group",
            description="Cluster subnet group; empty for the default VPC's.",
        ),
        **network_params(),
        **role_param(),
    },
    tags=["sparkify", "redshift", "aws"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    check_copy_role = CheckCopyRoleOperator(
        task_id="check_copy_role",
        role_name="{{ params.role_name }}",
        s3_bucket=BUCKET,
        work_bucket=WORK["work_bucket"],
    )
    copy_role: Any = check_copy_role.output
    plan = PlanClusterOperator(task_id="plan", action="create", role_arn=copy_role)
    create = RedshiftCreateClusterOperator(
        task_id="create",
        cluster_identifier=CLUSTER,
        node_type="{{ params.node_type }}",
        number_of_nodes=entered(dag, "number_of_nodes"),
        cluster_type="{{ 'multi-node' if params.number_of_nodes > 1 else 'single-node' }}",
        publicly_accessible=entered(dag, "publicly_accessible"),
        cluster_subnet_group_name=entered(dag, "subnet_group"),
        vpc_security_group_ids=entered(dag, "security_group_ids"),
        iam_roles=[copy_role],
        default_iam_role_arn=copy_role,
        master_username="{{ conn.redshift_default.login }}",
        master_user_password="{{ conn.redshift_default.password }}",
        db_name="{{ conn.redshift_default.schema or 'dev' }}",
        encrypted=True,
        tags=TAG_LIST,
    )
    wait = RedshiftClusterSensor(
        task_id="wait",
        cluster_identifier=CLUSTER,
        target_status="{{ ti.xcom_pull(task_ids='plan', key='target') }}",
        deferrable=True,
        poke_interval=30,
        timeout=3600,
        # Also where there was nothing to create.
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    report = ReportClusterOperator(task_id="report", cluster_identifier=CLUSTER, role_arn=copy_role)

    check_copy_role >> plan >> create >> wait >> report
