"""Checks as declarations: `checks.yaml` beside a table's SQL, validated, turned into queries, judged.

A check has a name, what it protects, a severity, and a query of its own, a condition, or one of the standard
kinds, which are in `include/sql/checks/`. Every query gives one row of two numbers: what was observed, and
how many rows were looked at. A condition counts the rows of a relation that meet it; all conditions on one
relation are asked in one scan. `include/sql/checks/schema.json` says which fields there are.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkify.paths import SQL
from sparkify.tables import text_table

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

SCHEMA = SQL / "checks" / "schema.json"
PASSED, WARNED, FAILED, SKIPPED = "passed", "warned", "failed", "skipped"
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
}
VIOLATIONS = "> 0"
#: Fields that are the check's own; the others of a standard kind are for its query.
OWN_FIELDS = {
    *(
        "name",
        "protects",
        "severity",
        "warn_if",
        "error_if",
        "min_rows",
        "looked_at",
        "explain",
        "kind",
        "condition",
        "sql",
    )
}
#: Counts the rows that meet a condition.
COUNT_ROWS = "checks/rows.sql"
#: Standard kinds that count the rows that meet a condition.
CONDITIONS = {kind: f"checks/conditions/{kind}.sql" for kind in ("not_null", "accepted_values", "match_rate")}
#: Standard kinds that explain themselves.
EXPLAINED = {"accepted_values": "checks/explain/accepted_values.sql"}
LOOKED_AT = re.compile(r"(\d+) of (\d+) (\w+)")


@dataclass(frozen=True)
class Check:
    """One check of one table.

    :param table: the folder of include/sql that declares it.
    :param query: a Jinja template of the query, or the path of a standard kind's.
    :param fields: what a standard kind's query is told: columns, values, relations. Templates too.
    :param warn_if: a comparison with a number, or with a percentage of the rows looked at; as `> 0`, `< 1 %`.
    :param error_if: as `warn_if`; judged first.
    :param min_rows: fewer rows than this are not judged, unless a threshold in absolute numbers is broken.
    :param looked_at: `<number> of <number> <what>`: of how much the check knows. Where that is not all, a
        check that breaks no threshold is skipped: what it observed is a lower bound.
    :param explain: a query whose first rows tell more where the check does not pass. A template, or the path
        of a standard kind's.
    :param condition: of the rows that are counted, if `query` does nothing else. A template, or the path of a
        standard kind's.
    """

    table: str
    name: str
    protects: str
    query: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    warn_if: str | None = None
    error_if: str | None = None
    min_rows: int = 1
    looked_at: str | None = None
    explain: str | None = None
    condition: str | None = None

    @property
    def severity(self) -> str:
        """The worst that the check can do."""
        return "error" if self.error_if else "warn"

    @property
    def worst(self) -> str:
        return FAILED if self.error_if else WARNED

    def judge(self, rows: Sequence[Sequence[Any]]) -> Result:
        """The result for the rows that the query gave.

        Not one row, not two numbers, or NULL for one of them is the worst result: what cannot be judged does
        not pass. No rows to look at is `skipped` and not `passed`.
        """
        unreadable = Result(self, self.worst, detail=f"the query returned {list(map(tuple, rows))[:3]!r}")
        if len(rows) != 1 or len(rows[0]) != 2 or rows[0][1] is None:
            return unreadable
        observed, looked_at = rows[0]
        if observed is None:
            if looked_at == 0:
                return Result(self, SKIPPED, None, 0)
            return Result(self, self.worst, None, int(looked_at), "the query returned NULL")
        try:
            observed, looked_at = float(observed), int(looked_at)
        except ValueError:
            return unreadable
        result = Result(self, PASSED, observed, looked_at)
        for threshold, status in ((self.error_if, FAILED), (self.warn_if, WARNED)):
            if threshold and self._is_broken(threshold, observed, looked_at):
                return result.turned(status)
        if unseen := self._unseen():
            return result.turned(SKIPPED, unseen)
        if looked_at < self.min_rows:
            return result.turned(SKIPPED, f"fewer than {self.min_rows} row(s)")
        return result

    def _unseen(self) -> str:
        """Why what was observed may not be all; empty where it is.

        :raises ValueError: where `looked_at` does not read as it has to.
        """
        if self.looked_at is None:
            return ""
        match = LOOKED_AT.fullmatch(self.looked_at.strip())
        if match is None:
            raise ValueError(f"looked_at of check {self.name} is {self.looked_at!r}: write `1 of 2 bytes`")
        part, whole = int(match[1]), int(match[2])
        # Not rounded up: 100 % are all.
        share = f"{int(1000 * part / whole) / 10:g} %" if whole else ""
        return f"only {match[0]} ({share}) were looked at" if part < whole else ""

    def broken(self, error: Exception) -> Result:
        """The result where the query itself failed."""
        return Result(self, self.worst, detail=f"the query failed: {error}")

    def _is_broken(self, threshold: str, observed: float, looked_at: int) -> bool:
        comparison, _, number = threshold.removesuffix("%").strip().partition(" ")
        if threshold.endswith("%"):
            if looked_at < self.min_rows:
                return False
            observed = 100 * observed / looked_at
        return COMPARISONS[comparison](observed, float(number))


@dataclass(frozen=True)
class Result:
    """What a check observed, and what came of it.

    :param status: passed, warned, failed, or skipped where there was nothing, or too little, to judge.
    :param observed: None where the query gave no number.
    :param rows_checked: the rows that were looked at; None where the query gave no number.
    :param detail: why there is no number, or what `explain` found.
    """

    check: Check
    status: str
    observed: float | None = None
    rows_checked: int | None = None
    detail: str = ""

    def turned(self, status: str, detail: str = "") -> Result:
        return Result(self.check, status, self.observed, self.rows_checked, detail or self.detail)

    @property
    def thresholds(self) -> str:
        check = self.check
        named = (("error if", check.error_if), ("warn if", check.warn_if))
        return ", ".join(f"{name} {threshold}" for name, threshold in named if threshold)

    def sentence(self) -> str:
        observed = "nothing" if self.observed is None else f"{self.observed:g}"
        of = "" if self.rows_checked is None else f" of {self.rows_checked} row(s)"
        detail = f": {self.detail}" if self.detail else ""
        return (
            f"{self.check.table}.{self.check.name} observed {observed}{of}, {self.thresholds} "
            f"({self.check.protects}){detail}"
        )


def summary(results: Iterable[Result]) -> dict[str, int]:
    """How many results there are of each status."""
    counts = dict.fromkeys((PASSED, WARNED, FAILED, SKIPPED), 0)
    for result in results:
        counts[result.status] += 1
    return counts


def results_table(results: Sequence[Result]) -> str:
    """The results as a text table, one line a check; what did not pass stands out by its capitals."""
    return text_table(
        ("table", "check", "observed", "rows", "thresholds", "status", "detail"),
        [
            (
                result.check.table,
                result.check.name,
                "nothing" if result.observed is None else f"{result.observed:g}",
                result.rows_checked,
                result.thresholds,
                result.status.upper() if result.status in (WARNED, FAILED) else result.status,
                result.detail,
            )
            for result in results
        ],
    )


def read_checks(path: Path) -> list[Check]:
    """The checks that a file declares.

    :raises ValueError: names the file, the line, the check and what is wrong with it.
    """
    return list(_read_checks(path, path.read_text(encoding="utf-8")))


@cache
def _read_checks(path: Path, text: str) -> tuple[Check, ...]:
    import yaml

    # libyaml's loader, which PyYAML's wheels have, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        declared = yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"{path}, line {line}: {error.problem}") from error
    tree = yaml.compose(text, Loader=loader)
    fault = next(iter(sorted(_validator().iter_errors(declared), key=_depth)), None)
    if fault is not None:
        steps = list(fault.absolute_path)
        check = declared[steps[0]] if steps else None
        name = f" of check {check['name']}" if isinstance(check, dict) and "name" in check else ""
        place = f"{'.'.join(map(str, steps[1:]))}{name}".strip()
        raise ValueError(
            f"{path}, line {_line(tree, steps)}: {place + ': ' if place else ''}{_message(fault)}"
        )
    table = str(path.parent.relative_to(SQL)) if path.is_relative_to(SQL) else path.parent.name
    lines: dict[str, int] = {}
    for number, fields in enumerate(declared):
        name, line = fields["name"], _line(tree, [number])
        if name in lines:
            raise ValueError(f"{path}, line {line}: the check of line {lines[name]} is named {name} too")
        lines[name] = line
    return tuple(_check(table, fields) for fields in declared)


def _check(table: str, fields: Mapping[str, Any]) -> Check:
    thresholds = {name: fields.get(name) for name in ("warn_if", "error_if")}
    if thresholds[f"{fields['severity']}_if"] is None:
        thresholds[f"{fields['severity']}_if"] = VIOLATIONS
    kind = fields.get("kind", "")
    condition = fields.get("condition", CONDITIONS.get(kind))
    return Check(
        table=table,
        name=fields["name"],
        protects=fields["protects"],
        query=fields.get("sql", COUNT_ROWS if condition else f"checks/{kind}.sql"),
        condition=condition,
        fields={name: value for name, value in fields.items() if name not in OWN_FIELDS},
        min_rows=fields.get("min_rows", 1),
        looked_at=fields.get("looked_at"),
        explain=fields.get("explain", EXPLAINED.get(kind)),
        **thresholds,
    )


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _depth(error: ValidationError) -> tuple[bool, int]:
    """The error that tells most: the deepest one, and an unknown field only where there is no other."""
    return error.validator == "unevaluatedProperties", -len(error.absolute_path)


def _message(error: ValidationError) -> str:
    if error.validator == "oneOf":
        return "a check has a kind, a condition or sql"
    if error.validator == "not":
        return "error_if needs severity error"
    return error.message


def _line(tree: Any, steps: Iterable[str | int]) -> int:
    """The line of a value in a YAML document, from 1; of the nearest parent where it is missing."""
    import yaml

    node = tree
    for step in steps:
        if isinstance(node, yaml.SequenceNode):
            node = node.value[step]
        else:
            found = [value for key, value in node.value if key.value == step]
            if not found:
                break
            node = found[0]
    return node.start_mark.line + 1 if node is not None else 1
