"""checks.yaml: what is refused, and how an observation is judged."""

import pytest

from sparkify.checks import Check, read_checks, results_table
from sparkify.paths import SQL

pytestmark = pytest.mark.unit


def check(threshold="> 0"):
    return Check("songplays", "natural_key_is_unique", "the grain", "error", "SELECT 1", threshold)


@pytest.mark.parametrize(
    ("threshold", "rows", "passed"),
    [
        ("> 0", [(0,)], True),
        ("> 0", [(1,)], False),
        ("< 0.5", [("0.75",)], True),
        ("<= 0.75", [(0.75,)], False),
        ("= 0", [(0,)], False),
        ("<> 3", [(3,)], True),
        pytest.param("> 0", [(None,)], False, id="NULL never passes"),
        pytest.param("> 0", [], False, id="no row never passes"),
        pytest.param("> 0", [(0,), (0,)], False, id="two rows never pass"),
        pytest.param("> 0", [(0, 0)], False, id="two columns never pass"),
    ],
)
def test_judgement(threshold, rows, passed):
    assert check(threshold).judge(rows).passed is passed


VALID = "- {name: a, protects: b, severity: warn, sql: SELECT 0, fail_if: '> 0'}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list of checks"),
        ("name: a\n", "expected a list of checks"),
        ("- a\n", "check 1 is a str"),
        (VALID.replace("protects: b, ", ""), r"missing or unknown \['protects'\]"),
        (VALID.replace("protects", "protect"), r"missing or unknown \['protect', 'protects'\]"),
        (VALID + VALID.replace("name: a", "name: c").replace("warn", "fatal"), r"check 2 \(c\).*'fatal'"),
        (VALID.replace("> 0", "more than 0"), "'more than 0' is not a comparison"),
        (VALID + VALID, "two checks are named a"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path, text, message):
    path = tmp_path / "checks.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_checks(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("path", sorted(SQL.glob("*/checks.yaml")), ids=lambda path: path.parent.name)
def test_the_projects_own_checks_are_valid(path):
    assert len(read_checks(path)) >= 3


def test_results_are_a_table_that_shows_failures():
    table = results_table([check().judge([(0,)]), check().judge([(7,)]), check().judge([])])
    assert [line.split()[3:] for line in table.splitlines()[1:]] == [
        ["0", ">", "0", "passed"],
        ["7", ">", "0", "FAILED"],
        ["nothing", ">", "0", "FAILED"],
    ]
