"""StageToRedshiftOperator: S3 objects into a run's own landing table, by COPY with a manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, NoReturn, TypeVar

from airflow.sdk.exceptions import AirflowFailException

from sparkify.drift import (
    BYTES_PER_FILE,
    BYTES_PER_RUN,
    JSONPATHS_BYTES,
    LOOK_SECONDS,
    Shapes,
    jsonpaths_keys,
    sampled,
)
from sparkify.json_values import values
from sparkify.lake import (
    CompressionError,
    Lake,
    LakeError,
    Line,
    SourceFile,
    decompressed,
    file_rows,
    json_lines,
    manifest,
)
from sparkify.layout import compression
from sparkify.lineage import Lineage, S3Folder, Table
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.operators.catalogue import (
    CATALOGUE_COLUMNS,
    COPY_SEEN,
    Catalogue,
    look_at_catalogue,
    write_seen,
)
from sparkify.paths import JSONPATHS
from sparkify.rejected import (
    RAW_LINE_BYTES,
    Budget,
    CopyRefusedError,
    LoadErrors,
    LoadSession,
    Rejected,
    RejectedRow,
    refused_rows,
    rows_table,
)
from sparkify.tables import text_table
from sparkify.text import fit
from sparkify.warehouse import Transaction, WarehouseError
from sparkify.work import Run, refuse_work_among_sources

log = logging.getLogger(__name__)

READERS = 8
#: What one transaction stages at most: progress is kept, and a COPY that fails is not that of a month.
FILES_AT_ONCE = 20_000
BYTES_AT_ONCE = 20 * 1024**3
#: How long files with refused rows are read for rows that these may hide; a task may take an hour.
SEARCH_SECONDS = 20 * 60
TORN_COLUMNS = ("file_name", "line_number", "hidden_rows", "reason")
KEY_COLUMNS = ("problem", "key_name", "row_count", "key_count", "first_file")
PUBLISH_REJECTED = "rejected_rows/publish.sql"
COPY = "staging/copy.sql"
Item = TypeVar("Item")


class StageToRedshiftOperator(SparkifyOperator):
    """COPY the source files that a run needs into the run's own landing table.

    Lists the objects, writes a manifest for each compression among them (every entry mandatory) to the work
    bucket, creates the landing table `staging.<source>__<run>` and the list of its files
    `staging.<source>_files__<run>`, and COPYs both, in transactions of bounded size. A retry goes on where
    one that was cut short has ended. No object to load is a normal, empty load.

    Staged are the files that `staging.song_changes` tells of, as far as no run has published them, and those
    with rejected rows; or all files, before the first were published, and where one that was published is
    gone or has another ETag: what it said is to be taken back, and COPY does not tell the rows of different
    files apart.

    Rows that COPY refuses, or that the model cannot hold, go with file, line and reason
    to `staging.<source>_rejected__<run>` and at once to `sparkify.rejected_rows`. More of them than the
    budget fail the task for good. Keys that the landing table does not know, or that objects lack, are
    counted in `staging.<source>_keys__<run>`. Files of which COPY refused a row are read to their end: whole
    rows inside of refused ones, which COPY did not see, are counted in `staging.<source>_torn__<run>`.

    :param source: the source's name; `include/sql/staging/<source>/create.sql` declares its landing table.
    :param s3_bucket: bucket of the source files.
    :param s3_prefix: key prefix of the source files; `/` is put behind it.
    :param suffix: how the keys of files end that are staged.
    :param queue_url: an SQS queue of S3's notifications about them; empty for none.
    :param work_bucket: bucket of the manifests.
    :param work_prefix: key prefix of the manifests; may be empty.
    :param jsonpaths: file in include/jsonpaths, uploaded beside the manifest. Without it, JSON 'auto'.
    :param jsonpaths_uri: a JSONPaths file on S3 to use in its place: `s3://bucket/key`.
    :param max_rejected_rows: how many rows may be rejected, 0 to 99,999, and COPY's MAXERROR is one more; or
        parts per million of the rows staged, such as `50 ppm`, which are counted once COPY has read them.
    :param max_window_days: how many UTC days the run's window may touch; no more are listed.
    :param copy_options: appended to COPY as they are, for example `TIMEFORMAT 'epochmillisecs'`.
    :param iam_role: `default`, or the ARN of the role that COPY reads S3 with.
    :param region: the buckets' AWS region.
    :returns: (XCom) source, files, bytes; bytes_looked_at, and the values and objects in these;
        bytes_of_keys, those of files all of whose keys are known; and rows: copied (by COPY), rejected,
        allowed (to be rejected), rows (left to load).
    :raises AirflowFailException: over the budget of rejected rows; a retry would find the same rows.
    :raises WindowError: for a window of too many days.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "aws_conn_id",
        "s3_bucket",
        "s3_prefix",
        "work_bucket",
        "work_prefix",
        "queue_url",
        "jsonpaths_uri",
        "copy_options",
        "iam_role",
        "region",
        "max_rejected_rows",
        "max_window_days",
        "create_sql",
        "create_rejected_sql",
        "copy_files_sql",
        "copy_rejected_sql",
        "copy_seen_sql",
    )
    template_fields_renderers = {"create_sql": "sql", "copy_files_sql": "sql"}  # noqa: RUF012 Airflow's form
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        source: str,
        s3_bucket: str,
        s3_prefix: str,
        work_bucket: str,
        work_prefix: str = "",
        suffix: str = ".json",
        queue_url: str = "",
        jsonpaths: str | None = None,
        jsonpaths_uri: str = "",
        max_rejected_rows: int | str = 0,
        max_window_days: int | str = 400,
        copy_options: Sequence[str] = (),
        iam_role: str = "default",
        region: str = "us-west-2",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.s3_bucket = s3_bucket
        self.s3_prefix = s3_prefix
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.suffix = suffix
        self.queue_url = queue_url
        self.jsonpaths = jsonpaths
        self.jsonpaths_uri = jsonpaths_uri
        self.max_rejected_rows = max_rejected_rows
        self.max_window_days = max_window_days
        self.copy_options = copy_options
        self.iam_role = iam_role
        self.region = region
        self.aws_conn_id = aws_conn_id
        self.create_sql = f"staging/{source}/create.sql"
        self.create_rejected_sql = "staging/create_rejected.sql"
        self.copy_files_sql = "staging/copy_files.sql"
        self.copy_rejected_sql = "staging/copy_rejected.sql"
        self.copy_seen_sql = COPY_SEEN

    @cached_property
    def lake(self) -> Lake:
        return Lake(self.aws_conn_id)

    @cached_property
    def load_errors(self) -> LoadErrors:
        return LoadErrors(self.warehouse)

    @property
    def budget(self) -> Budget:
        return Budget(str(self.max_rejected_rows))

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = Run.from_context(context)
        return {
            **super().sql_context(context),
            "stage": self,
            "uri": lambda name: f"s3://{self.work_bucket}/{run.object_key(self.work_prefix, name)}",
        }

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        run.window.refuse_more_days_than(int(self.max_window_days))
        refuse_work_among_sources(self.work_bucket, self.work_prefix, self.s3_bucket, [self.s3_prefix])
        catalogue = look_at_catalogue(self, run, context)
        files = list(catalogue.files)
        size = self._announce(files)
        look = self._look_at(files)
        self._write(run, {run.owner: b"", **self._jsonpaths_object()})
        write_seen(self, run, catalogue)
        try:
            copied, rejected, refused, known = self._load(context, run, files, catalogue, look.shapes)
        except CopyRefusedError as error:
            self._refuse_rows(context, run, error)
        read = copied + rejected.count - rejected.by_model
        if rejected.count:
            self._store_rejected(context, run)
        allowed = self._allowed(run, rejected, read)
        self._find_hidden(run, self._named(files, refused), known)
        table = run.table(self.source)
        staged = copied - rejected.by_model
        self.lineage = Lineage([S3Folder(self.s3_bucket, self.s3_prefix, size)], [Table(table, staged)])
        self.done(
            files=len(files), bytes=size, rows_in=read,
            rows_rejected=rejected.count, rows_out=staged, table=table,
        )  # fmt: skip
        return look.figures(self.source, files, known) | {
            "copied": copied,
            "rejected": rejected.count,
            "allowed": allowed,
            "rows": staged,
        }

    def _announce(self, files: Sequence[SourceFile]) -> int:
        """Log what is to be staged; how many bytes it has."""
        size = sum(file.size_bytes for file in files)
        log.info("%d file(s), %d byte(s) to stage from s3://%s/%s", len(files), size, self.s3_bucket,
                 self.s3_prefix)  # fmt: skip
        for file in files[:10]:
            log.info("  %s, %d byte(s), ETag %s", file.object_key, file.size_bytes, file.etag)
        return size

    def _allowed(self, run: Run, rejected: Rejected, read: int) -> int:
        """How many of the rows read may be rejected.

        :raises AirflowFailException: where more are.
        """
        allowed = self.budget.rows(read)
        if rejected.count > allowed:
            share = f", which is {allowed:,} of {read:,} row(s)" if self.budget.is_share else ""
            self._refuse(run, rejected, f"{self.budget}{share}")
        if rejected.count:
            log.warning("%d row(s) rejected, %d allowed. The first:\n%s", rejected.count, allowed,
                        rows_table(rejected.first))  # fmt: skip
        return allowed

    def _refuse_rows(self, context: Mapping[str, Any], run: Run, error: CopyRefusedError) -> NoReturn:
        """After a COPY that failed for its rows."""
        rejected = self._keep(run, error.rows)
        self._store_rejected(context, run)
        self._refuse(run, rejected, f"{self.budget}", error)

    def _load(
        self,
        context: Mapping[str, Any],
        run: Run,
        files: list[SourceFile],
        catalogue: Catalogue,
        shapes: Shapes,
    ) -> tuple[int, Rejected, set[str | None], frozenset[str] | None]:
        """The landing table of the run; how many rows COPY loaded, those that are not to be, the object keys
        of the files of which it refused some, and the keys that it takes."""
        refused: set[str | None] = set()
        rejected = Rejected(0, 0, [])
        known: frozenset[str] | None = frozenset()
        began = time.monotonic()
        table = run.table(self.source)
        parts = groups(files) or [("", [])]
        copied, kept = self._kept(run, catalogue, files) if len(parts) > 1 else (0, set())
        if is_begun := bool(kept):
            parts = groups(file for file in files if (file.object_key, file.etag) not in kept)
        size = size_left = sum(file.size_bytes for _, some in parts for file in some)
        for number, (kind, some) in enumerate(parts, 1):
            self._write_group(run, catalogue, kind, some)
            with self.warehouse.transaction() as transaction:
                if not is_begun:
                    self._begin(run, transaction, catalogue)
                    is_begun = True
                if some:
                    transaction.run_script(self.copy_files_sql, "staging/copy_files.sql")
                    script = self._copy_script(context, table, manifest_name(self.source, kind), kind)
                    count, keys = self._copy(run, transaction, some, script)
                    copied += count
                    refused |= keys
                if number == len(parts):
                    known = self._known_keys(run, transaction) if files else frozenset()
                    self._store_drift(run, transaction, shapes, known)
                    rejected = Rejected.read(transaction, run.table(f"{self.source}_rejected"))
            size_left -= sum(file.size_bytes for file in some)
            log_progress("are staged", size, size_left, began)
        return copied, rejected, refused, known

    def _begin(self, run: Run, transaction: Transaction, catalogue: Catalogue) -> None:
        """The run's work tables, empty but for what it saw of the catalogue."""
        transaction.run_script(self.create_sql, f"staging/{self.source}/create.sql")
        transaction.insert(run.table(f"{self.source}_catalogue"), CATALOGUE_COLUMNS, [catalogue.row])
        if catalogue.seen:
            transaction.run_script(self.copy_seen_sql, COPY_SEEN)

    def _kept(
        self, run: Run, catalogue: Catalogue, files: Sequence[SourceFile]
    ) -> tuple[int, set[tuple[str, str]]]:
        """How many rows an earlier try has staged of these files before it was cut short, and of which, by
        key and ETag.

        None, where it saw another catalogue, or has staged other bytes, or rejected rows, or all: then the
        task begins anew.
        """
        table = run.table(self.source)
        with self.warehouse.reading() as transaction:
            if table not in run.work_tables(transaction):
                return 0, set()
            names = ("files", "rejected", "catalogue")
            of_files, of_rejected, of_catalogue = (run.table(f"{self.source}_{name}") for name in names)
            rows = transaction.execute(
                f"SELECT object_key, etag FROM {of_files} "
                f"WHERE NOT EXISTS (SELECT 1 FROM {of_rejected}) "
                f"AND EXISTS (SELECT 1 FROM {of_catalogue} WHERE version = %s AND is_whole = %s)",
                [catalogue.version, catalogue.is_whole],
                name="read what an earlier try has staged",
            )
            [(copied,)] = transaction.execute(f"SELECT COUNT(*) FROM {table}", name=f"count {table}")
        staged = {(key, etag) for key, etag in rows}
        if not staged or not staged < {(file.object_key, file.etag) for file in files}:
            return 0, set()
        log.info("%d of %d file(s) are staged already, by an earlier try", len(staged), len(files))
        return copied, staged

    def _write_group(self, run: Run, catalogue: Catalogue, kind: str, files: Sequence[SourceFile]) -> None:
        """The manifest of one COPY, and the rows of its files."""
        if files:
            rows = file_rows(catalogue.listed_at, files)
            objects = {
                f"{self.source}.files.json": json_lines(rows),
                manifest_name(self.source, kind): manifest(self.s3_bucket, files),
            }
            self._write(run, objects)

    def _store_drift(
        self, run: Run, transaction: Transaction, shapes: Shapes, known: frozenset[str] | None
    ) -> None:
        drift = [*shapes.limits(), *([] if known is None else shapes.drift(known))]
        if drift:
            log.warning("Keys that the landing table does not know, or that objects lack or have twice, "
                        "in %d value(s):\n%s", shapes.values, text_table(KEY_COLUMNS, drift))  # fmt: skip
            transaction.insert(run.table(f"{self.source}_keys"), KEY_COLUMNS, drift)

    def _copy_script(self, context: Mapping[str, Any], table: str, manifest_name: str, kind: str) -> str:
        """The COPY of the files of a manifest, all of one compression."""
        names = {"table": table, "manifest": manifest_name, "compression": kind}
        return rendered(self, COPY, {**self.sql_context(context), **names})

    def _copy(
        self, run: Run, transaction: Transaction, files: list[SourceFile], script: str
    ) -> tuple[int, set[str | None]]:
        """COPY, and the rows that it left out into the work table; how many it loaded, the others' files."""
        session = LoadSession.begin(transaction)
        try:
            transaction.run_script(script, COPY)
        except WarehouseError as error:
            if not refused_rows(error):
                raise
            further: Exception | None
            try:
                rows, further = self._refused(session, files, at_least=1)
            except Exception as failure:
                rows, further = [], failure
            if not rows:
                log.warning("Which rows COPY refused cannot be told: %s", further)
                raise
            raise CopyRefusedError(rows) from error
        [(copied,)] = transaction.execute("SELECT pg_last_copy_count()", name="count what COPY loaded")
        missed = session.missed(transaction)
        rows, lacking = self._refused(session, files, at_least=missed) if missed else ([], None)
        if lacking:
            log.warning("COPY left out %d row(s); files and reasons of %d can be told: %s",
                        missed, len(rows), lacking)  # fmt: skip
            rows += [RejectedRow.untold(lacking)] * (missed - len(rows))
        self._store(run, transaction, rows)
        return copied, {row.object_key for row in rows}

    def _refused(
        self, session: LoadSession, files: list[SourceFile], at_least: int
    ) -> tuple[list[RejectedRow], WarehouseError | None]:
        """The rows that COPY refused, and why not all can be told, if so; text that the warehouse lacks is
        read from S3."""
        etags = {file.object_key: file.etag for file in files}
        keys = sorted(etags)
        found, lacking = self.load_errors.read(session, at_least)
        rows = [row.of_file(self.s3_bucket, keys) for row in found]
        rows = [replace(row, etag=etags.get(row.object_key or "")) for row in rows]
        known = set(keys)
        numbers: dict[str, set[int]] = {}
        for row in rows:
            if row.raw_line is None and row.line_number is not None and row.object_key in known:
                numbers.setdefault(row.object_key, set()).add(row.line_number)
        lines: dict[tuple[str | None, int | None], Line] = {
            (key, number): line
            for key, of_file in numbers.items()
            for number, line in self._lines(key, of_file).items()
        }
        return [row.with_raw_line(lines.get((row.object_key, row.line_number))) for row in rows], lacking

    def _lines(self, key: str, numbers: set[int]) -> dict[int, Line]:
        """Lines of a file; none where it cannot be read: the rows are rejected also without their text."""
        try:
            return self.lake.lines(self.s3_bucket, key, numbers, RAW_LINE_BYTES)
        except LakeError as error:
            log.warning(
                "Rejected rows of s3://%s/%s are kept without their text: %s", self.s3_bucket, key, error
            )
            return {}

    def _keep(self, run: Run, rows: list[RejectedRow]) -> Rejected:
        """The rows of a COPY that was rolled back, in the work table of rejected rows."""
        table = run.table(f"{self.source}_rejected")
        with self.warehouse.transaction() as transaction:
            transaction.execute(f"DROP TABLE IF EXISTS {table}")
            transaction.run_script(self.create_rejected_sql, "staging/create_rejected.sql")
            self._store(run, transaction, rows)
            return Rejected.read(transaction, table)

    def _store(self, run: Run, transaction: Transaction, rows: Sequence[RejectedRow]) -> None:
        """Put the rows into the work table of rejected rows, in one statement however many they are."""
        if rows:
            name = run.object_key(self.work_prefix, f"{self.source}.rejected.json")
            self.lake.write(self.work_bucket, name, json_lines(row.values() for row in rows))
            transaction.run_script(self.copy_rejected_sql, "staging/copy_rejected.sql")

    def _store_rejected(self, context: Mapping[str, Any], run: Run) -> None:
        """Show the rows to whoever has to fix them, whatever becomes of the run."""
        with self.warehouse.transaction() as transaction:
            transaction.lock()
            names = {
                **self.sql_context(context),
                "run_id": run.run_id,
                "sources": [self.source],
                "is_final": False,
            }
            transaction.run_script(rendered(self, PUBLISH_REJECTED, names), PUBLISH_REJECTED)

    def _refuse(self, run: Run, rejected: Rejected, budget: str, cause: Exception | None = None) -> NoReturn:
        log.error("The first %d rejected rows:\n%s", len(rejected.first), rows_table(rejected.first))
        count = rejected.count
        rows = f"{count} or more rows" if cause else f"{count} row{'s' * (count != 1)}"
        raise AirflowFailException(
            f"{rows} of the {self.source} files of window {run.window} cannot be loaded; this run allows "
            f"{budget} (Variable sparkify_max_rejected_{self.source} or param max_rejected_rows). The first: "
            f"{rejected.first[0].sentence()}. Nothing was published. To see the rows that were found: SELECT "
            f"* FROM sparkify.rejected_rows WHERE run_id = '{run.run_id}'.\n"
            f"Fix the file and clear this task; or allow more: raise the Variable and clear this task, or "
            f"start a run with a larger max_rejected_rows."
        ) from cause

    def _look_at(self, files: Sequence[SourceFile], look: Look | None = None) -> Look:
        """What is found in a bounded part of the files, and of those that were looked at before."""
        look = look or Look()
        end = time.monotonic() + LOOK_SECONDS
        some = sampled(files)
        for number, file in enumerate(some):
            if look.text_bytes >= BYTES_PER_RUN:
                break
            part = Part(self.lake, self.s3_bucket, file)
            others = look.shapes.others.rows
            try:
                look.shapes.look_at(self._uri(file), until(end, values(until(end, part), search=False)))
                look.bytes_read += part.bytes_read
                look.bytes_of_keys += part.bytes_read if look.shapes.others.rows == others else 0
            except CompressionError as error:
                log.warning("%s is not examined: %s", self._uri(file), error)
            except OutOfTimeError:
                look.shapes.given_up = (
                    f"looking at the files was given up after {LOOK_SECONDS} s: {number} of {len(some)} were "
                    f"looked at, the next was {fit(self._uri(file), 256)}"
                )
                break
            look.text_bytes += part.text_bytes
        return look

    def _find_hidden(self, run: Run, files: list[SourceFile], known: frozenset[str] | None) -> None:
        """Read files of which COPY refused rows to their end, for rows inside of these."""
        if not files:
            return
        log.info("Reading %d file(s) with rows that COPY refused, %d byte(s): these may hide other rows",
                 len(files), sum(file.size_bytes for file in files))  # fmt: skip
        end = time.monotonic() + SEARCH_SECONDS
        with ThreadPoolExecutor(READERS) as readers:
            torn = [row for row in readers.map(lambda file: self._hidden(file, known, end), files) if row]
        if torn:
            log.error("Files with rows that COPY did not see:\n%s", text_table(TORN_COLUMNS, torn))
            with self.warehouse.transaction() as transaction:
                transaction.insert(run.table(f"{self.source}_torn"), TORN_COLUMNS, torn)

    def _hidden(self, file: SourceFile, known: frozenset[str] | None, end: float) -> tuple[Any, ...] | None:
        """A file's row of the work table of torn files; None where it hides nothing.

        :param end: when to give up, by the monotonic clock.
        """
        hidden: int | None = 0
        line, reason = None, None
        chunks = self.lake.chunks(self.s3_bucket, file.object_key)
        try:
            for value in until(
                end, values(until(end, decompressed(chunks, compression(file.object_key))), known)
            ):
                if value.hidden != 0:
                    line = line or value.line
                    hidden = None if hidden is None or value.hidden is None else hidden + value.hidden
            if hidden is None:
                reason = "too many places look like the beginning of a row and are not"
        except CompressionError as error:
            hidden, reason = None, str(error)
        except OutOfTimeError:
            hidden, reason = None, f"it could not be read to its end within {SEARCH_SECONDS} s"
        return None if hidden == 0 else (self._uri(file), line, hidden, reason)

    def _named(self, files: list[SourceFile], keys: set[str | None]) -> list[SourceFile]:
        """The files of these keys; all files where a key is missing, or of none of them."""
        found = [file for file in files if file.object_key in keys]
        return found if len(found) == len(keys) else files

    def _uri(self, file: SourceFile) -> str:
        return f"s3://{self.s3_bucket}/{file.object_key}"

    def _known_keys(self, run: Run, transaction: Transaction) -> frozenset[str] | None:
        """The keys that COPY takes: those that the JSONPaths name, or else the columns."""
        if self.jsonpaths_uri:
            bucket, _, key = self.jsonpaths_uri.removeprefix("s3://").partition("/")
            return jsonpaths_keys(self.lake.read(bucket, key, JSONPATHS_BYTES))
        if self.jsonpaths:
            return jsonpaths_keys((JSONPATHS / self.jsonpaths).read_bytes())
        schema, _, table = run.table(self.source).partition(".")
        columns = transaction.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [schema, table],
            name=f"read the columns of {table}",
        )
        return frozenset(name for (name,) in columns)

    def _jsonpaths_object(self) -> dict[str, bytes]:
        if self.jsonpaths and not self.jsonpaths_uri:
            return {self.jsonpaths: (JSONPATHS / self.jsonpaths).read_bytes()}
        return {}

    def _write(self, run: Run, objects: Mapping[str, bytes]) -> None:
        """Put some of the run's own objects into the work bucket, by name."""
        for name, body in objects.items():
            self.lake.write(self.work_bucket, run.object_key(self.work_prefix, name), body)


@dataclass
class Look:
    """What was found in the files that were looked at.

    :ivar bytes_read: of the files' bytes, and `bytes_of_keys` those of files all of whose keys are known.
    :ivar text_bytes: what they are decompressed.
    """

    shapes: Shapes = field(default_factory=Shapes)
    bytes_read: int = 0
    text_bytes: int = 0
    bytes_of_keys: int = 0

    def figures(
        self, source: str, files: Sequence[SourceFile], known: frozenset[str] | None
    ) -> dict[str, Any]:
        """For XCom. `known`: the keys that COPY takes, if they are known."""
        return {
            "source": source,
            "files": len(files),
            "bytes": sum(file.size_bytes for file in files),
            "bytes_looked_at": self.bytes_read,
            "bytes_of_keys": 0 if known is None else self.bytes_of_keys,
            "values": self.shapes.values,
            "objects": self.shapes.objects,
        }


def groups(files: Iterable[SourceFile]) -> list[tuple[str, list[SourceFile]]]:
    """The files in bounded groups, each of one COPY, with COPY's option for their compression."""

    def kind(file: SourceFile) -> str:
        return compression(file.object_key)

    ordered = sorted(files, key=lambda file: (kind(file), file.object_key))
    return [
        (of_kind, some)
        for of_kind, together in groupby(ordered, kind)
        for some in bounded(together, lambda file: file.size_bytes)
    ]


def bounded(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in their order, in groups for one transaction each.

    :param size_of: an item's bytes.
    """
    group: list[Item] = []
    size = 0
    for item in items:
        if group and (len(group) >= FILES_AT_ONCE or size + size_of(item) > BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(item)
        size += size_of(item)
    if group:
        yield group


def log_progress(done: str, size: int, left: int, began: float) -> None:
    """Log how much of so many bytes is done, and about how long the rest takes, where some are left.

    :param began: when, by the monotonic clock.
    """
    if left:
        seconds = time.monotonic() - began
        log.info("%d of %d byte(s) %s after %.0f s, about %.0f s are left", size - left, size, done, seconds,
                 seconds / max(1, size - left) * left)  # fmt: skip


def manifest_name(name: str, kind: str) -> str:
    """The work object that names the files of one compression."""
    return f"{name}{kind and '.'}{kind.lower()}.manifest"


class OutOfTimeError(Exception):
    """What was looked at took longer than it may."""


def until(end: float, items: Iterable[Item]) -> Iterator[Item]:
    """The items, as long as they come by `end` of the monotonic clock.

    :raises OutOfTimeError: after that, also before the first one.
    """
    if time.monotonic() > end:
        raise OutOfTimeError
    for item in items:
        if time.monotonic() > end:
            raise OutOfTimeError
        yield item


class Part:
    """What is looked at of a file, decompressed: its last whole lines; of a compressed one its beginning.

    :ivar bytes_read: how many bytes of the object are looked at, of those that all came.
    :ivar text_bytes: how many bytes of text came of them.
    """

    def __init__(self, lake: Lake, bucket: str, file: SourceFile) -> None:
        self.compression = compression(file.object_key)
        start = 0 if self.compression else max(0, file.size_bytes - BYTES_PER_FILE)
        self.chunks = lake.chunks(bucket, file.object_key, start)
        self.bytes_read = self.text_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for text in decompressed(self._counted(), self.compression):
            yield text
            self.text_bytes += len(text)
            if self.text_bytes > BYTES_PER_FILE:
                break

    def _counted(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            yield chunk
            # Only now: a chunk may hold a thousand times its bytes of text, most of which nobody looked at.
            self.bytes_read += len(chunk)
