"""How the pipeline learns which rows COPY refused, whatever becomes of asking for them."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import redshift_connector
from hypothesis import example, given
from hypothesis import strategies as st

from sparkify import rejected, warehouse
from sparkify.lake import LakeError, Line, SourceFile
from sparkify.operators.stage import StageToRedshiftOperator
from sparkify.rejected import CUT_NAME_BYTES, DEADLINE_SECONDS, UNTOLD, CopyRefusedError
from sparkify.warehouse import GRACE_S, Transaction, Warehouse, WarehouseError

pytestmark = pytest.mark.unit

ALIKE = "log_data/" + "x" * CUT_NAME_BYTES
KEYS = ["log_data/a.json", "log_data/b.json", f"{ALIKE}/1.json", f"{ALIKE}/2.json", "y" * 300]
FILES = [SourceFile(key, f"etag of {key}", 10, "2018-11-02 00:00:00") for key in KEYS]
TABLES = ("sys_load_error_detail", "stl_load_errors")
REFUSAL = {"C": "XX000", "M": "Load into table 'events' failed.  Check 'sys_load_error_detail' for details."}
MISSING = {"42P01": 'relation "%s" does not exist', "42501": "permission denied for relation %s"}
OTHERS = {"XX000": "Disk Full", "57014": "Query (%s) cancelled on user's request"}
ERRORS = {**MISSING, **OTHERS}
HANGS = float("inf")

moments = st.sampled_from([0, 0, 0, 0.05, 2, 30, DEADLINE_SECONDS - 1, DEADLINE_SECONDS + 1, HANGS])


class Clock:
    """Time that passes only where something waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@dataclass(frozen=True)
class Table:
    """A table of load errors.

    :param error: SQLSTATE of what it answers, if it does.
    :param shown: when each of the rows is there, in seconds after COPY.
    :param order: of the rows, where the server does not sort as it is told.
    :param seconds: how long each query takes.
    """

    error: str
    shown: tuple[float, ...]
    order: tuple[int, ...]
    seconds: float

    @property
    def is_prompt(self) -> bool:
        """Whether the first look that reaches it finds all rows."""
        return not self.error and not self.seconds and not any(self.shown)


#: Shows a row at once.
PROMPT = Table("", (0,), (0,), 0)


@dataclass(frozen=True)
class Copy:
    """One COPY.

    :param is_good: whether it loaded what it could.
    :param said: how many rows it said it left out.
    :param refused: place and line of each row's file.
    :param broken: until when connections break, in seconds after COPY; and whether when they are made.
    """

    is_good: bool
    said: int
    refused: tuple[tuple[int, int], ...]
    broken: tuple[float, bool]
    sys: Table
    stl: Table


@st.composite
def copies(draw: st.DrawFn, errors: tuple[str, str]) -> Copy:
    refused = draw(
        st.lists(st.tuples(st.sampled_from([2, 3, 0, 1, 4]), st.integers(1, 2)), unique=True, max_size=6)
    )

    def table(error: str) -> Table:
        shown = draw(st.tuples(*[moments] * len(refused)) | st.just((0,) * len(refused)))
        order = tuple(draw(st.permutations(range(len(refused)))))
        return Table(error, shown, order, draw(st.sampled_from([0, 0, 0, 0, 1, 25, HANGS])))

    return Copy(
        draw(st.booleans()),
        draw(st.integers(1, len(refused) + 2)),
        tuple(refused),
        (draw(st.sampled_from([0, 0, 0, 3, 50, HANGS])), draw(st.booleans())),
        table(errors[0]),
        table(errors[1]),
    )


answers = st.sampled_from(["", "", "", *ERRORS])
tasks = st.tuples(answers, answers).flatmap(lambda errors: st.lists(copies(errors), min_size=1, max_size=2))


class Connection:
    """What of redshift_connector's connection and cursor a transaction uses."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.notices: list[dict[bytes, bytes]] = []
        self.description = None
        self.rowcount = -1
        self.timeout = HANGS
        self._usock = self

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def cursor(self) -> Connection:
        return self

    def execute(self, statement, parameters=None) -> None:
        self.rows = self.answer(self, statement)
        self.description = None if self.rows is None else [("column",)]

    def fetchall(self):
        return self.rows

    def close(self) -> None:
        pass


class Redshift:
    """Load errors as one COPY of the task left them."""

    def __init__(self, copy: Copy, clock: Clock, answered: Counter[str]) -> None:
        self.copy, self.clock, self.answered = copy, clock, answered
        self.began = clock.now
        self.statement_timeout = HANGS

    @property
    def age(self) -> float:
        return self.clock.now - self.began

    def connect(self, timeout: float) -> Connection:
        assert self.age < DEADLINE_SECONDS
        until, at_once = self.copy.broken
        if self.age < until and at_once:
            self.clock.now += 1
            raise OSError("connection refused")
        return Connection(self.look)

    def look(self, connection: Connection, statement: str):
        if statement.startswith("SET statement_timeout TO "):
            self.statement_timeout = int(statement.split()[-1]) / 1000
        elif "pg_backend_pid" in statement:
            return [[7]]
        for name, table in zip(TABLES, (self.copy.sys, self.copy.stl), strict=True):
            if f"FROM {name}" in statement:
                return self.rows(name, table, connection)
        return None

    def rows(self, name: str, table: Table, connection: Connection):
        if self.age < self.copy.broken[0]:
            raise OSError("connection reset by peer")
        if table.seconds == HANGS:
            self.clock.now += connection.timeout
            raise TimeoutError("timed out")
        if table.error:
            if table.error in MISSING:
                self.answered[name] += 1
            error = ERRORS[table.error]
            raise redshift_connector.ProgrammingError(
                {"C": table.error, "M": error % name if "%s" in error else error}
            )
        self.clock.now += min(table.seconds, self.statement_timeout)
        if table.seconds > self.statement_timeout:
            raise redshift_connector.ProgrammingError({"C": "57014", "M": "cancelled by statement timeout"})
        found = []
        for number in table.order:
            key, line = self.copy.refused[number]
            if table.shown[number] <= self.age:
                uri = f"s3://lake/{KEYS[key]}".encode()[:256].decode()
                raw = text(KEYS[key], line) if name == "stl_load_errors" else None
                found.append((uri, line, "ts", 1207, "Invalid digit", raw))
        return found


def text(key: str, line: int) -> str:
    return f"line {line} of {key}"


PROCESS_IDS = itertools.count(7)


def copied(copy: Copy):
    """What the connection of the COPY answers: one of its own."""
    process_id = next(PROCESS_IDS)

    def answer(connection: Connection, statement: str):
        if "GETDATE" in statement:
            return [[process_id, datetime(2018, 11, 2)]]
        if "pg_last_copy_count" in statement:
            return [[100]]
        if not copy.is_good:
            raise redshift_connector.ProgrammingError(REFUSAL)
        connection.notices.append({b"M": notice.encode()})
        return None

    notice = f"Load into table 'events' completed, {copy.said} record(s) could not be loaded.  Check"
    return Transaction(Connection(answer), "connection 'c'")


class Lake:
    """Source files of which some lines cannot be read."""

    def lines(self, bucket, key, numbers, size):
        if key == KEYS[1]:
            raise LakeError("Cannot read")
        return {number: Line(text(key, number).encode(), 400) for number in numbers}


def stage() -> StageToRedshiftOperator:
    operator = StageToRedshiftOperator(
        task_id="stage", source="events", s3_bucket="lake", s3_prefix="log_data", work_bucket="work"
    )
    operator.copy_sql = "COPY events FROM 's3://work/events.manifest';"
    operator.lake = Lake()
    operator.warehouse = Warehouse()
    return operator


@given(tasks)
@example([Copy(True, 1, ((0, 1),), (0, False), PROMPT, replace(PROMPT, error="42501"))] * 2)
def test_whatever_becomes_of_the_look_up_the_load_counts_as_copy_said(task):
    clock, answered, operator = Clock(), Counter(), stage()
    with patch.object(rejected, "time", clock), patch.object(warehouse, "time", clock):
        for copy in task:
            stored: list = []
            redshift = Redshift(copy, clock, answered)
            operator.warehouse._connect_once = redshift.connect
            operator._store = lambda run, transaction, rows, stored=stored: stored.extend(rows)
            if copy.is_good:
                loaded, files = operator._copy(SimpleNamespace(), copied(copy), FILES, "COPY")
                assert loaded == 100
                assert files == {row.object_key for row in stored}
                told = [row for row in stored if row.error_code != UNTOLD]
                assert len(stored) == max(copy.said, len(told))
            else:
                with pytest.raises((CopyRefusedError, WarehouseError)) as raised:
                    operator._copy(SimpleNamespace(), copied(copy), FILES, "COPY")
                error = raised.value
                assert REFUSAL["M"] in str(error.__cause__ if isinstance(error, CopyRefusedError) else error)
                told = stored = getattr(error, "rows", [])
                assert told or not isinstance(error, CopyRefusedError)
            check(told, copy)
            for row in stored:
                if row.error_code == UNTOLD:
                    assert (row.file_name, row.line_number, row.raw_line, row.object_key) == (None,) * 3 + (
                        "",
                    )
                    assert row.reason.startswith("COPY left the row out; its details could not be read: ")
                    assert len(row.reason) < 200
            hangs = HANGS in (copy.sys.seconds, copy.stl.seconds)
            assert redshift.age <= DEADLINE_SECONDS + (2 * GRACE_S if hangs else 1)
            if copy.sys.error in OTHERS:
                assert not told
            elif copy.sys.is_prompt and copy.broken[0] <= 3:
                assert len(told) == len(copy.refused)
    assert set(answered.values()) <= {1}


def check(told: list, copy: Copy) -> None:
    """Each row is one that COPY refused, once, with its own text or none."""
    truth = Counter((object_key(KEYS[key]), line) for key, line in copy.refused)
    assert Counter((row.object_key, row.line_number) for row in told) <= truth
    texts = Counter(text(KEYS[key], line) for key, line in copy.refused)
    assert Counter(row.raw_line for row in told if row.raw_line is not None) <= texts
    for row in told:
        assert row.raw_line is None or row.raw_line.startswith(f"line {row.line_number} of {row.object_key}")
        assert (row.etag is None) == (row.object_key not in KEYS)


def object_key(key: str) -> str:
    """What can be told of it."""
    return key[: 256 - len("s3://lake/")] if key.startswith(ALIKE) else key
