"""What the cluster DAGs need beside the Amazon provider's operators: COPY's role, and what is left to do."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from string import Template
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.paths import POLICIES

log = logging.getLogger(__name__)

POLICY_NAME = "sparkify-copy"
#: What goes into a policy's JSON: names of buckets and the like ("Bucket naming rules", "IAM identifiers").
PLAIN_NAME = re.compile(r"[\w.+=,@-]{1,64}")

AVAILABLE, PAUSED, GOING = "available", "paused", ("deleting", "final-snapshot")
#: Action to: the states in which it is called for, and those in which waiting for `target` is enough.
CHANGES = {
    "create": ((None,), ("creating", "resuming", "modifying", "rebooting", "resizing", "restoring")),
    "pause": ((AVAILABLE,), ("pausing",)),
    "resume": ((PAUSED,), ("resuming", "creating", "modifying", "rebooting", "resizing", "restoring")),
}
TARGETS = {"create": AVAILABLE, "pause": PAUSED, "resume": AVAILABLE}


class AwsOperator(BaseOperator):
    """Base: a boto3 client behind an Airflow connection.

    :param aws_conn_id: an Airflow connection of type `aws`.
    """

    client_type: str
    template_fields: Sequence[str] = ("aws_conn_id",)
    ui_color = "#f7e3d4"

    def __init__(self, *, aws_conn_id: str = "aws_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id

    @cached_property
    def client(self) -> Any:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        return AwsBaseHook(aws_conn_id=self.aws_conn_id, client_type=self.client_type).conn


class EnsureCopyRoleOperator(AwsOperator):
    """Make the role that COPY reads S3 with, or bring it to the policies of include/aws.

    :param role_name: the IAM role's name.
    :param s3_bucket: bucket of the source files.
    :param work_bucket: bucket of the COPY manifests.
    :returns: (XCom) the role's ARN.
    """

    client_type = "iam"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "role_name", "s3_bucket", "work_bucket")

    def __init__(self, *, role_name: str, s3_bucket: str, work_bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role_name = role_name
        self.s3_bucket = s3_bucket
        self.work_bucket = work_bucket

    def execute(self, context: Mapping[str, Any]) -> str:
        trust = policy("copy-role-trust")
        reads = policy("copy-role-policy", bucket=self.s3_bucket, work_bucket=self.work_bucket)
        try:
            role = self.client.create_role(
                RoleName=self.role_name,
                AssumeRolePolicyDocument=trust,
                Description="COPY of the Sparkify pipeline uses it to read S3",
            )["Role"]
            log.info("Created role %s", role["Arn"])
        except self.client.exceptions.EntityAlreadyExistsException:
            self.client.update_assume_role_policy(RoleName=self.role_name, PolicyDocument=trust)
            role = self.client.get_role(RoleName=self.role_name)["Role"]
            log.info("Role %s already exists", role["Arn"])
        self.client.put_role_policy(RoleName=self.role_name, PolicyName=POLICY_NAME, PolicyDocument=reads)
        log.info("It can read s3://%s and s3://%s, and nothing else", self.s3_bucket, self.work_bucket)
        arn: str = role["Arn"]
        return arn


class PlanClusterOperator(AwsOperator, SkipMixin):
    """Look at a cluster's state, and skip the action, which is next, where nothing is to be done.

    The action's operator takes its arguments from the run's params: nothing of XCom, and each rendered once.

    :param action: create, pause, resume, snapshot or delete.
    :param snapshot_identifier: the snapshot that the action takes.
    :returns: (XCom) under the key `target`, the state that the cluster is then to be waited for in.
    :raises AirflowFailException: where the state rules the action out.
    :raises AirflowException: where the state will pass: a retry may find it gone.
    """

    client_type = "redshift"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "snapshot_identifier")

    def __init__(self, *, action: str, snapshot_identifier: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.snapshot_identifier = snapshot_identifier

    def execute(self, context: Mapping[str, Any]) -> None:
        params = context["params"]
        cluster = params["cluster_identifier"]
        status = self._status(cluster)
        log.info("Cluster %s: %s", cluster, status or "missing")
        if self.action == "snapshot":
            needed = self._snapshot_is_needed(cluster, status)
        elif self.action == "delete":
            needed = self._deletion_is_needed(cluster, status, params["confirm_delete"])
        else:
            needed, target = self._change_is_needed(cluster, status)
            context["ti"].xcom_push(key="target", value=target)
        if not needed:
            self.skip(context["ti"], self.downstream_list)

    def _status(self, cluster: str) -> str | None:
        try:
            [found] = self.client.describe_clusters(ClusterIdentifier=cluster)["Clusters"]
        except self.client.exceptions.ClusterNotFoundFault:
            return None
        status: str = found["ClusterStatus"]
        return status

    def _change_is_needed(self, cluster: str, status: str | None) -> tuple[bool, str]:
        """Whether to act, and the state to wait for."""
        called_for, enough_to_wait = CHANGES[self.action]
        target = TARGETS[self.action]
        if status in called_for:
            return True, target
        if status == target or status in enough_to_wait:
            log.info("Nothing to %s: cluster %s is %s", self.action, cluster, status)
            return False, target
        if self.action == "create" and status in (PAUSED, "pausing"):
            log.info("Nothing to create: cluster %s is %s. Run sparkify_cluster_resume", cluster, status)
            return False, PAUSED
        raise self._ruled_out(cluster, status)

    def _snapshot_is_needed(self, cluster: str, status: str | None) -> bool:
        if status != AVAILABLE:
            raise self._ruled_out(cluster, status)
        name = self.snapshot_identifier
        try:
            self.client.describe_cluster_snapshots(SnapshotIdentifier=name)
        except self.client.exceptions.ClusterSnapshotNotFoundFault:
            return True
        log.info("Nothing to do: snapshot %s already exists", name)
        return False

    def _deletion_is_needed(self, cluster: str, status: str | None, confirmation: str) -> bool:
        if confirmation != cluster:
            raise AirflowFailException(
                f"confirm_delete is {confirmation!r}, so nothing was changed. To delete cluster {cluster} "
                f"with all its data, enter {cluster!r} there."
            )
        if status is None or status in GOING:
            log.info("Nothing to delete: cluster %s is %s", cluster, status or "missing")
            return False
        return True

    def _ruled_out(self, cluster: str, status: str | None) -> Exception:
        what = (
            f"Cannot {self.action} cluster {cluster}: it is {status or 'missing'}, and nothing was changed."
        )
        if status is None:
            return AirflowFailException(
                f"{what} Check cluster_identifier and the region of Airflow connection {self.aws_conn_id!r}, "
                f"or run sparkify_cluster_create."
            )
        if status == PAUSED:
            return AirflowFailException(f"{what} Run sparkify_cluster_resume first.")
        return AirflowException(f"{what} Run this DAG again later.")


class ReportClusterOperator(AwsOperator):
    """Say where the cluster is, for the Airflow connection.

    :param cluster_identifier: the cluster.
    :returns: (XCom) host, port, database, status, default_role.
    """

    client_type = "redshift"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "cluster_identifier")

    def __init__(self, *, cluster_identifier: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster_identifier = cluster_identifier

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        [cluster] = self.client.describe_clusters(ClusterIdentifier=self.cluster_identifier)["Clusters"]
        found = {
            "host": cluster.get("Endpoint", {}).get("Address"),
            "port": cluster.get("Endpoint", {}).get("Port"),
            "database": cluster["DBName"],
            "status": cluster["ClusterStatus"],
            "default_role": cluster.get("DefaultIamRoleArn"),
        }
        log.info("Cluster %s: %s", self.cluster_identifier, ", ".join(f"{k} {v}" for k, v in found.items()))
        log.info("Enter host, port and database in the Airflow connection redshift_default, then run the DAG "
                 "sparkify_verify")  # fmt: skip
        return found


def policy(name: str, **names: str) -> str:
    """A policy of include/aws with its placeholders filled in, as JSON.

    :raises ValueError: for a name that could be more than a name to IAM.
    """
    for placeholder, value in names.items():
        if not PLAIN_NAME.fullmatch(value):
            raise ValueError(
                f"{value!r} cannot be the {placeholder} of an IAM policy: it is not a plain name. Correct "
                f"the Airflow Variable or param it comes from."
            )
    return json.dumps(json.loads(Template((POLICIES / f"{name}.json").read_text()).substitute(names)))
