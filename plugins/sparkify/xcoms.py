"""What tasks leave in XCom for other tasks, read strictly.

Whoever may edit XComs may have written what a task reads there, without a right to any connection. So from
XCom come known table names, the mode, numbers, days and hours only; every other name is made by the code, and
what came otherwise is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify.work import Run

MODES = ("append", "truncate")
#: What checks may ask of a stage task.
STAGED = (
    *("files", "bytes", "bytes_looked_at", "bytes_of_keys"),
    *("values", "objects", "copied", "rejected", "allowed", "rows"),
)
#: As much as a column of counts holds.
MOST = 2**63 - 1
HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z")
#: Of the runs of sparkify_reconcile: no other run is cleared and run again.
RELOAD_ID = re.compile(
    r"reconcile__[0-9]{4}-[0-9]{2}-[0-9]{2}(__[0-9a-f]{12}|T[0-9]{2}__[0-9]{1,4}h__[0-9]{1,5})"
)

Test = Callable[[Any], bool]


class XComError(AirflowFailException, ValueError):
    """An XCom is not what its task leaves there; a retry would find the same."""


@dataclass(frozen=True)
class Candidate:
    """What a load task says of the candidate of a published table.

    :param table: the published table, in schema `sparkify`.
    :param mode: how publish applies it.
    :param rows: how many rows it has.
    """

    table: str
    mode: str
    rows: int

    @classmethod
    def of(cls, found: Any, table: str, task_id: str) -> Candidate:
        """The candidate that a task's XCom describes.

        :param table: the one table that it may be of.
        :raises XComError: where it describes anything else.
        """
        fields = {"table": one_of(table), "mode": one_of(*MODES), "rows": is_count}
        return cls(**_checked(found, task_id, fields))

    @classmethod
    def all_of(cls, found: Any, tables: Sequence[str], task_id: str) -> list[Candidate]:
        """The candidates that a task's XCom lists: of exactly these tables, in this order."""
        if not isinstance(found, list) or len(found) != len(tables):
            raise _refusal(task_id, f"is not a list of the candidates of {', '.join(tables)}", found)
        return [cls.of(one, table, task_id) for one, table in zip(found, tables, strict=True)]

    def xcom(self) -> dict[str, Any]:
        return asdict(self)

    def work_table(self, run: Run) -> str:
        """The candidate's name, with its schema."""
        return candidate_table(run, self.table)


def candidate_table(run: Run, table: str) -> str:
    """The run's candidate of a published table, with its schema."""
    return run.table(f"{table}_candidate")


def read_staged(found: Any, source: str, task_id: str) -> dict[str, int]:
    """The figures that the stage task of a source has left.

    :raises XComError: where one is missing or no count: no check may take nothing for zero.
    """
    figures = _checked(found, task_id, {"source": one_of(source), **dict.fromkeys(STAGED, is_count)})
    return {name: figures[name] for name in STAGED}


def read_reload(found: Any, task_id: str) -> tuple[str, dict[str, Any]]:
    """A run that is to load a day or some hours again: its run id and its conf.

    :raises XComError: for any other run, and for a conf with more than the window and the budget.
    """
    asked = _checked(found, task_id, {"trigger_run_id": matches(RELOAD_ID), "conf": _is_mapping})
    fields: dict[str, Test] = {"window_start": matches(HOUR), "window_end": matches(HOUR)}
    if "max_rejected_rows" in asked["conf"]:
        fields["max_rejected_rows"] = is_count
    return asked["trigger_run_id"], _checked(asked["conf"], task_id, fields)


def read_changes(found: Any, task_id: str) -> list[dict[str, Any]]:
    """What a task of sparkify_reconcile found, by day. `files` is text for the log.

    :raises XComError: where it is no such list.
    """
    fields: dict[str, Test] = {"day": is_day, "files": _is_text, "songplays_before": is_count}
    if not isinstance(found, list):
        raise _refusal(task_id, "is not a list of changed days", found)
    return [_checked(one, task_id, fields) for one in found]


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


def is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(date.fromisoformat(value)) == value
    except ValueError:
        return False


def one_of(*values: str) -> Test:
    return lambda value: isinstance(value, str) and value in values


def matches(pattern: re.Pattern[str]) -> Test:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _checked(found: Any, task_id: str, fields: Mapping[str, Test]) -> dict[str, Any]:
    """A mapping of exactly these fields, each as its test wants it."""
    if not isinstance(found, Mapping):
        raise _refusal(task_id, f"holds no mapping of {', '.join(fields)}", found)
    odd = sorted({str(key) for key in found.keys() ^ fields.keys()})
    if odd:
        raise _refusal(task_id, f"does not have exactly the fields {', '.join(fields)}", odd)
    for name, test in fields.items():
        if not test(found[name]):
            raise _refusal(task_id, f"has a {name} that the task does not leave there", found[name])
    return {name: found[name] for name in fields}


def _refusal(task_id: str, what: str, found: Any) -> XComError:
    if found is None:
        return XComError(
            f"Task {task_id} left nothing in XCom, so nothing was done.\n"
            f"Clear {task_id} and its downstream tasks."
        )
    return XComError(
        f"The XCom of task {task_id} {what}: {found!r:.200}. Somebody else may have written it, so nothing "
        f"was done.\nClear {task_id} and its downstream tasks."
    )
