"""PublishOperator: the checked candidates into the published tables, all of them in one transaction."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from sparkify.lake import Lake, LakeError
from sparkify.layout import Layout
from sparkify.lineage import Lineage, Table
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.reach import Reach
from sparkify.warehouse import CommitUnknownError, Transaction, TransientError, WarehouseError
from sparkify.work import Run
from sparkify.xcoms import Candidate

log = logging.getLogger(__name__)

SUPERSEDED = "staging/superseded.sql"
LEAVE_OUT_HOURS = "staging/leave_out_hours.sql"
SUPERSEDED_SONGS = "staging/superseded_songs.sql"
UNSEEN_SONGS = "staging/unseen_songs.sql"
LEAVE_OUT_SONGS = "staging/leave_out_songs.sql"
KNOWN_SONGS = "staging/known_songs.sql"
SETTLE = "staging/songs/settle.sql"
SCOPE = "staging/scope.sql"
CERTIFY = "staging/certify.sql"
SEE_SCOPE = "see what there is of the window"
MONTHS = "songplays/months.sql"
CHANGED_TITLES = "SELECT COUNT(*) FROM changed_titles"
LOG_PUBLISH = "INSERT INTO staging.publish_log (publish_id, run_id, published_at) VALUES (%s, %s, GETDATE())"
SONG_TABLES = ("songs", "artists")
HISTORY = (
    *("log_files", "song_files", "events_staged", "events_in_window", "events_outside", "songplays"),
    *("duplicate_plays", "other_pages", "rejected_events", "rejected_songs", "users", "songs", "artists"),
    "time_rows",
)
ATTEMPTS = 5
DROP_TIMEOUT_MS = 60_000
#: How long before a run's hours others are certified that had awaited its files.
NEARBY = timedelta(days=7)


class Scope(NamedTuple):
    """What a run brings, and what there is of its window: the row of staging/scope.sql, all of it counts."""

    with_songs: int
    whole: int | None
    song_files: int
    songs: int
    catalogues: int
    song_changes: int
    stale_plays: int
    songplays: int
    users: int
    moments: int
    hours: int
    windows: int
    rejected_songs: int

    @property
    def changes_songs(self) -> bool:
        """Whether songs can differ from those that are published."""
        return bool(self.with_songs and (self.songs or self.whole))

    @property
    def stages_songs(self) -> bool:
        """Whether the run has staged song files, and they are not left out."""
        return bool(self.with_songs and self.song_files)

    def ledgers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The scripts behind those of the tables, each with names of its own."""
        yield (
            "rejected_rows/publish.sql",
            {"sources": ["songs"] if self.with_songs and self.rejected_songs else []},
        )
        yield "staging/publish.sql", {"songs_staged": self.stages_songs}
        yield "load_history/publish.sql", {}
        if self.song_changes:
            yield SETTLE, {}


class PublishOperator(SparkifyOperator):
    """Apply the candidates, the ledger of files and the window's row in load_history, all or nothing.

    Takes the publish lock first, then runs each table's `publish.sql` in the order of `tables`: readers
    see all of the window or nothing of it, and are never blocked. Afterwards the run's work tables and
    objects are dropped; a retry that finds none learns from `staging.publish_log` that nothing is left to do.

    What Redshift calls a conflict with another transaction (1023, 1018) and a connection that broke before
    COMMIT are tried again here, as a whole transaction. A connection that broke with COMMIT under way is
    resolved by the next attempt, which looks for this one in `staging.publish_log`. A try that fails before
    it could look says in its last line that the window may be published.

    Older bytes never come back: hours that another run has published from what landed later stay as that one
    left them; where others have published songs since from a later listing, or from files that this run did
    not see, the run's songs are left to the next run.

    :param tables: the published tables, one before those that read it.
    :param checks_task_id: the task whose XCom describes the candidates that the checks let pass.
    :param s3_bucket: the bucket that the ledgers' object keys belong to.
    :param key_template: where the log files lie, see `sparkify.layout.Layout`.
    :param silence: what an hour is of which no log file has come, once there are later files: `awaited`, so
        that it is not certified, or `complete`.
    :returns: (XCom) the window's row of load_history; empty where another run's row has taken its place.
    :raises AirflowFailException: where the work tables are missing.
    :raises XComError: where the XCom describes anything else than one candidate of each table.
    """

    template_fields: Sequence[str] = (
        *SparkifyOperator.template_fields,
        "s3_bucket",
        "key_template",
        "silence",
        "work_bucket",
        "work_prefix",
        "aws_conn_id",
    )
    ui_color = "#cfe8d5"

    def __init__(
        self,
        *,
        tables: Sequence[str],
        checks_task_id: str,
        s3_bucket: str,
        key_template: str,
        silence: str = "awaited",
        work_bucket: str,
        work_prefix: str = "",
        aws_conn_id: str = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.checks_task_id = checks_task_id
        self.s3_bucket = s3_bucket
        self.key_template = key_template
        self.silence = silence
        self.work_bucket = work_bucket
        self.work_prefix = work_prefix
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        run = self.begin(context)
        found = context["ti"].xcom_pull(task_ids=self.checks_task_id)
        candidates = Candidate.all_of(found, self.tables, self.checks_task_id)
        #: Whether the run has published its window; None where that cannot be told.
        self.is_published = None if context["ti"].try_number > 1 else False
        try:
            published = self._try_to_publish(context, run, candidates)
            self._clean_up(run)
        except (WarehouseError, AirflowTaskTimeout) as error:
            # The type stays, for it decides whether Airflow tries again.
            error.args = (f"{error}{self._outcome(run)}",)
            raise
        self.lineage = Lineage(
            [Table(candidate.work_table(run), candidate.rows) for candidate in candidates],
            [Table(f"sparkify.{candidate.table}") for candidate in candidates],
        )
        self.done(rows_in=sum(candidate.rows for candidate in candidates), **published)
        return published

    def _try_to_publish(
        self, context: Mapping[str, Any], run: Run, candidates: Sequence[Candidate]
    ) -> dict[str, Any]:
        unanswered: set[str] = set()
        attempt = 0
        while True:
            attempt += 1
            publish_id = uuid.uuid4().hex
            try:
                return self._publish(context, run, candidates, publish_id, unanswered)
            except TransientError as error:
                is_unknown = isinstance(error, CommitUnknownError)
                if is_unknown:
                    unanswered.add(publish_id)
                if attempt == ATTEMPTS:
                    raise
                log.warning("Attempt %d of %d to publish %s: %s", attempt, ATTEMPTS,
                            "may have succeeded" if is_unknown else "was rolled back", error)  # fmt: skip
                time.sleep(attempt)

    def _publish(
        self,
        context: Mapping[str, Any],
        run: Run,
        candidates: Sequence[Candidate],
        publish_id: str,
        unanswered: Set[str],
    ) -> dict[str, Any]:
        """One attempt, one transaction.

        :param unanswered: the attempts of this try whose COMMIT got no answer.
        """
        began = time.monotonic()
        found = None
        try:
            with self.warehouse.transaction() as transaction:
                # Behind the lock, so that a COMMIT under way has ended one way or the other.
                transaction.lock()
                earlier = self._publish_ids(transaction, run)
                self.is_published = bool(earlier)
                if self._is_done(transaction, run, earlier, unanswered):
                    transaction.give_up()
                    return self._history(run, transaction)
                self._leave_out_superseded_hours(context, run, transaction)
                self._leave_out_superseded_songs(context, transaction)
                for path, script in self._scripts(context, run, candidates, transaction):
                    transaction.run_script(script, path)
                transaction.execute(LOG_PUBLISH, [publish_id, run.run_id], name="enter staging.publish_log")
                row = self._history(run, transaction)
                awaited, first = self._awaited(run, transaction)
                found, self.is_published = self.is_published, None
        except WarehouseError as error:
            if found is not None and not isinstance(error, CommitUnknownError):
                self.is_published = found  # COMMIT was refused.
            raise
        self.is_published = True
        log.info("Committed after %.2f s", time.monotonic() - began)
        if awaited:
            log.warning("%d hour(s) of the window are published and not certified, the first %s: no log file "
                        "of them was there, or none that was written since they ended. A later run "
                        "certifies them once it finds one", awaited, first)  # fmt: skip
        return row

    def _outcome(self, run: Run) -> str:
        """The last line of a try that failed, where the window is published or may be."""
        if self.is_published is None:
            return (
                f"\nWindow {run.window} may or may not be published: a COMMIT of this run may have "
                f"succeeded. Once Redshift can be reached, clear this task: it checks, and publishes the "
                f"window if it is not published."
            )
        if self.is_published:
            return f"\nWindow {run.window} is published. Clear this task to finish the run."
        return ""

    def _scripts(
        self,
        context: Mapping[str, Any],
        run: Run,
        candidates: Sequence[Candidate],
        transaction: Transaction,
    ) -> Iterator[tuple[str, str]]:
        """The path and rendered statements of each step, each made when those before it have run."""
        reach = Reach.of_run(transaction, run)
        names = {**self._names(context), "reach": reach, "late": reach.late}
        [row] = transaction.execute(rendered(self, SCOPE, names), name=SEE_SCOPE)
        scope = Scope(*row)
        names |= {
            "run_id": run.run_id,
            "is_final": True,
            "with_songs": bool(scope.with_songs),
            "whole": bool(scope.whole),
            "catalogues": scope.catalogues,
            "hours": scope.hours,
            "windows": scope.windows,
            # Plays that songs were found for which are left out now are stale too.
            "is_stale": bool(scope.stale_plays) or not scope.with_songs,
        }
        published = {"songplays": scope.songplays, "users": scope.users, "time": scope.moments}
        for candidate in candidates:
            if candidate.table in SONG_TABLES and candidate.mode == "append" and not scope.changes_songs:
                continue
            of_table = {
                "candidate": candidate.work_table(run),
                "mode": candidate.mode,
                "published": bool(published.get(candidate.table)),
            }
            if candidate.table == "songplays":
                is_truncated = any(one.table == "songs" and one.mode == "truncate" for one in candidates)
                of_table["again"] = (
                    {"what": "all"} if is_truncated else self._again(names, reach, scope, transaction)
                )
            path = f"{candidate.table}/publish.sql"
            yield path, rendered(self, path, {**names, **of_table})
        names["songs_known"] = scope.stages_songs and (
            not scope.catalogues
            or bool(transaction.execute(rendered(self, KNOWN_SONGS, names), name=KNOWN_SONGS))
        )
        for path, own in scope.ledgers():
            yield path, rendered(self, path, {**names, **own})
        yield CERTIFY, rendered(self, CERTIFY, names | self._nearby(reach))

    def _nearby(self, reach: Reach) -> dict[str, Any]:
        """Names of `CERTIFY`: hours whose files may have come with this run's, and where these lie."""
        layout = Layout("", self.key_template)
        start = datetime.fromisoformat(reach.start_sql) - NEARBY
        end = datetime.fromisoformat(reach.end_sql)
        return {
            "layout": layout,
            "silence": self.silence,
            "start": start,
            "end": end,
            "partitions_start": layout.partition_at(start).start,
            "partitions_end": end + NEARBY,
        }

    def _again(
        self, names: Mapping[str, Any], reach: Reach, scope: Scope, transaction: Transaction
    ) -> dict[str, Any]:
        """Which plays look for their song again: see songplays/publish.sql."""
        days: list[datetime] = []
        if scope.changes_songs and scope.catalogues:
            rows = transaction.execute(rendered(self, MONTHS, names), name=MONTHS)
            days = [day for (day,) in rows]
        elif scope.changes_songs:
            [(titles,)] = transaction.execute(CHANGED_TITLES, name="count the titles of changed songs")
            if titles:
                return {"what": "all"}
        spans = [*map(rest_of_month, days), *(reach.spans if names["is_stale"] else [])]
        if not spans:
            return {"what": ""}
        return {"what": "titles" if days else "hours", "reach": Reach.around(spans)}

    def _names(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.sql_context(context), "bucket": self.s3_bucket}

    def _leave_out_superseded_hours(
        self, context: Mapping[str, Any], run: Run, transaction: Transaction
    ) -> None:
        names = self._names(context)
        hours = transaction.execute(
            rendered(self, SUPERSEDED, names), name="compare with what others published"
        )
        if hours:
            log.info("%d hour(s) stay as others have published them from what landed after this run began: "
                     "the first, %s, by run %s", len(hours), *hours[0])  # fmt: skip
            transaction.run_script(rendered(self, LEAVE_OUT_HOURS, names), LEAVE_OUT_HOURS)

    def _leave_out_superseded_songs(self, context: Mapping[str, Any], transaction: Transaction) -> None:
        names = self._names(context)
        found = transaction.execute(
            rendered(self, SUPERSEDED_SONGS, names), name="compare with the songs that others published"
        )
        if not found:
            return
        [(run_id, listed_at, is_later)] = found
        if not is_later:
            [(unseen,)] = transaction.execute(rendered(self, UNSEEN_SONGS, names), name=UNSEEN_SONGS)
            if not unseen:
                return
        log.info("The run's songs are left to the next run: run %s has published songs since this one "
                 "looked for new files, from those listed at %s UTC", run_id, listed_at)  # fmt: skip
        transaction.run_script(rendered(self, LEAVE_OUT_SONGS, names), LEAVE_OUT_SONGS)

    def _publish_ids(self, transaction: Transaction, run: Run) -> set[str]:
        """The attempts of the run, of this try and earlier ones, whose COMMIT took place."""
        rows = transaction.execute(
            "SELECT publish_id FROM staging.publish_log WHERE run_id = %s",
            [run.run_id],
            name="look for the run in the publish log",
        )
        return {publish_id for (publish_id,) in rows}

    def _is_done(self, transaction: Transaction, run: Run, earlier: Set[str], unanswered: Set[str]) -> bool:
        """Whether an earlier attempt has published all that there is to publish.

        :raises AirflowFailException: where there is nothing to publish, and nothing was published.
        """
        if earlier & unanswered:
            log.info("The reply to COMMIT was lost, but COMMIT succeeded")
            return True
        if run.work_tables(transaction):
            return False
        if not earlier:
            raise AirflowFailException(
                f"Run {run.run_id} has no work tables and never published: they were dropped for their age, "
                f"or never created.\nClear run_quality_checks of this run with its downstream tasks: "
                f"what they need is made again."
            )
        log.info("This run has already published its window and dropped its work tables: nothing to do")
        return True

    def _history(self, run: Run, transaction: Transaction) -> dict[str, Any]:
        """The window's row of load_history; of what another run published for it since, nothing."""
        rows = transaction.execute(
            f"SELECT {', '.join(HISTORY)} FROM sparkify.load_history "
            "WHERE run_id = %s AND window_start = %s AND window_end = %s",
            [run.run_id, run.window.start_sql, run.window.end_sql],
            name="read the window's row of load_history",
        )
        return dict(zip(HISTORY, rows[0], strict=True)) if rows else {}

    def _awaited(self, run: Run, transaction: Transaction) -> tuple[int, datetime | None]:
        """How many hours of the window are not certified, and the first of them."""
        [(hours, first)] = transaction.execute(
            "SELECT COUNT(*), MIN(hour_start) FROM staging.published_hours "
            "WHERE hour_start >= %s AND hour_start < %s AND NOT is_certified",
            [run.window.start_sql, run.window.end_sql],
            name="count the hours that are not certified",
        )
        return hours, first

    def _clean_up(self, run: Run) -> None:
        """Drop the work tables and objects, after the lock: whoever reads one of them holds up no other
        publish. The window is published, so a failure is none of the run; maintenance comes by later."""
        try:
            try:
                self._drop_work_tables(run)
            except TransientError as error:
                log.info("Once more: %s", error)
                self._drop_work_tables(run)
            Lake(self.aws_conn_id).delete(self.work_bucket, run.object_key(self.work_prefix, ""))
        except (WarehouseError, LakeError) as error:
            log.warning("Some of the run's work tables or objects could not be dropped: %s", error)

    def _drop_work_tables(self, run: Run) -> None:
        with self.warehouse.transaction() as transaction:
            transaction.execute(f"SET statement_timeout TO {DROP_TIMEOUT_MS}")
            if tables := run.work_tables(transaction):
                transaction.execute(f"DROP TABLE {', '.join(tables)}", name="drop the run's work tables")


def rest_of_month(day: datetime) -> tuple[datetime, datetime]:
    """From the start of the day (naive UTC) to the end of its month, half-open."""
    return day, (day.replace(day=1) + timedelta(days=31)).replace(day=1)
