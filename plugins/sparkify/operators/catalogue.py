"""The song files to stage: those that changes are told of, or all of them.

`staging.song_changes` holds hints: what a message of the queue or a sweep says of a file. A run reads those
that the ledger does not know of yet, and looks at these files alone. What it sees counts, so a hint that is
doubled, late or out of order does no harm, and publish drops it once the ledger says what the run has seen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from sparkify.lake import SourceFile, folder, json_lines
from sparkify.operators.base import rendered
from sparkify.song_queue import SongQueue, rows_told
from sparkify.warehouse import CLAIMS, Transaction, without_semicolon
from sparkify.work import LIVE, Run

if TYPE_CHECKING:
    from sparkify.operators.stage import StageToRedshiftOperator

log = logging.getLogger(__name__)

PENDING = "staging/songs/pending.sql"
LEDGER = "staging/songs/ledger.sql"
COPY_CHANGES = "staging/songs/copy_changes.sql"
COPY_SEEN = "staging/songs/copy_seen.sql"
CATALOGUE_COLUMNS = ("listed_at", "version", "is_whole", "known_files")
#: How many changes a run reads, at most; the others are left to the next run.
MOST_CHANGES = 20_000
#: When a run looked that did not.
NEVER = datetime(1970, 1, 1)
#: How many files are looked at together.
LOOKERS = 8


@dataclass(frozen=True)
class Catalogue:
    """What a run has seen of the song files.

    :param listed_at: before it looked at any, UTC; where it leaves them to another run, as if it had not.
    :param version: of staging.published_catalogue, which it compared them with; 0 before the first.
    :param is_whole: whether it stages all of them.
    :param files: those to stage.
    :param known_files: how many of these were published before, where it does not stage all.
    :param seen: a row of the work table songs_seen for each change that it has read.
    """

    listed_at: datetime
    version: int
    is_whole: bool
    files: Sequence[SourceFile]
    known_files: int = 0
    seen: Sequence[Mapping[str, str | None]] = field(default=(), repr=False)

    @property
    def row(self) -> tuple[Any, ...]:
        """The run's row of its work table of the catalogue, in the order of `CATALOGUE_COLUMNS`."""
        return f"{self.listed_at:%F %T.%f}", self.version, self.is_whole, self.known_files


def look_at_catalogue(stage: StageToRedshiftOperator, run: Run, context: Mapping[str, Any]) -> Catalogue:
    """What the run stages of the songs, once it has recorded what the queue tells."""
    names = {**stage.sql_context(context), "folder": folder(stage.s3_prefix), "limit": MOST_CHANGES}
    if stage.queue_url:
        _drain(stage, run, names)
    listed_at = datetime.now(UTC)
    with stage.warehouse.reading() as transaction:
        published = transaction.execute(
            "SELECT version, listed_at FROM staging.published_catalogue",
            name="read staging.published_catalogue",
        )
        pending = transaction.execute(
            without_semicolon(rendered(stage, PENDING, names)), name="read staging.song_changes"
        )
        [(elsewhere, with_rejected_rows)] = transaction.execute(
            without_semicolon(rendered(stage, LEDGER, names)), name="count files in staging.source_files"
        )
        rejected = _with_rejected_rows(transaction) if with_rejected_rows else []
    # No transaction is open while S3 is asked, for Redshift Serverless bills it.
    if not published:
        if _is_left_to_another(stage, run, context):
            return Catalogue(NEVER, 0, False, [])
        log.info("No songs were published yet: all song files are listed, and staged")
        return Catalogue(listed_at, 0, True, _list(stage))
    [(version, published_at)] = published
    known = {(bucket, key): etag for bucket, key, etag in rejected}
    known |= {(bucket, key): etag for bucket, key, _, etag in pending}
    now = _look(stage, list(known))
    changed = [
        place
        for place, etag in known.items()
        if etag is not None and etag != getattr(now[place], "etag", None)
    ]
    again = {(bucket, key) for bucket, key, _ in rejected}
    files = [
        file
        for place, file in sorted(now.items())
        if file is not None and (known[place] is None or place in again)
    ]
    seen = {
        (found_by, bucket, key): {
            "found_by": found_by,
            "bucket": bucket,
            "object_key": key,
            "etag": getattr(now[bucket, key], "etag", None),
        }
        for bucket, key, found_by, _ in pending
    }
    log.info("%d change(s) of song files known that are not published: %d file(s) new or with rejected rows, "
             "%d changed or gone", len(pending), len(files), len(changed))  # fmt: skip
    if len(pending) == MOST_CHANGES:
        log.info("A run reads %d changes; the next run reads more", MOST_CHANGES)
    if elsewhere:
        log.warning("%d published song file(s) are not in s3://%s/%s", elsewhere, stage.s3_bucket,
                    folder(stage.s3_prefix))  # fmt: skip
    if is_whole := bool(changed or elsewhere):
        if _is_left_to_another(stage, run, context):
            return Catalogue(published_at, version, False, [])
        log.info(
            "All song files are listed, and staged again, to take back what the files said that are gone or "
            "changed"
        )
        files = _list(stage)
    return Catalogue(listed_at, version, is_whole, files, len(again), list(seen.values()))


def _is_left_to_another(stage: StageToRedshiftOperator, run: Run, context: Mapping[str, Any]) -> bool:
    """Whether a run that is under way stages all song files already: they are not COPYed twice.

    If not, this run does from now on. Where Airflow does not say whether the other is live, both do.
    """
    with stage.warehouse.transaction() as transaction:
        transaction.lock_claims()
        others = transaction.execute(
            f"SELECT run_id FROM {CLAIMS} WHERE run_id <> %s", [run.run_id], name=f"read {CLAIMS}"
        )
        for (run_id,) in others:
            if _is_live(context, run_id):
                log.info("All song files are being staged by run %s: this run leaves them to it", run_id)
                return True
        transaction.execute(f"DELETE FROM {CLAIMS}")
        transaction.execute(f"INSERT INTO {CLAIMS} (run_id, claimed_at) VALUES (%s, GETDATE())", [run.run_id])
    return False


def _is_live(context: Mapping[str, Any], run_id: str) -> bool:
    try:
        return bool(context["ti"].get_dr_count(dag_id=context["ti"].dag_id, run_ids=[run_id], states=LIVE))
    except AirflowRuntimeError as error:
        log.info("Airflow does not say whether run %s is live: %s", run_id, error)
        return False


def _list(stage: StageToRedshiftOperator) -> list[SourceFile]:
    found = stage.lake.list_files(stage.s3_bucket, [folder(stage.s3_prefix)])
    return [file for file in found if file.object_key.endswith(stage.suffix)]


def _look(
    stage: StageToRedshiftOperator, places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], SourceFile | None]:
    """The files as they are now, by bucket and key; one that is none of the catalogue's counts as gone."""
    prefix = folder(stage.s3_prefix)

    def now(place: tuple[str, str]) -> SourceFile | None:
        bucket, key = place
        if bucket != stage.s3_bucket or not (key.startswith(prefix) and key.endswith(stage.suffix)):
            return None
        return stage.lake.file(bucket, key)

    if not places:
        return {}
    with ThreadPoolExecutor(LOOKERS) as lookers:
        return dict(zip(places, lookers.map(now, places), strict=True))


def _with_rejected_rows(transaction: Transaction) -> list[tuple[Any, ...]]:
    """Published files that are staged, and counted, by every run until they are mended."""
    return transaction.execute(
        "SELECT bucket, object_key, etag FROM staging.source_files "
        "WHERE source = 'songs' AND rejected_rows > 0",
        name="read the song files with rejected rows",
    )


def _drain(stage: StageToRedshiftOperator, run: Run, names: Mapping[str, Any]) -> None:
    """Record what the queue's messages say, and only then delete them."""
    queue = SongQueue(stage.queue_url, stage.aws_conn_id)
    prefix = folder(stage.s3_prefix)

    def is_ours(bucket: str, key: str) -> bool:
        return bucket == stage.s3_bucket and key.startswith(prefix) and key.endswith(stage.suffix)

    messages = queue.receive(is_ours)
    if rows := rows_told(messages):
        key = run.object_key(stage.work_prefix, f"{stage.source}.changes.json")
        stage.lake.write(stage.work_bucket, key, json_lines(rows))
        with stage.warehouse.transaction() as transaction:
            transaction.run_script(rendered(stage, COPY_CHANGES, names), COPY_CHANGES)
    queue.delete(messages)
    queue.log_what_is_left()


def write_seen(stage: StageToRedshiftOperator, run: Run, catalogue: Catalogue) -> None:
    """Write the rows of songs_seen to the work bucket, for COPY."""
    if catalogue.seen:
        key = run.object_key(stage.work_prefix, f"{stage.source}.seen.json")
        stage.lake.write(stage.work_bucket, key, json_lines(catalogue.seen))
