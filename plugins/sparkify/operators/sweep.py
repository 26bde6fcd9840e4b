"""SweepSongsOperator: all song files listed, and what differs from the ledger entered as changes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any

from sparkify.lake import Lake, LakeError, SourceFile, folder, json_lines, manifest
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.warehouse import WarehouseError, quote
from sparkify.work import Run

log = logging.getLogger(__name__)

CREATE_SWEEP = "staging/songs/create_sweep.sql"
COPY_LISTED = "staging/songs/copy_listed.sql"
SWEEP = "staging/songs/sweep.sql"
#: How many files are in memory, and in a work object of about 8 MB.
FILES_PER_OBJECT = 50_000
LOG_EVERY = 10


class SweepSongsOperator(SparkifyOperator):
    """List all song files, and enter those that are new, changed or gone in `staging.song_changes`.

    Writes what it lists to objects in the work bucket, a page after the other, while no transaction is open;
    COPYs these into a work table, and compares it with the ledger there, in one transaction under the publish
    lock. Changes that were known before the listing began are replaced by what it shows. A retry lists again.

    :param s3_bucket: bucket of the song files.
    :param s3_prefix: their key prefix.
    :param suffix: how their keys end.
    :param work_bucket: bucket of the work objects.
    :param work_prefix: their key prefix; may be empty.
    :param iam_role: `default`, or the ARN of the role that COPY reads S3 with.
    :param region: the buckets' AWS region.
    :returns: (XCom) how many files were listed, are new, changed and gone.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "aws_conn_id",
        "s3_bucket",
        "s3_prefix",
        "work_bucket",
        "work_prefix",
        "iam_role",
        "region",
    )
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        s3_bucket: str,
        s3_prefix: str,
        suffix: str = ".json",
        work_bucket: str,
        work_prefix: str = "",
        iam_role: str = "default",
        region: str = "us-west-2",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.suffix = suffix
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.iam_role = iam_role
        self.region = region
        self.aws_conn_id = aws_conn_id

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = Run.without_window(context)
        return {
            **context,
            "work": run.table,
            "quote": quote,
            "sweep": self,
            "run_id": run.run_id,
            "uri": lambda name: f"s3://{self.work_bucket}/{run.object_key(self.work_prefix, name)}",
        }

    def execute(self, context: Mapping[str, Any]) -> dict[str, int]:
        began = time.monotonic()
        run = Run.without_window(context)
        names = self.sql_context(context)
        self.lake.write(self.work_bucket, run.object_key(self.work_prefix, run.owner), b"")
        with self.warehouse.transaction() as transaction:
            transaction.run_script(rendered(self, CREATE_SWEEP, names), CREATE_SWEEP)
        listed_at = datetime.now(UTC)
        # No transaction is open meanwhile, for Redshift Serverless bills it.
        is_copied = self._list(run)
        if is_copied:
            with self.warehouse.transaction() as transaction:
                transaction.run_script(rendered(self, COPY_LISTED, names), COPY_LISTED)
        found_by = uuid.uuid4().hex
        names |= {"found_by": found_by, "listed_at": f"{listed_at:%F %T.%f}"}
        with self.warehouse.transaction() as transaction:
            transaction.lock()
            transaction.run_script(rendered(self, SWEEP, names), SWEEP)
            [row] = transaction.execute(
                "SELECT listed_files, new_files, changed_files, gone_files FROM staging.song_sweeps "
                "WHERE run_id = %s AND listed_at = %s",
                [run.run_id, f"{listed_at:%F %T.%f}"],
                name="read the sweep's row of staging.song_sweeps",
            )
        self._clean_up(run)
        counts = dict(zip(("listed", "new", "changed", "gone"), map(int, row), strict=True))
        log.info("%d song file(s) listed in s3://%s/%s: %d new, %d changed, %d gone since they were "
                 "published; %.1f s", counts["listed"], self.s3_bucket, folder(self.s3_prefix), counts["new"],
                 counts["changed"], counts["gone"], time.monotonic() - began)  # fmt: skip
        return counts

    def _list(self, run: Run) -> bool:
        """Write what is listed to work objects, and a manifest of these; False where there are no files."""
        found = self.lake.list_files(self.s3_bucket, [folder(self.s3_prefix)])
        rows = (
            {"object_key": file.object_key, "etag": file.etag}
            for file in found
            if file.object_key.endswith(self.suffix)
        )
        objects: list[SourceFile] = []
        for body in bodies(rows):
            key = run.object_key(self.work_prefix, f"songs.listed/{len(objects):05}.json")
            self.lake.write(self.work_bucket, key, body)
            objects.append(SourceFile(key, "", len(body), ""))
            if len(objects) % LOG_EVERY == 0:
                log.info("%d song files listed so far", len(objects) * FILES_PER_OBJECT)
        if objects:
            key = run.object_key(self.work_prefix, "songs.manifest")
            self.lake.write(self.work_bucket, key, manifest(self.work_bucket, objects))
        return bool(objects)

    def _clean_up(self, run: Run) -> None:
        """Drop the work tables and objects. The changes are entered, so a failure is none of the sweep's;
        sparkify_maintenance comes by later."""
        try:
            with self.warehouse.transaction() as transaction:
                if tables := run.work_tables(transaction):
                    transaction.execute(
                        f"DROP TABLE {', '.join(tables)}", name="drop the sweep's work tables"
                    )
            self.lake.delete(self.work_bucket, run.object_key(self.work_prefix, ""))
        except (WarehouseError, LakeError) as error:
            log.warning("Some of the sweep's work tables or objects could not be dropped: %s", error)


def bodies(rows: Iterable[Mapping[str, Any]]) -> Iterable[bytes]:
    """The rows as JSON lines, so many together that memory holds them."""
    remaining = iter(rows)
    while some := list(islice(remaining, FILES_PER_OBJECT)):
        yield json_lines(some)
