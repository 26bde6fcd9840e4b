"""What the cluster DAGs need beside the provider's operators: what is there, and what is left to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.copy_role import conditions, faults, keys_of, read_role, trusted
from sparkify.ownership import TAG_OPTIONS, refuse_foreign

log = logging.getLogger(__name__)

#: The guide's path of the role, and that of a role without one.
ROLE_PATHS = ("/sparkify/", "/")
GUIDE = 'docs/aws.md, "The role of COPY"'

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


class CheckCopyRoleOperator(AwsOperator):
    """Check that the role that COPY reads S3 with is the project's, and what it can do. It changes nothing.

    :param role_name: the IAM role's name.
    :param s3_bucket: bucket of the source files.
    :param work_bucket: bucket of the COPY manifests.
    :returns: (XCom) the role's ARN.
    :raises AirflowFailException: where there is no such role, where it is not the project's, and where it may
        do more than COPY needs, or less.
    """

    client_type = "iam"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "role_name", "s3_bucket", "work_bucket")

    def __init__(self, *, role_name: str, s3_bucket: str, work_bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role_name = role_name
        self.s3_bucket = s3_bucket
        self.work_bucket = work_bucket

    def execute(self, context: Mapping[str, Any]) -> str:
        try:
            role = read_role(self.client, self.role_name)
        except self.client.exceptions.NoSuchEntityException:
            raise AirflowFailException(
                f"There is no IAM role {self.role_name}, or one of its policies has just been removed.\n"
                f"Make the role of COPY as an administrator ({GUIDE}), or correct role_name."
            ) from None
        refuse_foreign(
            f"IAM role {role.arn}",
            role.tags,
            f"Enter another role_name. If only COPY uses this role, tag it: aws iam tag-role "
            f"--role-name {role.name} --tags {TAG_OPTIONS}",
        )
        found = faults(role, [self.s3_bucket, self.work_bucket])
        if role.path not in ROLE_PATHS:
            found.insert(0, f"its path is {role.path}, and not one of {', '.join(ROLE_PATHS)}")
        if found:
            raise AirflowFailException(
                f"IAM role {role.arn} is not one that only COPY of this project can use, so nothing was "
                f"changed: {'; '.join(found)}.\n"
                f"Correct its trust policy and its policies, as in {GUIDE}, or enter another role_name."
            )
        log.info("Role %s can be assumed by %s", role.arn, " and ".join(trusted(role.trust)))
        log.info("Conditions of its trust policy: %s", conditions(role.trust) or "none")
        reads = [f"read s3://{self.s3_bucket}", f"read s3://{self.work_bucket}"]
        reads += [f"decrypt with {key}" for key in keys_of(role)]
        log.info("Its policies (%s) allow nothing but to %s. Those of buckets and keys were not looked at",
                 ", ".join(role.policies), ", ".join(reads))  # fmt: skip
        return role.arn


class PlanClusterOperator(AwsOperator, SkipMixin):
    """Look at a cluster's state, and skip the action, which is next, where nothing is to be done.

    The action's operator takes its arguments from the run's params: nothing of XCom, and each rendered once.

    :param action: create, pause, resume, snapshot or delete.
    :param snapshot_identifier: the snapshot that the action takes.
    :param role_arn: the role of COPY that a cluster is to have that is there already.
    :returns: (XCom) under the key `target`, the state that the cluster is then to be waited for in.
    :raises AirflowFailException: where the state rules the action out, where cluster or snapshot are not the
        project's, and where what is there already is not what was asked for.
    :raises AirflowException: where the state will pass: a retry may find it gone.
    """

    client_type = "redshift"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "snapshot_identifier", "role_arn")

    def __init__(
        self, *, action: str, snapshot_identifier: str = "", role_arn: Any = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        self.snapshot_identifier = snapshot_identifier
        self.role_arn = role_arn

    def execute(self, context: Mapping[str, Any]) -> None:
        params = context["params"]
        cluster = params["cluster_identifier"]
        found = self._find(cluster)
        status = found["ClusterStatus"] if found else None
        log.info("Cluster %s: %s", cluster, status or "missing")
        if found:
            self._refuse_another(found, params)
        if self.action == "snapshot":
            needed = self._snapshot_is_needed(cluster, status)
        elif self.action == "delete":
            needed = self._deletion_is_needed(cluster, status, params["confirm_delete"])
        else:
            needed, target = self._change_is_needed(cluster, status)
            context["ti"].xcom_push(key="target", value=target)
        if not needed:
            self.skip(context["ti"], self.downstream_list)

    def _find(self, cluster: str) -> dict[str, Any] | None:
        try:
            [found] = self.client.describe_clusters(ClusterIdentifier=cluster)["Clusters"]
        except self.client.exceptions.ClusterNotFoundFault:
            return None
        return dict(found)

    def _refuse_another(self, found: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Refuse a cluster that is not the project's, or not the one that the run would create."""
        refuse_foreign_cluster(self.client, found)
        if self.action == "create":
            refuse_differences(found, params, self.role_arn)

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
            [found] = self.client.describe_cluster_snapshots(SnapshotIdentifier=name)["Snapshots"]
        except self.client.exceptions.ClusterSnapshotNotFoundFault:
            return True
        refuse_foreign(
            f"Snapshot {name} of cluster {found['ClusterIdentifier']}",
            tags_of(found),
            "Enter another snapshot_identifier.",
        )
        if found["ClusterIdentifier"] != cluster:
            raise AirflowFailException(
                f"Snapshot {name} is one of cluster {found['ClusterIdentifier']}, not of {cluster}; nothing "
                f"was changed.\nEnter another snapshot_identifier."
            )
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
    """Say what the cluster is, as AWS describes it, and where it is, for the Airflow connection.

    :param cluster_identifier: the cluster.
    :param role_arn: the role of COPY.
    :returns: (XCom) host, port, database, status, default_role, encrypted, publicly_accessible, roles,
        security_groups, subnet_group.
    :raises AirflowFailException: where it is not what the run's params ask for.
    """

    client_type = "redshift"
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "cluster_identifier", "role_arn")

    def __init__(self, *, cluster_identifier: str, role_arn: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster_identifier = cluster_identifier
        self.role_arn = role_arn

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        [cluster] = self.client.describe_clusters(ClusterIdentifier=self.cluster_identifier)["Clusters"]
        refuse_foreign_cluster(self.client, cluster)
        refuse_differences(cluster, context["params"], self.role_arn)
        found = {
            "host": cluster.get("Endpoint", {}).get("Address"),
            "port": cluster.get("Endpoint", {}).get("Port"),
            "database": cluster["DBName"],
            "status": cluster["ClusterStatus"],
            "default_role": cluster.get("DefaultIamRoleArn"),
            "encrypted": cluster["Encrypted"],
            "publicly_accessible": cluster["PubliclyAccessible"],
            "roles": roles_of(cluster),
            "security_groups": security_groups_of(cluster),
            "subnet_group": cluster.get("ClusterSubnetGroupName"),
        }
        log.info("Cluster %s: %s", self.cluster_identifier, ", ".join(f"{k} {v}" for k, v in found.items()))
        for role in sorted({*found["roles"]} - {self.role_arn}):
            log.warning("Role %s is attached too: this project has not checked what it allows", role)
        log.info("Enter host, port and database in the Airflow connection redshift_default, then run the DAG "
                 "sparkify_verify")  # fmt: skip
        return found


def refuse_foreign_cluster(client: Any, cluster: Mapping[str, Any]) -> None:
    """Refuse a cluster without the project's tags."""
    name, meta = cluster["ClusterIdentifier"], client.meta
    refuse_foreign(
        f"Cluster {name}",
        tags_of(cluster),
        f"Enter another cluster_identifier. If this installation made the cluster, tag it: "
        f"aws redshift create-tags --resource-name "
        f"arn:{meta.partition}:redshift:{meta.region_name}:$ACCOUNT:cluster:{name} --tags {TAG_OPTIONS}",
    )


def refuse_differences(cluster: Mapping[str, Any], params: Mapping[str, Any], role_arn: str) -> None:
    """Refuse a cluster that is open where the run asks for one that is closed, or the other way round.

    Its size is not compared: a cluster may have been resized.
    """
    groups = params["security_group_ids"]
    compared = {
        "encrypted": (cluster["Encrypted"], True),
        "publicly accessible": (cluster["PubliclyAccessible"], params["publicly_accessible"]),
        f"role {role_arn} attached": (role_arn in roles_of(cluster), True),
        "security groups": (security_groups_of(cluster), sorted(groups) or security_groups_of(cluster)),
        "subnet group": (
            cluster.get("ClusterSubnetGroupName"),
            params["subnet_group"] or cluster.get("ClusterSubnetGroupName"),
        ),
    }
    wrong = [f"{what}: {is_} instead of {asked}" for what, (is_, asked) in compared.items() if is_ != asked]
    if wrong:
        raise AirflowFailException(
            f"Cluster {cluster['ClusterIdentifier']} exists, but is not what was asked for: "
            f"{'; '.join(wrong)}. Nothing was changed.\n"
            f"Change the cluster in AWS, or trigger this DAG again with params that describe it."
        )


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}


def roles_of(cluster: Mapping[str, Any]) -> list[str]:
    return sorted(role["IamRoleArn"] for role in cluster.get("IamRoles", []))


def security_groups_of(cluster: Mapping[str, Any]) -> list[str]:
    return sorted(group["VpcSecurityGroupId"] for group in cluster.get("VpcSecurityGroups", []))
