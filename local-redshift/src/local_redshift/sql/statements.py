"""The statements other than DDL that need other words for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from local_redshift.errors import RedshiftError, syntax_error, unsupported
from local_redshift.sql.copy_grammar import check_role
from local_redshift.sql.edits import Edits
from local_redshift.sql.names import dotted, literal, qualified_name, quoted
from local_redshift.sql.plan import Plan, SessionSettings

#: Settings of Redshift's that PostgreSQL has not; they are kept, most without effect.
REDSHIFT_SETTINGS = frozenset(
    [
        "analyze_threshold_percent",
        "auto_analyze",
        "cast_super_null_on_error",
        "datashare_break_glass_session_var",
        "describe_field_name_in_uppercase",
        "downcase_delimited_identifier",
        "enable_case_sensitive_identifier",
        "enable_case_sensitive_super_attribute",
        "enable_numeric_rounding",
        "enable_result_cache_for_session",
        "enable_vacuum_boost",
        "error_on_nondeterministic_update",
        "json_serialization_enable",
        "json_serialization_parse_nested_strings",
        "max_concurrency_scaling_clusters",
        "max_cursor_result_set_size",
        "mv_enable_aqmv_for_session",
        "navigate_super_null_on_error",
        "parse_super_null_on_error",
        "query_group",
        "spectrum_query_maxerror",
        "use_fips_ssl",
        "wlm_query_slot_count",
    ]
)


#: What a role may be assumed for, each the words of its name.
ASSUMED_FOR = (("COPY",), ("UNLOAD",), ("EXTERNAL", "FUNCTION"), ("CREATE", "MODEL"))

Item = TypeVar("Item")


def rewrite(edits: Edits, plan: Plan) -> None:
    """Rewrite a statement that is no DDL."""
    handler = STATEMENTS.get(edits.key(0))
    if handler is not None:
        handler(edits, plan)


def _select(edits: Edits, plan: Plan) -> None:
    """SELECT … INTO makes a table as CREATE TABLE AS does."""
    for index in edits.top_level(0, len(edits)):
        if edits.key(index) == "INTO" and edits.key(index - 1) not in ("INSERT", "MERGE"):
            start = index + 1
            while edits.key(start) in ("LOCAL", "TEMP", "TEMPORARY", "TABLE"):
                start += 1
            name, _ = qualified_name(edits, start)
            if start == index + 1 and edits.tokens[start].kind == "hash":
                edits.texts[index] += " TEMP"
            plan.after.append(f"SELECT redshift.analyze({literal(dotted(name))})")
            return


def _begin(edits: Edits, plan: Plan) -> None:
    """Redshift takes the words of other isolation levels and ignores them."""
    keys = [token.key for token in edits.tokens]
    read_only = "READ" in keys and "ONLY" in keys
    plan.sql = ("START TRANSACTION" if keys[0] == "START" else "BEGIN") + (" READ ONLY" if read_only else "")


def _truncate(edits: Edits, plan: Plan) -> None:
    keys = [token.key for token in edits.tokens]
    for refused in (",", "CASCADE", "RESTRICT", "RESTART", "CONTINUE", "ONLY"):
        if refused in keys:
            raise syntax_error(refused, hint="Redshift's TRUNCATE takes one table and nothing else.")
    # On Redshift TRUNCATE commits the transaction in which it runs.
    plan.commits = True


def _delete(edits: Edits, plan: Plan) -> None:
    if edits.key(1) != "FROM":
        edits.texts[0] += " FROM"


def _lock(edits: Edits, plan: Plan) -> None:
    keys = [token.key for token in edits.tokens]
    if "IN" in keys or "NOWAIT" in keys:
        raise syntax_error(
            "IN" if "IN" in keys else "NOWAIT", hint="Redshift's LOCK is always ACCESS EXCLUSIVE."
        )


def _vacuum(edits: Edits, plan: Plan) -> None:
    index = 1
    while edits.key(index) in ("FULL", "SORT", "DELETE", "ONLY", "REINDEX", "RECLUSTER"):
        index += 1
    end = index
    while end < len(edits) and edits.key(end) not in ("TO", "BOOST"):
        end += 1
    plan.sql = f"VACUUM {edits.render(index, end)}".strip()


def _analyze(edits: Edits, plan: Plan) -> None:
    if edits.key(1) == "COMPRESSION":
        table = edits.render(2, len(edits)).split("(")[0].strip()
        plan.sql = (
            f'SELECT {literal(table)}::text AS "table", attname::text AS "column", '
            "'raw'::text AS encoding, 0.00::numeric(5,2) AS est_reduction_pct FROM pg_catalog.pg_attribute "
            f"WHERE attrelid = {literal(table)}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        return
    index = 1
    if edits.key(index) == "VERBOSE":
        index += 1
    end = index
    while end < len(edits) and edits.key(end) not in ("PREDICATE", "ALL"):
        end += 1
    plan.sql = f"ANALYZE {edits.render(index, end)}".strip()


def _set(edits: Edits, plan: Plan) -> None:
    index = 1
    if edits.key(index) in ("SESSION", "LOCAL"):
        index += 1
    if edits.key(index) == "TRANSACTION" or edits.keys(index, "CHARACTERISTICS"):
        plan.sql = "SET redshift.isolation TO 'ignored'"
        return
    _redirect_setting(edits, plan, index)


def _setting(edits: Edits, index: int) -> str | None:
    """The setting that the token names, if it is one of Redshift's own.

    Raises RedshiftError for PostgreSQL's that tell its planner what to do.
    """
    name = edits.identifier(index) if index < len(edits) else ""
    if name in REDSHIFT_SETTINGS:
        return name
    if name.startswith("enable_"):
        raise RedshiftError(f'unrecognized configuration parameter "{name}"', sqlstate="42704")
    return None


def _redirect_setting(edits: Edits, plan: Plan, index: int) -> None:
    name = _setting(edits, index)
    if name is None:
        return
    edits.texts[index] = f"redshift.{name}"
    if name == "enable_case_sensitive_identifier" and edits.key(0) in ("SET", "RESET"):
        value = edits.tokens[-1].value.lower() if edits.key(0) == "SET" else "false"
        on = value in ("true", "on", "1", "yes")

        def apply(settings: SessionSettings) -> None:
            settings.case_sensitive_identifiers = on

        plan.settings = apply


def _show(edits: Edits, plan: Plan) -> None:
    name = _setting(edits, 1)
    if len(edits) == 2 and name is not None:
        plan.sql = (
            f"SELECT COALESCE(current_setting('redshift.{name}', true), 'default')::text AS {quoted(name)}"
        )


def _reset(edits: Edits, plan: Plan) -> None:
    _redirect_setting(edits, plan, 1)


def _merge(edits: Edits, plan: Plan) -> None:
    """Only the form that Redshift has: no alias on the target, both WHEN clauses once, no conditions."""
    index = 2 if edits.key(1) == "INTO" else 1
    target, index = qualified_name(edits, index)
    if edits.key(index) != "USING":
        raise syntax_error(
            edits.tokens[index].text if index < len(edits) else "",
            hint="On Redshift the target of MERGE takes no alias: name the table itself.",
        )
    if edits.key(index + 1) == "(":
        raise syntax_error("(", hint="On Redshift the source of MERGE is a table, not a subquery.")
    source, _ = qualified_name(edits, index + 1)
    if source == target:
        raise RedshiftError("Source and target of MERGE must be different tables", sqlstate="0A000")
    keys = [token.key for token in edits.tokens]
    if keys[-2:] == ["REMOVE", "DUPLICATES"]:
        raise RedshiftError(
            "MERGE … REMOVE DUPLICATES is not supported",
            sqlstate="0A000",
            hint="Redshift has it, but Local Redshift does not imitate it.",
        )
    whens = [
        i
        for i in edits.top_level(0, len(edits))
        if keys[i : i + 2] == ["WHEN", "MATCHED"] or keys[i : i + 3] == ["WHEN", "NOT", "MATCHED"]
    ]
    kinds = []
    for when in whens:
        after = when + (2 if keys[when + 1] == "MATCHED" else 3)
        kinds.append("matched" if keys[when + 1] == "MATCHED" else "not matched")
        if edits.key(after) != "THEN":
            raise syntax_error(
                edits.tokens[after].text if after < len(edits) else "",
                hint="On Redshift WHEN MATCHED and WHEN NOT MATCHED take no condition: "
                "filter the source first.",
            )
    if sorted(kinds) != ["matched", "not matched"]:
        raise syntax_error(
            "MERGE" if not kinds else "WHEN",
            hint="Redshift's MERGE has WHEN MATCHED THEN and WHEN NOT MATCHED THEN, each exactly once.",
        )


def _grant(edits: Edits, plan: Plan) -> None:
    """A role is a grantee of its own kind on Redshift, and any role is one to PostgreSQL."""
    if edits.key(1) == "ASSUMEROLE":
        _assume_role(edits, plan)
        return
    for index in range(1, len(edits)):
        if edits.key(index) == "ROLE" and edits.key(index - 1) in ("GRANT", "REVOKE", "TO", "FROM", ","):
            edits.remove(index, index + 1)


def _assume_role(edits: Edits, plan: Plan) -> None:
    """The privilege to name an IAM role, which PostgreSQL has not: the catalog's procedures keep it."""
    verb, to = ("grant", "TO") if edits.key(0) == "GRANT" else ("revoke", "FROM")
    roles, index = _listed(edits, _expected(edits, 2, "ON"), _iam_role)
    grantees, index = _listed(edits, _expected(edits, index, to), _grantee)
    purposes, index = _listed(edits, _expected(edits, index, "FOR"), _purpose)
    if index < len(edits):
        raise syntax_error(edits.tokens[index].text)
    lists = (roles, grantees, [purpose for some in purposes for purpose in some])
    arguments = ", ".join(f"ARRAY[{', '.join(map(literal, values))}]" for values in lists)
    plan.sql = f"CALL redshift.{verb}_assumerole({arguments})"


def _expected(edits: Edits, index: int, key: str) -> int:
    if edits.key(index) != key:
        raise syntax_error(_text(edits, index))
    return index + 1


def _text(edits: Edits, index: int) -> str:
    return edits.tokens[index].text if index < len(edits) else ""


def _listed(
    edits: Edits, index: int, read: Callable[[Edits, int], tuple[Item, int]]
) -> tuple[list[Item], int]:
    """What stands between commas, and the index after it."""
    item, index = read(edits, index)
    items = [item]
    while edits.key(index) == ",":
        item, index = read(edits, index + 1)
        items.append(item)
    return items, index


def _iam_role(edits: Edits, index: int) -> tuple[str, int]:
    if edits.key(index) == "ALL":
        return "ALL", index + 1
    if edits.key(index) == "DEFAULT":
        return "default", index + 1
    if index >= len(edits) or edits.tokens[index].kind != "string":
        raise syntax_error(_text(edits, index), hint="ON takes ARNs in single quotes, default or ALL.")
    role = edits.tokens[index].value
    check_role(role)
    return role, index + 1


def _grantee(edits: Edits, index: int) -> tuple[str, int]:
    if edits.key(index) in ("ROLE", "GROUP"):
        index += 1
    if index >= len(edits) or edits.tokens[index].kind not in ("word", "quoted"):
        raise syntax_error(_text(edits, index))
    return edits.identifier(index), index + 1


def _purpose(edits: Edits, index: int) -> tuple[list[str], int]:
    if edits.key(index) == "ALL":
        return [" ".join(words) for words in ASSUMED_FOR], index + 1
    for words in ASSUMED_FOR:
        if edits.keys(index, *words):
            return [" ".join(words)], index + len(words)
    raise syntax_error(
        _text(edits, index), hint="FOR takes ALL, COPY, UNLOAD, EXTERNAL FUNCTION or CREATE MODEL."
    )


def _prepare_transaction(edits: Edits, plan: Plan) -> None:
    if edits.key(1) == "TRANSACTION":
        raise unsupported("PREPARE TRANSACTION", "it has no two-phase commit.")


STATEMENTS: dict[str, Callable[[Edits, Plan], None]] = {
    "SELECT": _select,
    "WITH": _select,
    "BEGIN": _begin,
    "START": _begin,
    "TRUNCATE": _truncate,
    "DELETE": _delete,
    "LOCK": _lock,
    "VACUUM": _vacuum,
    "ANALYZE": _analyze,
    "SET": _set,
    "SHOW": _show,
    "RESET": _reset,
    "MERGE": _merge,
    "GRANT": _grant,
    "REVOKE": _grant,
    "PREPARE": _prepare_transaction,
}
