"""Redshift Serverless: a namespace (data) and a workgroup (compute), for which Airflow has no operators."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.operators.cluster import AwsOperator
from sparkify.ownership import SERVERLESS_TAG_LIST, TAGS, refuse_foreign

log = logging.getLogger(__name__)

CLIENT = "redshift-serverless"
AVAILABLE = "AVAILABLE"
#: What says how open a namespace or workgroup is, and which role it has: never left as it is found.
COMPARED = {
    "namespace": ("defaultIamRoleArn",),
    "workgroup": ("namespaceName", "publiclyAccessible", "subnetIds", "securityGroupIds"),
}
#: What the log says of one that is available.
SHOWN = {
    "namespace": ("defaultIamRoleArn", "iamRoles", "kmsKeyId", "adminPasswordSecretArn"),
    "workgroup": ("namespaceName", "publiclyAccessible", "subnetIds", "securityGroupIds"),
}


class CreateServerlessOperator(AwsOperator):
    """Make a namespace or a workgroup, with the project's tags; the project's own stays as it is.

    :param resource: `namespace` or `workgroup`.
    :param name: its name.
    :param settings: what the API's Create call takes beside the name; empty values are left out.
    :returns: (XCom) its status.
    :raises AirflowFailException: where one of that name is not the project's, or not what `settings` say.
    """

    client_type = CLIENT
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "name", "settings")

    def __init__(self, *, resource: str, name: str, settings: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.name = name
        self.settings = settings

    def execute(self, context: Mapping[str, Any]) -> str:
        settings = {key: value for key, value in self.settings.items() if value not in (None, [], "")}
        found = find(self.client, self.resource, self.name)
        if found:
            refuse_foreign_resource(self.client, self.resource, found)
            self._refuse_differences(found, settings)
            log.info("Nothing to create: %s %s is %s", self.resource, self.name, found["status"])
            return str(found["status"])
        create = getattr(self.client, f"create_{self.resource}")
        name = {f"{self.resource}Name": self.name}
        made = create(**name, **settings, tags=SERVERLESS_TAG_LIST)[self.resource]
        log.info("Created %s %s: %s", self.resource, self.name, made["status"])
        return str(made["status"])

    def _refuse_differences(self, found: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        wrong = [
            f"{key}: {found.get(key)} instead of {settings[key]}"
            for key in COMPARED[self.resource]
            if key in settings and _unordered(found.get(key)) != _unordered(settings[key])
        ]
        if wrong:
            raise AirflowFailException(
                f"{self.resource.capitalize()} {self.name} exists, but is not what was asked for: "
                f"{'; '.join(wrong)}. Nothing was changed.\n"
                f"Change the {self.resource} in AWS, or trigger this DAG again with params that describe it."
            )


class DeleteServerlessOperator(AwsOperator):
    """Delete a namespace or a workgroup; one that is gone is a success.

    :param resource: `namespace` or `workgroup`.
    :param name: its name.
    :param confirmation: must be the name.
    :param settings: what the API's Delete call takes beside the name; empty values are left out.
    :raises AirflowFailException: without the confirmation, and where it is not the project's; nothing was
        changed.
    """

    client_type = CLIENT
    template_fields: Sequence[str] = (*AwsOperator.template_fields, "name", "confirmation", "settings")

    def __init__(
        self,
        *,
        resource: str,
        name: str,
        confirmation: str,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.name = name
        self.confirmation = confirmation
        self.settings = settings or {}

    def execute(self, context: Mapping[str, Any]) -> None:
        if self.confirmation != self.name:
            raise AirflowFailException(
                f"confirm_delete is {self.confirmation!r}, so nothing was changed. To delete {self.resource} "
                f"{self.name}, enter {self.name!r} there."
            )
        found = find(self.client, self.resource, self.name)
        if found is None or found["status"] == "DELETING":
            log.info("Nothing to delete: %s %s is %s", self.resource, self.name,
                     found["status"] if found else "missing")  # fmt: skip
            return
        refuse_foreign_resource(self.client, self.resource, found)
        settings = {key: value for key, value in self.settings.items() if value not in (None, "")}
        getattr(self.client, f"delete_{self.resource}")(**{f"{self.resource}Name": self.name}, **settings)
        log.info("Deleting %s %s", self.resource, self.name)


class ServerlessSensor(BaseSensorOperator):
    """Wait until a namespace or a workgroup is available, or gone. Between two looks the worker is free.

    :param resource: `namespace` or `workgroup`.
    :param name: its name.
    :param gone: wait until it is not there.
    :param aws_conn_id: an Airflow connection of type `aws`.
    :returns: (XCom) of a workgroup that is available: its endpoint's host and port.
    """

    template_fields: Sequence[str] = ("name", "aws_conn_id")
    ui_color = "#f7e3d4"

    def __init__(
        self, *, resource: str, name: str, gone: bool = False, aws_conn_id: str = "aws_default", **kwargs: Any
    ) -> None:
        super().__init__(**{"mode": "reschedule", **kwargs})
        self.resource = resource
        self.name = name
        self.gone = gone
        self.aws_conn_id = aws_conn_id

    @cached_property
    def client(self) -> Any:
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        return AwsBaseHook(aws_conn_id=self.aws_conn_id, client_type=CLIENT).conn

    def poke(self, context: Mapping[str, Any]) -> Any:
        from airflow.sdk import PokeReturnValue

        found = find(self.client, self.resource, self.name)
        status = found["status"] if found else "missing"
        log.info("%s %s is %s", self.resource, self.name, status)
        if self.gone:
            return found is None
        if found is None or status == "DELETING":
            raise AirflowException(f"{self.resource} {self.name} is {status}. Create it again.")
        if status == AVAILABLE:
            described = (f"{key} {found.get(key)}" for key in SHOWN[self.resource])
            log.info("%s %s: %s", self.resource, self.name, ", ".join(described))
        endpoint = found.get("endpoint") or {}
        place = {"host": endpoint.get("address"), "port": endpoint.get("port")} if endpoint else None
        if status == AVAILABLE and place:
            log.info("Enter host %(host)s and port %(port)s in the Airflow connection redshift_default, then "
                     "run the DAG sparkify_verify", place)  # fmt: skip
        return PokeReturnValue(status == AVAILABLE, place)


def find(client: Any, resource: str, name: str) -> dict[str, Any] | None:
    """The namespace or workgroup of that name, as the API describes it."""
    try:
        found: dict[str, Any] = getattr(client, f"get_{resource}")(**{f"{resource}Name": name})[resource]
    except client.exceptions.ResourceNotFoundException:
        return None
    return found


def refuse_foreign_resource(client: Any, resource: str, found: Mapping[str, Any]) -> None:
    """Refuse a namespace or a workgroup without the project's tags."""
    arn = found[f"{resource}Arn"]
    listed = client.list_tags_for_resource(resourceArn=arn)["tags"]
    options = " ".join(f"key={key},value={value}" for key, value in TAGS.items())
    refuse_foreign(
        f"{resource.capitalize()} {found[f'{resource}Name']}",
        {tag["key"]: tag["value"] for tag in listed},
        f"Enter another name. If this installation made the {resource}, tag it: "
        f"aws redshift-serverless tag-resource --resource-arn {arn} --tags {options}",
    )


def _unordered(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
