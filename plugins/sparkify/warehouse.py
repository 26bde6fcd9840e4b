"""The warehouse: transactions on Amazon Redshift, with errors that say what to do.

`RedshiftSQLHook` gives the connection, `redshift_connector` the transaction (it sends `begin transaction`
before the first statement). What is added here: a script of several statements in one transaction, one log
line a statement, and the two errors that an operator of the pipeline can act on.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.lock_watch import Holder, LockWatch
from sparkify.paths import SQL

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

log = logging.getLogger(__name__)

UNDEFINED_TABLE, UNDEFINED_SCHEMA, UNDEFINED_COLUMN = "42P01", "3F000", "42703"
#: The mutex of publishing: whoever writes to published tables takes it first.
LOCK = "LOCK staging.publish_lock"
#: Less than a task may take, so that its last line names who holds the lock.
LOCK_TIMEOUT_S = 45 * 60
HOLDERS = "staging/publish_lock_holders.sql"
ASK_HOLDERS_S = 10
QUERY_CANCELED = "57014"
DEADLOCK = "40P01"
ROWS_AN_INSERT = 100
#: How much longer than the server the driver waits for an answer.
GRACE_S = 5
#: What Redshift says of a transaction, or of a look into its catalog, that another transaction came between.
CONFLICTS = ("1023", "1018")
CONFLICT = re.compile(r"concurrent transaction|relation with OID \d+ does not exist")
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


class UnreachableError(WarehouseError):
    """No connection could be made."""


class TransientError(WarehouseError):
    """Nothing of the transaction stays, for no fault of its own: it may be tried again as a whole.

    Error 1023 is a serialization conflict, 1018 a table that another transaction replaced
    (Redshift Database Developer Guide, "Managing concurrent write operations").
    """


class ConnectionLostError(TransientError):
    """The connection broke before COMMIT was sent: the server rolls the transaction back."""


class CommitUnknownError(ConnectionLostError):
    """The connection broke after COMMIT was sent: only the warehouse knows whether it took place."""


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

    def execute(self, statement: str, parameters: Sequence[Any] = (), *, name: str = "") -> list[tuple]:
        """Run one statement; returns its rows, `[]` where it has none.

        :param parameters: for `%s` in the statement, sent beside it and not in its text.
        :param name: what the log and the errors call the statement; its first words by default.
        :raises WarehouseError: with Redshift's message, the statement and the remedy where there is one.
        """
        name = name or " ".join(statement.split())[:60]
        began = time.monotonic()
        try:
            self._cursor.execute(statement, list(parameters))
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

    def lock(self) -> None:
        """Take the publish lock, before anything else; the log says who holds it as long as that is another.

        :raises WarehouseError: where it is not free within `LOCK_TIMEOUT_S`; names who holds it.
        """
        with LockWatch(self._holders, self._place) as watch:
            self.execute(f"SET statement_timeout TO {LOCK_TIMEOUT_S * 1000}")
            try:
                self.execute(LOCK, name="take the publish lock")
            except WarehouseError as error:
                if error.sqlstate != QUERY_CANCELED:
                    raise
                raise WarehouseError(
                    f"The publish lock on {self._place} was not free within {LOCK_TIMEOUT_S} s "
                    f"({error.message}). {watch.found}",
                    message=error.message,
                    sqlstate=error.sqlstate,
                ) from error
            self.execute("RESET statement_timeout")

    def give_up(self) -> None:
        """Nothing of it is to stay: it ends without COMMIT."""
        self.is_given_up = True

    def notices(self) -> list[str]:
        """What the server remarked so far, oldest first, beside the statements' results."""
        return [notice.get(b"M", b"").decode(errors="replace") for notice in self._connection.notices]


class Warehouse:
    """Redshift behind an Airflow connection.

    :param redshift_conn_id: an Airflow connection of type `redshift`.
    """

    def __init__(self, redshift_conn_id: str = "redshift_default") -> None:
        self.redshift_conn_id = redshift_conn_id

    @cached_property
    def hook(self) -> RedshiftSQLHook:
        from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

        return RedshiftSQLHook(redshift_conn_id=self.redshift_conn_id)

    @property
    def place(self) -> str:
        """What errors call it."""
        return f"connection {self.redshift_conn_id!r}"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction on a connection of its own: commits at the end, rolls back on any error."""
        with self._connection(lambda: self.hook.get_conn()) as connection:
            transaction = Transaction(connection, self.place, self._lock_holders)
            yield transaction
            if transaction.is_given_up:
                return
            try:
                connection.commit()
            except Exception as error:
                explained = _explained(error, "COMMIT", self.place)
                # Only an error of the server's own says that it did not take place.
                if isinstance(explained, ConnectionLostError) or not explained.sqlstate:
                    raise CommitUnknownError(
                        f"COMMIT was sent on {self.place} and its answer was lost: it may have taken place "
                        f"({explained.message}).\nOnce Redshift can be reached, clear this task: it does its "
                        f"work again, with the same result either way.",
                        message=explained.message,
                        sqlstate=explained.sqlstate,
                    ) from error
                raise explained from error

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that is rolled back at the end: what only reads waits for no answer to COMMIT."""
        with self.transaction() as transaction:
            transaction.give_up()
            yield transaction

    def _lock_holders(self) -> list[Holder]:
        query = (SQL / HOLDERS).read_text(encoding="utf-8").rstrip().rstrip(";")
        with self.read_only_transaction(ASK_HOLDERS_S) as transaction:
            return [(pid, user, began) for pid, user, began in transaction.execute(query, name=HOLDERS)]

    @contextmanager
    def read_only_transaction(self, timeout_s: int) -> Iterator[Transaction]:
        """One transaction that cannot write, on a connection of its own, tried once; rolled back at the end.

        :param timeout_s: the server ends a statement that takes longer; the driver gives up soon after, also
            where nobody answers.
        """
        # The hook tries to connect for 15 seconds, which a person who waits would take for a page that hangs.
        connect_once = inspect.unwrap(type(self.hook).get_conn)

        def connect() -> Any:
            hook = copy(self.hook)
            hook.conn = copy(hook.conn)
            hook.conn.extra = json.dumps({"timeout": timeout_s + GRACE_S, **hook.conn.extra_dejson})
            return connect_once(hook)

        with self._connection(connect) as connection:
            # Without it the driver would begin a transaction that may write.
            connection.autocommit = True
            transaction = Transaction(connection, self.place)
            transaction.execute(f"SET statement_timeout TO {timeout_s * 1000}")
            transaction.execute("BEGIN READ ONLY")
            yield transaction

    def execute_alone(self, statement: str, name: str) -> None:
        """Run one statement outside of any transaction, for those that Redshift does not run in one."""
        with self._connection(lambda: self.hook.get_conn()) as connection:
            connection.autocommit = True
            Transaction(connection, self.place).execute(statement, name=name)

    @contextmanager
    def _connection(self, connect: Callable[[], Any]) -> Iterator[Any]:
        try:
            connection = connect()
        except Exception as error:
            raise UnreachableError(
                f"Cannot connect to Redshift by Airflow {self.place}: {error}. Check host, port, login and "
                f"password of the connection, that its extra fields are arguments of redshift_connector, and "
                f"that the cluster is available."
            ) from error
        try:
            yield connection
        finally:
            _close(connection)


def split_statements(script: str) -> list[str]:
    """The statements of a script, without closing semicolons; a comment stays with the statement below it."""
    import sqlparse

    statements = sqlparse.split(script, strip_semicolon=True)
    return [statement for statement in statements if _without_comment_lines(statement)]


def quote(value: str) -> str:
    """A string as an SQL literal.

    Redshift reads a backslash in a literal as an escape, standard SQL does not, and none of the names,
    prefixes and roles that the pipeline writes into SQL needs one: values that would read differently, or
    could end the literal, are refused.

    :raises ValueError: for a value with a quote, a backslash or a control character.
    """
    if re.search(r"['\\\x00-\x1f]", value):
        raise ValueError(
            f"{value!r} cannot be written into SQL: it holds a quote, a backslash or a control character. "
            f"Change the Airflow Variable or param that it comes from."
        )
    return f"'{value}'"


def _verb(statement: str) -> str:
    """What a statement does and to which table: `CREATE TABLE staging.events__2018110100_1h_0123`."""
    words = re.sub(r"\bIF (NOT )?EXISTS\b", "", _without_comment_lines(statement)).partition("(")[0].split()
    return " ".join(words[:3])


def _without_comment_lines(statement: str) -> str:
    lines = (line for line in statement.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip()


def _close(connection: Any) -> None:
    """Closing is also how to roll back: it needs no answer from a server that may be busy, or gone."""
    try:
        connection.close()
    except Exception as error:
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
        return SchemaMissingError(
            f"{text}. If it names a table of schema sparkify or staging, run the DAG sparkify_schema once, "
            f"then clear this task. If it names a work table (its name holds '__'), clear the whole run, so "
            f"that it is staged and loaded again.",
            **attributes,
        )
    if _is_lost(error) or sqlstate.startswith(CONNECTION_ENDS):
        return ConnectionLostError(text, **attributes)
    return WarehouseError(text, **attributes)
