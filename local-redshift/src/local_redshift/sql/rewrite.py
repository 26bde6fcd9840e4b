"""The way into this package: a text of Redshift's to a plan for each of its statements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from local_redshift.errors import syntax_error, unsupported
from local_redshift.sql import ddl, refusals, statements
from local_redshift.sql.copy_grammar import parse_copy
from local_redshift.sql.edits import Edits
from local_redshift.sql.expressions import rewrite_expressions
from local_redshift.sql.lexer import Token, split, tokenize
from local_redshift.sql.plan import Plan, SessionSettings

#: A statement that is never run: it gives a COPY its place in the extended protocol.
COPY_PLACEHOLDER = "COPY pg_catalog.pg_class TO STDOUT"

#: How a statement begins that Redshift explains.
EXPLAINED = frozenset(["SELECT", "WITH", "CREATE", "INSERT", "UPDATE", "DELETE"])


#: How many texts are remembered with their plans, which are as long, and of how many characters at most:
#: 128 MB at worst.
REMEMBERED, SHORT = 1000, 64_000


def plan_statements(sql: str, settings: SessionSettings, status: bytes = b"I") -> Sequence[Plan]:
    """A plan for each statement of the text. `status` is the transaction's, as in ReadyForQuery.

    Raises RedshiftError for what Redshift refuses and PostgreSQL would take.
    """
    plan = _plans_again if len(sql) <= SHORT else _plans
    return plan(sql, settings.case_sensitive_identifiers, status)


def _plans(sql: str, case_sensitive_identifiers: bool, status: bytes) -> tuple[Plan, ...]:
    settings = SessionSettings(case_sensitive_identifiers)
    return tuple(_plan(sql, tokens, settings, status) for tokens in split(tokenize(sql)))


#: Drivers, pages and pipelines send the same texts again and again.
_plans_again = lru_cache(REMEMBERED)(_plans)


def _plan(sql: str, tokens: list[Token], settings: SessionSettings, status: bytes) -> Plan:
    if tokens[0].key == "COPY":
        return Plan(COPY_PLACEHOLDER, copy=parse_copy(tokens, settings.case_sensitive_identifiers))
    if tokens[0].key == "EXPLAIN":
        return _explain(sql, tokens, settings, status)
    edits = Edits(sql, tokens)
    plan = Plan("")
    if not settings.case_sensitive_identifiers:
        edits.fold_quoted_identifiers()
    refusals.check(edits)
    rewrite_expressions(edits)
    if not ddl.rewrite(edits, plan, status):
        statements.rewrite(edits, plan)
    plan.sql = plan.sql or edits.render()
    return plan


def _explain(sql: str, tokens: list[Token], settings: SessionSettings, status: bytes) -> Plan:
    """EXPLAIN of the statement as PostgreSQL would run it: what runs after the statement is left out."""
    keys = [token.key for token in tokens[1:3]]
    if "ANALYZE" in keys:
        raise unsupported("EXPLAIN ANALYZE", "EXPLAIN takes VERBOSE only.")
    words = 2 if keys[:1] == ["VERBOSE"] else 1
    explained = tokens[words:]
    first = next((token for token in explained if token.key != "("), None)
    if first is None or first.key not in EXPLAINED or _is_materialized_view(explained):
        raise syntax_error(
            first.text if first else "",
            hint="EXPLAIN takes SELECT, SELECT INTO, CREATE TABLE AS, INSERT, UPDATE and DELETE.",
        )
    plan = _plan(sql, explained, settings, status)
    return Plan(f"EXPLAIN {'VERBOSE ' if words == 2 else ''}{plan.sql}")


def _is_materialized_view(tokens: list[Token]) -> bool:
    return [token.key for token in tokens[:2]] == ["CREATE", "MATERIALIZED"]
