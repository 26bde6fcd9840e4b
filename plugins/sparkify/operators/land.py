"""StageLogsToRedshiftOperator: log files into staging.landed_events, each version of each file once."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify.lake import SourceFile, file_rows, json_lines, manifest
from sparkify.layout import Layout, Partition, compression
from sparkify.lineage import Lineage, S3Folder, Table
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.operators.stage import (
    BYTES_AT_ONCE,
    FILES_AT_ONCE,
    Look,
    StageToRedshiftOperator,
    bounded,
    log_progress,
)
from sparkify.reach import Reach
from sparkify.rejected import CopyRefusedError, Rejected
from sparkify.warehouse import Transaction
from sparkify.work import Run, refuse_work_among_sources

log = logging.getLogger(__name__)

FOLDER = "staging/events"
COLUMNS = "{% from 'staging/events/columns.sql' import columns %}{{ columns | join(', ') }}"
#: How many partitions have a batch each; of more, those that are over share one.
BATCHES_AT_ONCE = 8
#: How often others may land files meanwhile before a run gives up.
ATTEMPTS = 20
#: How many hours beside its window a run derives at most; the next run goes on.
LATE_HOURS_AT_ONCE = 24 * 7
#: How far behind its file's time an event may be: a clock that is wrong by less than a day is not set apart.
AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Found:
    """A file that is to be landed, or that has landed and is not there any more.

    :param batch: the batch that holds its earlier bytes, if any.
    """

    file: SourceFile
    partition: Partition
    batch: int | None


@dataclass
class Batch:
    """Files that one COPY brings in.

    :param replaced: the batches whose place it takes.
    :param beside: whether the batch before it takes their place together with it.
    """

    files: list[Found]
    replaced: tuple[int, ...] = ()
    beside: bool = False

    @property
    def size_bytes(self) -> int:
        return sum(found.file.size_bytes for found in self.files)


class StageLogsToRedshiftOperator(StageToRedshiftOperator):
    """COPY the log files that are new or changed, and gather what the run's hours are derived from.

    Lists the partitions of the layout that the window overlaps, and those of some hours before them. Each
    version of each file is COPYed once, whoever finds it first: its rows stay in `staging.landed_events`, by
    batch. A batch lands in one transaction under the lock `staging.landing_lock`, with the ledger
    `staging.landed_files`. What has landed stays whatever becomes of the run.

    A file with another ETag takes its old rows' place, and so do the other files of their batch, for COPY
    does not say which row is of which file. A file that is gone keeps its rows, unless `deletions` is
    `take back`.

    Then come the rows of all hours of the window, and of other published hours the rows of users of whom rows
    have landed since: `staging.events__<run>`, with the hours in `staging.events_hours__<run>`.

    :param key_template: the keys below the prefix, see `sparkify.layout.Layout`.
    :param suffixes: how they end, separated by blanks; `*` for any end.
    :param late_hours: for how many hours before the window files are looked for that came late.
    :param closing_minutes: how long after its window's end a run begins.
    :param late_days: how far before the time of its file an event may be; an older one is rejected.
    :param deletions: `refuse` or `take back`.
    :param retention_days: when files are older than this, they are expected to be gone; empty for never.
    """

    template_fields: Sequence[str] = (
        *(name for name in StageToRedshiftOperator.template_fields if name != "copy_files_sql"),
        "key_template",
        "suffixes",
        "late_hours",
        "closing_minutes",
        "late_days",
        "deletions",
        "retention_days",
    )
    template_fields_renderers = {"create_sql": "sql"}  # noqa: RUF012 Airflow's own form

    def __init__(
        self,
        *,
        key_template: str,
        suffixes: str = ".json",
        late_hours: int | str = 0,
        closing_minutes: int | str = 0,
        late_days: int | str = 30,
        deletions: str = "refuse",
        retention_days: int | str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(source="events", **kwargs)
        self.key_template = key_template
        self.suffixes = suffixes
        self.late_hours = late_hours
        self.closing_minutes = closing_minutes
        self.late_days = late_days
        self.deletions = deletions
        self.retention_days = retention_days

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.s3_prefix, self.key_template, tuple(self.suffixes.split()))

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        run.window.refuse_more_days_than(int(self.max_window_days))
        refuse_work_among_sources(self.work_bucket, self.work_prefix, self.s3_bucket, [self.s3_prefix])
        self._wait_for_closing(run)
        listed_at = datetime.now(UTC)
        partitions = list(
            self.layout.partitions(run.window.start - timedelta(hours=int(self.late_hours)), run.window.end)
        )
        listed = self._list(partitions)
        log.info("%d file(s), %d byte(s) in %d partition(s) of s3://%s/%s, from %s on", len(listed),
                 sum(file.size_bytes for _, file in listed), len(partitions), self.s3_bucket, self.s3_prefix,
                 partitions[0].key)  # fmt: skip
        self._prepare(context, run, listed_at, listed)
        landing = Landing(self, context, run, partitions, listed_at)
        landing.land_all()
        late, rows = self._reach(context, run)
        rejected = landing.rejected
        table = run.table(self.source)
        self.lineage = Lineage(
            [S3Folder(self.s3_bucket, self.s3_prefix, sum(file.size_bytes for file in landing.files))],
            [Table("staging.landed_events", landing.landed), Table(table, rows)],
        )
        self.done(
            files=len(landing.files), rows_in=landing.read, rows_rejected=rejected.count,
            rows_out=landing.landed, late_hours=late, table=table,
        )  # fmt: skip
        return landing.look.figures(self.source, landing.files, landing.known) | {
            "copied": landing.copied,
            "rejected": rejected.count,
            "allowed": self.budget.rows(landing.read),
            "rows": landing.landed,
        }

    def resume(self, context: Mapping[str, Any], event: Any = None) -> dict[str, Any]:
        """Called by the triggerer once the window is closed."""
        return self.execute(context)

    def _wait_for_closing(self, run: Run) -> None:
        """Give the worker free until the layout's closing delay is over."""
        closed = run.window.end + timedelta(minutes=int(self.closing_minutes))
        if datetime.now(UTC) < closed:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            log.info("The files of the window are complete at %s UTC: waiting", f"{closed:%F %T}")
            self.defer(trigger=DateTimeTrigger(moment=closed), method_name="resume")

    def _list(self, partitions: Sequence[Partition]) -> list[tuple[Partition, SourceFile]]:
        wanted = set(partitions)
        files = self.lake.list_files(self.s3_bucket, self.layout.prefixes(partitions))
        return [(partition, file) for partition, file in self.layout.files(files) if partition in wanted]

    def _prepare(
        self,
        context: Mapping[str, Any],
        run: Run,
        listed_at: datetime,
        listed: Sequence[tuple[Partition, SourceFile]],
    ) -> None:
        """The run's own work tables, with what was listed and the hours of its window."""
        objects = {
            run.owner: b"",
            **self._jsonpaths_object(),
            "events.hours.json": json_lines(
                {"hour_start": f"{hour:%F %T}", "is_whole": True} for hour in run.window.hours()
            ),
        }
        if listed:
            objects["events.files.json"] = json_lines(file_row(listed_at, *one) for one in listed)
        self._write(run, objects)
        with self.warehouse.transaction() as transaction:
            transaction.run_script(self.create_sql, f"{FOLDER}/create.sql")
            self.run(transaction, context, f"{FOLDER}/copy_hours.sql")
            if listed:
                self.run(transaction, context, "staging/copy_files.sql")

    def _reach(self, context: Mapping[str, Any], run: Run) -> tuple[int, int]:
        """What the run's hours are derived from; how many are not of its window, and from how many rows."""
        table = run.table(self.source)
        with self.warehouse.transaction() as transaction:
            reach = derive_hours(self, context, run, transaction, keeps=self.layout.has_many)
            [(rows,)] = transaction.execute(f"SELECT COUNT(*) FROM {table}", name=f"count {table}")
        if reach.late:
            log.info("Rows have landed for %d published hour(s) beside the window, from %s to %s UTC",
                     reach.late, reach.start_sql, reach.end_sql)  # fmt: skip
        return reach.late, int(rows)

    def run(self, transaction: Transaction, context: Mapping[str, Any], path: str, **names: Any) -> None:
        """Run a script of include/sql, rendered with names beside the run's own."""
        run_file(self, transaction, context, path, **names)


def run_file(
    operator: SparkifyOperator,
    transaction: Transaction,
    context: Mapping[str, Any],
    path: str,
    **names: Any,
) -> None:
    """Run a script of include/sql, rendered with names beside those of the operator and its run."""
    names = {**operator.sql_context(context), "run_id": context["run_id"], **names}
    transaction.run_script(rendered(operator, path, names), path)


def derive_hours(
    operator: SparkifyOperator,
    context: Mapping[str, Any],
    run: Run,
    transaction: Transaction,
    *,
    keeps: bool = True,
) -> Reach:
    """The rows that the run's hours are derived from, of what has landed, into its work tables.

    :param keeps: whether rows of an hour may have come in other files than those of its partition: then what
        is published stays of hours whose rows are not all kept.
    """
    version = landed_version(transaction)
    names: dict[str, Any] = {"version": version, "most": LATE_HOURS_AT_ONCE, "keeps": keeps}
    run_file(operator, transaction, context, f"{FOLDER}/reach.sql", **names)
    reach = Reach.of_run(transaction, run)
    names = {"reach": reach, "late": reach.late, "keeps": keeps}
    run_file(operator, transaction, context, f"{FOLDER}/reach_rows.sql", **names)
    return reach


def example_scripts(reach: Reach) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every script of landing but its COPYs, in order, with names as a run gives them."""
    moment = "2018-11-01 00:00:00"
    figures = {"files": 1, "size_bytes": 1, "read": 1}
    yield "find.sql", {"listed_from": moment, "listed_to": moment, "listed_at": moment}
    yield "create_copied.sql", {"part": ""}
    for one_key in (True, False):
        yield "reject.sql", {"earliest": moment, "latest": moment, "file": None, "one_key": one_key}
    for replaced, beside in (("", None), ("1, 2", None), ("1", 2)):
        yield "create_copied.sql", {"part": ""}
        yield "land.sql", {"batch": 3, "replaced": replaced, "beside": beside, "figures": figures}
    for keeps in (False, True):
        yield "reach.sql", {"version": 3, "most": LATE_HOURS_AT_ONCE, "keeps": keeps}
    yield "reach_rows.sql", {"reach": reach, "late": reach.late, "keeps": True}


class Landing:
    """What one try of a run lands.

    :ivar files: those that it has landed, and `look` what was found in them.
    :ivar copied: how many rows COPY has loaded of them; `landed`: how many of these are left; `read`: with
        those that COPY has refused.
    :ivar rejected: the rows that did not land.
    :ivar known: the keys that COPY takes, if they are known.
    """

    def __init__(
        self,
        stage: StageLogsToRedshiftOperator,
        context: Mapping[str, Any],
        run: Run,
        partitions: Sequence[Partition],
        listed_at: datetime,
    ) -> None:
        self.stage = stage
        self.context = context
        self.run = run
        self.partitions = partitions
        self.listed_at = listed_at
        self.files: list[SourceFile] = []
        self.look = Look()
        self.copied = self.landed = self.read = self.parts = 0
        self.rejected = Rejected(0, 0, [])
        self.known: frozenset[str] | None = frozenset()

    def land_all(self) -> None:
        """Find what is new and land it, in transactions of bounded size, until nothing is left.

        :raises AirflowFailException: over the budget of rejected rows; where others land files without end.
        """
        began = time.monotonic()
        for _ in range(ATTEMPTS):
            version, found, gone = self._find()
            batches = self._batches(found, gone)
            size = left = sum(batch.size_bytes for batch in batches)
            self.stage._announce([one.file for batch in batches for one in batch.files])
            for some in at_once(batches):
                if not self._land(some, version):
                    log.info("Others have landed files meanwhile: looking again")
                    break
                version += len(some)
                left -= sum(batch.size_bytes for batch in some)
                log_progress("have landed", size, left, began)
            else:
                return
        raise AirflowFailException(
            f"Others have landed files {ATTEMPTS} times while this run was about to, and some of its own are "
            f"left; what has landed stays.\nClear this task."
        )

    def _find(self) -> tuple[int, list[Found], list[Found]]:
        """The version of what has landed; what is new or changed since, and what is gone."""
        names = {
            **self.stage.sql_context(self.context),
            "listed_from": f"{self.partitions[0].start:%F %T}",
            "listed_to": f"{self.partitions[-1].end:%F %T}",
            "listed_at": f"{self.listed_at:%F %T.%f}",
        }
        path = f"{FOLDER}/find.sql"
        with self.stage.warehouse.reading() as transaction:
            version = landed_version(transaction)
            rows = transaction.execute(rendered(self.stage, path, names), name=path)
        found: dict[str, list[Found]] = {"new": [], "gone": []}
        for state, key, etag, size, modified, start, batch in rows:
            partition = self.stage.layout.partition_at(start.replace(tzinfo=UTC))
            file = SourceFile(key, etag, size, f"{modified:%F %T}")
            found[state].append(Found(file, partition, batch))
        log.info("%d file(s) are new or changed, %d gone", len(found["new"]), len(found["gone"]))
        return version, found["new"], found["gone"]

    def _batches(self, found: Sequence[Found], gone: Sequence[Found]) -> list[Batch]:
        """What is to be landed, in order."""
        taken_back = self._taken_back(gone)
        torn: dict[int, list[Found]] = defaultdict(list)
        fresh = []
        for one in found:
            if one.batch is None:
                fresh.append(one)
            else:
                torn[one.batch].append(one)
        for one in taken_back:
            torn.setdefault(one.batch or 0, [])
        batches = []
        companions = self._companions(torn, {one.file.object_key for one in [*found, *taken_back]})
        for number, changed in torn.items():
            beside = companions[number]
            if beside is None:
                fresh += changed
                continue
            if beside:
                batches.append(Batch(beside))
            batches.append(Batch(changed, (number,), bool(beside)))
        return [*self._fresh(fresh), *batches]

    def _fresh(self, found: Sequence[Found]) -> Iterator[Batch]:
        """Files whose rows take no others' place: by compression, and by partition where these are few or one
        of them still grows."""
        now = datetime.now(UTC)
        partitions = {one.partition for one in found}
        apart = len(partitions) <= BATCHES_AT_ONCE

        def place(one: Found) -> tuple[bool, datetime, str]:
            is_alone = apart or one.partition.end > now
            return (
                is_alone,
                one.partition.start if is_alone else datetime.min,
                compression(one.file.object_key),
            )

        for _, some in groupby(sorted(found, key=lambda one: (place(one), one.file.object_key)), place):
            yield from map(Batch, bounded(some, lambda one: one.file.size_bytes))

    def _taken_back(self, gone: Sequence[Found]) -> list[Found]:
        """Of the files that are gone those whose rows go too; the checks are told of the others."""
        days = self.stage.retention_days
        oldest = (
            datetime.now(UTC) - timedelta(days=int(days)) if str(days) else datetime.min.replace(tzinfo=UTC)
        )
        expected = [one for one in gone if one.partition.end <= oldest]
        if expected:
            log.info("%d file(s) are gone after the retention of %s days, as expected: their rows stay",
                     len(expected), days)  # fmt: skip
        missed = [one for one in gone if one.partition.end > oldest]
        if not missed or self.stage.deletions == "take back":
            return missed
        numbers = ", ".join(str(number) for number in sorted({one.batch or 0 for one in missed}))
        with self.stage.warehouse.transaction() as transaction:
            published = {
                batch
                for (batch,) in transaction.execute(
                    "SELECT DISTINCT batch_hours.batch FROM staging.batch_hours AS batch_hours "
                    "INNER JOIN staging.published_hours AS published "
                    "ON batch_hours.hour_start = published.hour_start "
                    f"WHERE batch_hours.batch IN ({numbers})",
                    name="see whether hours of them are published",
                )
            }
            kept = [one for one in missed if one.batch in published]
            table = self.run.table("events_gone")
            transaction.execute(f"DELETE FROM {table}")
            transaction.insert(table, ("object_key",), [(one.file.object_key,) for one in kept])
        for one in kept[:10]:
            log.warning("%s is gone, and rows of it are published", one.file.object_key)
        return [one for one in missed if one.batch not in published]

    def _companions(
        self, torn: Mapping[int, Sequence[Found]], keys: set[str]
    ) -> dict[int, list[Found] | None]:
        """By batch, its other files, which are landed again with those that changed; None where one of them
        is gone: then nothing is taken back."""
        companions: dict[int, list[Found] | None] = {number: [] for number in torn}
        if not torn:
            return companions
        with self.stage.warehouse.reading() as transaction:
            rows = transaction.execute(
                "SELECT batch, object_key, etag, size_bytes, last_modified FROM staging.landed_files "
                f"WHERE batch IN ({', '.join(map(str, torn))}) ORDER BY object_key",
                name="read the other files of these batches",
            )
        for number, key, etag, size, modified in rows:
            of_batch = companions[number]
            if key in keys or of_batch is None:
                continue
            partition = self.stage.layout.partition_of(key)
            [*there] = (
                file
                for file in self.stage.lake.list_files(self.stage.s3_bucket, [key])
                if file.object_key == key
            )
            if not there or not partition:
                log.warning("%s is gone, whose rows landed with those of changed files: these are added, and "
                            "nothing is taken back", key)  # fmt: skip
                companions[number] = None
                continue
            of_batch.append(Found(SourceFile(key, etag, size, f"{modified:%F %T}"), partition, number))
        return companions

    def _land(self, batches: Sequence[Batch], version: int) -> bool:
        """Land batches in one transaction; whether nobody else has landed any since `version`.

        :raises AirflowFailException: over the budget of rejected rows; what had landed before them stays.
        """
        names = [f"part-{self.parts + number}" for number in range(len(batches))]
        self.parts += len(batches)
        for name, batch in zip(names, batches, strict=True):
            self._write(name, batch)
        files = [one.file for batch in batches for one in batch.files]
        look = self.stage._look_at(files, deepcopy(self.look))
        refused: set[str | None] = set()
        try:
            with self.stage.warehouse.transaction() as transaction:
                transaction.lock_landing()
                if landed_version(transaction) != version:
                    transaction.give_up()
                    return False
                for number, (name, batch) in enumerate(zip(names, batches, strict=True), version + 1):
                    refused |= self._copy(transaction, name, batch)
                    if self._is_over_budget:
                        break
                    self._land_batch(transaction, number, batch)
                self.known = self.stage._known_keys(self.run, transaction)
                transaction.execute(f"DELETE FROM {self.run.table('events_keys')}")
                self.stage._store_drift(self.run, transaction, look.shapes, self.known)
        except CopyRefusedError as error:
            self.stage._refuse_rows(self.context, self.run, error)
        if self._is_over_budget:
            self.stage._store_rejected(self.context, self.run)
        self.stage._allowed(self.run, self.rejected, self.read)
        self.files += files
        self.look = look
        self.stage._find_hidden(self.run, self.stage._named(files, refused), self.known)
        return True

    @property
    def _is_over_budget(self) -> bool:
        return self.rejected.count > self.stage.budget.rows(self.read)

    def _write(self, name: str, batch: Batch) -> None:
        """The work objects of a batch."""
        rows = (file_row(self.listed_at, one.partition, one.file) for one in batch.files)
        objects = {f"events.{name}.files.json": json_lines(rows)} if batch.files else {}
        files = [one.file for one in batch.files]
        objects[f"{name}.manifest"] = manifest(self.stage.s3_bucket, files)
        self.stage._write(self.run, objects)

    def _copy(self, transaction: Transaction, name: str, batch: Batch) -> set[str | None]:
        """COPY the files of a batch, and take out what the model cannot hold; the keys of files with refused
        rows."""
        names = {"part": name if batch.files else ""}
        self.stage.run(transaction, self.context, f"{FOLDER}/create_copied.sql", **names)
        if not batch.files:
            return set()
        before = self.rejected
        columns = rendered(self.stage, COLUMNS, self.stage.sql_context(self.context))
        table = f"{self.run.table('events_copied')} ({columns})"
        kind = compression(batch.files[0].file.object_key)
        script = self.stage._copy_script(self.context, table, f"{name}.manifest", kind)
        copied, refused = self.stage._copy(self.run, transaction, [one.file for one in batch.files], script)
        earliest = min(one.partition.start for one in batch.files) - timedelta(days=int(self.stage.late_days))
        self.stage.run(
            transaction,
            self.context,
            f"{FOLDER}/reject.sql",
            earliest=f"{earliest:%F %T}",
            latest=f"{max(one.partition.end for one in batch.files) + AHEAD:%F %T}",
            file=batch.files[0].file if len(batch.files) == 1 else None,
            one_key=not self.stage.layout.has_many,
        )
        self.rejected = Rejected.read(transaction, self.run.table("events_rejected"))
        by_model = self.rejected.by_model - before.by_model
        self.copied += copied
        self.landed += copied - by_model
        self.batch_read = copied + self.rejected.count - before.count - by_model
        self.read += self.batch_read
        return refused

    def _land_batch(self, transaction: Transaction, number: int, batch: Batch) -> None:
        """The copied rows of a batch into landed_events, and the batch into the ledgers."""
        self.stage.run(
            transaction,
            self.context,
            f"{FOLDER}/land.sql",
            batch=number,
            replaced=", ".join(map(str, batch.replaced)),
            beside=number - 1 if batch.beside else None,
            figures={
                "files": len(batch.files),
                "size_bytes": batch.size_bytes,
                "read": self.batch_read if batch.files else 0,
            },
        )


def landed_version(transaction: Transaction) -> int:
    """The number of the last batch that has landed; 0 before the first one."""
    [(version,)] = transaction.execute(
        "SELECT GREATEST(NVL((SELECT MAX(batch) FROM staging.batches), 0), "
        "NVL((SELECT MAX(version) FROM staging.published_hours), 0))",
        name="read the version of what has landed",
    )
    return int(version)


def file_row(listed_at: datetime, partition: Partition, file: SourceFile) -> dict[str, Any]:
    """A listed file's row, for COPY, with the span of its partition."""
    [row] = file_rows(listed_at, [file])
    return {
        **row,
        "partition_start": f"{partition.start:%F %T}",
        "partition_end": f"{partition.end:%F %T}",
    }


def at_once(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """The batches in groups, each for one transaction. Those that go together stay together."""
    group: list[Batch] = []
    files = size = 0
    for batch in batches:
        is_full = files + len(batch.files) > FILES_AT_ONCE or size + batch.size_bytes > BYTES_AT_ONCE
        if group and is_full and not batch.beside:
            yield group
            group, files, size = [], 0, 0
        group.append(batch)
        files += len(batch.files)
        size += batch.size_bytes
    if group:
        yield group
