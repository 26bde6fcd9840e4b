"""The Serverless DAGs, through boto3 against the API over HTTP."""

from __future__ import annotations

import boto3
import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.ownership import SERVERLESS_TAG_LIST
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.serverless import ACCOUNT, ENDPOINT

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("copy_role")]


def run(dag_id: str, **params) -> PipelineRun:
    """Run every task; a sensor looks until it is content, which takes two looks at most."""
    run = PipelineRun(load_dag(dag_id), params, variables={"sparkify_bucket": "lake"})
    for task in run.dag.topological_sort():
        if task.task_id.startswith("wait"):
            operator, context = run.rendered(task.task_id)
            if not operator.poke(context):
                run.xcoms[task.task_id, "return_value"] = operator.poke(context)
                assert run.xcoms[task.task_id, "return_value"]
        else:
            run.run_task(task.task_id)
    return run


def requests(local, action: str) -> list[dict]:
    return [arguments for name, arguments in local.requests if name == action]


def test_a_namespace_and_a_workgroup_are_made_private_with_the_role_of_copy(local_serverless, caplog):
    created = run("sparkify_serverless_create", base_capacity=16, subnet_ids=["subnet-1", "subnet-2"])
    arn = created.xcoms["check_copy_role", "return_value"]
    assert requests(local_serverless, "CreateNamespace") == [{
        "namespaceName": "sparkify", "dbName": "dev", "manageAdminPassword": True,
        "iamRoles": [arn], "defaultIamRoleArn": arn, "tags": SERVERLESS_TAG_LIST,
    }]  # fmt: skip
    assert requests(local_serverless, "CreateWorkgroup") == [{
        "workgroupName": "sparkify", "namespaceName": "sparkify", "baseCapacity": 16,
        "publiclyAccessible": False, "subnetIds": ["subnet-1", "subnet-2"], "tags": SERVERLESS_TAG_LIST,
    }]  # fmt: skip
    place = created.xcoms["wait_workgroup", "return_value"].xcom_value
    assert place == {"host": ENDPOINT["address"], "port": ENDPOINT["port"]}
    assert f"namespace sparkify: defaultIamRoleArn {arn}" in caplog.text
    assert "workgroup sparkify: namespaceName sparkify, publiclyAccessible False" in caplog.text


def test_what_is_done_already_is_a_success_and_is_said(local_serverless, caplog):
    for _ in range(2):
        run("sparkify_serverless_create")
    assert "Nothing to create: namespace sparkify is AVAILABLE" in caplog.text
    assert len(requests(local_serverless, "CreateWorkgroup")) == 1
    for _ in range(2):
        run("sparkify_serverless_delete", confirm_delete="sparkify")
    assert "Nothing to delete: workgroup sparkify is missing" in caplog.text
    assert requests(local_serverless, "DeleteNamespace") == [
        {"namespaceName": "sparkify", "finalSnapshotName": "sparkify-final-2018-12-01-00-30-00"}
    ]


def test_a_final_snapshot_may_be_left_out(local_serverless):
    run("sparkify_serverless_create")
    run("sparkify_serverless_delete", confirm_delete="sparkify", final_snapshot=False)
    assert requests(local_serverless, "DeleteNamespace") == [{"namespaceName": "sparkify"}]


def test_a_deletion_is_confirmed(local_serverless):
    run("sparkify_serverless_create")
    with pytest.raises(AirflowFailException, match=r"nothing was changed.*enter 'sparkify'"):
        run("sparkify_serverless_delete", confirm_delete="yes")
    assert requests(local_serverless, "DeleteWorkgroup") == []


@pytest.fixture
def somebody_else(local_serverless):
    """Makes a namespace or a workgroup of the same name as another user of the account does."""
    client = boto3.client("redshift-serverless", endpoint_url=local_serverless.url, region_name="us-west-2")

    def make(resource, **settings):
        getattr(client, f"create_{resource}")(**{f"{resource}Name": "sparkify"}, **settings)
        local_serverless.requests.clear()

    return make


def changes(local) -> list[str]:
    return [action for action, _ in local.requests if not action.startswith(("Get", "List"))]


@pytest.mark.parametrize("resource", ["namespace", "workgroup"])
@pytest.mark.parametrize("tags", [[], [{"key": "project", "value": "payroll"}]], ids=["no tags", "payroll"])
def test_what_somebody_else_made_is_neither_used_nor_deleted(local_serverless, somebody_else, resource, tags):
    settings = {"namespaceName": "payroll"} if resource == "workgroup" else {}
    somebody_else(resource, **settings, tags=tags)
    for action, params in (("create", {}), ("delete", {"confirm_delete": "sparkify"})):
        asked = PipelineRun(load_dag(f"sparkify_serverless_{action}"), params)
        with pytest.raises(AirflowFailException) as raised:
            asked.run_task(f"{action}_{resource}")
        said = str(raised.value)
        assert f"{resource.capitalize()} sparkify is not this project's, so nothing was changed" in said
        assert f"aws redshift-serverless tag-resource --resource-arn {ACCOUNT}:{resource}/" in said
    assert changes(local_serverless) == []


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ({"publiclyAccessible": True}, "publiclyAccessible: True instead of False"),
        ({"namespaceName": "payroll"}, "namespaceName: payroll instead of sparkify"),
        ({"subnetIds": ["subnet-9"]}, "subnetIds: ['subnet-9'] instead of ['subnet-1']"),
    ],
    ids=["public", "other namespace", "other subnets"],
)
def test_a_workgroup_that_is_not_what_was_asked_for_is_refused(
    local_serverless, somebody_else, difference, message
):
    asked_for = {"namespaceName": "sparkify", "publiclyAccessible": False, "subnetIds": ["subnet-1"]}
    somebody_else("workgroup", **{**asked_for, **difference}, tags=SERVERLESS_TAG_LIST)
    created = PipelineRun(load_dag("sparkify_serverless_create"), {"subnet_ids": ["subnet-1"]})
    with pytest.raises(AirflowFailException) as raised:
        created.run_task("create_workgroup")
    assert message in str(raised.value)
    assert changes(local_serverless) == []


def test_a_namespace_with_another_default_role_is_refused(local_serverless, somebody_else, copy_role):
    other = "arn:aws:iam::123456789012:role/payroll"
    somebody_else("namespace", defaultIamRoleArn=other, tags=SERVERLESS_TAG_LIST)
    with pytest.raises(AirflowFailException, match=f"{other} instead of {copy_role}"):
        run("sparkify_serverless_create")


def test_between_two_looks_the_worker_is_free():
    for dag_id in ("sparkify_serverless_create", "sparkify_serverless_delete"):
        for task in load_dag(dag_id).tasks:
            assert not task.task_id.startswith("wait") or task.mode == "reschedule"
