"""StageToRedshiftOperator: S3 objects into a run's own landing table, by COPY with a manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException

from sparkify.drift import BYTES_A_FILE, Shapes, jsonpaths_keys, sampled
from sparkify.lake import Lake, SourceFile, day_keys, file_rows, folder, hour_rows, json_lines, manifest
from sparkify.lineage import Lineage, S3Folder, Table
from sparkify.operators.base import SparkifyOperator
from sparkify.paths import JSONPATHS
from sparkify.rejected import (
    CopyRefusedError,
    LoadSession,
    Rejected,
    RejectedRow,
    left_out,
    refused_rows,
    rows_table,
    store,
)
from sparkify.tables import text_table
from sparkify.warehouse import Transaction, WarehouseError
from sparkify.work import Run

log = logging.getLogger(__name__)

KEY_COLUMNS = ("problem", "key_name", "row_count", "first_file")
PUBLISH_REJECTED = "rejected_rows/publish.sql"


class StageToRedshiftOperator(SparkifyOperator):
    """COPY the source files that a run needs into the run's own landing table.

    Lists the objects, writes a manifest (every entry mandatory) to the work bucket, creates the landing table
    `staging.<source>__<run>` and the list of its files `staging.<source>_files__<run>`, and COPYs both, in
    one transaction. A retry starts from an empty table again. No object to load is a normal, empty load.

    Rows that COPY refuses, or that `reject_sql` takes out of the landing table, go with file, line and reason
    to `staging.<source>_rejected__<run>`; publish moves them to `sparkify.rejected_rows`. More of them than
    the budget fail the task for good, and are in `sparkify.rejected_rows` at once. Keys that the landing
    table does not know, or that objects lack, are counted in `staging.<source>_keys__<run>`.

    :param source: the source's name; `include/sql/staging/<source>/create.sql` declares its landing table.
    :param s3_bucket: bucket of the source files.
    :param s3_prefix: key prefix of the source files; `/` is put behind it.
    :param daily_key: `strftime` pattern of the keys below the prefix, one a day: then the files of the
        window's UTC days are staged. Without it, the files that are new or changed (by ETag) since a run
        published them.
    :param suffix: how the keys of files end that are staged without `daily_key`.
    :param work_bucket: bucket of the manifests.
    :param work_prefix: key prefix of the manifests; may be empty.
    :param jsonpaths: file in include/jsonpaths, uploaded beside the manifest. Without it, JSON 'auto'.
    :param jsonpaths_uri: a JSONPaths file on S3 to use in its place: `s3://bucket/key`.
    :param reject_sql: file under include/sql that moves rows which COPY took and the model cannot hold from
        the landing table to the rejected rows.
    :param max_rejected_rows: how many rows may be rejected, 0 to 99,999; COPY's MAXERROR is one more.
    :param copy_options: appended to COPY as they are, for example `TIMEFORMAT 'epochmillisecs'`, `GZIP`.
    :param iam_role: `default`, or the ARN of the role that COPY reads S3 with.
    :param region: the buckets' AWS region.
    :returns: (XCom) source, table, files, bytes, and rows: copied (by COPY), rejected, rows (left to load).
    :raises AirflowFailException: over the budget of rejected rows; a retry would find the same rows.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "aws_conn_id",
        "s3_bucket",
        "s3_prefix",
        "work_bucket",
        "work_prefix",
        "jsonpaths_uri",
        "iam_role",
        "region",
        "max_rejected_rows",
        "create_sql",
        "create_rejected_sql",
        "copy_sql",
        "copy_files_sql",
        "reject_sql",
    )
    template_fields_renderers = {  # noqa: RUF012 Airflow's own form
        "create_sql": "sql",
        "copy_sql": "sql",
        "copy_files_sql": "sql",
        "reject_sql": "sql",
    }
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        source: str,
        s3_bucket: str,
        s3_prefix: str,
        work_bucket: str,
        work_prefix: str = "",
        daily_key: str | None = None,
        suffix: str = ".json",
        jsonpaths: str | None = None,
        jsonpaths_uri: str = "",
        reject_sql: str | None = None,
        max_rejected_rows: int | str = 0,
        copy_options: Sequence[str] = (),
        iam_role: str = "default",
        region: str = "us-west-2",
        aws_conn_id: str = "aws_default",
        copy_sql: str = "staging/copy.sql",
        copy_files_sql: str = "staging/copy_files.sql",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.daily_key = daily_key
        self.suffix = suffix
        self.jsonpaths = jsonpaths
        self.jsonpaths_uri = jsonpaths_uri
        self.reject_sql = reject_sql
        self.max_rejected_rows = max_rejected_rows
        self.copy_options = copy_options
        self.iam_role = iam_role
        self.region = region
        self.aws_conn_id = aws_conn_id
        self.create_sql = f"staging/{source}/create.sql"
        self.create_rejected_sql = "staging/create_rejected.sql"
        self.copy_sql = copy_sql
        self.copy_files_sql = copy_files_sql

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    @property
    def max_errors(self) -> int:
        """COPY's MAXERROR: it fails at so many errors. Redshift: "MAXERROR", 1 to 100,000."""
        budget = int(self.max_rejected_rows)
        if not 0 <= budget < 100_000:
            raise ValueError(f"max_rejected_rows is {budget}: enter a number from 0 to 99999.")
        return budget + 1

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = Run.from_context(context)
        return {
            **super().sql_context(context),
            "stage": self,
            "uri": lambda name: f"s3://{self.work_bucket}/{run.object_key(self.work_prefix, name)}",
        }

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        budget = self.max_errors - 1
        listed_at = datetime.now(UTC)
        if self.daily_key:
            keys = day_keys(self.s3_prefix, self.daily_key, run.window.days())
            by_day = self.lake.list_days(self.s3_bucket, keys)
            files = [file for of_day in by_day.values() for file in of_day]
            rows = list(hour_rows(listed_at, run.window.hours(), by_day))
        else:
            files = self._new_or_changed()
            rows = list(file_rows(listed_at, files))
        size = sum(file.size_bytes for file in files)
        log.info("%d file(s), %d byte(s) to stage from s3://%s/%s", len(files), size, self.s3_bucket,
                 self.s3_prefix)  # fmt: skip
        for file in files[:10]:
            log.info("  %s, %d byte(s), ETag %s", file.object_key, file.size_bytes, file.etag)
        shapes, is_whole = self._look_at(files)
        self._write_work_objects(run, files, rows)

        try:
            copied, rejected = self._load(run, files, bool(rows), shapes)
        except CopyRefusedError as error:
            rejected = self._keep(run, error.rows)
            self._refuse(context, run, rejected, budget, error)
        if rejected.count > budget:
            self._refuse(context, run, rejected, budget)
        if rejected.count:
            log.warning("%d row(s) are rejected, of %d allowed. The first:\n%s", rejected.count, budget,
                        rows_table(rejected.first))  # fmt: skip
        table = run.table(self.source)
        staged = copied - rejected.by_model
        self.lineage = Lineage([S3Folder(self.s3_bucket, self.s3_prefix, size)], [Table(table, staged)])
        self.done(
            files=len(files), bytes=size, rows_in=copied + rejected.count - rejected.by_model,
            rows_rejected=rejected.count, rows_out=staged, table=table,
        )  # fmt: skip
        return {
            "source": self.source,
            "table": table,
            "files": len(files),
            "bytes": size,
            "values": shapes.values if is_whole else None,
            "objects": shapes.objects if is_whole else None,
            "copied": copied,
            "rejected": rejected.count,
            "rows": staged,
        }

    def _load(
        self, run: Run, files: list[SourceFile], with_list: bool, shapes: Shapes
    ) -> tuple[int, Rejected]:
        """The landing table of the run; how many rows COPY loaded, and those that are not to be."""
        copied = 0
        rejects = run.table(f"{self.source}_rejected")
        with self.warehouse.transaction() as transaction:
            transaction.run_script(self.create_sql, f"staging/{self.source}/create.sql")
            if with_list:
                transaction.run_script(self.copy_files_sql, "staging/copy_files.sql")
            if files:
                copied = self._copy(transaction, rejects)
            known = self._known_keys(run, transaction)
            if known is not None and (drift := shapes.drift(known)):
                log.warning("Keys that the landing table does not know, or that objects lack, of %d value(s) "
                            "looked at:\n%s", shapes.values, text_table(KEY_COLUMNS, drift))  # fmt: skip
                transaction.insert(run.table(f"{self.source}_keys"), KEY_COLUMNS, drift)
            if self.reject_sql:
                transaction.run_script(self.reject_sql, f"staging/{self.source}/reject.sql")
            return copied, Rejected.read(transaction, rejects)

    def _copy(self, transaction: Transaction, rejects: str) -> int:
        """COPY, and the rows that it left out into the work table; how many it loaded."""
        session = LoadSession.begin(transaction)
        try:
            transaction.run_script(self.copy_sql, "staging/copy.sql")
        except WarehouseError as error:
            if not refused_rows(error):
                raise
            raise CopyRefusedError(self._refused(session, at_least=1)) from error
        missed = left_out(transaction.notices())
        if missed:
            store(transaction, rejects, self._refused(session, at_least=missed))
        [(copied,)] = transaction.execute("SELECT pg_last_copy_count()", name="count what COPY loaded")
        return copied

    def _refused(self, session: LoadSession, at_least: int) -> list[RejectedRow]:
        """The rows that COPY refused; the raw text that Redshift Serverless does not keep is read from S3."""
        rows = session.read(self.warehouse, at_least)
        numbers: dict[str, set[int]] = {}
        for row in rows:
            if row.raw_line is None:
                numbers.setdefault(row.file_name, set()).add(row.line_number)
        bucket = f"s3://{self.s3_bucket}/"
        lines = {
            file: self.lake.lines(self.s3_bucket, file.removeprefix(bucket), of_file)
            for file, of_file in numbers.items()
        }
        return [row.with_raw_line(lines.get(row.file_name, {}).get(row.line_number)) for row in rows]

    def _keep(self, run: Run, rows: list[RejectedRow]) -> Rejected:
        """The rows of a COPY that was rolled back, in the work table of rejected rows."""
        with self.warehouse.transaction() as transaction:
            transaction.run_script(self.create_rejected_sql, "staging/create_rejected.sql")
            store(transaction, run.table(f"{self.source}_rejected"), rows)
            return Rejected.read(transaction, run.table(f"{self.source}_rejected"))

    def _refuse(
        self,
        context: Mapping[str, Any],
        run: Run,
        rejected: Rejected,
        budget: int,
        cause: Exception | None = None,
    ) -> NoReturn:
        """Keep the rows for whoever has to mend them, and fail for good."""
        with self.warehouse.transaction() as transaction:
            transaction.lock()
            names = {**self.sql_context(context), "run_id": run.run_id, "sources": [self.source]}
            transaction.run_script(self.render_template(PUBLISH_REJECTED, names), PUBLISH_REJECTED)
        log.error("Rejected rows, the first %d:\n%s", len(rejected.first), rows_table(rejected.first))
        raise AirflowFailException(
            f"{'At least ' if cause else ''}{rejected.count} row(s) of the {self.source} files of window "
            f"{run.window} cannot be loaded, {budget} are allowed (param max_rejected_rows). The first: "
            f"{rejected.first[0].sentence()}. Nothing was published. Mend the file and clear this task, or "
            f"start a run with a larger budget. The rows that were found: SELECT * FROM "
            f"sparkify.rejected_rows WHERE run_id = '{run.run_id}'."
        ) from cause

    def _look_at(self, files: list[SourceFile]) -> tuple[Shapes, bool]:
        """The keys of the files' objects, and whether all of the files' bytes were looked at."""
        shapes = Shapes()
        sample = sampled(files)
        for file in sample:
            start = max(0, file.size_bytes - BYTES_A_FILE)
            text = self.lake.read(self.s3_bucket, file.object_key, start)
            shapes.look_at(f"s3://{self.s3_bucket}/{file.object_key}", text)
        return shapes, len(sample) == len(files) and all(f.size_bytes <= BYTES_A_FILE for f in files)

    def _known_keys(self, run: Run, transaction: Transaction) -> frozenset[str] | None:
        """The keys that COPY takes: those that the JSONPaths name, or else the columns."""
        if self.jsonpaths_uri:
            bucket, _, key = self.jsonpaths_uri.removeprefix("s3://").partition("/")
            return jsonpaths_keys(self.lake.read(bucket, key))
        if self.jsonpaths:
            return jsonpaths_keys((JSONPATHS / self.jsonpaths).read_bytes())
        schema, _, table = run.table(self.source).partition(".")
        columns = transaction.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [schema, table],
            name=f"read the columns of {table}",
        )
        return frozenset(name for (name,) in columns)

    def _new_or_changed(self) -> list[SourceFile]:
        """The files whose ETag is not the one in the ledger."""
        with self.warehouse.reading() as transaction:
            published = dict(
                transaction.execute(
                    "SELECT object_key, etag FROM staging.source_files WHERE source = %s AND bucket = %s",
                    [self.source, self.s3_bucket],
                    name="read the ledger staging.source_files",
                )
            )
        found = self.lake.list_files(self.s3_bucket, [folder(self.s3_prefix)])
        listed = [file for file in found if file.object_key.endswith(self.suffix)]
        log.info("%d file(s) listed, %d in the ledger of published files", len(listed), len(published))
        return [file for file in listed if published.get(file.object_key) != file.etag]

    def _write_work_objects(self, run: Run, files: list[SourceFile], rows: list[dict[str, Any]]) -> None:
        objects = {}
        if rows:
            objects[f"{self.source}.files.json"] = json_lines(rows)
        if files:
            objects[f"{self.source}.manifest"] = manifest(self.s3_bucket, files)
        if files and self.jsonpaths and not self.jsonpaths_uri:
            objects[self.jsonpaths] = (JSONPATHS / self.jsonpaths).read_bytes()
        for name, body in objects.items():
            self.lake.write(self.work_bucket, run.object_key(self.work_prefix, name), body)
