"""Every SQL file, rendered as the DAGs render it, is Redshift SQL."""

from __future__ import annotations

import re
from functools import cache

import jinja2
import pytest
import sqlparse

from sparkify.checks import read_checks
from sparkify.paths import SQL
from sparkify.warehouse import split_statements
from tests import lint_sql
from tests.lint_sql import POSTGRESQL, REDSHIFT, faults
from tests.support.scripts import rendered_scripts

pytestmark = pytest.mark.unit
# The checks of a source are one statement of more tokens, blanks among them, than it takes from strangers.
sqlparse.engine.grouping.MAX_GROUPING_TOKENS = None

# What sqlfluff's Redshift dialect lets through although Redshift refuses it, or this project forbids it.
RULES = {
    "CREATE INDEX, SEQUENCE, TRIGGER": r"\bCREATE\s+(UNIQUE\s+)?(INDEX|SEQUENCE|TRIGGER)\b",
    "generate_series is leader-only": r"\bGENERATE_SERIES\s*\(",
    "STRING_AGG, ARRAY_AGG": r"\b(STRING|ARRAY)_AGG\s*\(",
    "DISTINCT ON": r"\bDISTINCT\s+ON\b",
    "FILTER clause": r"\)\s*FILTER\s*\(",
    "VALUES as a table": r"\bFROM\s*\(\s*VALUES\b",
    "ARRAY[]": r"\bARRAY\s*\[",
    "two DISTKEYs": r"\bDISTKEY\s*\([^)]*\).*\bDISTKEY\s*\(",
    "LIKE with its own DISTSTYLE": r"\(\s*LIKE\b.*\bDISTSTYLE\b",
    "COPY without authorization": r"\bCOPY\b(?!.*\b(IAM_ROLE|CREDENTIALS|ACCESS_KEY_ID)\b)",
    "COPY with secrets in its text": r"\bCOPY\b.*\b(SECRET_ACCESS_KEY|CREDENTIALS)\b",
    "COPY of JSON as CSV": r"\bCOPY\b(?=.*\bJSON\b)(?=.*\bCSV\b)",
    "JSON with an unknown argument": r"\bCOPY\b.*\bJSON\s+(?:AS\s+)?'(?!auto'|auto ignorecase'|noshred'|s3://)",
    "unquoted TIMEFORMAT": r"\bTIMEFORMAT\s+(?:AS\s+)?[^'\sA]",
    "MERGE has rules of its own, and nothing needs it": r"\bMERGE\s+INTO\b",
    "UPDATE SET of a qualified column": r"\bUPDATE\b.*\bSET\s+\w+\.\w+\s*=",
    "TRUNCATE commits": r"\bTRUNCATE\b",
    "VARCHAR over 65535 bytes": r"\bVARCHAR\s*\(\s*"
    r"(6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4}|\d{6,})\s*\)",
    "two ADD COLUMNs": r"\bADD\s+COLUMN\b.*\bADD\s+COLUMN\b",
    "RANGE frame": r"\bRANGE\s+(BETWEEN|UNBOUNDED|CURRENT)\b",
    "aggregate window with ORDER BY but no frame": r"\b(SUM|COUNT|AVG|MIN|MAX)\s*\([^()]*\)\s*OVER\s*\("
    r"(?![^()]*\bROWS\b)[^()]*\bORDER\s+BY\b",
    "ON CONFLICT": r"\bON\s+CONFLICT\b",
    "RETURNING": r"\bRETURNING\b",
    "SAVEPOINT": r"\bSAVEPOINT\b",
    "IS DISTINCT FROM": r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b",
}

VIOLATIONS = {
    "CREATE INDEX, SEQUENCE, TRIGGER": "CREATE INDEX i ON t (a)",
    "generate_series is leader-only": "SELECT generate_series(1, 2)",
    "STRING_AGG, ARRAY_AGG": "SELECT STRING_AGG(a, ',') FROM t",
    "DISTINCT ON": "SELECT DISTINCT ON (a) b FROM t",
    "FILTER clause": "SELECT COUNT(*) FILTER (WHERE a > 1) FROM t",
    "VALUES as a table": "SELECT * FROM (VALUES (1)) AS v",
    "ARRAY[]": "SELECT ARRAY[1]",
    "two DISTKEYs": "CREATE TABLE t (a INT, b INT) DISTKEY (a) DISTKEY (b)",
    "LIKE with its own DISTSTYLE": "CREATE TABLE t (LIKE u) DISTSTYLE ALL",
    "COPY without authorization": "COPY t FROM 's3://b/k' JSON 'auto'",
    "COPY with secrets in its text": "COPY t FROM 's3://b/k' CREDENTIALS 'aws_iam_role=a' JSON 'auto'",
    "COPY of JSON as CSV": "COPY t FROM 's3://b/k' IAM_ROLE default JSON 'auto' CSV",
    "JSON with an unknown argument": "COPY t FROM 's3://b/k' IAM_ROLE default JSON 'bogus'",
    "unquoted TIMEFORMAT": "COPY t FROM 's3://b/k' IAM_ROLE default TIMEFORMAT epochmillisecs",
    "MERGE has rules of its own, and nothing needs it": "MERGE INTO t USING u ON t.a = u.a",
    "UPDATE SET of a qualified column": "UPDATE t SET t.a = 1",
    "TRUNCATE commits": "TRUNCATE t",
    "VARCHAR over 65535 bytes": "CREATE TABLE t (a VARCHAR(65536))",
    "two ADD COLUMNs": "ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b INT",
    "RANGE frame": "SELECT SUM(a) OVER (ORDER BY b RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    "aggregate window with ORDER BY but no frame": "SELECT SUM(a) OVER (PARTITION BY c ORDER BY b) FROM t",
    "ON CONFLICT": "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    "RETURNING": "DELETE FROM t RETURNING a",
    "SAVEPOINT": "SAVEPOINT s",
    "IS DISTINCT FROM": "SELECT a IS DISTINCT FROM b FROM t",
}


def broken_rules(statement: str) -> list[str]:
    return [name for name, rule in RULES.items() if re.search(rule, statement, re.IGNORECASE | re.DOTALL)]


def rendered_files() -> set[str]:
    """The SQL files that went into the rendered scripts, by name or by import."""
    loader = jinja2.Environment(loader=jinja2.FileSystemLoader(SQL))
    files = {name.partition(" ")[0] for name in rendered_scripts()}
    sources = [(SQL / name).read_text() for name in files if name.endswith(".sql")]
    for check in [check for path in SQL.rglob("checks.yaml") for check in read_checks(path)]:
        sources += [check.query, check.explain or "", *map(str, check.fields.values())]
    for source in sources:
        files |= set(jinja2.meta.find_referenced_templates(loader.parse(source)))
    return files


def test_every_sql_file_is_rendered():
    assert {str(path.relative_to(SQL)) for path in SQL.rglob("*.sql")} <= rendered_files()


@cache
def without_comments(script: str) -> str:
    return sqlparse.format(script, strip_comments=True)


#: The scripts by name; of several with one text, one.
SCRIPTS = {text: name for name, text in sorted(rendered_scripts().items(), reverse=True)}


@pytest.mark.parametrize("script", SCRIPTS, ids=SCRIPTS.values())
def test_sql_keeps_the_rules_that_the_parser_does_not_know(script):
    statements = split_statements(without_comments(script))
    assert {rule for statement in statements for rule in broken_rules(statement)} == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=SCRIPTS.values())
def test_sql_is_split_as_a_parser_of_sql_splits_it(script):
    parsed = [one.strip() for one in sqlparse.split(without_comments(script))]
    split = [sqlparse.format(one, strip_comments=True).strip() for one in split_statements(script)]
    assert split == [one.removesuffix(";").strip() for one in parsed if one.strip(";")]


@pytest.mark.parametrize("table", ["songplays", "users", "time"])
def test_what_hours_lose_is_looked_for_in_the_window_only(table):
    """Those beside it, which a run adds late rows to, would be read for nothing."""
    script = rendered_scripts()[f"{table}/publish.sql (append, late)"]
    losing = [one for one in split_statements(script) if "is_whole" in one]
    assert losing
    for statement in losing:
        window = {"2018-11-01 00:00:00", "2018-12-01 00:00:00"}
        assert set(re.findall(r"TIMESTAMP '(2018.*?)'", statement)) == window


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_catches_its_violation(rule):
    assert rule in broken_rules(VIOLATIONS[rule])


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "PRS"),
        ("SELECT * FROM t", "AM04"),
        ("SELECT RANK() OVER (ORDER BY a DESC, b) AS place FROM t", "AM03"),
        ("select a FROM t", "CP01"),
    ],
)
def test_lint_names_the_script_the_line_and_the_rule(sql, rule):
    [fault] = faults({"a.sql": f"-- A comment.\n{sql};\n"}, REDSHIFT)
    assert fault.startswith(f"a.sql, line 2: {rule} ")
    assert fault.endswith(f"\n    {sql};")


def test_lint_knows_the_catalogue_for_postgresql():
    assert list(faults({"a.sql": "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING;"}, POSTGRESQL)) == []


def test_lint_says_the_same_of_one_text_once():
    [fault] = faults({"a.sql": "SELECT * FROM t", "b.sql": "SELECT * FROM t\n\n"}, REDSHIFT)
    assert fault.startswith("a.sql, ")


def test_lint_fails_with_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lint_sql, "CATALOGUE", tmp_path)
    monkeypatch.setattr(lint_sql, "rendered_scripts", lambda: {"a.sql": "SELECT a FROM t"})
    assert lint_sql.main() == 0
    monkeypatch.setattr(lint_sql, "rendered_scripts", lambda: {"a.sql": "SELECT * FROM t"})
    assert lint_sql.main() == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("then run make lint-sql.")
