"""Rejected rows: what COPY refused, read from Redshift's load-error tables, with file, line and raw text."""

from __future__ import annotations

import logging
import re
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sparkify.lake import Line
from sparkify.paths import SQL
from sparkify.tables import text_table
from sparkify.text import BOM, fit
from sparkify.warehouse import (
    UNDEFINED_SCHEMA,
    UNDEFINED_TABLE,
    Deadline,
    Transaction,
    TransientError,
    UnreachableError,
    Warehouse,
    WarehouseError,
    without_semicolon,
)

log = logging.getLogger(__name__)

SYS = "staging/sys_load_error_detail.sql"
STL = "staging/stl_load_errors.sql"
#: How Redshift says that a system table is not there, or not for this login: SQLSTATEs, or else its message.
OUT_OF_REACH = (UNDEFINED_TABLE, UNDEFINED_SCHEMA, "42501")
IS_OUT_OF_REACH = re.compile(r'permission denied for (relation|table|view)|relation "[^"]+" does not exist')
#: The error code of a row that COPY left out for a reason that Redshift does not tell; its own begin at 1200.
UNTOLD = 0
#: How Redshift ends a COPY that met more bad rows than it may, and what it says of one that left some out.
REFUSED = re.compile(r"Load into table '.*' failed\.\s+Check '")
LEFT_OUT = re.compile(r"(\d+) record\(s\) could not be loaded")
#: How long system tables may take to show what a COPY has written.
DEADLINE_SECONDS = 60
COLUMNS = (
    *("file_name", "line_number", "column_name", "error_code", "reason", "raw_line", "object_key", "etag"),
)
#: How much of a row is kept: as much as Redshift keeps (STL_LOAD_ERRORS).
RAW_LINE_BYTES = 1024
FILE_NAME_BYTES, REASON_BYTES = 1024, 512
#: Redshift's load-error tables have CHAR(256) for the name of a file: as long a name, or nearly, may be cut.
CUT_NAME_BYTES = 252
HAS_BOM = " It begins with a byte order mark (BOM): write the file in UTF-8 without one."
#: How many rows the log shows.
SHOWN = 20
#: COPY fails at its MAXERROR at the latest ("MAXERROR": 1 to 100,000).
MAX_ERRORS = 100_000
BUDGET = r"[0-9]{1,5}|([0-9]{1,6}|1000000) ppm"


@dataclass(frozen=True)
class Budget:
    """How many rows of a source a run may leave out.

    :param text: a number of rows, 0 to 99,999, or parts per million of the rows staged: `50 ppm`.
    :raises ValueError: for anything else.
    """

    text: str

    def __post_init__(self) -> None:
        if not re.fullmatch(BUDGET, self.text):
            raise ValueError(
                f"max_rejected_rows is {self.text!r:.100}: enter a number from 0 to 99999, or parts per "
                f"million, such as 50 ppm."
            )

    @property
    def is_share(self) -> bool:
        return self.text.endswith(" ppm")

    @property
    def max_errors(self) -> int:
        """COPY's MAXERROR: at so many errors it fails. What a share comes to is known only after COPY."""
        return MAX_ERRORS if self.is_share else int(self.text) + 1

    def rows(self, staged: int) -> int:
        """How many rows it allows where `staged` were read, those that are left out among them."""
        return int(self.text.removesuffix(" ppm")) * staged // 1_000_000 if self.is_share else int(self.text)

    def __str__(self) -> str:
        """For messages."""
        return self.text if self.is_share else f"{int(self.text) or 'none'}"


@dataclass(frozen=True)
class RejectedRow:
    """One source row that was not loaded.

    :param file_name: `s3://bucket/key`; None where it cannot be told.
    :param line_number: the last line of the row, from 1; None where it cannot be told.
    :param column_name: the landing table's column; empty where the row as a whole is at fault.
    :param error_code: Redshift's, or `UNTOLD`; None where the model refused what COPY took.
    :param raw_line: the beginning of the row; None where the warehouse does not keep it.
    :param object_key: the key of the file, or how it begins where no more is known: nothing of it, at worst;
        None where the model refused the row.
    :param etag: of the file; None where the file cannot be told.
    :param length: of the row in bytes; None where `raw_line` may be all of it.
    """

    file_name: str | None
    line_number: int | None
    column_name: str
    error_code: int | None
    reason: str
    raw_line: str | None
    object_key: str | None = None
    etag: str | None = None
    length: int | None = None

    @classmethod
    def untold(cls, why: WarehouseError) -> RejectedRow:
        """A row that COPY left out, of which nothing else is known: it may be of any file."""
        said = why.message or f"{why}".partition("\n")[0]
        reason = f"COPY left the row out; its details could not be read: {said}"
        return cls(None, None, "", UNTOLD, reason, None, object_key="")

    @property
    def place(self) -> tuple[Any, ...]:
        """What both of Redshift's tables say of it alike."""
        return self.file_name, self.line_number, self.column_name, self.error_code

    def of_file(self, bucket: str, keys: Sequence[str]) -> RejectedRow:
        """The row with its file's whole name, of which Redshift keeps 256 bytes.

        :param keys: the keys of the files that were loaded, sorted. Where several of them begin like a name
            that may be cut, it stays as it is, with an ellipsis.
        """
        if not self.file_name:
            return replace(self, file_name=None, object_key="")
        name = self.file_name.rstrip("\ufffd")
        key = name.removeprefix(f"s3://{bucket}/")
        start = bisect_left(keys, key)
        may_be_cut = len(name.encode()) >= CUT_NAME_BYTES
        found = [
            other
            for other in keys[start : start + 2]
            if other == key or (may_be_cut and other.startswith(key))
        ]
        if len(found) == 1:
            return replace(self, file_name=f"s3://{bucket}/{found[0]}", object_key=found[0])
        return replace(self, file_name=f"{name}…", object_key=key if found else "")

    def with_raw_line(self, line: Line | None) -> RejectedRow:
        """The row with its text as it stands in the file, where the warehouse had none."""
        if self.raw_line is not None or line is None:
            return self
        text = line.head.decode(errors="replace").removesuffix("\r")
        return replace(self, raw_line=text, length=line.length)

    def values(self) -> dict[str, Any]:
        """By `COLUMNS`, as the run's work table takes them."""
        raw = self.raw_line
        reason = f"{self.reason}{HAS_BOM if raw and raw.startswith(BOM) else ''}"
        values = (
            self.file_name and fit(self.file_name, FILE_NAME_BYTES),
            self.line_number,
            self.column_name,
            self.error_code,
            fit(reason, REASON_BYTES),
            raw and fit(raw, RAW_LINE_BYTES, self.length),
            self.object_key,
            self.etag,
        )
        return dict(zip(COLUMNS, values, strict=True))

    def sentence(self) -> str:
        place = self.file_name or "a file of the run"
        line = "" if self.line_number is None else f", line {self.line_number}"
        column = f", column {self.column_name}" if self.column_name else ""
        code = "" if self.error_code in (None, UNTOLD) else f" (error {self.error_code})"
        raw = "" if self.raw_line is None else f": {self.raw_line}"
        return f"{place}{line}{column}: {self.reason}{code}{raw}"


@dataclass(frozen=True)
class Rejected:
    """The rejected rows of a run's files.

    :param count: how many there are.
    :param by_model: how many of them COPY had loaded.
    :param first: the first of them, by file and line.
    """

    count: int
    by_model: int
    first: list[RejectedRow]

    @classmethod
    def read(cls, transaction: Transaction, table: str) -> Rejected:
        """From a run's work table of rejected rows."""
        [(count, by_model)] = transaction.execute(
            f"SELECT COUNT(*), COUNT(CASE WHEN error_code IS NULL THEN 1 END) FROM {table}",
            name=f"count {table}",
        )
        if not count:
            return cls(0, 0, [])
        rows = transaction.execute(
            f"SELECT {', '.join(COLUMNS)} FROM {table} "
            f"ORDER BY file_name, line_number, reason, raw_line LIMIT {SHOWN}",
            name=f"read the first rows of {table}",
        )
        return cls(count, by_model, [RejectedRow(*row) for row in rows])


class CopyRefusedError(Exception):
    """COPY met more bad rows than it was allowed to leave out: `rows` are those that it recorded."""

    def __init__(self, rows: list[RejectedRow]) -> None:
        super().__init__(f"COPY refused {len(rows)} row(s)")
        self.rows = rows


@dataclass(frozen=True)
class LoadSession:
    """Where the load errors of one COPY are to be found.

    :param process_id: of the session that ran it.
    :param since: when it began at the earliest, by the warehouse's clock.
    :param left_out: how many rows COPYs before it on this connection said that they left out.
    """

    process_id: int
    since: datetime
    left_out: int = 0

    @classmethod
    def begin(cls, transaction: Transaction) -> LoadSession:
        """To be called before the COPY, on its own connection."""
        [(process_id, since)] = transaction.execute(
            "SELECT pg_backend_pid(), GETDATE()", name="note the session of the load"
        )
        return cls(process_id, since, left_out(transaction.notices()))

    def missed(self, transaction: Transaction) -> int:
        """How many rows its COPY says that it left out."""
        return left_out(transaction.notices()) - self.left_out


class LoadErrors:
    """Redshift's tables of load errors, of which a warehouse may lack either: that one is asked once.

    SYS_LOAD_ERROR_DETAIL has the errors of every COPY, but not the text of the rows. STL_LOAD_ERRORS has the
    text, but only of what the main cluster of a provisioned warehouse loaded (Redshift Database Developer
    Guide).
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._tables = [SYS, STL]
        self._refusals: list[str] = []
        #: By process id, the rows that COPYs of one session have refused so far.
        self._told: dict[int, Counter[RejectedRow]] = defaultdict(Counter)

    def read(self, session: LoadSession, at_least: int) -> tuple[list[RejectedRow], WarehouseError | None]:
        """The rows that one COPY refused, by file and line; and why not all can be told, if so.

        :param at_least: how many COPY said there are.
        """
        deadline = Deadline(DEADLINE_SECONDS)
        rows, lacking = self._wait(session, at_least, deadline)
        self._told[session.process_id].update(rows)
        return self._with_text(rows, session, deadline), lacking

    def _wait(
        self, session: LoadSession, at_least: int, deadline: Deadline
    ) -> tuple[list[RejectedRow], WarehouseError | None]:
        """Redshift writes its system tables outside of transactions: the rows are there also after the COPY's
        own was rolled back, but may come a moment later. A connection that breaks is made again meanwhile."""
        rows: list[RejectedRow] = []
        lost: WarehouseError | None = None
        pause = 0.1
        while deadline.left:
            lost = None
            try:
                rows = max(self._look(session, deadline), rows, key=len)
            except (TransientError, UnreachableError) as error:
                lost = error
            except WarehouseError as error:
                return rows, error
            if len(rows) >= at_least:
                return rows, None
            # Nothing tells that the rows have come but the table itself, asked again.
            time.sleep(min(pause, deadline.left))
            pause = min(2 * pause, 5)
        return rows, lost or WarehouseError(
            f"COPY refused at least {at_least} row(s), but after {DEADLINE_SECONDS} s the load-error tables "
            f"show {len(rows)} for session {session.process_id} since {session.since}. The role of "
            f"{self._warehouse.place} sees only its own loads: check that it can read sys_load_error_detail "
            f"or stl_load_errors.",
            message=f"the load-error tables did not show it within {DEADLINE_SECONDS} s",
        )

    def _look(self, session: LoadSession, deadline: Deadline) -> list[RejectedRow]:
        """The rows that are in the first table which can be read."""
        while self._tables:
            try:
                return self._new(self._query(self._tables[0], session, deadline), session)
            except WarehouseError as error:
                if not _is_out_of_reach(error):
                    raise
                self._set_aside(self._tables[0], error)
        said = "; ".join(self._refusals)
        raise WarehouseError(f"{self._warehouse.place} shows no load errors: {said}", message=said)

    def _new(self, rows: Iterable[RejectedRow], session: LoadSession) -> list[RejectedRow]:
        """Without those of COPYs before this one in its session, maybe in the same second."""
        told, new = self._told[session.process_id].copy(), []
        for row in rows:
            if told[row]:
                told[row] -= 1
            else:
                new.append(row)
        return new

    def _with_text(
        self, rows: list[RejectedRow], session: LoadSession, deadline: Deadline
    ) -> list[RejectedRow]:
        """The rows of SYS with the text that STL has of them, where it can be read."""
        if not rows or self._tables != [SYS, STL]:
            return rows
        try:
            found = self._query(STL, session, deadline)
        except WarehouseError as error:
            if _is_out_of_reach(error):
                self._set_aside(STL, error)
            else:
                log.info("The text of the rows that COPY refused is not read from STL: %s", error)
            return rows
        # Files whose names are cut alike share a place: which text is whose cannot be told, nor need it be.
        texts: dict[tuple[Any, ...], list[str | None]] = {}
        for row in found:
            texts.setdefault(row.place, []).append(row.raw_line)
        return [
            replace(row, raw_line=texts[row.place].pop(0)) if texts.get(row.place) else row for row in rows
        ]

    def _set_aside(self, table: str, error: WarehouseError) -> None:
        log.info("%s cannot be read here, as STL tables on Redshift Serverless: %s", table, error.message)
        self._tables.remove(table)
        self._refusals.append(error.message)

    def _query(self, table: str, session: LoadSession, deadline: Deadline) -> list[RejectedRow]:
        with self._warehouse.read_only_transaction(deadline) as transaction:
            rows = transaction.execute(
                without_semicolon((SQL / table).read_text(encoding="utf-8")),
                [session.process_id, session.since],
                name=table,
            )
        return [RejectedRow(*row) for row in rows]


def _is_out_of_reach(error: WarehouseError) -> bool:
    """Whether a system table is not there, or not for this login."""
    return error.sqlstate in OUT_OF_REACH or IS_OUT_OF_REACH.search(error.message) is not None


def refused_rows(error: WarehouseError) -> bool:
    """Whether COPY failed for its rows, and not for the files, the options or the server."""
    return REFUSED.search(error.message) is not None


def left_out(notices: Sequence[str]) -> int:
    """How many rows COPY says it left out, of the notices that it gave."""
    return sum(int(found[1]) for notice in notices if (found := LEFT_OUT.search(notice)))


def rows_table(rows: Sequence[RejectedRow]) -> str:
    """The rows as a text table, one line a row."""
    return text_table(
        ("file", "line", "column", "error", "reason", "raw text"),
        [
            (row.file_name, row.line_number, row.column_name, row.error_code, row.reason, row.raw_line)
            for row in rows
        ],
    )
