"""Settings of a deployment as Airflow Variables, and the params of a run; what is none of them is refused.

`VARIABLES` is the one list of them: the DAGs take their templates from it and docs/configuration.md is
tested against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException

from sparkify import alerts
from sparkify.rejected import BUDGET


def whole(pattern: str) -> str:
    """The `pattern` of a JSON schema that the whole value has to match.

    A search in Python, where `$` alone lets a last newline through, and in JavaScript, which has no `\\Z`.
    """
    return rf"^(?:{pattern})$(?!\n)"


# Airflow does not enforce the format date-time without a further package; the form shows a picker for it.
WHOLE_HOUR = whole(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:00(:00(\.0+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
#: "Cluster, namespace and workgroup names" of the Redshift Management Guide.
AWS_NAME = whole(r"[a-z](?!.*--)[a-z0-9-]{1,61}[a-z0-9]")
#: What AWS makes: `sg-0123456789abcdef0`.
AWS_ID = r"-[0-9a-z]{1,32}"
#: What is entered to confirm something: a wrong entry is told what to enter, but is no template.
CONFIRMATION = whole(r"[A-Za-z0-9 _-]{0,63}")

VARIABLES = {
    "sparkify_bucket": ("sparkify", "bucket of the log and song files"),
    "sparkify_log_prefix": ("log_data", "key prefix of the log files"),
    "sparkify_log_keys": (
        "{year}/{month}/{year}-{month}-{day}-events.json",
        "how the keys of log files go on behind the prefix",
    ),
    "sparkify_log_suffixes": (".json", "how log files end that a `*` of `sparkify_log_keys` stands for"),
    "sparkify_log_late_hours": (
        "0",
        "for how many hours before its window a run looks for log files that came late",
    ),
    "sparkify_log_silence": (
        "awaited",
        "what hours without a log file are: `awaited`, or `complete` once there are later files",
    ),
    "sparkify_log_closing_minutes": ("0", "how many minutes after its window's end a run begins"),
    "sparkify_log_late_days": (
        "30",
        "how many days before the time of its file an event may be; an older one is rejected",
    ),
    "sparkify_log_deletions": (
        "refuse",
        "`refuse`: a log file that is gone fails the run of its hours; `take back`: its rows go too",
    ),
    "sparkify_log_retention_days": (
        "",
        "how many days log files are kept on S3; an older one may be gone, and its rows stay",
    ),
    "sparkify_landed_days": (
        "35",
        "for how many days the rows of log files are kept in `staging.landed_events`",
    ),
    "sparkify_song_prefix": ("song_data", "key prefix of the song files"),
    "sparkify_song_queue_url": (
        "",
        "URL of the SQS queue that S3 tells of song files; without one, sparkify_sweep finds them",
    ),
    "sparkify_work_bucket": ("sparkify-work", "bucket of the COPY manifests; may be the same bucket"),
    "sparkify_work_prefix": ("", "key prefix of the COPY manifests"),
    "sparkify_iam_role": ("default", "IAM role that COPY uses to read S3: `default` or an ARN"),
    "sparkify_region": ("us-west-2", "AWS region of both buckets"),
    "sparkify_log_json_path": (
        "",
        "JSONPaths file on S3 (`s3://bucket/key`) to use instead of include/jsonpaths/log_json_path.json",
    ),
    "sparkify_max_removed_percent": (
        "10",
        "how many percent of its window's published plays and users, or of the songs, a run may take away",
    ),
    "sparkify_max_window_days": ("400", "how many UTC days the window of one run may touch"),
    "sparkify_max_truncate_rows": (
        "100000000",
        "above how many published plays `dimension_mode` `truncate` is refused",
    ),
    "sparkify_max_rejected_events": (
        "0",
        "how many events a run may leave out: a number, or parts per million of those staged (`50 ppm`)",
    ),
    "sparkify_max_rejected_songs": ("0", "how many rows of song files a run may leave out, likewise"),
    "sparkify_copy_options_events": ("", "options of COPY for the log files, such as `TRUNCATECOLUMNS`"),
    "sparkify_copy_options_songs": ("", "options of COPY for the song files, likewise"),
    "sparkify_readers": (
        "",
        "who can read schema sparkify: `GROUP name` or `ROLE name`; granted by `sparkify_schema`",
    ),
}


@dataclass(frozen=True)
class Form:
    """What the values of a Variable look like.

    :param pattern: of the whole value.
    :param enter: what to enter, for the message that refuses another value.
    """

    pattern: str
    enter: str

    def or_empty(self) -> Form:
        return Form(f"({self.pattern})?", f"{self.enter.removesuffix('.')}, or leave it empty.")


#: "Bucket naming rules" of the S3 User Guide.
BUCKET_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
#: Of the characters that "Naming Amazon S3 objects" calls safe or in need of care, those that prefixes have.
KEY_PART = r"(?!\.{1,2}(?:/|\Z))[\w.:=+@!()&$,;-]+(?: +[\w.:=+@!()&$,;-]+)*"
#: "Queue and message identifiers" and "Queue names" of the SQS Developer Guide.
QUEUE_URL = r"https://[a-z0-9][a-z0-9.-]*/\d{12}/[A-Za-z0-9_-]{1,80}"
#: COPY takes a chain of roles too, with commas between them ("IAM_ROLE parameter").
ROLE_ARN = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=.@/-]+"
#: A group or a role; an identifier of Redshift's has at most 127 bytes ("Names and identifiers").
READERS = re.compile(r"(GROUP|ROLE) +([A-Za-z_][A-Za-z0-9_$]{0,126})", re.IGNORECASE)

BUCKET_FORM = Form(
    BUCKET_NAME,
    "Enter only the bucket's name, such as sparkify: 3 to 63 lower-case letters, digits, dots and hyphens, "
    "without s3:// and without a key.",
)
# The limit leaves room for the keys below the prefix, which S3 limits to 1,024 bytes in all.
PREFIX_FORM = Form(
    rf"(?!s3:)(?=.{{1,200}}\Z){KEY_PART}(/{KEY_PART})*/?",
    "Enter the prefix that all the keys share, such as log_data or team/log_data: at most 200 characters, "
    "without s3:// and the bucket, without a leading slash or space, and without quotes, backslashes, "
    "wildcards or empty parts.",
)
BUDGET_FORM = Form(
    BUDGET,
    "Enter a number of rows from 0 to 99999, such as 100, or parts per million of the rows staged, such as "
    "50 ppm.",
)
#: Of "Data conversion parameters" those that change values, and that COPY from JSON takes.
COPY_OPTION = (
    r"(ACCEPTANYDATE|ACCEPTINVCHARS( +(AS +)?'[A-Za-z0-9?^*_~.#-]')?|BLANKSASNULL|EMPTYASNULL|ROUNDEC"
    r"|TRUNCATECOLUMNS)"
)
COPY_OPTIONS_FORM = Form(
    f"(?i:{COPY_OPTION}( +{COPY_OPTION})*)",
    "Enter options out of ACCEPTANYDATE, ACCEPTINVCHARS (or ACCEPTINVCHARS AS '^'), BLANKSASNULL, "
    "EMPTYASNULL, ROUNDEC and TRUNCATECOLUMNS, separated by blanks.",
).or_empty()
FORMS = {
    "sparkify_bucket": BUCKET_FORM,
    "sparkify_log_prefix": PREFIX_FORM,
    "sparkify_log_keys": Form(
        r"[\w.:=+@!()&$,;/{}-]{1,200}\*?",
        "Enter the keys below the prefix, with {year}, {month}, {day} and {hour} in their places, and * at "
        "the end for any rest, such as {year}/{month}/{day}/{hour}/* or dt={year}-{month}-{day}/*.",
    ),
    "sparkify_log_suffixes": Form(
        r"\*|[\w.-]{1,32}( [\w.-]{1,32}){0,9}",
        "Enter suffixes separated by blanks, such as .json .json.gz, or *.",
    ),
    "sparkify_log_late_hours": Form(r"[0-9]{1,4}", "Enter a whole number of hours, such as 72."),
    "sparkify_log_closing_minutes": Form(r"[0-9]{1,4}", "Enter a whole number of minutes, such as 10."),
    "sparkify_log_silence": Form("awaited|complete", "Enter awaited or complete."),
    "sparkify_log_late_days": Form(r"[0-9]{1,5}", "Enter a whole number of days, such as 30."),
    "sparkify_log_deletions": Form("refuse|take back", "Enter refuse or take back."),
    "sparkify_log_retention_days": Form(
        r"[1-9][0-9]{0,4}", "Enter a whole number of days, such as 400."
    ).or_empty(),
    "sparkify_landed_days": Form(r"[1-9][0-9]{0,4}", "Enter a whole number of days, such as 35."),
    "sparkify_song_prefix": PREFIX_FORM,
    "sparkify_song_queue_url": Form(
        QUEUE_URL,
        "Enter the URL of a standard queue, such as "
        "https://sqs.us-west-2.amazonaws.com/123456789012/sparkify-songs.",
    ).or_empty(),
    "sparkify_work_bucket": BUCKET_FORM,
    "sparkify_work_prefix": PREFIX_FORM.or_empty(),
    "sparkify_iam_role": Form(
        rf"default|{ROLE_ARN}(,{ROLE_ARN})*",
        "Enter default, or the role's ARN, such as arn:aws:iam::123456789012:role/sparkify-copy.",
    ),
    "sparkify_region": Form(
        r"[a-z]{2,}(-[a-z]+)+-\d+",
        "Enter the region's code, such as us-west-2, without the letter of a zone.",
    ),
    "sparkify_log_json_path": Form(
        rf"s3://{BUCKET_NAME}/{KEY_PART}(/{KEY_PART})*",
        "Enter the address of a JSONPaths file, such as s3://sparkify/log_json_path.json.",
    ).or_empty(),
    "sparkify_max_removed_percent": Form(
        r"[0-9]{1,2}|100", "Enter a whole number from 0 to 100: with 100, a run may take away everything."
    ),
    "sparkify_max_window_days": Form(
        r"[1-9][0-9]{0,4}", "Enter a whole number of days from 1 to 99999, such as 400."
    ),
    "sparkify_max_truncate_rows": Form(
        r"[0-9]{1,15}", "Enter a whole number of rows, such as 100000000: with 0, every such run is refused."
    ),
    "sparkify_max_rejected_events": BUDGET_FORM,
    "sparkify_max_rejected_songs": BUDGET_FORM,
    "sparkify_copy_options_events": COPY_OPTIONS_FORM,
    "sparkify_copy_options_songs": COPY_OPTIONS_FORM,
    "sparkify_readers": Form(
        f"(?i:{READERS.pattern})", "Enter GROUP or ROLE and its name, such as GROUP analysts."
    ).or_empty(),
}

#: A century: a param of days is subtracted from a date, which does not go below the year 1.
MOST_DAYS = 36_500
#: What Airflow's OpenLineage integration adds to the conf of a run that another DAG triggers.
ADDED_BY_AIRFLOW = "openlineage"


class VariableError(AirflowFailException, ValueError):
    """An Airflow Variable is not valid, or nothing reads it; a retry would not help."""


class ConfError(AirflowFailException, ValueError):
    """A run's conf would have no effect; a retry would not help."""


def variable(name: str) -> str:
    """A Jinja template that reads an Airflow Variable, with its default, when a task needs it.

    The DAG has `user_defined_filters=FILTERS`.
    """
    return f"{{{{ {_expression(name)} }}}}"


def param_or_variable(param: str, name: str) -> str:
    """A Jinja template of a param of the run, or, where that is not given, of an Airflow Variable."""
    return f"{{{{ {_expression(name)} if params.{param} is none else params.{param} }}}}"


def _expression(name: str) -> str:
    default, _ = VARIABLES[name]
    return f"var.value.get('{name}', '{default}') | checked('{name}')"


def checked(value: str, name: str) -> str:
    """The value of an Airflow Variable, where it has the form of one.

    :raises VariableError: names the Variable, its value and what to enter.
    """
    form = FORMS[name]
    if not re.fullmatch(form.pattern, value):
        raise VariableError(
            f"The Airflow Variable {name} is {value!r:.300}, which is not valid, so nothing was changed.\n"
            f"{form.enter}"
        )
    return value


#: Of every DAG whose templates read Variables.
FILTERS = {"checked": checked}


def refuse_unknown_variables(names: Iterable[str]) -> None:
    """Refuse Variables that are called like the project's, and that nothing reads.

    :raises VariableError: names each of them, and the nearest one that is read.
    """
    unknown = sorted(set(names) - VARIABLES.keys())
    if unknown:
        raise VariableError(
            f"Nothing reads the Airflow Variable(s) {', '.join(unknown)}.\n"
            f"Change them: {_instead_of(unknown, VARIABLES)}"
        )


def refuse_unknown_conf(context: Mapping[str, Any]) -> None:
    """The `pre_execute` of every task: the conf of its run has no key but the params of its DAG.

    Airflow takes an unknown key for a new param: a misspelt one would leave the right one at its default.

    :raises ConfError: names the keys that are unknown, and the nearest ones that are known.
    """
    dag = context["dag"]
    conf = {key: value for key, value in (context["dag_run"].conf or {}).items() if key != ADDED_BY_AIRFLOW}
    unknown = sorted(conf.keys() - dag.params.keys())
    if unknown:
        raise ConfError(
            f"The run's conf has {', '.join(f'{key!r:.100}' for key in unknown)}, which DAG {dag.dag_id} "
            f"does not know, so nothing was changed.\n"
            f"Trigger it again: {_instead_of(unknown, dag.params)}"
        )
    ignored = sorted(key for key, value in conf.items() if context["params"][key] != value)
    if ignored:
        raise ConfError(
            f"The run's conf sets {', '.join(ignored)}, but Airflow's [core] dag_run_conf_overrides_params "
            f"is off, so the params keep their defaults; nothing was changed.\n"
            f"Set it to True, then clear this task."
        )


def _instead_of(unknown: Iterable[str], known: Iterable[str]) -> str:
    """The remedy for names that are unknown: what to do with each, and the names that are known."""
    remedies = []
    for name in unknown:
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        remedies.append(f"use {near[0]} instead of {name!r:.100}" if near else f"remove {name!r:.100}")
    return f"{', '.join(remedies)}. Known names: {', '.join(known) or 'none'}."


def task_defaults(execution_timeout: timedelta, **changes: Any) -> dict[str, Any]:
    """What the tasks of every DAG have in common, as `default_args`.

    :param execution_timeout: how long a try may take.
    :param changes: what differs in this DAG.
    """
    return {
        "owner": "data-engineering",
        "on_failure_callback": alerts.failed,
        "pre_execute": refuse_unknown_conf,
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": execution_timeout,
        **changes,
    }


BUCKET = variable("sparkify_bucket")
#: The published tables, each before those whose publish.sql reads it.
TABLES = ("songs", "artists", "songplays", "users", "time")
WORK = {
    "work_bucket": variable("sparkify_work_bucket"),
    "work_prefix": variable("sparkify_work_prefix"),
}
COPY = {"iam_role": variable("sparkify_iam_role"), "region": variable("sparkify_region")}


#: Where the log files lie.
LAYOUT = {
    "s3_bucket": BUCKET,
    "s3_prefix": variable("sparkify_log_prefix"),
    "key_template": variable("sparkify_log_keys"),
    "suffixes": variable("sparkify_log_suffixes"),
}
#: What publish knows of the files in its ledgers.
LEDGERS = {
    "s3_bucket": BUCKET,
    "key_template": variable("sparkify_log_keys"),
    "silence": variable("sparkify_log_silence"),
}
LOGS = {**LAYOUT, "retention_days": variable("sparkify_log_retention_days")}


def stage(source: str) -> dict[str, str]:
    """What the stage tasks of the sources take from Variables and params alike."""
    return {
        **WORK,
        **COPY,
        "max_rejected_rows": param_or_variable("max_rejected_rows", f"sparkify_max_rejected_{source}"),
        "max_window_days": variable("sparkify_max_window_days"),
    }


def entered(dag: DAG, name: str) -> Any:
    """A param of the run for a template field, of its own type; it is not rendered."""
    return dag.param(name)


def run_params() -> dict[str, Param]:
    """The params of a run of the pipeline."""
    return {
        "window_start": Param(
            None,
            type=["null", "string"],
            format="date-time",
            pattern=WHOLE_HOUR,
            title="Window start (UTC, inclusive)",
            description="First hour to load: a whole hour, such as 2018-11-01T00:00:00Z. Leave both fields "
            "empty to load the run's own hour.",
        ),
        "window_end": Param(
            None,
            type=["null", "string"],
            format="date-time",
            pattern=WHOLE_HOUR,
            title="Window end (UTC, exclusive)",
            description="The hour after the last one to load: 2018-12-01T00:00:00Z for November 2018.",
        ),
        "dimension_mode": Param(
            "append",
            enum=["append", "truncate"],
            title="Dimension mode",
            description="append publishes only the keys that the window touches; truncate rebuilds every "
            "dimension completely. Both give the same rows.",
        ),
        "max_rejected_rows": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            maximum=99_999,
            title="Rejected rows allowed",
            description="How many source rows the run may leave out because they cannot be loaded, of all "
            "sources together. They are kept in sparkify.rejected_rows with file, line and reason. If there "
            "are more, the run fails. Leave it empty for what the Airflow Variables allow of each source.",
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
            description="Identifier of the Redshift cluster: lower-case letters, digits and hyphens.",
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
            description="Name of both: lower-case letters, digits and hyphens.",
        )
    }


def role_param() -> dict[str, Param]:
    """The role that COPY reads S3 with."""
    return {
        "role_name": Param(
            "sparkify-copy",
            type="string",
            pattern=whole(r"[A-Za-z0-9_+=,.@-]{1,64}"),
            title="Role of COPY",
            description="Name of the IAM role that an administrator made for COPY; the run checks it.",
        )
    }


def network_params() -> dict[str, Param]:
    """Where in the account's network a warehouse is, and who reaches it."""
    return {
        "publicly_accessible": Param(
            False,
            type="boolean",
            title="Publicly accessible",
            description="Gives the warehouse a public address. Security groups still control access.",
        ),
        "security_group_ids": Param(
            [],
            type="array",
            items={"type": "string", "pattern": whole(f"sg{AWS_ID}")},
            title="Security groups",
            description="VPC security groups that allow the workers in on port 5439; empty for the default.",
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
            description="Keeps the data in a snapshot, from which a new warehouse can be restored.",
        ),
        "confirm_delete": Param(
            "",
            type="string",
            pattern=CONFIRMATION,
            title="Confirmation of the deletion",
            description=f"Enter {what} again to confirm.",
        ),
    }
