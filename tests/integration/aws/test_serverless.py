"""The Serverless DAGs, through boto3 against the API over HTTP."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.pipeline import PipelineRun, load_dag
from tests.support.serverless import ENDPOINT

pytestmark = pytest.mark.integration


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


def test_a_namespace_and_a_workgroup_are_made_private_with_the_role_of_copy(local_serverless):
    created = run("sparkify_serverless_create", base_capacity=16, subnet_ids=["subnet-1", "subnet-2"])
    arn = created.xcoms["ensure_copy_role", "return_value"]
    assert requests(local_serverless, "CreateNamespace") == [{
        "namespaceName": "sparkify", "dbName": "dev", "manageAdminPassword": True,
        "iamRoles": [arn], "defaultIamRoleArn": arn,
    }]  # fmt: skip
    assert requests(local_serverless, "CreateWorkgroup") == [{
        "workgroupName": "sparkify", "namespaceName": "sparkify", "baseCapacity": 16,
        "publiclyAccessible": False, "subnetIds": ["subnet-1", "subnet-2"],
    }]  # fmt: skip
    place = created.xcoms["wait_workgroup", "return_value"].xcom_value
    assert place == {"host": ENDPOINT["address"], "port": ENDPOINT["port"]}


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


def test_between_two_looks_the_worker_is_free():
    for dag_id in ("sparkify_serverless_create", "sparkify_serverless_delete"):
        for task in load_dag(dag_id).tasks:
            assert not task.task_id.startswith("wait") or task.mode == "reschedule"
