"""The cluster DAGs: the provider's operators and boto3 against moto's server."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    DownstreamTasksSkipped,
    TaskDeferred,
)

from sparkify.ownership import TAG_LIST
from tests.integration.aws.conftest import PASSWORD
from tests.support.aws_cli import documented, run_command
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("copy_role")]


def execute(task, context):
    """Execute a task; where it defers itself, wait for its trigger as the triggerer does."""
    task.render_template_fields(context)
    try:
        return task.execute(context)
    except TaskDeferred as deferred:
        return resume(task, context, deferred)


def resume(task, context, deferred):
    async def first_event():
        async for event in deferred.trigger.run():
            return event
        return None

    event = asyncio.run(asyncio.wait_for(first_event(), 60))
    return getattr(task, deferred.method_name)(context, event.payload, **(deferred.kwargs or {}))


def run(dag_id: str, **params) -> PipelineRun:
    """Run every task of the DAG but those that another one skips."""
    run = PipelineRun(load_dag(dag_id), params, variables={"sparkify_bucket": "lake"})
    skipped: list[str] = []
    for task in run.dag.topological_sort():
        if task.task_id in skipped:
            continue
        operator = task.prepare_for_execution()
        try:
            result = execute(operator, with_connections(run.context(operator)))
            run.xcoms[task.task_id, "return_value"] = result
        except DownstreamTasksSkipped as skip:
            skipped += skip.tasks
    return run


def with_connections(context):
    """The context's `conn`, as Airflow's own has it."""
    from airflow.sdk.execution_time.context import ConnectionAccessor

    return {**context, "conn": ConnectionAccessor()}


def cluster(aws, name="sparkify"):
    [found] = aws("redshift").describe_clusters(ClusterIdentifier=name)["Clusters"]
    return found


def snapshots(aws):
    names = [s["SnapshotIdentifier"] for s in aws("redshift").describe_cluster_snapshots()["Snapshots"]]
    return [name for name in names if not name.startswith("rs:")]


def test_a_cluster_is_encrypted_private_and_has_the_role_of_copy_as_its_default(aws):
    created = run("sparkify_cluster_create")
    found, arn = cluster(aws), created.xcoms["check_copy_role", "return_value"]
    assert (found["Encrypted"], found["PubliclyAccessible"], found["ClusterStatus"]) == (
        True,
        False,
        "available",
    )
    assert (found["NodeType"], found["NumberOfNodes"], found["DBName"]) == ("ra3.large", 1, "dev")
    assert found["MasterUsername"] == "awsuser"
    assert [role["IamRoleArn"] for role in found["IamRoles"]] == [arn]
    report = created.xcoms["report", "return_value"]
    assert report["host"] == found["Endpoint"]["Address"]
    assert report["status"] == "available"
    assert (report["encrypted"], report["publicly_accessible"], report["roles"]) == (True, False, [arn])
    assert found["Tags"] == TAG_LIST


def test_the_default_role_and_the_nodes_are_passed_on(aws):
    group = aws("ec2").create_security_group(GroupName="workers", Description="Airflow's")["GroupId"]
    run("sparkify_cluster_create", number_of_nodes=2, security_group_ids=[group], subnet_group="private")
    found = cluster(aws)
    assert (found["NumberOfNodes"], found["ClusterSubnetGroupName"]) == (2, "private")
    assert [one["VpcSecurityGroupId"] for one in found["VpcSecurityGroups"]] == [group]
    for params, kind, groups, subnet in (
        ({}, "single-node", [], None),
        (
            {"number_of_nodes": 2, "security_group_ids": ["sg-1"], "subnet_group": "private"},
            *("multi-node", ["sg-1"], "private"),
        ),
    ):
        created = PipelineRun(load_dag("sparkify_cluster_create"), {"cluster_identifier": "other", **params})
        created.xcoms["check_copy_role", "return_value"] = arn = (
            "arn:aws:iam::123456789012:role/sparkify-copy"
        )
        create = created.dag.get_task("create").prepare_for_execution()
        create.render_template_fields(with_connections(created.context(create)))
        assert (create.cluster_identifier, create.node_type) == ("other", "ra3.large")
        assert (create.cluster_type, create.publicly_accessible) == (kind, False)
        assert (create.iam_roles, create.default_iam_role_arn) == ([arn], arn)
        assert create.number_of_nodes == len(groups) + 1
        assert (create.vpc_security_group_ids, create.cluster_subnet_group_name) == (groups, subnet)


@pytest.mark.parametrize("param", ["subnet_group", "security_group_ids", "snapshot_identifier"])
def test_a_template_in_a_param_reaches_no_log_no_xcom_and_no_cluster(aws, caplog, param):
    marker, rendered = "{{ conn.redshift_default.password[::-1] }}", PASSWORD[::-1]
    value = [marker] if param == "security_group_ids" else marker
    said = ""
    if param == "snapshot_identifier":
        run("sparkify_cluster_create")
        said = str(run("sparkify_cluster_snapshot", snapshot_identifier=value).xcoms)
    elif param == "subnet_group":
        said = str(run("sparkify_cluster_create", subnet_group=value).xcoms)
    else:
        # AWS has no such group: the cluster differs from what was asked for.
        with pytest.raises(AirflowFailException, match="security groups") as refused:
            run("sparkify_cluster_create", security_group_ids=value)
        said = str(refused.value)
    assert rendered not in f"{said}{caplog.text}{cluster(aws)}{snapshots(aws)}"


def test_an_xcom_of_the_plan_decides_nothing(aws):
    run("sparkify_cluster_create", cluster_identifier="victim")
    run("sparkify_cluster_create")
    deletion = PipelineRun(load_dag("sparkify_cluster_delete"), {"confirm_delete": "sparkify"})
    deletion.xcoms["plan", "return_value"] = [{"cluster_identifier": "victim"}]
    delete = deletion.dag.get_task("delete").prepare_for_execution()
    execute(delete, deletion.context(delete))
    assert cluster(aws, "victim")["ClusterStatus"] == "available"


def test_what_is_done_already_is_a_success_and_is_said(aws, caplog):
    run("sparkify_cluster_create")
    for dag_id, said in (
        ("sparkify_cluster_create", "Nothing to create: cluster sparkify is available"),
        ("sparkify_cluster_resume", "Nothing to resume: cluster sparkify is available"),
        ("sparkify_cluster_pause", ""),
        ("sparkify_cluster_pause", "Nothing to pause: cluster sparkify is paused"),
        ("sparkify_cluster_create", "Run sparkify_cluster_resume"),
        ("sparkify_cluster_resume", ""),
        ("sparkify_cluster_delete", ""),
        ("sparkify_cluster_delete", "Nothing to delete: cluster sparkify is missing"),
    ):
        caplog.clear()
        run(dag_id, confirm_delete="sparkify") if "delete" in dag_id else run(dag_id)
        assert said in caplog.text


def test_pause_and_resume_change_the_cluster(aws):
    run("sparkify_cluster_create")
    run("sparkify_cluster_pause")
    assert cluster(aws)["ClusterStatus"] == "paused"
    run("sparkify_cluster_resume")
    assert cluster(aws)["ClusterStatus"] == "available"


def test_the_wait_is_deferred_until_the_cluster_is_there(aws):
    run("sparkify_cluster_create")
    waiting = PipelineRun(load_dag("sparkify_cluster_pause"))
    waiting.xcoms["plan", "target"] = "paused"
    task, context = waiting.rendered("wait")
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    aws("redshift").pause_cluster(ClusterIdentifier="sparkify")
    resume(task, context, deferred.value)


def test_a_snapshot_is_taken_once_and_needs_an_available_cluster(aws, caplog):
    run("sparkify_cluster_create")
    for _ in range(2):
        run("sparkify_cluster_snapshot", snapshot_identifier="before-the-move")
    assert snapshots(aws) == ["before-the-move"]
    assert "snapshot before-the-move already exists" in caplog.text
    run("sparkify_cluster_snapshot")
    assert "sparkify-2018-12-01-00-30-00" in snapshots(aws)
    run("sparkify_cluster_pause")
    with pytest.raises(AirflowFailException, match=r"it is paused.*sparkify_cluster_resume first"):
        run("sparkify_cluster_snapshot")


def test_a_deletion_keeps_a_final_snapshot_unless_told_otherwise(aws):
    run("sparkify_cluster_create")
    run("sparkify_cluster_delete", confirm_delete="sparkify")
    assert snapshots(aws) == ["sparkify-final-2018-12-01-00-30-00"]
    run("sparkify_cluster_create", cluster_identifier="other")
    run("sparkify_cluster_delete", cluster_identifier="other", confirm_delete="other", final_snapshot=False)
    assert len(snapshots(aws)) == 1
    assert aws("redshift").describe_clusters()["Clusters"] == []


@pytest.mark.parametrize("confirmation", ["", "yes", "Sparkify"])
def test_a_deletion_is_confirmed(aws, confirmation):
    run("sparkify_cluster_create")
    with pytest.raises(AirflowFailException, match=r"confirm_delete.*nothing was changed.*enter 'sparkify'"):
        run("sparkify_cluster_delete", confirm_delete=confirmation)
    assert cluster(aws)["ClusterStatus"] == "available"


@pytest.mark.parametrize("action", ["pause", "resume", "snapshot"])
def test_a_cluster_that_is_not_there_is_named(aws, action):
    with pytest.raises(AirflowFailException, match=f"Cannot {action} cluster sparkify: it is missing"):
        run(f"sparkify_cluster_{action}")


def test_a_state_that_passes_is_looked_at_again(aws, monkeypatch):
    task, context = PipelineRun(load_dag("sparkify_cluster_pause")).rendered("plan")
    described = {"ClusterIdentifier": "sparkify", "ClusterStatus": "modifying", "Tags": TAG_LIST}
    monkeypatch.setattr(task, "_find", lambda cluster: described)
    with pytest.raises(AirflowException, match="Run this DAG again later") as raised:
        task.execute(context)
    assert not isinstance(raised.value, AirflowFailException)


def test_the_password_is_in_no_param_and_no_xcom(aws):
    created = run("sparkify_cluster_create")
    assert PASSWORD not in str(created.xcoms)
    assert "password" not in str(created.dag.params.dump()).lower()


@pytest.mark.parametrize("password", ["Ab1d", "Marker-0123456789-0123456789-0123456789x"])
def test_the_password_is_masked_in_the_rendered_fields(aws, monkeypatch, password):
    from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields

    connection = {"conn_type": "redshift", "login": "awsuser", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
    created = PipelineRun(load_dag("sparkify_cluster_create"))
    created.xcoms["check_copy_role", "return_value"] = "arn"
    task = created.dag.get_task("create").prepare_for_execution()
    task.render_template_fields(with_connections(created.context(task)))
    assert task.master_user_password == password
    assert password not in json.dumps(_serialize_rendered_fields(task))


def foreign_cluster(aws, **more):
    """A cluster of the same name that somebody else made; public and unencrypted unless told otherwise."""
    open_to_all = {"PubliclyAccessible": True, "Encrypted": False}
    aws("redshift").create_cluster(
        ClusterIdentifier="sparkify", NodeType="ra3.large", MasterUsername="boss",
        MasterUserPassword="Marker-1", **{**open_to_all, **more}
    )  # fmt: skip


RUNS = {
    "sparkify_cluster_create": {},
    "sparkify_cluster_pause": {},
    "sparkify_cluster_resume": {},
    "sparkify_cluster_snapshot": {"snapshot_identifier": "mine"},
    "sparkify_cluster_delete": {"confirm_delete": "sparkify"},
}


@pytest.mark.parametrize("dag_id", RUNS)
def test_a_cluster_of_somebody_else_is_left_alone(aws, dag_id):
    foreign_cluster(aws, Tags=[{"Key": "project", "Value": "payroll"}])
    before = cluster(aws)
    with pytest.raises(AirflowFailException) as raised:
        run(dag_id, **RUNS[dag_id])
    assert "Cluster sparkify is not this project's, so nothing was changed" in str(raised.value)
    assert "Its tags are project=payroll." in str(raised.value)
    assert (cluster(aws), snapshots(aws)) == (before, [])


@pytest.mark.parametrize("dag_id", RUNS)
def test_a_cluster_without_tags_is_used_once_the_guides_command_has_tagged_it(aws, dag_id, copy_role):
    foreign_cluster(aws, Encrypted=True, PubliclyAccessible=False, IamRoles=[copy_role])
    with pytest.raises(AirflowFailException) as raised:
        run(dag_id, **RUNS[dag_id])
    _, create_tags = documented("Tag what an earlier version created", AWS_REGION="us-west-2")
    assert str(raised.value).replace("$ACCOUNT", "123456789012").endswith(f"aws {' '.join(create_tags)}")
    run_command(aws, create_tags)
    run(dag_id, **RUNS[dag_id])


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"Encrypted": False}, "encrypted: False instead of True"),
        ({"PubliclyAccessible": True}, "publicly accessible: True instead of False"),
        ({"IamRoles": []}, "role arn:aws:iam::123456789012:role/sparkify/sparkify-copy attached: False"),
    ],
    ids=["unencrypted", "public", "without the role"],
)
def test_a_cluster_that_is_not_what_was_asked_for_is_refused(aws, copy_role, difference, message):
    asked_for = {"Encrypted": True, "PubliclyAccessible": False, "IamRoles": [copy_role], "Tags": TAG_LIST}
    foreign_cluster(aws, **{**asked_for, **difference})
    with pytest.raises(AirflowFailException) as raised:
        run("sparkify_cluster_create")
    assert message in str(raised.value)


def test_a_cluster_in_another_network_is_refused(aws):
    run("sparkify_cluster_create", subnet_group="private")
    with pytest.raises(AirflowFailException, match="subnet group: private instead of payroll"):
        run("sparkify_cluster_create", subnet_group="payroll")


def test_the_report_is_of_what_is_there(aws, caplog):
    created = run("sparkify_cluster_create")
    aws("redshift").modify_cluster(ClusterIdentifier="sparkify", PubliclyAccessible=True)
    with pytest.raises(AirflowFailException, match="publicly accessible: True instead of False"):
        created.run_task("report")
    other = "arn:aws:iam::123456789012:role/payroll"
    foreign = {"cluster_identifier": "second", "publicly_accessible": True}
    copy_role = created.xcoms["check_copy_role", "return_value"]
    aws("redshift").create_cluster(
        ClusterIdentifier="second", NodeType="ra3.large", MasterUsername="m", MasterUserPassword="Marker-1",
        Encrypted=True, PubliclyAccessible=True, IamRoles=[copy_role, other], Tags=TAG_LIST,
    )  # fmt: skip
    second = run("sparkify_cluster_create", **foreign)
    assert second.xcoms["report", "return_value"]["publicly_accessible"] is True
    assert f"Role {other} is attached too" in caplog.text


def test_snapshots_carry_the_tags_and_those_of_others_are_not_taken_for_ones_own(aws):
    run("sparkify_cluster_create")
    run("sparkify_cluster_snapshot", snapshot_identifier="mine")
    run("sparkify_cluster_create", cluster_identifier="other")
    [mine] = aws("redshift").describe_cluster_snapshots(SnapshotIdentifier="mine")["Snapshots"]
    assert mine["Tags"] == TAG_LIST
    with pytest.raises(AirflowFailException, match="Snapshot mine is one of cluster sparkify, not of other"):
        run("sparkify_cluster_snapshot", cluster_identifier="other", snapshot_identifier="mine")
    aws("redshift").create_cluster_snapshot(ClusterIdentifier="sparkify", SnapshotIdentifier="theirs")
    with pytest.raises(AirflowFailException, match="Snapshot theirs of cluster sparkify is not this project"):
        run("sparkify_cluster_snapshot", snapshot_identifier="theirs")
