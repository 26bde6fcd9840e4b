"""Settings of a deployment as Airflow Variables, and the params of a run.

`VARIABLES` is the one list of them: the DAGs take their templates from it and docs/configuration.md is
tested against it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param

from sparkify import alerts

# Airflow does not enforce the format date-time without a further package; the form shows a picker for it.
WHOLE_HOUR = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:00(:00(\.0+)?)?(Z|[+-]\d{2}:?\d{2})?$"

#: "Cluster, namespace and workgroup names" of the Redshift Management Guide.
AWS_NAME = r"^[a-z](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$"

VARIABLES = {
    "sparkify_bucket": ("sparkify", "bucket of the log and song files"),
    "sparkify_log_prefix": (
        "log_data",
        "key prefix of the log files: `<prefix>/YYYY/MM/YYYY-MM-DD-events.json`",
    ),
    "sparkify_song_prefix": ("song_data", "key prefix of the song files"),
    "sparkify_work_bucket": ("sparkify-work", "bucket of the COPY manifests; may be the same bucket"),
    "sparkify_work_prefix": ("", "key prefix of the COPY manifests"),
    "sparkify_iam_role": ("default", "role that COPY reads S3 with: `default` or an ARN"),
    "sparkify_region": ("us-west-2", "AWS region of both buckets"),
    "sparkify_log_json_path": (
        "",
        "JSONPaths file on S3 (`s3://bucket/key`) to use in place of include/jsonpaths/log_json_path.json",
    ),
    "sparkify_readers": (
        "",
        "who may read schema sparkify: `GROUP name` or `ROLE name`; granted by `sparkify_schema`",
    ),
}


#: `strftime` pattern of a day's log files below the log prefix.
DAILY_LOG_KEY = "%Y/%m/%Y-%m-%d-events.json"


def variable(name: str) -> str:
    """A Jinja template that reads an Airflow Variable, with its default."""
    default, _ = VARIABLES[name]
    return f"{{{{ var.value.get('{name}', '{default}') }}}}"


def task_defaults(execution_timeout: timedelta, **changes: Any) -> dict[str, Any]:
    """What the tasks of every DAG have in common, as `default_args`.

    :param execution_timeout: how long a try may take.
    :param changes: what differs in this DAG.
    """
    return {
        "owner": "data-engineering",
        "on_failure_callback": alerts.failed,
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": execution_timeout,
        **changes,
    }


BUCKET = variable("sparkify_bucket")
WORK = {
    "work_bucket": variable("sparkify_work_bucket"),
    "work_prefix": variable("sparkify_work_prefix"),
}
COPY = {"iam_role": variable("sparkify_iam_role"), "region": variable("sparkify_region")}
STAGE = {
    **WORK,
    **COPY,
    "max_rejected_rows": "{{ params.max_rejected_rows }}",
}


def run_params() -> dict[str, Param]:
    """The params of a run of the pipeline."""
    return {
        "window_start": Param(
            None,
            type=["null", "string"],
            format="date-time",
            pattern=WHOLE_HOUR,
            title="Window start (UTC, included)",
            description="First hour to load, a whole hour such as 2018-11-01T00:00:00Z. Leave both ends "
            "empty to load the run's own hour.",
        ),
        "window_end": Param(
            None,
            type=["null", "string"],
            format="date-time",
            pattern=WHOLE_HOUR,
            title="Window end (UTC, not included)",
            description="The hour after the last one to load: 2018-12-01T00:00:00Z ends November 2018.",
        ),
        "dimension_mode": Param(
            "append",
            enum=["append", "truncate"],
            title="Dimension mode",
            description="append publishes the keys that the window touches; truncate rebuilds every "
            "dimension whole. Both give the same rows.",
        ),
        "max_rejected_rows": Param(
            0,
            type="integer",
            minimum=0,
            maximum=99_999,
            title="Rejected rows allowed",
            description="How many source rows the run may leave out because they cannot be loaded. They are "
            "kept in sparkify.rejected_rows with file, line and reason; one more fails the run.",
        ),
    }


def cluster_param() -> dict[str, Param]:
    """Which provisioned cluster a run is about."""
    return {
        "cluster_identifier": Param(
            "sparkify",
            type="string",
            pattern=AWS_NAME,
            title="Cluster",
            description="Identifier of the Redshift cluster: lower case letters, digits and hyphens.",
        )
    }


def serverless_param() -> dict[str, Param]:
    """Which namespace and workgroup a run is about."""
    return {
        "name": Param(
            "sparkify",
            type="string",
            pattern=AWS_NAME,
            title="Namespace and workgroup",
            description="Name of both: lower case letters, digits and hyphens.",
        )
    }


def role_param() -> dict[str, Param]:
    """The role that COPY reads S3 with."""
    return {
        "role_name": Param(
            "sparkify-copy",
            type="string",
            pattern=r"^[\w+=,.@-]{1,64}$",
            title="Role of COPY",
            description="IAM role to make or bring up to date: it reads the two buckets and nothing else.",
        )
    }


def network_params() -> dict[str, Param]:
    """Where in the account's network a warehouse is, and who reaches it."""
    return {
        "publicly_accessible": Param(
            False,
            type="boolean",
            title="Publicly accessible",
            description="Gives the warehouse an address on the internet. The security groups still decide.",
        ),
        "security_group_ids": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Security groups",
            description="VPC security groups that let the workers in at port 5439; empty for the default.",
        ),
    }


def deletion_params(what: str) -> dict[str, Param]:
    """What a deletion asks for.

    :param what: what must be entered to confirm it.
    """
    return {
        "final_snapshot": Param(
            True,
            type="boolean",
            title="Final snapshot",
            description="Keeps the data in a snapshot that a new warehouse can be restored from.",
        ),
        "confirm_delete": Param(
            "",
            type="string",
            title="Confirmation of the deletion",
            description=f"Enter {what} once more to confirm.",
        ),
    }
