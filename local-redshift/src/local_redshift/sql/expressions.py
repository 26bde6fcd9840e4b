"""Redshift's functions, keywords and types inside expressions, put into PostgreSQL's words.

What a function of the same name can do is in functions.sql; here is what needs another syntax.
"""

from __future__ import annotations

from collections.abc import Callable

from local_redshift.errors import RedshiftError, unsupported
from local_redshift.sql.edits import Edits
from local_redshift.sql.names import literal

#: Aggregates and value functions whose window needs an explicit frame once it has an ORDER BY.
FRAMED = frozenset(
    [
        "AVG",
        "COUNT",
        "MAX",
        "MIN",
        "SUM",
        "STDDEV",
        "STDDEV_POP",
        "STDDEV_SAMP",
        "VARIANCE",
        "VAR_POP",
        "VAR_SAMP",
        "BOOL_AND",
        "BOOL_OR",
        "FIRST_VALUE",
        "LAST_VALUE",
        "NTH_VALUE",
    ]
)

#: Functions of PostgreSQL's that Redshift has not.
POSTGRES_FUNCTIONS = frozenset(
    [
        "STRING_AGG",
        "ARRAY_AGG",
        "JSON_AGG",
        "JSONB_AGG",
        "JSON_OBJECT_AGG",
        "JSONB_OBJECT_AGG",
        "TO_JSON",
        "TO_JSONB",
        "ROW_TO_JSON",
        "JSON_BUILD_OBJECT",
        "JSONB_BUILD_OBJECT",
        "JSON_BUILD_ARRAY",
        "JSONB_BUILD_ARRAY",
        "JSONB_SET",
        "JSON_POPULATE_RECORD",
        "UNNEST",
        "MAKE_DATE",
        "MAKE_TIMESTAMP",
        "MAKE_TIMESTAMPTZ",
        "MAKE_INTERVAL",
        "CLOCK_TIMESTAMP",
        "STATEMENT_TIMESTAMP",
        "TRANSACTION_TIMESTAMP",
        "GEN_RANDOM_UUID",
        "UUIDV7",
        "FORMAT",
        "REGEXP_MATCHES",
        "REGEXP_MATCH",
        "REGEXP_SPLIT_TO_TABLE",
        "REGEXP_SPLIT_TO_ARRAY",
        "STRING_TO_ARRAY",
        "STRING_TO_TABLE",
        "ARRAY_LENGTH",
        "ARRAY_TO_STRING",
        "NUM_NULLS",
        "NUM_NONNULLS",
        "CONCAT_WS",
        "PG_SLEEP",
        "DATE_BIN",
        "EVERY",
        "JUSTIFY_DAYS",
        "JUSTIFY_HOURS",
        "NEXTVAL",
        "CURRVAL",
        "SETVAL",
        "LASTVAL",
        "GENERATE_SUBSCRIPTS",
        "DBLINK",
    ]
)

EXTRACT_TO_BIGINT = frozenset(["EPOCH"])


def rewrite_expressions(edits: Edits) -> None:
    """Rewrite from right to left, so that an inner call is done when the outer one is."""
    if "#" in edits.sql:
        for index, token in enumerate(edits.tokens):
            if token.kind == "hash":
                edits.texts[index] = f'"{token.text.lower()}"'
    for index in reversed(edits.places(REWRITTEN)):
        if edits.key(index - 1) == ".":
            continue
        key = edits.key(index)
        if edits.key(index + 1) == "(":
            if key in POSTGRES_FUNCTIONS:
                raise unsupported(
                    f"function {edits.tokens[index].text.lower()}()", "this function is PostgreSQL's."
                )
            rewrite = FUNCTIONS.get(key)
            if rewrite is not None:
                rewrite(edits, index)
            if key == "OVER":
                _check_window(edits, index)
        elif key == "APPROXIMATE" and edits.key(index + 1) in ("COUNT", "PERCENTILE_DISC"):
            edits.texts[index] = ""
        elif key == "SYSDATE":
            edits.texts[index] = "sysdate()"
        elif key == "MINUS" and edits.key(index + 1) in ("SELECT", "ALL", "DISTINCT", "("):
            edits.texts[index] = "EXCEPT"
        elif key == "TOP" and edits.key(index - 1) in ("SELECT", "DISTINCT", "ALL"):
            _top(edits, index)
        elif key in TYPES and (edits.key(index - 1) == "::" or _in_cast(edits, index)):
            edits.texts[index] = TYPES[key]


#: Types as Redshift reads them where PostgreSQL reads something else.
TYPES = {
    "VARCHAR": "varchar(256)",
    "NVARCHAR": "varchar(256)",
    "TEXT": "varchar(256)",
    "BPCHAR": "char(256)",
    "NUMERIC": "numeric(18,0)",
    "DECIMAL": "numeric(18,0)",
    "DEC": "numeric(18,0)",
    "DATETIME": "timestamp",
}


def _in_cast(edits: Edits, index: int) -> bool:
    """Whether the token is the type in CAST(expression AS type)."""
    if edits.key(index - 1) != "AS" or edits.key(index + 1) != ")":
        return False
    depth = 0
    for before in range(index - 1, -1, -1):
        if edits.key(before) == ")":
            depth += 1
        elif edits.key(before) == "(":
            if depth == 0:
                return edits.key(before - 1) == "CAST"
            depth -= 1
    return False


def _sized_type(edits: Edits, index: int) -> None:
    """VARCHAR(MAX), NVARCHAR(n), wherever they stand."""
    if edits.key(index + 2) == "MAX":
        edits.texts[index + 2] = "65535"
    if edits.key(index) == "NVARCHAR":
        edits.texts[index] = "varchar"


def _rename(name: str) -> Callable[[Edits, int], None]:
    def rewrite(edits: Edits, index: int) -> None:
        edits.texts[index] = name

    return rewrite


def _argument_count(edits: Edits, index: int, *counts: int) -> list[tuple[int, int]]:
    arguments = edits.arguments(index + 1)
    if len(arguments) not in counts:
        name = edits.tokens[index].text.lower()
        raise RedshiftError(
            f"function {name}() takes {' or '.join(map(str, counts))} arguments, not {len(arguments)}",
            sqlstate="42883",
        )
    return arguments


def _date_part_first(name: str, *counts: int) -> Callable[[Edits, int], None]:
    """DATEADD(month, …): the date part is a word, PostgreSQL wants a literal."""

    def rewrite(edits: Edits, index: int) -> None:
        (start, end), *_ = _argument_count(edits, index, *counts)
        edits.texts[index] = name
        if end == start + 1 and edits.tokens[start].kind in ("word", "quoted"):
            edits.texts[start] = literal(edits.tokens[start].value.lower())
        for start, end in edits.arguments(index + 1)[1:]:
            if end == start + 1 and edits.tokens[start].kind == "string":
                edits.texts[start] += "::timestamp"

    return rewrite


def _extract(edits: Edits, index: int) -> None:
    opening = index + 1
    closing = edits.partner[opening]
    if edits.key(opening + 2) != "FROM":
        return
    part = edits.tokens[opening + 1]
    edits.texts[index] = "redshift.date_part"
    edits.texts[opening + 1] = literal(part.value.lower())
    edits.texts[opening + 2] = ","
    if part.value.upper() in EXTRACT_TO_BIGINT:
        edits.texts[closing] = ", 0::bigint)"


def _nvl2(edits: Edits, index: int) -> None:
    first, second, third = _argument_count(edits, index, 3)
    value, present, absent = (edits.render(*argument) for argument in (first, second, third))
    _replace_call(edits, index, f"CASE WHEN ({value}) IS NOT NULL THEN ({present}) ELSE ({absent}) END")


def _decode(edits: Edits, index: int) -> None:
    arguments = [edits.render(*argument) for argument in edits.arguments(index + 1)]
    if len(arguments) < 3:
        raise RedshiftError("function decode() takes at least 3 arguments", sqlstate="42883")
    value, *rest = arguments
    branches = "".join(
        f" WHEN ({value}) IS NOT DISTINCT FROM ({search}) THEN ({result})"
        for search, result in zip(rest[::2], rest[1::2], strict=False)
    )
    default = f" ELSE ({rest[-1]})" if len(rest) % 2 else ""
    _replace_call(edits, index, f"CASE{branches}{default} END")


def _concat(edits: Edits, index: int) -> None:
    left, right = (edits.render(*argument) for argument in _argument_count(edits, index, 2))
    _replace_call(edits, index, f"redshift.concat(({left})::text, ({right})::text)")


def _replace_call(edits: Edits, index: int, text: str) -> None:
    closing = edits.partner[index + 1]
    edits.remove(index, closing + 1)
    edits.texts[index] = text


def _convert(edits: Edits, index: int) -> None:
    """CONVERT(type, expression)"""
    target, value = (edits.render(*argument) for argument in _argument_count(edits, index, 2))
    _replace_call(edits, index, f"CAST(({value}) AS {TYPES.get(target.upper(), target)})")


def _version(edits: Edits, index: int) -> None:
    edits.texts[index] = "redshift.version"


def _listagg(edits: Edits, index: int) -> None:
    opening = index + 1
    closing = edits.partner[opening]
    arguments = edits.arguments(opening)
    distinct = edits.key(opening + 1) == "DISTINCT"
    start = arguments[0][0] + distinct
    value = f"NULLIF(({edits.render(start, arguments[0][1])})::text, '')"
    delimiter = edits.render(*arguments[1]) if len(arguments) > 1 else "''"
    end = closing + 1
    order = ""
    if edits.keys(end, "WITHIN", "GROUP", "("):
        order_end = edits.partner[end + 2]
        written = edits.render(end + 5, order_end)
        if (
            distinct
            and written.split()[0].strip().lower() == edits.render(start, arguments[0][1]).strip().lower()
        ):
            written = value + " " + " ".join(written.split()[1:])
        order = f" ORDER BY {written}"
        edits.remove(end, order_end + 1)
        end = order_end + 1
    if edits.key(end) == "OVER":
        raise RedshiftError(
            "LISTAGG as a window function is not supported",
            sqlstate="0A000",
            hint="Redshift has it, but Local Redshift does not imitate it: aggregate in a CTE and join.",
        )
    _replace_call(edits, index, f"listagg({'DISTINCT ' if distinct else ''}{value}, {delimiter}{order})")


def _ratio_to_report(edits: Edits, index: int) -> None:
    closing = edits.partner[index + 1]
    if not edits.keys(closing + 1, "OVER", "("):
        raise RedshiftError("RATIO_TO_REPORT requires an OVER clause", sqlstate="42809")
    end = edits.partner[closing + 2]
    value = edits.render(index + 2, closing)
    window = edits.render(closing + 2, end + 1)
    edits.remove(index, end + 1)
    edits.texts[index] = f"(({value})::float8 / NULLIF(sum({value}) OVER {window}, 0)::float8)"


def _top(edits: Edits, index: int) -> None:
    """SELECT TOP n … becomes SELECT … LIMIT n at the end of that query."""
    if edits.tokens[index + 1].kind != "number":
        return
    limit = edits.tokens[index + 1].text
    end = index
    while end < len(edits) and edits.key(end) not in (")",):
        if edits.key(end) in ("UNION", "EXCEPT", "INTERSECT", "MINUS", "LIMIT", "OFFSET"):
            raise RedshiftError(
                f"TOP together with {edits.key(end)} is not supported",
                sqlstate="0A000",
                hint="Local Redshift turns TOP into LIMIT: put the query in parentheses, or write LIMIT.",
            )
        end = edits.partner.get(end, end) + 1
    edits.remove(index, index + 2)
    edits.texts[end - 1] += f" LIMIT {limit}"


def _check_window(edits: Edits, index: int) -> None:
    """Redshift's rules for the frame in OVER (…)."""
    opening = index + 1
    closing = edits.partner[opening]
    inside = {edits.key(i) for i in edits.top_level(opening + 1, closing)}
    if inside & {"RANGE", "GROUPS"}:
        raise unsupported("RANGE or GROUPS in a window frame", "write ROWS BETWEEN … AND ….")
    if "ORDER" not in inside or "ROWS" in inside:
        return
    name = _called_function(edits, index)
    if name in FRAMED:
        raise RedshiftError(
            "Aggregate window functions with an ORDER BY clause require a frame clause",
            sqlstate="42601",
            hint=f"After ORDER BY, give {name} a frame: "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, for example.",
        )


def _called_function(edits: Edits, over: int) -> str:
    """The name of the function before OVER."""
    index = over - 1
    if edits.key(index) == "NULLS":
        index -= 2
    for opening, closing in edits.partner.items():
        if closing == index:
            return edits.key(opening - 1)
    return ""


FUNCTIONS: dict[str, Callable[[Edits, int], None]] = {
    "VARCHAR": _sized_type,
    "NVARCHAR": _sized_type,
    "NVL": _rename("COALESCE"),
    "ISNULL": _rename("COALESCE"),
    "NVL2": _nvl2,
    "DECODE": _decode,
    "CONCAT": _concat,
    "CONVERT": _convert,
    "VERSION": _version,
    "DATEADD": _date_part_first("dateadd", 3),
    "DATE_ADD": _date_part_first("dateadd", 3),
    "DATEDIFF": _date_part_first("datediff", 3),
    "DATE_DIFF": _date_part_first("datediff", 3),
    "DATE_PART": _date_part_first("pgdate_part", 2),
    "DATE_PART_YEAR": _rename("date_part_year"),
    "DATE_TRUNC": _date_part_first("date_trunc", 2),
    "EXTRACT": _extract,
    "LISTAGG": _listagg,
    "RATIO_TO_REPORT": _ratio_to_report,
    "REGEXP_REPLACE": _rename("redshift.regexp_replace"),
    "REGEXP_SUBSTR": _rename("redshift.regexp_substr"),
}

#: The words that may stand for something else.
REWRITTEN = frozenset(
    [*FUNCTIONS, *POSTGRES_FUNCTIONS, *TYPES, "OVER", "APPROXIMATE", "SYSDATE", "MINUS", "TOP"]
)
