"""Rejected rows: what COPY refused, read from Redshift's load-error tables, with file, line and raw text."""

from __future__ import annotations

import logging
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sparkify.lake import Line
from sparkify.paths import SQL
from sparkify.tables import text_table
from sparkify.text import BOM, fit
from sparkify.warehouse import Transaction, TransientError, Warehouse, WarehouseError, without_semicolon

log = logging.getLogger(__name__)

PROVISIONED = "staging/load_errors_provisioned.sql"
SERVERLESS = "staging/load_errors_serverless.sql"
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
    :param error_code: Redshift's; None where the model refused what COPY took.
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
        code = "" if self.error_code is None else f" (error {self.error_code})"
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
    :param known: the rows that COPYs before it refused in this session, maybe in the same second.
    :param left_out: how many rows they said that they left out.
    """

    process_id: int
    since: datetime
    known: tuple[RejectedRow, ...] = ()
    left_out: int = 0

    @classmethod
    def begin(
        cls, transaction: Transaction, earlier: Mapping[int, Sequence[RejectedRow]] = MappingProxyType({})
    ) -> LoadSession:
        """To be called before the COPY, on its own connection.

        :param earlier: by process id, what COPYs before it `read`.
        """
        [(process_id, since)] = transaction.execute(
            "SELECT pg_backend_pid(), GETDATE()", name="note the session of the load"
        )
        known = tuple(earlier.get(process_id, ()))
        return cls(process_id, since, known, left_out(transaction.notices()))

    def missed(self, transaction: Transaction) -> int:
        """How many rows its COPY says that it left out."""
        return left_out(transaction.notices()) - self.left_out

    def read(self, warehouse: Warehouse, at_least: int) -> list[RejectedRow]:
        """The rows that COPY refused, by file and line.

        Redshift writes its system tables outside of transactions: the rows are there also after the COPY's
        own was rolled back, but may come a moment later.

        :param at_least: how many COPY said there are.
        :raises WarehouseError: where fewer have come within a minute.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        pause = 0.1
        while True:
            rows = self._new(self._look(warehouse))
            if len(rows) >= at_least:
                return rows
            if time.monotonic() > deadline:
                raise WarehouseError(
                    f"COPY refused at least {at_least} row(s), but after {DEADLINE_SECONDS} s the load-error "
                    f"tables show {len(rows)} for session {self.process_id} since {self.since}. The role of "
                    f"connection {warehouse.redshift_conn_id!r} sees only its own loads: check that it can "
                    f"read stl_load_errors or sys_load_error_detail."
                )
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def _new(self, rows: Iterable[RejectedRow]) -> list[RejectedRow]:
        """The rows of this COPY."""
        known, new = Counter(self.known), []
        for row in rows:
            if known[row]:
                known[row] -= 1
            else:
                new.append(row)
        return new

    def _look(self, warehouse: Warehouse) -> list[RejectedRow]:
        try:
            rows = self._query(warehouse, PROVISIONED)
        except TransientError:
            raise
        except WarehouseError as error:
            log.info("No STL tables here, as on Redshift Serverless (%s)", error.message)
            rows = self._query(warehouse, SERVERLESS)
        return [RejectedRow(*row) for row in rows]

    def _query(self, warehouse: Warehouse, path: str) -> list[tuple[Any, ...]]:
        with warehouse.reading() as transaction:
            return transaction.execute(
                without_semicolon((SQL / path).read_text(encoding="utf-8")),
                [self.process_id, self.since],
                name=path,
            )


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
