"""Every SQL file, rendered as the DAGs render it, is Redshift SQL."""

from __future__ import annotations

import re
from functools import cache

import jinja2
import pytest
import sqlparse
from sqlfluff.core import FluffConfig, Linter

from sparkify.analytics import Period, questions
from sparkify.bookkeeping import comparison, rebuild_script
from sparkify.fingerprint import fingerprint_sql
from sparkify.migrations import read_migrations
from sparkify.operators.publish import LEAVE_OUT_SONGS, SUPERSEDED, SUPERSEDED_SONGS
from sparkify.operators.quality import STAGED
from sparkify.paths import MIGRATIONS, SQL
from sparkify.rejected import PROVISIONED, SERVERLESS
from sparkify.warehouse import HOLDERS, split_statements
from tests.support.documents import sql_blocks
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.unit

MODES = ("append", "truncate")
NOVEMBER = Period.parse("2018-11-01", "2018-12-01")

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


@cache
def rendered_scripts() -> dict[str, str]:
    """`<path> (<mode>)` to the SQL that the DAGs' own tasks run, for every file and check."""
    scripts: dict[str, str] = {}
    schema = PipelineRun(load_dag("sparkify_schema"), variables={"sparkify_readers": "ROLE analysts"})
    task, _ = schema.rendered("create_schema")
    for path, sql in zip(schema.dag.get_task("create_schema").create_sql, task.create_sql, strict=True):
        scripts[path] = sql
    scripts["grant.sql"] = task._grants()
    for migration in read_migrations(MIGRATIONS):
        scripts[f"migrations/{migration.name}.sql"] = migration.script

    for mode in MODES:
        params = {
            "window_start": "2018-11-01T00:00:00Z",
            "window_end": "2018-12-01T00:00:00Z",
            "dimension_mode": mode,
        }
        run = PipelineRun(load_dag("sparkify"), params)
        for source in ("events", "songs"):
            task, _ = run.rendered(f"stage_{source}")
            scripts[f"staging/{source}/create.sql"] = task.create_sql
            scripts[f"staging/copy.sql ({source})"] = task.copy_sql
            scripts[f"staging/copy_files.sql ({source})"] = task.copy_files_sql
            scripts[f"staging/create_rejected.sql ({source})"] = task.create_rejected_sql
            if task.reject_sql:
                scripts[f"staging/{source}/reject.sql"] = task.reject_sql
            run.xcoms[f"stage_{source}", "return_value"] = dict.fromkeys(STAGED, 1)
        candidates = []
        for table in ("songs", "artists", "songplays", "users", "time"):
            task, context = run.rendered(f"load_{table}")
            scripts[f"{table}/load.sql"] = task.sql
            candidate = task.sql_context(context)["candidate"]
            candidates.append({"table": table, "candidate": candidate, "mode": mode, "rows": 1})
        task, context = run.rendered("run_quality_checks")
        relations = {f"staging/{source}": f"staging.{source}__1" for source in task.sources}
        relations |= {candidate["table"]: candidate["candidate"] for candidate in candidates}
        for check, query, explain in task._statements(
            task.sql_context(context), relations, task._staged(context)
        ):
            name = f"{check.table}/checks.yaml {check.name}"
            scripts |= {name: query, **({f"{name} (explain)": explain} if explain else {})}
            if check.query.endswith(".sql"):
                scripts[f"{check.query} ({name})"] = query
        run.xcoms["run_quality_checks", "return_value"] = candidates
        task, context = run.rendered("publish")
        for path, sql in task._scripts(context, task.begin(context)):
            scripts[f"{path} ({mode})"] = sql
        for path in (SUPERSEDED, SUPERSEDED_SONGS, LEAVE_OUT_SONGS):
            scripts[path] = task.render_template(path, task._names(context))
    copy, _ = PipelineRun(load_dag("sparkify_verify")).rendered("copy")
    scripts["verify.sql"] = copy.copy_script("s3://work/verify.manifest")
    for path in (PROVISIONED, SERVERLESS, HOLDERS):
        scripts[path] = (SQL / path).read_text().replace("%s", "1")
    for name in ("hours", "windows", "tables"):
        scripts[f"bookkeeping/{name}.sql"] = comparison(name)
    scripts["bookkeeping/rebuild.sql"] = rebuild_script(["songs", "users", "time"])
    scripts["fingerprint.sql"] = fingerprint_sql()
    for question in questions().values():
        scripts[f"analytics/{question.name}.sql"] = question.sql(NOVEMBER, 20)
    for number, sql in enumerate(sql_blocks("analysts.md"), 1):
        scripts[f"docs/analysts.md {number}"] = sql
    return scripts


def rendered_files() -> set[str]:
    """The SQL files that went into the rendered scripts, by name or by import."""
    loader = jinja2.Environment(loader=jinja2.FileSystemLoader(SQL))
    files = {name.partition(" ")[0] for name in rendered_scripts()}
    for name in [name for name in files if name.endswith(".sql")]:
        source = (SQL / name).read_text()
        files |= set(jinja2.meta.find_referenced_templates(loader.parse(source)))
    return files


def test_every_sql_file_is_rendered():
    assert {str(path.relative_to(SQL)) for path in SQL.rglob("*.sql")} <= rendered_files()


@pytest.mark.parametrize("name", sorted(rendered_scripts()))
def test_sql_parses_as_redshift(name):
    linter = Linter(config=FluffConfig(overrides={"dialect": "redshift"}))
    parsed = linter.parse_string(rendered_scripts()[name] + "\n")
    assert [f"line {e.line_no}: {e.desc()}" for e in parsed.violations] == []
    assert "unparsable" not in parsed.tree.type_set()


@pytest.mark.parametrize("name", sorted(rendered_scripts()))
def test_sql_keeps_the_rules_that_the_parser_does_not_know(name):
    statements = split_statements(sqlparse.format(rendered_scripts()[name], strip_comments=True))
    assert {rule for statement in statements for rule in broken_rules(statement)} == set()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_catches_its_violation(rule):
    assert rule in broken_rules(VIOLATIONS[rule])


def test_a_statement_that_is_no_sql_fails_the_parser():
    linter = Linter(config=FluffConfig(overrides={"dialect": "redshift"}))
    assert linter.parse_string("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING\n").violations
