"""The checks of an installation: each fails, or warns, with what was observed and what to do about it."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, BaseOperator, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowRuntimeError

from sparkify.bookkeeping import REMEDY, differences
from sparkify.declarations import (
    column_differences,
    distribution_findings,
    key_differences,
    missing_relations,
)
from sparkify.lake import Lake, SourceFile, folder, manifest
from sparkify.layout import Layout, compression
from sparkify.migrations import applied_versions, read_migrations
from sparkify.operators.base import rendered
from sparkify.paths import MIGRATIONS
from sparkify.schedules import SCHEDULES, Schedule
from sparkify.settings import refuse_unknown_variables
from sparkify.warehouse import Warehouse, WarehouseError, quote
from sparkify.web.login import CONNECTION_ID as PAGE
from sparkify.work import refuse_work_among_sources

log = logging.getLogger(__name__)

PROBE, MANIFEST = "verify.json", "verify.manifest"
#: How many keys of a prefix are looked at to find a small file: one page of a listing.
KEYS = 1000
MAX_SKEW = timedelta(seconds=10)
SHOWN_HOURS = 24
#: How the project's Variables begin, and how Airflow's environment variables for Variables do.
PREFIX, ENVIRONMENT = "sparkify_", "AIRFLOW_VAR_"


class VerifyOperator(BaseOperator):
    """Base of the checks: the two connections.

    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :param aws_conn_id: an Airflow connection of type `aws`.
    """

    template_fields: Sequence[str] = ("redshift_conn_id", "aws_conn_id")
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#fdf3d8"

    def __init__(
        self, *, redshift_conn_id: str = "redshift_default", aws_conn_id: str = "aws_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.redshift_conn_id = redshift_conn_id
        self.aws_conn_id = aws_conn_id

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.redshift_conn_id)

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)


class VerifyVariablesOperator(BaseOperator):
    """Every Airflow Variable of the project is valid, and none is misspelt.

    Variables of a secrets backend cannot be listed: of them only the known ones are looked at.

    :param variables: name to value; a value that is not valid is refused where its template is rendered.
    :returns: (XCom) the Variables.
    :raises VariableError: names the Variable, its value and what to enter.
    """

    template_fields: Sequence[str] = ("variables",)
    ui_color = VerifyOperator.ui_color

    def __init__(self, *, variables: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.variables = variables

    def execute(self, context: Mapping[str, Any]) -> dict[str, str]:
        set_there = [
            name.removeprefix(ENVIRONMENT).lower() for name in os.environ if name.startswith(ENVIRONMENT)
        ]
        set_there += Variable.keys(PREFIX)
        refuse_unknown_variables(name for name in set_there if name.startswith(PREFIX))
        for name, value in self.variables.items():
            log.info("%s: %r", name, value)
        return dict(self.variables)


class VerifyConnectionsOperator(VerifyOperator):
    """Both connections are there, hold credentials, and Redshift lets the user in; so it does the page's own.

    :returns: (XCom) the user's name in Redshift.
    """

    def execute(self, context: Mapping[str, Any]) -> str:
        for conn_id, conn_type in ((self.aws_conn_id, "aws"), (self.redshift_conn_id, "redshift")):
            try:
                found = BaseHook.get_connection(conn_id).conn_type
            except AirflowNotFoundException as error:
                raise AirflowFailException(
                    f"There is no Airflow connection {conn_id!r}. Create it with the type {conn_type!r}, as "
                    f"docs/aws.md shows, in the UI, in the environment or in the secrets backend."
                ) from error
            if found != conn_type:
                raise AirflowFailException(
                    f"Airflow connection {conn_id!r} has the type {found!r}. Change it to type {conn_type!r}."
                )
        credentials = self.lake.hook.get_session().get_credentials()
        if credentials is None:
            raise AirflowFailException(
                f"Airflow connection {self.aws_conn_id!r} provides no AWS credentials, and neither does the "
                f"worker. Give the worker a role, or enter an access key as login and its secret as password."
            )
        log.info("Connection %s: credentials from %s", self.aws_conn_id, credentials.method)
        user = self._user(self.redshift_conn_id)
        self._look_at_the_pages(user)
        return user

    def _user(self, conn_id: str) -> str:
        with Warehouse(conn_id).reading() as transaction:
            [(user, version)] = transaction.execute("SELECT CURRENT_USER, VERSION()", name="ask who we are")
        log.info("Connection %s: user %s of %s", conn_id, user, version)
        return str(user)

    def _look_at_the_pages(self, user: str) -> None:
        try:
            BaseHook.get_connection(PAGE)
        except AirflowNotFoundException:
            log.warning(
                "There is no Airflow connection %s, so the page Sparkify reads with the pipeline's own login "
                "(user %s).\nGive it a login that can only read, as docs/configuration.md shows.",
                PAGE,
                user,
            )
            return
        if self._user(PAGE) == user:
            raise AirflowFailException(
                f"The page's Airflow connection {PAGE!r} has the pipeline's own user {user}, who can write.\n"
                f"Give it a login that can only read, as docs/configuration.md shows."
            )


class VerifyBucketsOperator(VerifyOperator):
    """Airflow lists both buckets, reads one, writes to and deletes from the other; both are in the region.

    :param s3_bucket: bucket of the source files.
    :param s3_prefixes: their key prefixes. One without files is only reported: they may still come.
    :param work_bucket: bucket of the COPY manifests.
    :param work_prefix: their key prefix; may be empty.
    :param region: the buckets' AWS region, as COPY names it.
    :raises LakeError: where a bucket is missing or a request is denied.
    :raises AirflowFailException: where a bucket is in another region.
    :raises WorkAmongSourcesError: where the work objects would lie among the source files.
    """

    template_fields: Sequence[str] = (
        *VerifyOperator.template_fields, "s3_bucket", "s3_prefixes", "work_bucket", "work_prefix", "region",
    )  # fmt: skip

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_prefixes: Sequence[str],
        work_bucket: str,
        work_prefix: str,
        region: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefixes = s3_prefixes
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.region = region

    def execute(self, context: Mapping[str, Any]) -> None:
        refuse_work_among_sources(self.work_bucket, self.work_prefix, self.s3_bucket, self.s3_prefixes)
        for prefix in map(folder, self.s3_prefixes):
            first = next(self.lake.list_files(self.s3_bucket, [prefix]), None)
            if first:
                self.lake.check_readable(self.s3_bucket, first.object_key)
                log.info("s3://%s/%s can be listed and read; its first file is %s", self.s3_bucket, prefix,
                         first.object_key)  # fmt: skip
            else:
                log.warning(
                    "s3://%s/%s can be listed but holds no file, so runs would load nothing and still be "
                    "green.\n"
                    "Check the Airflow Variables sparkify_bucket, sparkify_log_prefix and "
                    "sparkify_song_prefix, or wait for the first file.",
                    self.s3_bucket,
                    prefix,
                )
        key = folder(self.work_prefix) + PROBE
        self.lake.write(self.work_bucket, key, b"{}")
        self.lake.delete(self.work_bucket, key)
        log.info("s3://%s/%s can be written and deleted", self.work_bucket, key)
        for bucket in (self.s3_bucket, self.work_bucket):
            region = _headers(self.lake, bucket).get("x-amz-bucket-region", self.region)
            if region != self.region:
                raise AirflowFailException(
                    f"Bucket {bucket} is in region {region}, but COPY would look for it in {self.region}. "
                    f"Set the Airflow Variable sparkify_region to {region}; both buckets must be in the same "
                    f"region."
                )


class VerifyLayoutOperator(VerifyOperator):
    """The declared layout of the log files is that of the files which are there.

    Lists the last hour that is over, as its run does, and shows what it finds; and looks whether any of the
    first files below the prefix is of the layout.

    :param s3_bucket: bucket of the log files.
    :param s3_prefix: their key prefix.
    :param key_template: their keys below it; `suffixes`: how they end: see StageLogsToRedshiftOperator.
    :raises LayoutError: where the layout cannot be one.
    :raises AirflowFailException: where there are files, and none of the first is of the layout.
    """

    template_fields: Sequence[str] = (
        *VerifyOperator.template_fields, "s3_bucket", "s3_prefix", "key_template", "suffixes",
    )  # fmt: skip

    def __init__(
        self, *, s3_bucket: str, s3_prefix: str, key_template: str, suffixes: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.key_template = key_template
        self.suffixes = suffixes

    def execute(self, context: Mapping[str, Any]) -> int:
        layout = Layout(self.s3_prefix, self.key_template, tuple(self.suffixes.split()))
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        partitions = list(layout.partitions(end - timedelta(hours=1), end))
        listed = self.lake.list_files(self.s3_bucket, layout.prefixes(partitions))
        files = [file for partition, file in layout.files(listed) if partition in partitions]
        kinds = Counter(compression(file.object_key) or "none" for file in files)
        size = sum(file.size_bytes for file in files)
        of_kind = ", ".join(f"{kind} {kinds[kind]}" for kind in sorted(kinds)) or "-"
        log.info("The hour before %s UTC: %d file(s), %d byte(s) in s3://%s/%s; compression: %s",
                 f"{end:%F %H:%M}", len(files), size, self.s3_bucket, partitions[0].key, of_kind)  # fmt: skip
        for file in files[:10]:
            log.info("  %s, %d byte(s)", file.object_key, file.size_bytes)
        if files:
            return len(files)
        some = list(islice(self.lake.list_files(self.s3_bucket, [folder(self.s3_prefix)]), KEYS))
        if some and not any(layout.partition_of(file.object_key) for file in some):
            place = f"s3://{self.s3_bucket}/{folder(self.s3_prefix)}"
            raise AirflowFailException(
                f"None of the first {len(some)} file(s) below {place} is one of the declared layout: the "
                f"first is {some[0].object_key}, and a file of the last hour would begin with "
                f"{partitions[0].key}. Runs would load nothing.\nChange the Airflow Variables "
                f"sparkify_log_keys and sparkify_log_suffixes, then clear this task."
            )
        log.warning("No file of the last hour is there yet")
        return 0


class VerifyCopyOperator(VerifyOperator):
    """Redshift's role reads both buckets: a COPY of one source file by a manifest, with NOLOAD.

    :param s3_bucket: bucket of the source files.
    :param s3_prefixes: their key prefixes; the smallest file near the beginning of the first that has one.
    :param work_bucket: bucket of the COPY manifests.
    :param work_prefix: their key prefix; may be empty.
    :param iam_role: `default`, or the ARN of the role that COPY reads S3 with.
    :param region: the buckets' AWS region.
    :param copy_sql: the statements.
    :returns: (XCom) the key of the file.
    :raises AirflowFailException: where there is no file to read.
    :raises WarehouseError: where COPY fails.
    """

    template_fields: Sequence[str] = (
        *VerifyOperator.template_fields,
        "s3_bucket", "s3_prefixes", "work_bucket", "work_prefix", "iam_role", "region",
    )  # fmt: skip

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_prefixes: Sequence[str],
        work_bucket: str,
        work_prefix: str,
        iam_role: str,
        region: str,
        copy_sql: str = "verify.sql",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefixes = s3_prefixes
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.iam_role = iam_role
        self.region = region
        self.copy_sql = copy_sql

    def execute(self, context: Mapping[str, Any]) -> str:
        file = self._smallest_file()
        key = folder(self.work_prefix) + MANIFEST
        uri = self.lake.write(self.work_bucket, key, manifest(self.s3_bucket, [file]))
        try:
            with self.warehouse.reading() as transaction:
                transaction.run_script(self.copy_script(uri), self.copy_sql)
        except WarehouseError as error:
            raise WarehouseError(
                f"{error}. COPY was to read {uri} and s3://{self.s3_bucket}/{file.object_key} with IAM_ROLE "
                f"{self.iam_role}. Check that the role is attached to the cluster or namespace (as its "
                f"default, where the Airflow Variable sparkify_iam_role is `default`), that it trusts "
                f"redshift.amazonaws.com, that its policy is include/aws/copy-role-policy.json for these two "
                f"buckets, and that the connection's user may name it (GRANT ASSUMEROLE, docs/aws.md)."
            ) from error
        finally:
            self.lake.delete(self.work_bucket, key)
        log.info("COPY can read s3://%s/%s with IAM_ROLE %s", self.s3_bucket, file.object_key, self.iam_role)
        return file.object_key

    def copy_script(self, manifest_uri: str) -> str:
        """The rendered statements."""
        names = {"manifest": manifest_uri, "iam_role": self.iam_role, "region": self.region, "quote": quote}
        return rendered(self, self.copy_sql, names)

    def _smallest_file(self) -> SourceFile:
        for prefix in map(folder, self.s3_prefixes):
            files = list(islice(self.lake.list_files(self.s3_bucket, [prefix]), KEYS))
            if files:
                return min(files, key=lambda file: (file.size_bytes, file.object_key))
        raise AirflowFailException(
            f"There is no file below {' or '.join(map(folder, self.s3_prefixes))} in s3://{self.s3_bucket} "
            f"to try COPY with. Correct the Airflow Variables sparkify_bucket, sparkify_song_prefix and "
            f"sparkify_log_prefix, or upload a first file, and clear this task."
        )


class VerifySchemaOperator(VerifyOperator):
    """The schema's version is the one that this code needs; tables, columns and keys are as declared.

    Keys of a kind that the catalog records for no table at all are not compared, and the log says so.

    :param migrations: the folder of the numbered migrations.
    :returns: (XCom) the version.
    :raises AirflowFailException: where something differs, or there is no schema.
    """

    def __init__(self, *, migrations: Path = MIGRATIONS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.migrations = migrations

    def execute(self, context: Mapping[str, Any]) -> int:
        code = len(read_migrations(Path(self.migrations)))
        with self.warehouse.reading() as transaction:
            database = max(applied_versions(transaction), default=0)
            missing = missing_relations(transaction)
            differing = column_differences(transaction)
            keys, not_recorded = key_differences(transaction)
            distribution = distribution_findings(transaction)
        if database != code:
            raise AirflowFailException(
                f"The warehouse has schema version {database}, but this code needs {code}. "
                + (
                    "Run the DAG sparkify_schema."
                    if database < code
                    else "Deploy the version of the code that upgraded the schema."
                )
            )
        if missing:
            raise AirflowFailException(
                f"Missing in the warehouse: {', '.join(missing)}.\nRun the DAG sparkify_schema. If a table "
                f"held rows, that DAG does not create it empty, but says how to restore the rows."
            )
        if differing or keys:
            raise AirflowFailException("\n".join(map(str, [*differing, *keys])))
        for kind in not_recorded:
            log.info("%s: skipped, because the catalog records it for no table", kind)
        if distribution is None:
            log.info("Distribution: skipped, because svv_table_info shows this login no table")
        for finding in distribution or ():
            log.warning("%s", finding)
        log.info("Schema version %d", database)
        return database


class VerifyTablesOperator(VerifyOperator):
    """The tables hold what the bookkeeping says that they were published with, and published days that are
    over have all their hours. Reads the fact whole.

    Hours of today that are missing are only reported: reconciling looks at them tomorrow.

    :raises AirflowFailException: where they do not.
    """

    def execute(self, context: Mapping[str, Any]) -> None:
        today = context["dag_run"].run_after.astimezone(UTC).date()
        with self.warehouse.reading() as transaction:
            found = differences(transaction)
        if missing := found.never_loaded_between(today):
            log.warning(
                "%s of today, between hours that were.\nThe schedule or a backfill may still load them. "
                "Otherwise sparkify_reconcile does so tomorrow.",
                _never_loaded(missing),
            )
        faults, remedies = [], []
        if found:
            faults.append(f"Tables differ from what was published: {found}.")
            remedies.append(REMEDY)
        if missing := found.never_loaded(today):
            faults.append(f"{_never_loaded(missing)} of published days.")
            conf = {"lookback_days": (today - missing[0].date()).days}
            remedies.append(
                f"Run the DAG sparkify_reconcile with {json.dumps(conf)}: it loads such days whole. If it "
                f"did so already, the log of its task reload_days names the run that failed."
            )
        if faults:
            raise AirflowFailException("\n".join([*faults, " ".join(remedies)]))
        log.info("All tables hold what was published, in %d hour(s)", len(found.published))


class VerifySchedulesOperator(BaseOperator):
    """Which schedules are paused: a warning and no failure, for an installation is verified before it runs.

    :returns: (XCom) DAG id to `not paused`, `paused`, or `skipped` with the reason.
    """

    ui_color = VerifyOperator.ui_color

    def execute(self, context: Mapping[str, Any]) -> dict[str, str]:
        return {schedule.dag_id: self._state(context["ti"], schedule) for schedule in SCHEDULES}

    def _state(self, ti: Any, schedule: Schedule) -> str:
        try:
            is_paused = ti.get_dag(schedule.dag_id).is_paused
        except AirflowRuntimeError as error:
            reason = f"Airflow does not say ({error})"
            log.warning("%s\nCheck in the UI that Airflow shows this DAG.", schedule.when_unknown(reason))
            return f"skipped: {reason}"
        if is_paused:
            log.warning("%s\nOnce the installation is ready: airflow dags unpause %s", schedule.when_paused,
                        schedule.dag_id)  # fmt: skip
            return "paused"
        log.info("The %s (DAG %s) is not paused", schedule.name, schedule.dag_id)
        return "not paused"


class VerifyClocksOperator(VerifyOperator):
    """The clocks of the worker, of the warehouse and of S3 agree.

    :param s3_bucket: a bucket; S3's time is the Date of its answer.
    :returns: (XCom) seconds by which the warehouse's clock and S3's are ahead of the worker's.
    :raises AirflowFailException: where one is further away than `MAX_SKEW`.
    """

    template_fields: Sequence[str] = (*VerifyOperator.template_fields, "s3_bucket")

    def __init__(self, *, s3_bucket: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket

    def execute(self, context: Mapping[str, Any]) -> dict[str, float]:
        with self.warehouse.reading() as transaction:
            # The first query of a connection is slower than the next.
            transaction.execute("SELECT GETDATE()", name="ask for the time")
            before = now()
            [(moment,)] = transaction.execute("SELECT GETDATE()", name="ask for the time")
            skews = {"Redshift": _ahead(moment.replace(tzinfo=UTC), before)}
        before = now()
        skews["S3"] = _ahead(parsedate_to_datetime(_headers(self.lake, self.s3_bucket)["date"]), before)
        for clock, skew in skews.items():
            log.info("The clock of %s is %+.1f s ahead of this worker's", clock, skew.total_seconds())
        wrong = {clock: skew for clock, skew in skews.items() if abs(skew) > MAX_SKEW}
        if wrong:
            raise AirflowFailException(
                "; ".join(f"{c}'s clock is {s.total_seconds():+.0f} s ahead" for c, s in wrong.items())
                + f" of this worker's, more than {MAX_SKEW.seconds} s.\n"
                f"Synchronise the worker's clock (chrony, systemd-timesyncd)."
            )
        return {clock: skew.total_seconds() for clock, skew in skews.items()}


def _never_loaded(hours: Sequence[datetime]) -> str:
    """The hours for people, the first of them by their names."""
    more = f" and {len(hours) - SHOWN_HOURS} more" if len(hours) > SHOWN_HOURS else ""
    named = ", ".join(f"{hour:%Y-%m-%d %H:%M}" for hour in hours[:SHOWN_HOURS])
    return f"{len(hours)} hour(s) were never loaded ({named}{more}; UTC)"


def now() -> datetime:
    """The worker's clock."""
    return datetime.now(UTC)


def _ahead(moment: datetime, before: datetime) -> timedelta:
    """How far a clock that was asked between `before` and now is ahead of the worker's."""
    return moment - before - (now() - before) / 2


def _headers(lake: Lake, bucket: str) -> Mapping[str, str]:
    """The headers of S3's answer to a listing of one key."""
    answer = lake.client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers
