"""The warehouse: transactions on Amazon Redshift, with errors that say what to do.

`RedshiftSQLHook` gives the connection, `redshift_connector` the transaction (it sends `begin transaction`
before the first statement). What is added here: sessions in UTC, a script of several statements in one
transaction, one log line a statement, and the two errors that an operator of the pipeline can act on.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.lock_watch import Holder, LockWatch
from sparkify.paths import SQL

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

log = logging.getLogger(__name__)

#: GETDATE and CURRENT_DATE are in the session's zone, which a login or a cluster may set; the system tables
#: and all times of the pipeline are in UTC. Redshift takes it from a statement, not from the connection.
IN_UTC = "SET timezone TO 'UTC'"
UNDEFINED_TABLE, UNDEFINED_SCHEMA, UNDEFINED_COLUMN = "42P01", "3F000", "42703"
#: What a connection has unless its extra fields say otherwise. Gateways, load balancers and VPC endpoints
#: drop one that is silent for 350 s, as it is while a long COPY runs, and Linux would ask after two hours.
#: Without a name, the driver looks for its caller in all modules, which takes longer than to connect. The
#: statements that it keeps prepared never come again, and each DDL statement makes it close them one by one.
EXTRA = {
    "application_name": "sparkify",
    "max_prepared_statements": 0,
    "tcp_keepalive": True,
    "tcp_keepalive_idle": 60,
    "tcp_keepalive_interval": 30,
    "tcp_keepalive_count": 5,
}
#: The mutex of publishing: whoever writes to published tables takes it first.
PUBLISH_LOCK = "staging.publish_lock"
LANDING_LOCK = "staging.landing_lock"
CLAIMS = "staging.catalogue_claims"
LOCK = f"LOCK {PUBLISH_LOCK}"
#: Less than a task may take, so that its last line names who holds the lock.
LOCK_TIMEOUT_S = 45 * 60
HOLDERS = "staging/publish_lock_holders.sql"
ASK_HOLDERS_S = 10
QUERY_CANCELED = "57014"
DEADLOCK = "40P01"
READ_ONLY = "25006"
QUERY = re.compile(r"(\s*--[^\n]*\n)*\s*(SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)
#: A semicolon, and what may hold one that ends nothing: literals, quoted names and comments of SQL.
LEXEME = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|;", re.DOTALL)
ROWS_AN_INSERT = 100
#: How long a reader waits for the connection.
CONNECT_S = 10
#: How much longer than the server, which ends a statement at the deadline, its client waits for the answer.
GRACE_S = 2
#: How long the server may take to end sessions.
END_SESSION_S = 3
#: What Redshift says of a transaction, or of a look into its catalog, that another transaction came between.
CONFLICTS = ("1023", "1018")
CONFLICT = re.compile(r"concurrent transaction|relation with OID \d+ does not exist")
#: SQLSTATEs of what is the same in the next try: features that are not there, data that a type does not hold,
#: wrong statements. Of data, Redshift's compute nodes tell by the message alone.
UNHEALABLE = ("0A", "22", "42")
UNHEALABLE_DATA = re.compile(r"value too long for|invalid byte sequence|invalid UTF-8", re.IGNORECASE)
#: SQLSTATEs of a server that ends the connection: connection exceptions, shutdowns and crashes.
CONNECTION_ENDS = ("08", "57P")


class WarehouseError(AirflowException):
    """A statement failed. `message` is Redshift's own; `sqlstate` its code, where the server gave one."""

    def __init__(self, text: str, *, message: str = "", sqlstate: str = "") -> None:
        super().__init__(text)
        self.message = message
        self.sqlstate = sqlstate


class SchemaMissingError(WarehouseError, AirflowFailException):
    """The schema is not there or not the one this version needs; a retry would not help."""


class StatementError(WarehouseError, AirflowFailException):
    """What a statement says, or holds, is at fault: a retry would not help."""


class UnreachableError(WarehouseError):
    """No connection could be made."""


class DeadlineError(WarehouseError):
    """There was no answer by the deadline, or whoever waited for it has left."""


class TransientError(WarehouseError):
    """Nothing of the transaction stays, for no fault of its own: it may be tried again as a whole.

    Error 1023 is a serialization conflict, 1018 a table that another transaction replaced
    (Redshift Database Developer Guide, "Managing concurrent write operations").
    """


class ConnectionLostError(TransientError):
    """The connection broke before COMMIT was sent: the server rolls the transaction back."""


class CommitUnknownError(ConnectionLostError):
    """The connection broke after COMMIT was sent: only the warehouse knows whether it took place."""


@dataclass(eq=False)
class Session:
    """A connection on which an answer is waited for; `pid` is the server's process, once it is known."""

    socket: socket.socket
    pid: int | None = None


class Deadline:
    """Until when answers are waited for. Threads may share it.

    :param seconds: from now on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: Done once nobody waits any longer.
        self.given_up: Future[None] = Future()
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()

    @property
    def left(self) -> float:
        """Seconds; 0 once it is over or given up."""
        return 0 if self.given_up.done() else max(self._end - time.monotonic(), 0)

    def give_up(self) -> None:
        """Nobody waits any longer, and nothing more is asked. Does not wait itself."""
        with suppress(InvalidStateError):
            self.given_up.set_result(None)

    @contextmanager
    def session(self, session: Session) -> Iterator[None]:
        """While the block runs, the session can be ended; its end waits for who does."""
        with self._lock:
            self._sessions.add(session)
        try:
            yield
        finally:
            with self._lock:
                self._sessions.remove(session)

    @contextmanager
    def sessions(self) -> Iterator[frozenset[Session]]:
        """Those under way, none of which ends by itself while the block runs."""
        with self._lock:
            yield frozenset(self._sessions)


class Transaction:
    """Statements on one connection, in one transaction. Made by `Warehouse.transaction`.

    :param holders: asks, on another connection, who holds the publish lock.
    """

    def __init__(self, connection: Any, place: str, holders: Callable[[], list[Holder]] = list) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._place = place
        self._holders = holders
        self.is_given_up = False

    @property
    def columns(self) -> list[str]:
        """The names of the columns that the last statement gave."""
        return [name for name, *_ in self._cursor.description or ()]

    def execute(
        self, statement: str, parameters: Sequence[Any] = (), *, name: str = ""
    ) -> list[tuple[Any, ...]]:
        """Run one statement; returns its rows, `[]` where it has none.

        :param parameters: for `%s` in the statement, sent beside it and not in its text.
        :param name: what the log and the errors call the statement; its first words by default.
        :raises WarehouseError: with Redshift's message, the statement and the remedy where there is one.
        """
        name = name or " ".join(statement.split())[:60]
        began = time.monotonic()
        try:
            self._cursor.execute(statement, list(parameters) or None)
            rows = list(self._cursor.fetchall()) if self._cursor.description else []
        except Exception as error:
            raise _explained(error, name, self._place) from error
        count = len(rows) if self._cursor.description else self._cursor.rowcount
        counted = f"{count} row(s), " if count >= 0 else ""
        log.info("%s: %s%.2f s", name, counted, time.monotonic() - began)
        return rows

    def run_script(self, script: str, name: str) -> None:
        """Run the statements of a rendered `.sql` file in order.

        :param script: statements that end with semicolons; comments and empty statements are passed over.
        :param name: the file's path under include/sql.
        """
        statements = split_statements(script)
        for number, statement in enumerate(statements, 1):
            self.execute(statement, name=f"{name} {number}/{len(statements)} {_verb(statement)}")

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows of values, sent beside the statement's text, a hundred at a time."""
        row = f"({', '.join(['%s'] * len(columns))})"
        for start in range(0, len(rows), ROWS_AN_INSERT):
            some = rows[start : start + ROWS_AN_INSERT]
            self.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * len(some))}",
                [value for one in some for value in one],
                name=f"insert into {table}",
            )

    def lock(self, also: Sequence[str] = ()) -> None:
        """Take the publish lock, before anything else; the log says who holds it as long as that is another.

        :param also: tables to lock after it, which are written without the publish lock, or read.
        :raises WarehouseError: where it is not free within `LOCK_TIMEOUT_S`; names who holds it.
        """
        with LockWatch(self._holders, self._place) as watch:
            self.execute(f"SET statement_timeout TO {LOCK_TIMEOUT_S * 1000}")
            try:
                self.execute(", ".join([LOCK, *also]), name="take the publish lock")
            except WarehouseError as error:
                if error.sqlstate != QUERY_CANCELED:
                    raise
                raise WarehouseError(
                    f"The publish lock on {self._place} did not become free within {LOCK_TIMEOUT_S} s "
                    f"({error.message}). {watch.found}",
                    message=error.message,
                    sqlstate=error.sqlstate,
                ) from error
            self.execute("RESET statement_timeout")

    def lock_landing(self) -> None:
        """Take the lock of landing, before anything else: what has landed stays as it is until the end."""
        self.execute(f"LOCK {LANDING_LOCK}", name="take the lock of landing")

    def lock_claims(self) -> None:
        """Take the lock of who stages all song files, before anything else."""
        self.execute(f"LOCK {CLAIMS}", name=f"lock {CLAIMS}")

    def give_up(self) -> None:
        """Nothing of it is to stay: it ends without COMMIT."""
        self.is_given_up = True

    def notices(self) -> list[str]:
        """What the server remarked so far, oldest first, beside the statements' results."""
        return [notice.get(b"M", b"").decode(errors="replace") for notice in self._connection.notices]


class ReadOnlyTransaction(Transaction):
    """A transaction that is begun READ ONLY, and never committed.

    Redshift has been seen to refuse queries in it whose plan keeps a part of the query in a temporary table.
    Such a query is asked again in an ordinary transaction: that it cannot write for good is then the doing of
    the rollback, and of the login's rights.
    """

    def execute(
        self, statement: str, parameters: Sequence[Any] = (), *, name: str = ""
    ) -> list[tuple[Any, ...]]:
        try:
            return super().execute(statement, parameters, name=name)
        except WarehouseError as error:
            if error.sqlstate != READ_ONLY or not QUERY.match(statement):
                raise
            log.info("Asked again, for READ ONLY refuses it: %s", error.message)
        super().execute("ROLLBACK")
        super().execute("BEGIN")
        return super().execute(statement, parameters, name=name)


class Warehouse:
    """Redshift behind an Airflow connection.

    :param redshift_conn_id: an Airflow connection of type `redshift`.
    """

    def __init__(self, redshift_conn_id: str = "redshift_default") -> None:
        self.redshift_conn_id = redshift_conn_id

    @cached_property
    def hook(self) -> RedshiftSQLHook:
        from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

        hook = RedshiftSQLHook(redshift_conn_id=self.redshift_conn_id)
        hook.conn = _with_extra(hook.conn, EXTRA)
        return hook

    @property
    def place(self) -> str:
        """What errors call it."""
        return f"connection {self.redshift_conn_id!r}"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction on a connection of its own: commits at the end, rolls back on any error."""
        with self._connection(lambda: self.hook.get_conn()) as connection:
            transaction = self._begin(connection, self._lock_holders)
            try:
                yield transaction
            except SchemaMissingError as error:
                raise self._with_columns(error) from error
            if transaction.is_given_up:
                return
            try:
                connection.commit()
            except Exception as error:
                explained = _explained(error, "COMMIT", self.place)
                # Only an error of the server's own says that it did not take place.
                if isinstance(explained, ConnectionLostError) or not explained.sqlstate:
                    raise CommitUnknownError(
                        f"COMMIT was sent on {self.place}, but the reply was lost: it may have succeeded "
                        f"({explained.message}).\nOnce Redshift can be reached, clear this task: it repeats "
                        f"its work, with the same result either way.",
                        message=explained.message,
                        sqlstate=explained.sqlstate,
                    ) from error
                raise explained from error

    def _with_columns(self, error: SchemaMissingError) -> SchemaMissingError:
        """The error of an undefined column with what is not as declared, and the statement that mends it."""
        from sparkify.declarations import column_differences

        if error.sqlstate != UNDEFINED_COLUMN:
            return error
        try:
            with self._connection(lambda: self.hook.get_conn()) as connection:
                found = column_differences(self._begin(connection))
        except WarehouseError as further:
            log.warning("The columns could not be compared with their declarations: %s", further)
            return error
        if not found:
            return error
        first = str(error).partition("\n")[0]
        text = "\n".join([first, *map(str, found)])
        return SchemaMissingError(text, message=error.message, sqlstate=error.sqlstate)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that is rolled back at the end: what only reads waits for no answer to COMMIT."""
        with self.transaction() as transaction:
            transaction.give_up()
            yield transaction

    def _lock_holders(self) -> list[Holder]:
        query = without_semicolon((SQL / HOLDERS).read_text(encoding="utf-8"))
        with self.read_only_transaction(Deadline(ASK_HOLDERS_S)) as transaction:
            return [(pid, user, began) for pid, user, began in transaction.execute(query, name=HOLDERS)]

    @contextmanager
    def read_only_transaction(self, deadline: Deadline) -> Iterator[Transaction]:
        """One transaction that cannot write, on a connection of its own, tried once; rolled back at the end.

        :param deadline: the server ends a statement then. `end_sessions` ends one earlier, and one that the
            server leaves unanswered.
        :raises DeadlineError: where it is over before the answer is there.
        """
        if not deadline.left:
            raise self.too_late(deadline)
        connect_s = min(CONNECT_S, deadline.left + GRACE_S)
        with self._connection(lambda: self._connect_once(connect_s)) as connection:
            # The driver cannot cancel: its socket is the only way to wake a thread that waits for an answer.
            session = Session(connection._usock)
            session.socket.settimeout(deadline.left + 2 * GRACE_S)
            # Without it the driver would begin a transaction that may write.
            connection.autocommit = True
            try:
                with deadline.session(session):
                    transaction = self._begin(connection, kind=ReadOnlyTransaction)
                    [[session.pid]] = transaction.execute("SELECT pg_backend_pid()")
                    if not deadline.left:
                        raise self.too_late(deadline)
                    transaction.execute(f"SET statement_timeout TO {int(deadline.left * 1000) or 1}")
                    transaction.execute("BEGIN READ ONLY")
                    yield transaction
            except ConnectionLostError as error:
                if deadline.left:
                    raise
                raise self.too_late(deadline) from error

    def end_sessions(self, deadline: Deadline) -> None:
        """End what is still asked under a deadline, in the warehouse and here; takes seconds at most.

        A server that computes does not notice that its client has left. In a transaction block
        PG_TERMINATE_BACKEND is what ends a statement; a user may end sessions of its own (Redshift Database
        Developer Guide). A session's connection stays open until then, for a pid is used again.
        """
        with deadline.sessions() as sessions:
            pids = [session.pid for session in sessions if session.pid is not None]
            if pids:
                try:
                    with self._connection(lambda: self._connect_once(END_SESSION_S)) as connection:
                        connection.autocommit = True
                        ends = ", ".join(f"pg_terminate_backend({pid})" for pid in pids)
                        self._begin(connection).execute(f"SELECT {ends}")
                except WarehouseError as error:
                    log.warning("Sessions %s are left to their statement_timeout: %s", pids, error)
            for session in sessions:
                _stop_reading(session.socket)

    def too_late(self, deadline: Deadline) -> DeadlineError:
        """What is raised once a deadline is over."""
        return DeadlineError(
            f"The warehouse of {self.place} did not answer within {deadline.seconds:g} s.\n"
            f"Choose a shorter period, or try again when the warehouse is less busy."
        )

    def execute_alone(self, statement: str, name: str) -> None:
        """Run one statement outside of any transaction, for those that Redshift does not run in one."""
        with self._connection(lambda: self.hook.get_conn()) as connection:
            connection.autocommit = True
            self._begin(connection).execute(statement, name=name)

    def _begin(
        self,
        connection: Any,
        holders: Callable[[], list[Holder]] = list,
        kind: type[Transaction] = Transaction,
    ) -> Transaction:
        """A transaction on a new connection, whose session is in UTC from then on."""
        transaction = kind(connection, self.place, holders)
        transaction.execute(IN_UTC)
        return transaction

    def _connect_once(self, timeout_s: float) -> Any:
        """A connection; the hook's own way tries for 15 seconds, whoever waits.

        :param timeout_s: of connecting and of each answer, unless the Airflow connection has one.
        """
        hook = copy(self.hook)
        hook.conn = _with_extra(hook.conn, {"timeout": timeout_s})
        return inspect.unwrap(type(hook).get_conn)(hook)

    @contextmanager
    def _connection(self, connect: Callable[[], Any]) -> Iterator[Any]:
        try:
            connection = connect()
        except Exception as error:
            raise UnreachableError(
                f"Cannot connect to Redshift through Airflow {self.place}: {error}.\nCheck host, port, login "
                f"and password of the connection, that its extra fields are arguments of redshift_connector, "
                f"and that the cluster is available."
            ) from error
        try:
            yield connection
        finally:
            _close(connection)


def split_statements(script: str) -> list[str]:
    """The statements of a script, without closing semicolons; a comment stays with the statement below it."""
    statements, start = [], 0
    for lexeme in LEXEME.finditer(f"{script}\n;"):
        if lexeme[0] == ";":
            statements.append(script[start : lexeme.start()].strip())
            start = lexeme.end()
    return [statement for statement in statements if without_comments(statement)]


def without_semicolon(statement: str) -> str:
    """The one statement of a file, as part of another may hold it."""
    return statement.rstrip().rstrip(";")


def quote(value: str) -> str:
    """A string as an SQL literal.

    Redshift reads a backslash in a literal as an escape, standard SQL does not, and none of the names,
    prefixes and roles that the pipeline writes into SQL needs one: values that would read differently, or
    could end the literal, are refused.

    :raises ValueError: for a value with a quote, a backslash or a control character.
    """
    if re.search(r"['\\\x00-\x1f]", value):
        raise ValueError(
            f"{value!r} cannot be written into SQL: it contains a quote, a backslash or a control character. "
            f"Change the Airflow Variable or param it comes from."
        )
    return f"'{value}'"


def _verb(statement: str) -> str:
    """What a statement does and to which table: `CREATE TABLE staging.events__2018110100_1h_0123`."""
    words = re.sub(r"\bIF (NOT )?EXISTS\b", "", without_comments(statement)).partition("(")[0].split()
    return " ".join(words[:3]).rstrip(",")


def without_comments(statement: str) -> str:
    """A statement without its lines of comment."""
    lines = (line for line in statement.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip()


def _with_extra(connection: Any, extra: Mapping[str, Any]) -> Any:
    """An Airflow connection with these extra fields where it has none of that name."""
    connection = copy(connection)
    connection.extra = json.dumps({**extra, **connection.extra_dejson})
    return connection


def _close(connection: Any) -> None:
    """Closing is also how to roll back: it needs no answer from a server that may be busy, or gone."""
    try:
        connection.close()
    except Exception as error:
        log.debug("The connection was closed already: %s", error)


def _stop_reading(one: socket.socket) -> None:
    """Who reads from the socket, in another thread, meets the end of the stream."""
    try:
        # SSLSocket's own takes the encryption from under the thread that reads.
        socket.socket.shutdown(one, socket.SHUT_RD)
    except OSError as error:
        log.debug("The connection was closed already: %s", error)


def _is_lost(error: Exception) -> bool:
    """Whether the driver failed to talk to the server, rather than the server to do what it was told."""
    closed = type(error).__name__ == "InterfaceError" and "closed" in str(error)
    return closed or isinstance(error, (OSError, struct.error))


def _explained(error: Exception, name: str, place: str) -> WarehouseError:
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    message, detail, sqlstate = fields.get("M", str(error)), fields.get("D", ""), fields.get("C", "")
    text = f"{name} failed on {place}: {message}{'. ' + detail if detail else ''}"
    attributes = {"message": message, "sqlstate": sqlstate}
    if message.strip() in CONFLICTS or CONFLICT.search(message) or sqlstate == DEADLOCK:
        return TransientError(text, **attributes)
    if sqlstate in (UNDEFINED_TABLE, UNDEFINED_SCHEMA, UNDEFINED_COLUMN):
        if sqlstate == UNDEFINED_COLUMN:
            remedy = (
                "Run the DAG sparkify_verify: its task schema names the column that differs from its "
                "declaration, and the statement that fixes it. If it names none, clear the whole run."
            )
        elif "__" in message:
            remedy = "It is a work table of a run: clear the whole run to stage and load it again."
        else:
            remedy = (
                "Run the DAG sparkify_schema, then clear this task. If the table held rows, that DAG does "
                "not create it empty, but says how to restore the rows."
            )
        return SchemaMissingError(f"{text}.\n{remedy}", **attributes)
    if sqlstate.startswith(UNHEALABLE) or isinstance(error, UnicodeError) or UNHEALABLE_DATA.search(message):
        return StatementError(
            f"{text}\nA retry would fail in the same way, so there is none: fix what is named here, then "
            f"clear this task.",
            **attributes,
        )
    if _is_lost(error) or sqlstate.startswith(CONNECTION_ENDS):
        return ConnectionLostError(text, **attributes)
    return WarehouseError(text, **attributes)
