"""StageToRedshiftOperator: S3 objects into a run's own landing table, by COPY with a manifest."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sparkify.lake import Lake, SourceFile, day_keys, file_rows, folder, hour_rows, json_lines, manifest
from sparkify.operators.base import SparkifyOperator
from sparkify.paths import JSONPATHS
from sparkify.work import Run

log = logging.getLogger(__name__)


class StageToRedshiftOperator(SparkifyOperator):
    """COPY the source files that a run needs into the run's own landing table.

    Lists the objects, writes a manifest (every entry mandatory) to the work bucket, creates the landing table
    `staging.<source>__<run>` and the list of its files `staging.<source>_files__<run>`, and COPYs both, in
    one transaction. A retry starts from an empty table again. No object to load is a normal, empty load.

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
    :param copy_options: appended to COPY as they are, for example `TIMEFORMAT 'epochmillisecs'`, `GZIP`.
    :param iam_role: `default`, or the ARN of the role that COPY reads S3 with.
    :param region: the buckets' AWS region.
    :returns: (XCom) source, table, rows, files, bytes.
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
        "create_sql",
        "copy_sql",
        "copy_files_sql",
    )
    template_fields_renderers = {  # noqa: RUF012 Airflow's own form
        "create_sql": "sql",
        "copy_sql": "sql",
        "copy_files_sql": "sql",
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
        self.copy_options = copy_options
        self.iam_role = iam_role
        self.region = region
        self.aws_conn_id = aws_conn_id
        self.create_sql = f"staging/{source}/create.sql"
        self.copy_sql = copy_sql
        self.copy_files_sql = copy_files_sql

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = Run.from_context(context)
        return {
            **super().sql_context(context),
            "stage": self,
            "uri": lambda name: f"s3://{self.work_bucket}/{run.object_key(self.work_prefix, name)}",
        }

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
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
        self._write_work_objects(run, files, rows)

        table = run.table(self.source)
        with self.warehouse.transaction() as transaction:
            transaction.run_script(self.create_sql, f"staging/{self.source}/create.sql")
            if files:
                transaction.run_script(self.copy_sql, "staging/copy.sql")
            if rows:
                transaction.run_script(self.copy_files_sql, "staging/copy_files.sql")
            [(count,)] = transaction.execute(f"SELECT COUNT(*) FROM {table}", name=f"count {table}")
        log.info("Staged %d row(s) of %d file(s) into %s", count, len(files), table)
        return {"source": self.source, "table": table, "rows": count, "files": len(files), "bytes": size}

    def _new_or_changed(self) -> list[SourceFile]:
        """The files whose ETag is not the one in the ledger."""
        with self.warehouse.transaction() as transaction:
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
