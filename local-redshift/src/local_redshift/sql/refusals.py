"""What PostgreSQL would take and Redshift refuses, or what is not imitated, anywhere in a statement."""

from __future__ import annotations

from collections.abc import Callable

from local_redshift.errors import RedshiftError, syntax_error, unsupported
from local_redshift.sql.edits import Edits
from local_redshift.sql.names import RESERVED

REFUSED_CREATE = frozenset(
    [
        "INDEX",
        "UNIQUE",
        "SEQUENCE",
        "TRIGGER",
        "TYPE",
        "DOMAIN",
        "EXTENSION",
        "RULE",
        "POLICY",
        "OPERATOR",
        "AGGREGATE",
        "CAST",
        "COLLATION",
        "SERVER",
        "FOREIGN",
        "PUBLICATION",
        "SUBSCRIPTION",
        "EVENT",
        "UNLOGGED",
        "STATISTICS",
        "TABLESPACE",
    ]
)

REFUSED: dict[str, tuple[str, str]] = {
    "SAVEPOINT": ("SAVEPOINT", "a transaction is committed or rolled back as a whole."),
    "RELEASE": ("RELEASE SAVEPOINT", "a transaction is committed or rolled back as a whole."),
    "DO": ("DO", "write a stored procedure and CALL it."),
    "LISTEN": ("LISTEN", "it has no notifications."),
    "NOTIFY": ("NOTIFY", "it has no notifications."),
    "UNLISTEN": ("UNLISTEN", "it has no notifications."),
    "CLUSTER": ("CLUSTER", "tables have a SORTKEY."),
    "REINDEX": ("REINDEX", "it has no indexes."),
    "VALUES": ("VALUES as a statement", "write SELECT … UNION ALL SELECT …."),
    "TABLE": ("TABLE as a statement", "write SELECT * FROM …."),
    "DISCARD": ("DISCARD", "close the connection instead."),
    "LOAD": ("LOAD", "it loads no libraries."),
    "SECURITY": ("SECURITY LABEL", "it has no labels."),
    "IMPORT": ("IMPORT FOREIGN SCHEMA", "write CREATE EXTERNAL SCHEMA there."),
    "REASSIGN": ("REASSIGN OWNED", "write ALTER … OWNER TO."),
}

NOT_IMITATED: dict[str, str] = {
    "UNLOAD": "UNLOAD",
}


def check(edits: Edits) -> None:
    """Refuse what Redshift has not, wherever in the statement it stands."""
    first = edits.key(0)
    if first in REFUSED:
        raise unsupported(*REFUSED[first])
    if first in NOT_IMITATED:
        raise RedshiftError(
            f"{first} is not supported",
            sqlstate="0A000",
            hint="Redshift has it, but Local Redshift does not imitate it (see its README).",
        )
    if first == "CREATE":
        index = 3 if edits.key(1) == "OR" else 1
        if edits.key(index) in REFUSED_CREATE:
            raise unsupported(f"CREATE {edits.key(index)}", "it has no such object.")
        if edits.key(index) == "EXTERNAL":
            raise RedshiftError(
                f"CREATE EXTERNAL {edits.key(index + 1)} is not supported",
                sqlstate="0A000",
                hint="Redshift has Spectrum, but Local Redshift does not imitate it.",
            )
    for index in edits.places(REFUSED_WORDS):
        if edits.key(index - 1) != ".":
            REFUSED_WORDS[edits.key(index)](edits, index)


def _on_conflict(edits: Edits, index: int) -> None:
    if edits.key(index + 1) == "CONFLICT" and edits.key(0) in ("INSERT", "WITH"):
        raise unsupported("ON CONFLICT", "use MERGE, or DELETE and INSERT in one transaction.")


def _returning(edits: Edits, index: int) -> None:
    if edits.key(0) in ("INSERT", "UPDATE", "DELETE", "MERGE", "WITH") and edits.key(index - 1) not in (
        "AS",
        ",",
    ):
        raise unsupported("RETURNING", "read the rows with a SELECT.")


def _distinct(edits: Edits, index: int) -> None:
    if edits.key(index + 1) == "ON" and edits.key(index + 2) == "(":
        raise unsupported("DISTINCT ON", "use ROW_NUMBER() OVER (…) and keep row 1.")
    if edits.key(index + 1) == "FROM" and edits.key(index - 1) in ("IS", "NOT"):
        raise unsupported("IS DISTINCT FROM", "compare with NVL, or spell out the NULL cases.")


def _filter(edits: Edits, index: int) -> None:
    if edits.key(index - 1) == ")" and edits.keys(index + 1, "(", "WHERE"):
        raise unsupported("FILTER", "put a CASE inside the aggregate.")


def _array(edits: Edits, index: int) -> None:
    if edits.key(index + 1) == "[":
        raise unsupported("ARRAY[…]", "it has no PostgreSQL arrays.")


def _values(edits: Edits, index: int) -> None:
    if edits.key(index - 1) == "(" and edits.key(index + 1) == "(" and not _inserts(edits, index):
        raise unsupported(
            "VALUES as a table", "write SELECT … UNION ALL SELECT …, or insert into a table first."
        )


def _inserts(edits: Edits, index: int) -> bool:
    return edits.key(index - 2) in ("INSERT",)


def _lateral(edits: Edits, index: int) -> None:
    if edits.key(index - 1) in (",", "JOIN", "FROM"):
        raise unsupported("LATERAL", "use a join with a subquery.")


def _generate_series(edits: Edits, index: int) -> None:
    if edits.key(index + 1) != "(":
        return
    keys = [token.key for token in edits.tokens]
    if edits.key(0) != "SELECT" or keys.count("FROM") > 1 or "JOIN" in keys:
        raise RedshiftError(
            "Specified types or functions (one per INFO message) not supported on Redshift tables.",
            sqlstate="0A000",
            hint="generate_series runs on Redshift's leader node only: it cannot fill or join a table.",
        )


def _rollback_to(edits: Edits, index: int) -> None:
    if index == 0 and "TO" in {token.key for token in edits.tokens}:
        raise unsupported("ROLLBACK TO SAVEPOINT", "a transaction is rolled back as a whole.")


def _operator(edits: Edits, index: int) -> None:
    raise unsupported(f"operator {edits.key(index)}", "use JSON_EXTRACT_PATH_TEXT.")


def _for_update(edits: Edits, index: int) -> None:
    if edits.key(index + 1) in ("UPDATE", "SHARE") and edits.key(0) in ("SELECT", "WITH"):
        raise unsupported(f"FOR {edits.key(index + 1)}", "it locks whole tables: use LOCK.")


def _alias(edits: Edits, index: int) -> None:
    word = edits.tokens[index + 1] if index + 1 < len(edits) else None
    if (
        word is not None
        and word.kind == "word"
        and word.key in RESERVED
        and edits.key(0) in ("SELECT", "WITH")
        and edits.key(index + 2) in (",", "FROM", "")
        and word.key != "TIMESTAMP"
    ):
        raise syntax_error(word.text, hint=f"{word.key} is a reserved word: put it in double quotes.")


REFUSED_WORDS: dict[str, Callable[[Edits, int], None]] = {
    "ON": _on_conflict,
    "RETURNING": _returning,
    "DISTINCT": _distinct,
    "FILTER": _filter,
    "ARRAY": _array,
    "VALUES": _values,
    "LATERAL": _lateral,
    "GENERATE_SERIES": _generate_series,
    "ROLLBACK": _rollback_to,
    "FOR": _for_update,
    "AS": _alias,
    "->": _operator,
    "->>": _operator,
    "@>": _operator,
    "<@": _operator,
}
