"""
# sparkify_serverless_create: Redshift Serverless for the pipeline

Checks the IAM role with which COPY reads the two buckets, and creates a namespace with that role as its
default, and a workgroup. An administrator makes the role once (docs/aws.md, "The role of COPY"). Both get the
name `name`. They are encrypted, and not reachable from the internet unless you ask for it. The DAG waits
until they are available, then reports what they are and the address.

What exists is left as it is, and the log says so. What is not this project's (it lacks the tags
`project=sparkify` and `managed-by=sparkify-airflow`), or not as open as you ask for, fails the task that
would create it.

AWS generates the administrator's password and keeps it in Secrets Manager. Serverless pauses by itself.

**When it fails.** `check_copy_role` and the tasks that create say what is wrong with what is there, and what
to do. Other errors are AWS's own: most often a missing permission (include/aws/cluster-policy.json lists
them), too few subnets or a quota. Fix that and run the DAG again.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from sparkify.operators.cluster import CheckCopyRoleOperator
from sparkify.operators.serverless import CreateServerlessOperator, ServerlessSensor
from sparkify.settings import (
    AWS_ID,
    BUCKET,
    FILTERS,
    WORK,
    network_params,
    role_param,
    serverless_param,
    task_defaults,
    whole,
)

NAME = "{{ params.name }}"

with DAG(
    dag_id="sparkify_serverless_create",
    schedule=None,
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=1)),
    params={
        **serverless_param(),
        "database": Param(
            "dev",
            type="string",
            pattern=whole(r"[a-z_][a-z0-9_]{0,126}"),
            title="Database",
            description="The namespace's first database.",
        ),
        "base_capacity": Param(
            8,
            type="integer",
            minimum=4,
            maximum=1024,
            title="Base capacity",
            description="In Redshift Processing Units: what a query starts with, and what is charged.",
        ),
        "subnet_ids": Param(
            [],
            type="array",
            items={"type": "string", "pattern": whole(f"subnet{AWS_ID}")},
            title="Subnets",
            description="Subnets of the workgroup; empty for those of the default VPC.",
        ),
        **network_params(),
        **role_param(),
    },
    # Numbers and lists stay what they are. No secret is rendered here.
    render_template_as_native_obj=True,
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
    create_namespace = CreateServerlessOperator(
        task_id="create_namespace",
        resource="namespace",
        name=NAME,
        settings={
            "dbName": "{{ params.database }}",
            "manageAdminPassword": True,
            "iamRoles": [check_copy_role.output],
            "defaultIamRoleArn": check_copy_role.output,
        },
    )
    wait_namespace = ServerlessSensor(task_id="wait_namespace", resource="namespace", name=NAME)
    create_workgroup = CreateServerlessOperator(
        task_id="create_workgroup",
        resource="workgroup",
        name=NAME,
        settings={
            "namespaceName": NAME,
            "baseCapacity": "{{ params.base_capacity }}",
            "publiclyAccessible": "{{ params.publicly_accessible }}",
            "subnetIds": "{{ params.subnet_ids }}",
            "securityGroupIds": "{{ params.security_group_ids }}",
        },
    )
    wait_workgroup = ServerlessSensor(task_id="wait_workgroup", resource="workgroup", name=NAME)

    create_namespace >> wait_namespace >> create_workgroup >> wait_workgroup
