"""Checks as declarations: `include/sql/<table>/checks.yaml` read, validated and judged."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEVERITIES = ("warn", "error")
FIELDS = {"name", "protects", "severity", "sql", "fail_if"}
COMPARISONS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
}


@dataclass(frozen=True)
class Check:
    """One check of one table.

    :param sql: a query of one row and one numeric column, a Jinja template with the names of the load SQL.
    :param threshold: `<comparison> <number>`: the check fails where the observed number satisfies it.
    """

    table: str
    name: str
    protects: str
    severity: str
    sql: str
    threshold: str

    def judge(self, rows: Sequence[Sequence[Any]]) -> Result:
        """The result for the rows that the query gave. No row, more than one value or NULL is a failure."""
        observed = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else None
        if observed is None:
            return Result(self, None, passed=False)
        comparison, number = self.threshold.split()
        failed = COMPARISONS[comparison](float(observed), float(number))
        return Result(self, float(observed), passed=not failed)


@dataclass(frozen=True)
class Result:
    """What a check observed, and whether it passed. `observed` is None where the query gave no number."""

    check: Check
    observed: float | None
    passed: bool

    def sentence(self) -> str:
        observed = "nothing" if self.observed is None else f"{self.observed:g}"
        return (
            f"{self.check.table}.{self.check.name} observed {observed}, fails if {self.check.threshold} "
            f"({self.check.protects})"
        )


def read_checks(path: Path) -> list[Check]:
    """The checks that a file declares.

    :raises ValueError: names the file, the check and what is wrong with it.
    """
    import yaml

    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(declared, list) or not declared:
        raise ValueError(f"{path}: expected a list of checks, found {type(declared).__name__}")
    checks = [_check(path, number, fields) for number, fields in enumerate(declared, 1)]
    names = [check.name for check in checks]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path}: two checks are named {', '.join(sorted(twice))}")
    return checks


def _check(path: Path, number: int, fields: Any) -> Check:
    place = f"{path}: check {number}"
    if not isinstance(fields, dict):
        raise ValueError(f"{place} is a {type(fields).__name__}, expected the fields {sorted(FIELDS)}")
    if wrong := FIELDS.symmetric_difference(fields):
        raise ValueError(f"{place}: missing or unknown {sorted(wrong)}; a check has {sorted(FIELDS)}")
    place = f"{place} ({fields['name']})"
    if fields["severity"] not in SEVERITIES:
        raise ValueError(f"{place}: severity {fields['severity']!r} is not one of {SEVERITIES}")
    if not re.fullmatch(r"(>=?|<=?|=|<>) -?\d+(\.\d+)?", str(fields["fail_if"])):
        raise ValueError(f"{place}: fail_if {fields['fail_if']!r} is not a comparison and a number, as '> 0'")
    return Check(
        table=path.parent.name,
        name=fields["name"],
        protects=fields["protects"],
        severity=fields["severity"],
        sql=fields["sql"],
        threshold=fields["fail_if"],
    )


def results_table(results: Sequence[Result]) -> str:
    """The results as a text table, one line a check."""
    lines = [("table", "check", "severity", "observed", "fails if", "status")]
    lines += [
        (
            result.check.table,
            result.check.name,
            result.check.severity,
            "nothing" if result.observed is None else f"{result.observed:g}",
            result.check.threshold,
            "passed" if result.passed else "FAILED",
        )
        for result in results
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
