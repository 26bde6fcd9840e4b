"""Which resources of an AWS account are the project's: those that carry its tags. No other is touched."""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk.exceptions import AirflowFailException

#: Tags of all that the project makes in an account.
TAGS = {"project": "sparkify", "managed-by": "sparkify-airflow"}
#: As Redshift's and IAM's APIs take them, and as that of Redshift Serverless does.
TAG_LIST = [{"Key": key, "Value": value} for key, value in TAGS.items()]
SERVERLESS_TAG_LIST = [{"key": key, "value": value} for key, value in TAGS.items()]
#: As options of the AWS CLI.
TAG_OPTIONS = " ".join(f"Key={key},Value={value}" for key, value in TAGS.items())


def refuse_foreign(what: str, tags: Mapping[str, str], remedy: str) -> None:
    """Refuse a resource that does not carry the project's tags.

    :param what: names the resource.
    :param tags: those that it has.
    :param remedy: what to do where the resource is somebody else's, and where it is this installation's.
    :raises AirflowFailException: names the tags that it has, and those that it has not.
    """
    missing = {key: value for key, value in TAGS.items() if tags.get(key) != value}
    if missing:
        raise AirflowFailException(
            f"{what} is not this project's, so nothing was changed: it has no {_listed(missing)}. "
            f"Its tags are {_listed(tags) or 'none'}.\n{remedy}"
        )


def _listed(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
