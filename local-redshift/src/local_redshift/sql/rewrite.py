"""The way into this package: a text of Redshift's to a plan for each of its statements."""

from __future__ import annotations

from local_redshift.sql import ddl, refusals, statements
from local_redshift.sql.copy_grammar import parse_copy
from local_redshift.sql.edits import Edits
from local_redshift.sql.expressions import rewrite_expressions
from local_redshift.sql.lexer import Token, split, tokenize
from local_redshift.sql.plan import Plan, SessionSettings

#: A statement that is never run: it gives a COPY its place in the extended protocol.
COPY_PLACEHOLDER = "COPY pg_catalog.pg_class TO STDOUT"


def plan_statements(sql: str, settings: SessionSettings, status: bytes = b"I") -> list[Plan]:
    """A plan for each statement of the text. `status` is the transaction's, as in ReadyForQuery.

    Raises RedshiftError for what Redshift refuses and PostgreSQL would take.
    """
    return [_plan(sql, tokens, settings, status) for tokens in split(tokenize(sql))]


def _plan(sql: str, tokens: list[Token], settings: SessionSettings, status: bytes) -> Plan:
    if tokens[0].key == "COPY":
        return Plan(COPY_PLACEHOLDER, copy=parse_copy(tokens, settings.case_sensitive_identifiers))
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
