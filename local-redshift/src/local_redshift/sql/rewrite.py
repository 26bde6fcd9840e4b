"""What to do for a statement: its text for PostgreSQL, and the steps around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from local_redshift.sql import ddl, statements
from local_redshift.sql.copy_grammar import CopyCommand, parse_copy
from local_redshift.sql.edits import Edits
from local_redshift.sql.expressions import rewrite_expressions
from local_redshift.sql.lexer import split, tokenize

#: A statement that is never run: it gives a COPY its place in the extended protocol.
COPY_PLACEHOLDER = "COPY pg_catalog.pg_class TO STDOUT"


@dataclass
class SessionSettings:
    """Settings of Redshift's that change how statements are read."""

    case_sensitive_identifiers: bool = False


@dataclass
class Plan:
    """One statement: `sql` for PostgreSQL, what runs before and after it, or the COPY that it is."""

    sql: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    copy: CopyCommand | None = None
    settings: Callable[[SessionSettings], None] | None = None
    #: The statement commits the transaction that it runs in.
    commits: bool = False

    @property
    def plain(self) -> bool:
        return not (self.before or self.after or self.copy or self.settings or self.commits)


def plan_statements(sql: str, settings: SessionSettings, status: bytes = b"I") -> list[Plan]:
    """A plan for each statement of the text. `status` is the transaction's, as in ReadyForQuery.

    Raises RedshiftError for what Redshift refuses and PostgreSQL would take.
    """
    return [_plan(sql, tokens, settings, status) for tokens in split(tokenize(sql))]


def _plan(sql: str, tokens, settings: SessionSettings, status: bytes) -> Plan:
    if tokens[0].key == "COPY":
        return Plan(COPY_PLACEHOLDER, copy=parse_copy(tokens, settings.case_sensitive_identifiers))
    edits = Edits(sql, tokens)
    plan = Plan("")
    if not settings.case_sensitive_identifiers:
        edits.fold_quoted_identifiers()
    statements.check(edits)
    rewrite_expressions(edits)
    if not ddl.rewrite(edits, plan, status):
        statements.rewrite(edits, plan, status)
    plan.sql = plan.sql or edits.render()
    return plan
