"""VerifyStatementsOperator: the pipeline's statements, planned by the warehouse before a run needs them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify.analytics import Period, questions
from sparkify.bookkeeping import comparison, forget_script, rebuild_script
from sparkify.fingerprint import fingerprint_sql
from sparkify.operators.base import SparkifyOperator, rendered
from sparkify.operators.catalogue import LEDGER, MOST_CHANGES, PENDING
from sparkify.operators.land import StageLogsToRedshiftOperator, example_scripts
from sparkify.operators.load import LoadDimensionOperator, LoadFactOperator
from sparkify.operators.maintenance import PURGE
from sparkify.operators.publish import (
    LEAVE_OUT_HOURS,
    LEAVE_OUT_SONGS,
    MONTHS,
    SCOPE,
    SEE_SCOPE,
    SUPERSEDED,
    SUPERSEDED_SONGS,
    UNSEEN_SONGS,
    PublishOperator,
    Scope,
)
from sparkify.operators.quality import DataQualityOperator
from sparkify.operators.stage import StageToRedshiftOperator
from sparkify.operators.sweep import CREATE_SWEEP, SWEEP, SweepSongsOperator
from sparkify.reach import SEE_HOURS, Reach
from sparkify.warehouse import (
    PUBLISH_LOCK,
    Deadline,
    Transaction,
    TransientError,
    WarehouseError,
    split_statements,
    without_comments,
    without_semicolon,
)
from sparkify.web.login import page_warehouse
from sparkify.window import Window
from sparkify.work import Run
from sparkify.xcoms import STAGED, Candidate

log = logging.getLogger(__name__)

#: What a plan says of rows that are sent to all nodes or through one, of loops in loops, and of guesses
#: ("EXPLAIN", "Evaluating the query plan").
FINDINGS = re.compile(r"DS_BCAST_INNER|DS_DIST_ALL_INNER|DS_DIST_BOTH|Nested Loop|missing statistics")
#: A statement that makes a table of a query, up to its AS; where columns are declared, a parenthesis follows.
MAKES_TABLE = re.compile(r"CREATE (?:TEMP )?TABLE \S+\s+(?!\()[^;]*?\bAS\s+(?=SELECT\b|WITH\b)", re.DOTALL)
#: What EXPLAIN takes ("EXPLAIN"); all else is carried out in the transaction that is rolled back.
EXPLAINED = re.compile(r"(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
ISOLATION = (
    "SELECT TRIM(isolation_level) FROM stv_db_isolation_level WHERE TRIM(db_name) = CURRENT_DATABASE()"
)
WAITING = (
    f"SELECT COUNT(*) FROM svv_transactions WHERE NOT granted AND relation = '{PUBLISH_LOCK}'::regclass::oid"
)
PROBE_S = 30
MONTHS_FOUND: list[tuple[Any, ...]] = [(datetime(2018, 3, 5),), (datetime(2018, 11, 1),)]
NOTHING = Scope(*[0] * len(Scope._fields))
ALL = Scope(*[1] * len(Scope._fields))
#: What publish may find, by name: each makes it send other statements.
SITUATIONS = {
    "a new window with new songs": (
        "append",
        ALL._replace(whole=0, songplays=0, users=0, moments=0, hours=0, windows=0, stale_plays=0),
    ),
    "a published window, other songs meanwhile": ("append", ALL._replace(whole=0)),
    "no song": ("append", NOTHING._replace(with_songs=1, catalogues=1)),
    "songs that are left out": ("append", NOTHING._replace(songplays=1)),
    "the first catalogue": ("append", ALL._replace(catalogues=0)),
    "truncate": ("truncate", ALL),
}


@dataclass
class Planner:
    """Has the warehouse plan statements, and remembers what it refused and what it remarked.

    A table that a statement makes is made without rows, so that later ones find it.

    :ivar refused: statement to what the warehouse said; such a statement is not sent again.
    """

    planned: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def script(self, transaction: Transaction, name: str, script: str) -> None:
        statements = split_statements(script)
        for number, statement in enumerate(statements, 1):
            self.statement(transaction, f"{name} {number}/{len(statements)}", statement)

    def statement(self, transaction: Transaction, name: str, statement: str) -> None:
        """Plan one statement, unless it was planned before.

        :raises RefusedError: where the warehouse refuses it; the transaction is lost.
        """
        statement = without_semicolon(without_comments(statement))
        if statement in self.refused:
            return
        head = MAKES_TABLE.match(statement)
        try:
            if (head or EXPLAINED.match(statement)) and statement not in self.planned:
                self._explain(transaction, name, statement)
            if head:
                query = statement[head.end() :]
                nothing = f"{head[0]}SELECT * FROM (\n{query}\n) AS planned WHERE FALSE"
                transaction.execute(nothing, name=f"{name}, without rows")
            elif not EXPLAINED.match(statement):
                transaction.execute(statement, name=name)
        except TransientError:
            raise
        except WarehouseError as error:
            self.refused[statement] = f"{name}: {error.message}"
            raise RefusedError from error
        self.planned.add(statement)

    def _explain(self, transaction: Transaction, name: str, statement: str) -> None:
        plan = "\n".join(line for (line,) in transaction.execute(f"EXPLAIN {statement}", name=f"plan {name}"))
        if found := sorted(set(FINDINGS.findall(plan))):
            self.findings.append(f"{name}: {', '.join(found)}")


class RefusedError(Exception):
    """The warehouse refused a statement, and with it the transaction."""


class Answers:
    """In the place of publish's transaction: answers what it asks as a situation is.

    :param hours: those of the run; of none, its window.
    :param asked: called with the name and the text of each statement.
    """

    def __init__(
        self,
        scope: Scope,
        hours: Sequence[datetime] = (),
        asked: Callable[[str, str], None] = lambda name, statement: None,
    ) -> None:
        self.scope = scope
        self.hours = hours
        self.asked = asked

    def execute(self, statement: str, *, name: str) -> list[tuple[Any, ...]]:
        self.asked(name, statement)
        answers: dict[str, list[tuple[Any, ...]]] = {
            MONTHS: MONTHS_FOUND,
            SEE_SCOPE: [tuple(self.scope)],
            SEE_HOURS: [(hour,) for hour in self.hours],
        }
        return answers.get(name, [(1,)])


class VerifyStatementsOperator(SparkifyOperator):
    """Every statement of a run, of reconciling and of the page is one that this warehouse can plan.

    In transactions that are rolled back, it makes a run's work tables without rows and has the warehouse
    EXPLAIN what load, checks and publish send, in both modes and in each of `SITUATIONS`. COPY is left to the
    task `copy`. What a plan says of large broadcasts, nested loops and missing statistics is logged.

    Two sessions then show that a transaction which waited for the publish lock sees what its holder has
    committed, on which all of publish rests; the row that they write is deleted.

    :param tables: the published tables, one before those that read it.
    :returns: (XCom) how many statements were planned, how many plans have findings, the isolation level.
    :raises AirflowFailException: names each statement that the warehouse refuses, and what it said.
    """

    ui_color = "#fdf3d8"

    def __init__(self, *, tables: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tables = tables

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        planner = Planner()
        for situation, (mode, scope) in SITUATIONS.items():
            self._plan(planner, situation, partial(self._run, context, planner, mode, scope))
        self._plan(planner, "a sweep", partial(self._sweep, context))
        for name, script in self._others():
            self._plan(planner, name, partial(_alone, name, script))
        self._plan_page(planner)
        for finding in planner.findings:
            log.warning("The plan of %s", finding)
        log.info("%d statement(s) planned, %d plan(s) with findings, %d refused", len(planner.planned),
                 len(planner.findings), len(planner.refused))  # fmt: skip
        if planner.refused:
            raise AirflowFailException(
                f"The warehouse refuses {len(planner.refused)} statement(s) of the pipeline: "
                + "; ".join(planner.refused.values())
                + ".\nGrant the pipeline's login what is missing, or deploy a version whose statements this "
                "warehouse takes; then clear this task."
            )
        return {
            "planned": len(planner.planned),
            "findings": len(planner.findings),
            "isolation": self._probe_lock(Run.from_context(context)),
        }

    def _plan(
        self, planner: Planner, what: str, scripts: Callable[[Transaction], Iterable[tuple[str, str]]]
    ) -> None:
        """Plan scripts in one transaction; after a refusal, from the start without what was refused."""
        while True:
            with self.warehouse.reading() as transaction, suppress(RefusedError):
                for name, script in scripts(transaction):
                    planner.script(transaction, f"{name} ({what})", script)
                return

    def _run(
        self,
        context: Mapping[str, Any],
        planner: Planner,
        mode: str,
        scope: Scope,
        transaction: Transaction,
    ) -> Iterator[tuple[str, str]]:
        """The scripts of one run in a situation, each rendered once those before it were planned."""
        # The params of the pipeline's DAG, not of this one.
        context = {**context, "params": {"max_rejected_rows": 0, "dimension_mode": mode}}
        of_run: dict[str, Any] = {"dag": self.dag, "redshift_conn_id": self.redshift_conn_id}
        work: dict[str, Any] = {"work_bucket": "work", "work_prefix": ""}

        run = Run.from_context(context)
        hours = hours_beside(run.window)
        reach = Reach.of(hours, run.window)
        songs = StageToRedshiftOperator(
            task_id=_task_id("stage", "songs"),
            source="songs",
            s3_bucket="lake",
            s3_prefix="songs",
            **work,
            **of_run,
        )
        events = StageLogsToRedshiftOperator(
            task_id=_task_id("stage", "events"), s3_bucket="lake", s3_prefix="events", key_template="{year}",
            **work, **of_run,
        )  # fmt: skip
        for stage in (songs, events):
            stage.render_template_fields(context)
            yield f"staging/{stage.source}/create.sql", stage.create_sql
            path = f"staging/{stage.source}/again.sql"
            yield path, rendered(stage, path, {**stage.sql_context(context), "run_id": run.run_id})
        names = {**songs.sql_context(context), "folder": "songs/", "limit": MOST_CHANGES}
        for path in (PENDING, LEDGER):
            yield path, rendered(songs, path, names)
        for name, own in example_scripts(reach):
            path = f"staging/events/{name}"
            yield path, rendered(events, path, {**events.sql_context(context), "run_id": run.run_id, **own})
        candidates = [Candidate(table, mode, 1) for table in self.tables]
        # Other tables' candidates are made of that of songplays.
        for table in sorted(self.tables, key=lambda table: table != "songplays"):
            kind = LoadFactOperator if table == "songplays" else LoadDimensionOperator
            load = kind(task_id=_task_id("load", table), table=table, **of_run)
            load.render_template_fields(context)
            yield f"{table}/load.sql", load.sql
        yield from self._checks(context, run, candidates, reach, of_run)
        publish = PublishOperator(
            task_id=_task_id("publish"), tables=self.tables, checks_task_id="", s3_bucket="lake",
            key_template="{year}/{month}/{day}/*", **work, **of_run,
        )  # fmt: skip
        names = publish._names(context)
        names["reach"] = reach
        for path in (SUPERSEDED, LEAVE_OUT_HOURS, SUPERSEDED_SONGS, UNSEEN_SONGS, LEAVE_OUT_SONGS, SCOPE):
            yield path, rendered(publish, path, names)
        answers: Any = Answers(scope, hours if scope.hours else (), partial(planner.statement, transaction))
        yield from publish._scripts(context, run, candidates, answers)

    def _sweep(self, context: Mapping[str, Any], _: Transaction) -> Iterator[tuple[str, str]]:
        """What a sweep of the song files sends, but for COPY."""
        sweep = SweepSongsOperator(
            task_id=_task_id("sweep"), s3_bucket="lake", s3_prefix="songs", work_bucket="work",
            dag=self.dag, redshift_conn_id=self.redshift_conn_id,
        )  # fmt: skip
        names = {**sweep.sql_context(context), "found_by": "1", "listed_at": "1970-01-01 00:00:00"}
        for path in (CREATE_SWEEP, SWEEP):
            yield path, rendered(sweep, path, names)

    def _checks(
        self,
        context: Mapping[str, Any],
        run: Run,
        candidates: Sequence[Candidate],
        reach: Reach,
        of_run: Mapping[str, Any],
    ) -> Iterator[tuple[str, str]]:
        sources = ["events", "songs"]
        quality = DataQualityOperator(
            task_id=_task_id("checks"),
            sources=sources,
            tables=self.tables,
            max_removed_percent="10",
            **of_run,
        )
        relations = {f"staging/{source}": run.table(source) for source in sources}
        relations |= {one.table: one.work_table(run) for one in candidates}
        staged = {f"staging/{source}": dict.fromkeys(STAGED, 1) for source in sources}
        names = {**quality.sql_context(context), "reach": reach, "known_songs": 1}
        # Few songs are compared, many are counted; most checks are the same.
        planned: set[str] = set()
        for compares, how in ((True, ""), (False, " (counted)")):
            for checks in quality._rendered({**names, "compares_songs": compares}, relations, staged):
                table = checks[0].check.table
                statements = {f"checks of {table}{how}": quality._together(checks)}
                for one in checks:
                    statements[f"check {table}.{one.check.name}{how}"] = one.query
                    if one.explain:
                        statements[f"explain {table}.{one.check.name}{how}"] = one.explain
                yield from ((name, sql) for name, sql in statements.items() if sql not in planned)
                planned.update(statements.values())

    def _others(self) -> Iterator[tuple[str, str]]:
        """What reconciling and `sparkify.fingerprint` ask."""
        for name in ("hours", "windows", "rejected", "tables", "landing", "pending"):
            yield f"bookkeeping/{name}.sql", comparison(name).replace("%s", "SYSDATE")
        for table in ("songs", "users", "time"):
            yield f"bookkeeping/rebuild.sql {table}", rebuild_script([table])
        yield "bookkeeping/forget_batches.sql", forget_script([1, 2])
        yield PURGE, rendered(self, PURGE, {"before": "2018-11-01 00:00:00"})
        yield "fingerprint.sql", fingerprint_sql()

    def _plan_page(self, planner: Planner) -> None:
        """The page's questions over one hour, with the page's own login and in its own transactions."""
        now = datetime.now(UTC).replace(tzinfo=None, minute=0, second=0, microsecond=0)
        hour = Period.parse(f"{now - timedelta(hours=1)}", f"{now}")
        warehouse = page_warehouse()
        for question in questions().values():
            # What is refused is told with the others.
            with (
                warehouse.read_only_transaction(Deadline(PROBE_S)) as transaction,
                suppress(RefusedError),
            ):
                planner.script(transaction, f"analytics/{question.name}.sql", question.sql(hour, 1))

    def _probe_lock(self, run: Run) -> str:
        """The isolation level, once two sessions have shown that the lock works under it.

        :raises AirflowFailException: where who waited does not see what was committed meanwhile.
        """
        isolation = self._isolation()
        probe = f"probe__{run.suffix}"
        count = f"SELECT COUNT(*) FROM staging.publish_log WHERE publish_id = '{probe}'"
        delete = f"DELETE FROM staging.publish_log WHERE publish_id = '{probe}'"

        def wait() -> int:
            with self.warehouse.transaction() as second:
                second.lock()
                [(seen,)] = second.execute(count, name="look for what the holder committed")
                second.execute(delete, name="delete it")
            return int(seen)

        with ThreadPoolExecutor(1) as threads:
            with self.warehouse.transaction() as first:
                first.lock()
                waiter = threads.submit(wait)
                end = time.monotonic() + PROBE_S
                while not first.execute(WAITING, name="see whether the second session waits")[0][0]:
                    if time.monotonic() > end or waiter.done():
                        raise AirflowFailException(
                            f"A second session did not wait for {PUBLISH_LOCK} within {PROBE_S} s.\n"
                            f"Clear this task; if it fails again, let the pipeline's login see its own "
                            f"sessions in svv_transactions."
                        )
                    # Nothing tells that a session waits but the system table, asked again.
                    time.sleep(0.1)
                first.execute(
                    f"INSERT INTO staging.publish_log (publish_id, run_id, published_at) "
                    f"VALUES ('{probe}', '{probe}', GETDATE())",
                    name="write what the second session has to see",
                )
            seen = waiter.result()
        if not seen:
            with self.warehouse.transaction() as transaction:
                transaction.execute(delete)
            raise AirflowFailException(
                f"Under isolation level {isolation}, a transaction that waited for {PUBLISH_LOCK} does not "
                f"see what its holder has committed: publishes at the same time could undo each other.\n"
                f"Set max_active_runs of the DAG sparkify to 1."
            )
        log.info("Who waited for %s sees what was committed meanwhile, isolation level: %s", PUBLISH_LOCK,
                 isolation)  # fmt: skip
        return isolation

    def _isolation(self) -> str:
        try:
            with self.warehouse.reading() as transaction:
                rows = transaction.execute(ISOLATION, name="read the isolation level")
        except WarehouseError as error:
            return f"unknown ({error.message})"
        return str(rows[0][0]) if rows else "unknown (stv_db_isolation_level does not have this database)"


def hours_beside(window: Window) -> list[datetime]:
    """Those of a window, and one that lies before it."""
    hours = [hour.replace(tzinfo=None) for hour in window.hours()]
    return [hours[0] - timedelta(hours=3), *hours]


def _alone(name: str, script: str, transaction: Transaction) -> list[tuple[str, str]]:
    """One script, whatever the transaction finds."""
    return [(name, script)]


def _task_id(*parts: str) -> str:
    """Of an operator that only renders; no other has it."""
    return ".".join(("statements", *parts, f"{time.monotonic_ns()}"))
