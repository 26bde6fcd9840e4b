"""What sparkify_reconcile does around the runs that it asks for: it finds days to load again, then hours that
are left, and says what loading them has changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from sparkify.bookkeeping import Differences, comparison, differences
from sparkify.lake import Lake, files_digest
from sparkify.layout import Layout
from sparkify.text import visible
from sparkify.warehouse import Transaction, Warehouse, without_semicolon
from sparkify.window import DAY, HOUR
from sparkify.xcoms import read_changes

log = logging.getLogger(__name__)

CHANGES = "changes"


class FindChangedDaysOperator(BaseOperator):
    """Compare the log files of published days with those that their hours were loaded from.

    A day has changed where any of its published hours came from files with other keys or ETags than are there
    now: rewritten, late or deleted ones; or where some of its hours were never loaded, though others were.
    Looks at complete days only, because the file of today still grows. Of any day, also of today, the
    published hours are to be loaded again whose rows are not those that they were published with, together
    with the published hours beside them.

    :param s3_bucket: bucket of the log files.
    :param s3_prefix: their key prefix.
    :param key_template: their keys below it; `suffixes`: how they end: see StageLogsToRedshiftOperator.
    :param retention_days: when files are older than this, they are expected to be gone; empty for never.
    :param lookback_days: how many days before the run's are looked at.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) for each changed day the arguments of the run that loads it again: `trigger_run_id`,
        which is the same for the same files, and `conf`; under the key `changes`, what changed.
    """

    template_fields: Sequence[str] = (
        "redshift_conn_id", "aws_conn_id", "s3_bucket", "s3_prefix", "key_template", "suffixes",
        "retention_days", "lookback_days",
    )  # fmt: skip
    ui_color = "#e6e0f5"

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_prefix: str,
        key_template: str,
        suffixes: str,
        lookback_days: int | str,
        retention_days: int | str = "",
        redshift_conn_id: str = "redshift_default",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.key_template = key_template
        self.suffixes = suffixes
        self.retention_days = retention_days
        self.lookback_days = lookback_days
        self.redshift_conn_id = redshift_conn_id
        self.aws_conn_id = aws_conn_id

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.s3_prefix, self.key_template, tuple(self.suffixes.split()))

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        first, today = _looked_at(context, self.lookback_days)
        log.info("Comparing published days from %s to %s, without today (%s)", first, today - DAY, today)
        warehouse = Warehouse(self.redshift_conn_id)
        with warehouse.reading() as transaction:
            days = self._published_days(transaction, first, today)
        # No transaction is open meanwhile, for Redshift Serverless bills it.
        listed = self._list(days)
        with warehouse.reading() as transaction:
            known = self._known(transaction, days)
            pending = defaultdict(list)
            for hour in pending_hours(transaction, first, today):
                pending[hour.date()].append(hour)
            found = differences(transaction)
            missing = defaultdict(list)
            for hour in found.never_loaded(today):
                missing[hour.date()].append(hour)
            changed = [day for day in days if listed[day] != known[day] or missing[day] or pending[day]]
            changes = []
            for day in changed:
                what = _file_changes(known[day], listed[day])
                if hours := missing[day]:
                    what.append(f"{len(hours)} hour(s) were never loaded, the first {hours[0]:%H:%M} UTC")
                if hours := pending[day]:
                    what.append(
                        f"rows of {len(hours)} hour(s) came or went since, the first {hours[0]:%H:%M} UTC"
                    )
                changes.append(
                    {
                        "day": str(day),
                        "files": ", ".join(what),
                        "songplays_before": songplays(transaction, day),
                    }
                )
            # Files that land again may have the rows that they were published without.
            allowed = {
                day: min(99_999, sum(found.rejected.get(hour, 0) for hour in hours))
                for day, hours in self._not_landed(transaction, changed).items()
            }
            damaged = _damaged(found, set(changed))
            changes += [
                {
                    "day": str(start.date()),
                    "files": f"{start:%H:%M} to {end:%H:%M}: {what}",
                    "songplays_before": songplays(transaction, start.date()),
                }
                for start, end, what, _ in damaged
            ]
        log.info("%d published day(s), %d changed", len(days), len(changed))
        for change in changes:
            log.info("%s: %s", change["day"], change["files"])
        context["ti"].xcom_push(key=CHANGES, value=changes)
        return [
            {
                # A run that is there already is cleared and keeps its conf: another budget is another run.
                "trigger_run_id": f"reconcile__{day}T00__24h__{allowed[day]}"
                if allowed.get(day)
                else f"reconcile__{day}__{files_digest(listed[day])[:12]}",
                "conf": {
                    "window_start": f"{day}T00:00:00Z",
                    "window_end": f"{day + DAY}T00:00:00Z",
                    **({"max_rejected_rows": allowed[day]} if allowed.get(day) else {}),
                },
            }
            for day in changed
        ] + [_reload(start, end, rejected) for start, end, _, rejected in damaged]

    def _published_days(self, transaction: Transaction, first: date, end: date) -> list[date]:
        rows = transaction.execute(
            "SELECT DISTINCT DATE_TRUNC('day', hour_start) FROM staging.published_hours "
            "WHERE hour_start >= %s AND hour_start < %s",
            [f"{first} 00:00:00", f"{end} 00:00:00"],
            name="read staging.published_hours",
        )
        return sorted(day.date() for (day,) in rows)

    def _not_landed(self, transaction: Transaction, days: Sequence[date]) -> dict[date, list[datetime]]:
        """By day, its published hours of which not all rows are kept; none of other days."""
        hours = defaultdict(list)
        for (hour,) in transaction.execute(
            "SELECT hour_start FROM staging.published_hours WHERE NOT is_landed",
            name="read the hours that have not landed",
        ):
            if hour.date() in days:
                hours[hour.date()].append(hour)
        return hours

    def _list(self, days: Sequence[date]) -> dict[date, dict[str, str]]:
        """By day, key and ETag of the files of its partitions."""
        listed: dict[date, dict[str, str]] = {}
        for day in days:
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            partitions = list(self.layout.partitions(start, start + DAY))
            files = self.lake.list_files(self.s3_bucket, self.layout.prefixes(partitions))
            listed[day] = {
                file.object_key: file.etag
                for partition, file in self.layout.files(files)
                if partition in partitions
            }
        return listed

    def _known(self, transaction: Transaction, days: Sequence[date]) -> dict[date, dict[str, str]]:
        """By day, key and ETag of the files of its partitions that have landed, or that an earlier version
        loaded. One that is expected to be gone is left out."""
        known: dict[date, dict[str, str]] = {day: {} for day in days}
        oldest = datetime.min.replace(tzinfo=UTC)
        if str(self.retention_days):
            oldest = datetime.now(UTC) - timedelta(days=int(self.retention_days))
        for key, etag in transaction.execute(
            "SELECT object_key, etag FROM staging.landed_files WHERE bucket = %s",
            [self.s3_bucket],
            name="read the ledger staging.landed_files",
        ):
            partition = self.layout.partition_of(key)
            if partition is None or partition.end <= oldest:
                continue
            for day in days:
                start = datetime(day.year, day.month, day.day, tzinfo=UTC)
                if partition.start < start + DAY and partition.end > start:
                    known[day][key] = etag
        return known


class FindHoursLeftOperator(BaseOperator):
    """Find the published hours of which rows came or went while changed days were loaded again.

    A file may hold late events of another day. Where it is gone, the run of its own day takes its rows back,
    but leaves the other day's hours to a run of theirs, which may be over by then. No file is looked at: what
    has landed tells of these hours.

    :param lookback_days: how many days before the run's are looked at.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) as FindChangedDaysOperator, for hours that follow each other.
    """

    template_fields: Sequence[str] = ("redshift_conn_id", "lookback_days")
    ui_color = "#e6e0f5"

    def __init__(
        self, *, lookback_days: int | str, redshift_conn_id: str = "redshift_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lookback_days = lookback_days
        self.redshift_conn_id = redshift_conn_id

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        first, today = _looked_at(context, self.lookback_days)
        with Warehouse(self.redshift_conn_id).reading() as transaction:
            spans = _spans(pending_hours(transaction, first, today))
            changes = [
                {
                    "day": str(span[0].date()),
                    "files": f"{span[0]:%H:%M} to {end:%H:%M}: rows came or went with another day",
                    "songplays_before": songplays(transaction, span[0].date()),
                }
                for span in spans
                for end in [span[-1] + HOUR]
            ]
        for change in changes:
            log.info("%s: %s", change["day"], change["files"])
        context["ti"].xcom_push(key=CHANGES, value=changes)
        return [_reload(span[0], span[-1] + HOUR) for span in spans]


def _file_changes(known: Mapping[str, str], listed: Mapping[str, str]) -> list[str]:
    """What happened to the files of a day, in words: of one by its key, of more by their number."""
    keys = {
        "is new": sorted(listed.keys() - known.keys()),
        "has changed": sorted(key for key in listed.keys() & known.keys() if listed[key] != known[key]),
        "is gone": sorted(known.keys() - listed.keys()),
    }
    return [
        f"{found[0]} {what}" if len(found) == 1 else f"{found[0]} and {len(found) - 1} more: each {what}"
        for what, found in keys.items()
        if found
    ]


class ReportChangesOperator(BaseOperator):
    """Say what loading the changed days again has changed.

    :param find_task_ids: the tasks that have found what was loaded again.
    :param redshift_conn_id: an Airflow connection of type `redshift`.
    :returns: (XCom) for each day: day, files, songplays_before, songplays_after.
    :raises AirflowFailException: where tables still differ from what they were published with.
    :raises XComError: where a task left anything else than it leaves.
    """

    template_fields: Sequence[str] = ("redshift_conn_id",)
    ui_color = "#e6e0f5"

    def __init__(
        self, *, find_task_ids: Sequence[str], redshift_conn_id: str = "redshift_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.find_task_ids = find_task_ids
        self.redshift_conn_id = redshift_conn_id

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        changes = [
            change
            for task_id in self.find_task_ids
            for change in read_changes(context["ti"].xcom_pull(task_ids=task_id, key=CHANGES), task_id)
        ]
        with Warehouse(self.redshift_conn_id).reading() as transaction:
            report = [
                {**change, "songplays_after": songplays(transaction, date.fromisoformat(change["day"]))}
                for change in changes
            ]
            left = differences(transaction)
        for line in report:
            before, after = line["songplays_before"], line["songplays_after"]
            log.info("%s: %d play(s), before %d (%+d): %s", line["day"], after, before, after - before,
                     visible(line["files"]))  # fmt: skip
        if not report:
            log.info("No published day has changed")
        if left:
            raise AirflowFailException(
                f"After reloading, tables still differ from what was published: {left}.\n"
                f"Put missing source files back in their places, and run sparkify_reconcile again; where an "
                f"hour holds more rows than were published, delete its rows first."
            )
        return report


def _damaged(found: Differences, changed: set[date]) -> list[tuple[datetime, datetime, str, int]]:
    """The windows to load again, each of published hours of one day that follow each other.

    :param changed: days that are loaded whole anyway.
    :returns: start, end, what is wrong, how many rows they were published without.
    """
    spans = _spans(found.published | found.hours.keys())
    if found.songs_lost and spans and not found.hours and not changed:
        last = spans[-1][-1]
        return [(last, last + HOUR, "all song files are staged again", found.rejected.get(last, 0))]
    return [
        (
            span[0],
            span[-1] + HOUR,
            next(found.hours[hour] for hour in span if hour in found.hours),
            min(99_999, sum(found.rejected.get(hour, 0) for hour in span)),
        )
        for span in spans
        if span[0].date() not in changed and any(hour in found.hours for hour in span)
    ]


def _spans(hours: Iterable[datetime]) -> list[list[datetime]]:
    """Hours, in order, by those of one day that follow each other."""
    spans: list[list[datetime]] = []
    for hour in sorted(hours):
        if spans and hour - spans[-1][-1] == HOUR and hour.date() == spans[-1][-1].date():
            spans[-1].append(hour)
        else:
            spans.append([hour])
    return spans


def _reload(start: datetime, end: datetime, rejected: int | None = None) -> dict[str, Any]:
    """The run of `[start, end)`; without a number of rows that may be rejected, as many as in any run."""
    conf: dict[str, Any] = {
        "window_start": f"{start:%Y-%m-%dT%H}:00:00Z",
        "window_end": f"{end:%Y-%m-%dT%H}:00:00Z",
    }
    if rejected is not None:
        conf["max_rejected_rows"] = rejected
    return {
        "trigger_run_id": f"reconcile__{start:%Y-%m-%dT%H}__{(end - start) // HOUR}h__{rejected or 0}",
        "conf": conf,
    }


def _looked_at(context: Mapping[str, Any], lookback_days: int | str) -> tuple[date, date]:
    """The first day that is looked at, and the run's own, which is not."""
    today = context["dag_run"].run_after.astimezone(UTC).date()
    return today - timedelta(days=int(lookback_days)), today


def pending_hours(transaction: Transaction, first: date, end: date) -> list[datetime]:
    """The published hours of which rows came or went since, in order."""
    rows = transaction.execute(
        without_semicolon(comparison("pending")),
        [f"{first} 00:00:00", f"{end} 00:00:00"],
        name="bookkeeping/pending.sql",
    )
    return [hour for (hour,) in rows]


def songplays(transaction: Transaction, day: date) -> int:
    """The published plays of a UTC day."""
    start = datetime(day.year, day.month, day.day)
    [(count,)] = transaction.execute(
        "SELECT COUNT(*) FROM sparkify.songplays WHERE start_time >= %s AND start_time < %s",
        [f"{start}", f"{start + DAY}"],
        name=f"count the plays of {day}",
    )
    return int(count)
