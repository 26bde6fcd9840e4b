"""What to do for a statement: its text for PostgreSQL, and the steps around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from local_redshift.sql.copy_grammar import CopyCommand


@dataclass
class SessionSettings:
    """Settings of Redshift's that change how statements are read."""

    case_sensitive_identifiers: bool = False


@dataclass
class Plan:
    """One statement: `sql` for PostgreSQL, what runs after it, or the COPY that it is."""

    sql: str
    after: list[str] = field(default_factory=list)
    copy: CopyCommand | None = None
    settings: Callable[[SessionSettings], None] | None = None
    #: The statement commits the transaction that it runs in.
    commits: bool = False

    @property
    def plain(self) -> bool:
        return not (self.after or self.copy or self.settings or self.commits)
