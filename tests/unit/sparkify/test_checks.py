"""checks.yaml: what is refused, and how an observation is judged."""

import json
import re

import pytest

from sparkify.checks import (
    FAILED,
    PASSED,
    SCHEMA,
    SKIPPED,
    WARNED,
    Check,
    read_checks,
    results_table,
    summary,
)
from sparkify.paths import SQL
from tests.support.corpus import CASES

pytestmark = pytest.mark.unit


def check(**fields):
    return Check("songplays", "natural_key_is_unique", "the grain", "SELECT 1, 1", **fields)


@pytest.mark.parametrize(
    ("fields", "row", "status"),
    [
        ({"error_if": "> 0"}, (0, 10), PASSED),
        ({"error_if": "> 0"}, (1, 10), FAILED),
        ({"warn_if": "> 0"}, (1, 10), WARNED),
        ({"warn_if": "> 0", "error_if": "> 5"}, (5, 10), WARNED),
        ({"warn_if": "> 0", "error_if": "> 5"}, (6, 10), FAILED),
        ({"error_if": "< 0.5"}, ("0.75", 1), PASSED),
        ({"error_if": "<= 0.75"}, (0.75, 1), FAILED),
        ({"error_if": "= 0"}, (0, 1), FAILED),
        ({"error_if": "<> 3"}, (3, 1), PASSED),
        ({"error_if": "> 5 %"}, (5, 100), PASSED),
        ({"error_if": "> 5 %"}, (6, 100), FAILED),
        ({"warn_if": "< 1%"}, (0, 100), WARNED),
        ({"warn_if": "< -3"}, (-4, 1), WARNED),
    ],
)
def test_thresholds(fields, row, status):
    assert check(**fields).judge([row]).status == status


@pytest.mark.parametrize(
    ("fields", "row", "status"),
    [
        pytest.param({"error_if": "> 0"}, (0, 0), SKIPPED, id="an empty table is not passed"),
        pytest.param({"error_if": "> 0"}, (None, 0), SKIPPED, id="the aggregate of an empty table"),
        pytest.param({"error_if": "<> 0"}, (-3, 0), FAILED, id="parts of an empty whole"),
        pytest.param({"warn_if": "< 1 %", "min_rows": 10}, (0, 9), SKIPPED, id="too few for a percentage"),
        pytest.param({"warn_if": "< 1 %", "min_rows": 10}, (0, 10), WARNED, id="enough for a percentage"),
        pytest.param({"error_if": "> 5 %"}, (0, 0), SKIPPED, id="a percentage of nothing"),
    ],
)
def test_nothing_or_too_little_to_judge_is_skipped_and_not_passed(fields, row, status):
    assert check(**fields).judge([row]).status == status


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no row"),
        pytest.param([(0, 1), (0, 1)], id="two rows"),
        pytest.param([(0,)], id="one column"),
        pytest.param([(0, 1, 2)], id="three columns"),
        pytest.param([(None, 10)], id="NULL of some rows"),
        pytest.param([(0, None)], id="NULL rows"),
        pytest.param([("many", 10)], id="text"),
    ],
)
@pytest.mark.parametrize(("fields", "worst"), [({"error_if": "> 0"}, FAILED), ({"warn_if": "> 0"}, WARNED)])
def test_what_cannot_be_judged_never_passes(fields, worst, rows):
    result = check(**fields).judge(rows)
    assert (result.status, result.observed) == (worst, None)
    assert "the query returned" in result.sentence()


VALID = "- {name: abc, protects: the grain, severity: warn, sql: 'SELECT 0, 1'}\n"
UNIQUE = VALID.replace("sql: 'SELECT 0, 1'", "kind: unique, columns: [song_id]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: .*not of type 'array'"),
        ("name: abc\n", "line 1: .*not of type 'array'"),
        ("- abc\n", "line 1: 'abc' is not of type 'object'"),
        ("- [\n", "line 2: "),
        (
            VALID + VALID.replace("protects: the grain, ", ""),
            "line 2: of check abc: .protects. is",
        ),
        (VALID.replace("protects", "protect"), "line 1: of check abc: 'protects' is a required"),
        (VALID.replace("sql:", "fail_if: '> 0', sql:"), "line 1: .*'fail_if' was unexpected"),
        (
            VALID + "\n" + VALID.replace("warn", "fatal"),
            "line 3: severity of check abc: .fatal. is",
        ),
        (VALID.replace("sql:", "warn_if: more than 0, sql:"), "line 1: warn_if of check abc: 'more than 0'"),
        (VALID.replace("sql:", "error_if: '> 0', sql:"), "line 1: error_if of check abc: .*severity error"),
        (VALID.replace("sql: 'SELECT 0, 1'", "min_rows: 1"), "a kind, a condition or sql"),
        (UNIQUE.replace("kind:", "sql: SELECT 1, kind:"), "a kind, a condition or sql"),
        (UNIQUE.replace("unique", "uniq"), "line 1: kind of check abc: 'uniq' is not one of"),
        (UNIQUE.replace("columns", "column"), "line 1: of check abc: 'columns' is a required property"),
        (UNIQUE.replace("song_id", "song_id; DROP"), "line 1: columns.0 of check abc: 'song_id; DROP'"),
        (VALID + "\n" + VALID, "line 3: the check of line 1 is named abc too"),
    ],
)
def test_a_wrong_declaration_is_named_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "checks.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_checks(path)
    assert str(caught.value).startswith(str(path))


def test_severity_alone_means_any_violation(tmp_path):
    path = tmp_path / "checks.yaml"
    path.write_text(VALID + UNIQUE.replace("warn", "error").replace("abc", "abd"))
    first, second = read_checks(path)
    assert (first.warn_if, first.error_if, first.severity) == ("> 0", None, "warn")
    assert (second.warn_if, second.error_if, second.severity) == (None, "> 0", "error")
    assert (second.query, second.fields) == ("checks/unique.sql", {"columns": ["song_id"]})


FOLDERS = sorted(str(path.parent.relative_to(SQL)) for path in SQL.rglob("checks.yaml"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_projects_own_checks_are_valid(folder):
    checks = read_checks(SQL / folder / "checks.yaml")
    assert len(checks) >= 3
    assert {check.table for check in checks} == {folder}


def test_every_table_and_source_has_checks():
    tables = {"songplays", "users", "songs", "artists", "time"}
    assert set(FOLDERS) == tables | {"staging/events", "staging/songs"}


def test_results_are_a_table_that_shows_what_did_not_pass():
    one = check(error_if="> 0")
    results = [one.judge([(0, 5)]), one.judge([(7, 9)]), one.judge([(0, 0)]), one.judge([])]
    shown = [line.split()[2:8] for line in results_table(results).splitlines()[1:]]
    assert shown == [
        ["0", "5", "error", "if", ">", "0"],
        ["7", "9", "error", "if", ">", "0"],
        ["0", "0", "error", "if", ">", "0"],
        ["nothing", "error", "if", ">", "0", "FAILED"],
    ]
    assert summary(results) == {"passed": 1, "warned": 0, "failed": 2, "skipped": 1}


QUALITY = (SQL.parents[1] / "docs" / "quality.md").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_kind_of_bad_input_is_documented(case):
    assert f"| {case.name} | {case.rule} |" in QUALITY


def test_each_kind_of_check_and_each_field_is_documented():
    fields = json.loads(SCHEMA.read_text())["items"]["properties"]
    assert {kind for kind in fields["kind"]["enum"] if f"| `{kind}` |" not in QUALITY} == set()
    files = {
        path.stem for pattern in ("*.sql", "conditions/*.sql") for path in (SQL / "checks").glob(pattern)
    }
    assert files - {"rows", "together"} == set(fields["kind"]["enum"])
    assert {name for name in fields if f"`{name}`" not in QUALITY} == set()


def test_every_check_that_the_documents_name_is_there():
    named = set(re.findall(r"(?:warns|fails) ([a-z]+_[a-z_]+)", QUALITY)) | {"every_value_is_read"}
    checks = {check.name for folder in FOLDERS for check in read_checks(SQL / folder / "checks.yaml")}
    assert len(named) > 8
    assert named <= checks
