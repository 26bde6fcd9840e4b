"""CREATE TABLE, ALTER TABLE and views: Redshift's table attributes taken out or imitated.

Source: Amazon Redshift Database Developer Guide, "CREATE TABLE", "CREATE TABLE AS", "ALTER TABLE".
"""

from __future__ import annotations

from local_redshift.errors import RedshiftError, syntax_error, unsupported
from local_redshift.sql.edits import Edits
from local_redshift.sql.names import RESERVED, dotted, literal, qualified_name, quoted
from local_redshift.sql.plan import Plan

#: What every database is made from: it holds what the stand-in needs inside each.
TEMPLATE_DATABASE = "redshift_template"
DISTSTYLES = ("AUTO", "EVEN", "KEY", "ALL")
UNSUPPORTED_TYPES = frozenset(
    [
        "UUID",
        "JSON",
        "JSONB",
        "BYTEA",
        "SERIAL",
        "BIGSERIAL",
        "SMALLSERIAL",
        "SERIAL4",
        "SERIAL8",
        "MONEY",
        "XML",
        "INET",
        "CIDR",
        "MACADDR",
        "BIT",
        "TSVECTOR",
        "TSQUERY",
        "POINT",
        "LINE",
        "BOX",
        "PATH",
        "POLYGON",
        "CIRCLE",
        "OID",
        "NAME",
        "ENUM",
    ]
)
NOT_IMITATED_TYPES = frozenset(["SUPER", "VARBYTE", "VARBINARY", "HLLSKETCH", "GEOMETRY", "GEOGRAPHY"])
ENCODINGS = frozenset(
    [
        "AZ64",
        "BYTEDICT",
        "DELTA",
        "DELTA32K",
        "LZO",
        "MOSTLY8",
        "MOSTLY16",
        "MOSTLY32",
        "RAW",
        "RUNLENGTH",
        "TEXT255",
        "TEXT32K",
        "ZSTD",
        "AUTO",
    ]
)
CONSTRAINTS = frozenset(["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE", "REFERENCES"])
COLUMN_ATTRIBUTES = CONSTRAINTS | frozenset(
    ["DEFAULT", "IDENTITY", "GENERATED", "ENCODE", "DISTKEY", "SORTKEY", "COLLATE", "NOT", "NULL"]
)
SYSTEM_COLUMNS = frozenset(["oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"])


def rewrite(edits: Edits, plan: Plan, status: bytes) -> bool:
    """Rewrite a DDL statement in place; False when it is another kind of statement."""
    if edits.key(0) == "CREATE":
        index = 1
        temporary = False
        if edits.key(index) == "OR":
            index += 2
        if edits.key(index) == "LOCAL":
            edits.remove(index, index + 1)
            index += 1
        if edits.key(index) in ("TEMP", "TEMPORARY"):
            temporary = True
            index += 1
        if edits.key(index) == "TABLE":
            _create_table(edits, plan, index, temporary)
            return True
        if edits.key(index) == "VIEW":
            _create_view(edits)
            return True
        if edits.keys(index, "MATERIALIZED", "VIEW"):
            _create_materialized_view(edits, index)
            return True
        if edits.key(index) == "SCHEMA":
            _create_schema(edits, index)
            return True
        if edits.key(index) == "DATABASE":
            edits.texts[-1] += f" TEMPLATE {TEMPLATE_DATABASE}"
            return True
        return False
    if edits.keys(0, "ALTER", "TABLE"):
        _alter_table(edits, plan, status)
        return True
    return False


def _create_table(edits: Edits, plan: Plan, index: int, temporary: bool) -> None:
    index += 1
    if_not_exists = edits.keys(index, "IF", "NOT", "EXISTS")
    if if_not_exists:
        index += 3
    if index < len(edits) and edits.tokens[index].kind == "hash" and not temporary:
        temporary = True
        edits.texts[0] = "CREATE TEMP"
    name, index = qualified_name(edits, index)
    if temporary and len(name) > 1:
        raise RedshiftError("temporary tables cannot specify a schema name", sqlstate="42P16")
    table = _Table()
    if edits.key(index) == "(":
        closing = edits.partner[index]
        as_select = _attributes(edits, closing + 1, table)
        if edits.key(as_select) != "AS":
            _columns(edits, index, table)
        index = closing + 1
    else:
        as_select = _attributes(edits, index, table)
    if as_select < len(edits) and edits.key(as_select) != "AS":
        raise _bad_attribute(edits, as_select)
    if as_select < len(edits) and if_not_exists:
        raise syntax_error("AS", hint="CREATE TABLE … AS takes no IF NOT EXISTS.")
    if table.liked and (table.dist_style or table.dist_keys or table.sort_keys):
        raise syntax_error(
            "LIKE",
            hint="CREATE TABLE (LIKE …) takes over DISTSTYLE, DISTKEY and SORTKEY; it cannot restate them.",
        )
    if len(table.dist_keys) > 1:
        raise RedshiftError("multiple DISTKEY columns are not supported", sqlstate="42P16")
    if table.dist_keys and table.dist_style not in (None, "KEY"):
        raise RedshiftError(
            f"cannot specify DISTKEY for a table with DISTSTYLE {table.dist_style}", sqlstate="42P16"
        )
    if table.dist_style == "KEY" and not table.dist_keys:
        raise RedshiftError("DISTSTYLE KEY requires a DISTKEY column", sqlstate="42P16")
    for column in [*table.dist_keys, *table.sort_keys, *table.primary_key]:
        if table.columns and column not in table.columns:
            raise RedshiftError(f'column "{column}" named in key does not exist', sqlstate="42703")
    target = literal(dotted(name))
    if table.sort_keys and not temporary:
        plan.after.append(f"SELECT redshift.index_sort_key({target}, {literal(table.sort_keys[0])})")
    if as_select < len(edits):
        plan.after.append(f"SELECT redshift.analyze({target})")


class _Table:
    def __init__(self) -> None:
        self.columns: list[str] = []
        self.dist_style: str | None = None
        self.dist_keys: list[str] = []
        self.sort_keys: list[str] = []
        self.primary_key: list[str] = []
        self.liked = False


def _bad_attribute(edits: Edits, index: int) -> RedshiftError:
    key = edits.key(index)
    if key in ("PARTITION", "INHERITS", "TABLESPACE", "WITH", "USING", "ON"):
        return unsupported(
            f"{key} in CREATE TABLE", "a table has DISTSTYLE, DISTKEY, SORTKEY, ENCODE and BACKUP."
        )
    return syntax_error(edits.tokens[index].text)


def _attributes(edits: Edits, index: int, table: _Table) -> int:
    """Take out the table attributes from the index on; the index of what follows them."""
    while index < len(edits):
        key = edits.key(index)
        if key == "BACKUP" and edits.key(index + 1) in ("YES", "NO"):
            end = index + 2
        elif key == "DISTSTYLE":
            table.dist_style = edits.key(index + 1)
            if table.dist_style not in DISTSTYLES:
                raise syntax_error(edits.key(index + 1), hint="DISTSTYLE takes AUTO, EVEN, KEY or ALL.")
            end = index + 2
        elif key == "DISTKEY":
            table.dist_keys += _key_columns(edits, index + 1)
            end = edits.partner[index + 1] + 1
        elif key in ("COMPOUND", "INTERLEAVED") and edits.key(index + 1) == "SORTKEY":
            edits.remove(index, index + 1)
            index += 1
            continue
        elif key == "SORTKEY" and edits.key(index + 1) == "AUTO":
            end = index + 2
        elif key == "SORTKEY":
            table.sort_keys += _key_columns(edits, index + 1)
            end = edits.partner[index + 1] + 1
        elif key == "ENCODE" and edits.key(index + 1) == "AUTO":
            end = index + 2
        else:
            return index
        edits.remove(index, end)
        index = end
    return index


def _key_columns(edits: Edits, opening: int) -> list[str]:
    if edits.key(opening) != "(":
        raise syntax_error(edits.tokens[opening].text if opening < len(edits) else "")
    return [edits.identifier(start) for start, _ in edits.arguments(opening)]


def _columns(edits: Edits, opening: int, table: _Table) -> None:
    """The column definitions and table constraints in the parenthesis."""
    kept: list[str] = []
    for start, end in edits.arguments(opening):
        key = edits.key(start)
        if key == "LIKE":
            table.liked = True
            _name_end = qualified_name(edits, start + 1)[1]
            if edits.key(_name_end) in ("INCLUDING", "EXCLUDING") and edits.key(_name_end + 1) != "DEFAULTS":
                raise syntax_error(
                    edits.key(_name_end + 1), hint="LIKE takes INCLUDING DEFAULTS or EXCLUDING DEFAULTS."
                )
            kept.append(edits.render(start, end))
        elif key in CONSTRAINTS:
            table.primary_key += _table_constraint(edits, start, end)
        else:
            kept.append(_column(edits, start, end, table))
    not_null = [
        column
        for column in table.primary_key
        if not any(text.split(" ", 1)[0] == quoted(column) and "NOT NULL" in text for text in kept)
    ]
    for position, text in enumerate(kept):
        if any(text.startswith(quoted(column) + " ") for column in not_null):
            kept[position] = text + " NOT NULL"
    closing = edits.partner[opening]
    edits.remove(opening, closing + 1)
    edits.texts[opening] = "(" + ", ".join(kept) + ")"


def _table_constraint(edits: Edits, start: int, end: int) -> list[str]:
    """A table constraint is not enforced: only the primary key's columns are kept, for NOT NULL."""
    if edits.key(start) == "CONSTRAINT":
        start += 2
    key = edits.key(start)
    if key in ("CHECK", "EXCLUDE"):
        raise unsupported(
            f"{key} constraint", "it has informational PRIMARY KEY, UNIQUE and FOREIGN KEY only."
        )
    if key == "PRIMARY":
        return _key_columns(edits, start + 2)
    return []


def _column(edits: Edits, start: int, end: int, table: _Table) -> str:
    name_token = edits.tokens[start]
    if name_token.kind not in ("word", "quoted"):
        raise syntax_error(name_token.text)
    name = edits.identifier(start)
    if name_token.kind == "word" and name_token.key in RESERVED:
        raise syntax_error(
            name_token.text, hint=f"{name_token.key} is a reserved word: put it in double quotes."
        )
    if name in SYSTEM_COLUMNS:
        raise RedshiftError(f'column name "{name}" conflicts with a system column name', sqlstate="42701")
    if start + 1 >= end:
        raise syntax_error(name_token.text)
    table.columns.append(name)
    index = start + 1
    while index < end and edits.key(index) not in COLUMN_ATTRIBUTES:
        index = edits.partner.get(index, index) + 1
    parts = [quoted(name), column_type(edits, start + 1, index)]
    not_null = False
    while index < end:
        key = edits.key(index)
        if key == "NOT" and edits.key(index + 1) == "NULL":
            not_null = True
            index += 2
        elif key == "NULL":
            index += 1
        elif key == "DEFAULT":
            stop = index + 1
            while stop < end and (stop == index + 1 or edits.key(stop) not in COLUMN_ATTRIBUTES):
                stop = edits.partner.get(stop, stop) + 1
            parts.append(edits.render(index, stop))
            index = stop
        elif key == "IDENTITY":
            index = _identity(edits, index, end, "ALWAYS", parts)
        elif key == "GENERATED":
            if not edits.keys(index, "GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"):
                raise unsupported(
                    "a generated column", "write IDENTITY(seed, step) or GENERATED BY DEFAULT AS IDENTITY."
                )
            index = _identity(edits, index + 4, end, "BY DEFAULT", parts)
        elif key == "ENCODE":
            if edits.key(index + 1) not in ENCODINGS:
                raise syntax_error(
                    edits.key(index + 1), hint="This is not one of Redshift's column encodings."
                )
            index += 2
        elif key == "DISTKEY":
            table.dist_keys.append(name)
            index += 1
        elif key == "SORTKEY":
            table.sort_keys.append(name)
            index += 1
        elif key == "COLLATE":
            if edits.key(index + 1) not in ("CASE_SENSITIVE", "CS"):
                raise RedshiftError(
                    "COLLATE CASE_INSENSITIVE is not supported",
                    sqlstate="0A000",
                    hint="Redshift has it, but Local Redshift does not imitate it.",
                )
            index += 2
        elif key == "CONSTRAINT":
            index += 2
        elif key == "PRIMARY":
            not_null = True
            index += 2
        elif key == "UNIQUE":
            index += 1
        elif key == "REFERENCES":
            _, index = qualified_name(edits, index + 1)
            if edits.key(index) == "(":
                index = edits.partner[index] + 1
        elif key in ("CHECK", "EXCLUDE"):
            raise unsupported(
                f"{key} constraint", "it has informational PRIMARY KEY, UNIQUE and FOREIGN KEY only."
            )
        else:
            raise syntax_error(edits.tokens[index].text)
    if not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def _identity(edits: Edits, index: int, end: int, kind: str, parts: list[str]) -> int:
    if parts[1].lower() not in ("int", "integer", "int4", "bigint", "int8"):
        raise RedshiftError("identity column type must be INT or BIGINT", sqlstate="42P16")
    seed, step = 1, 1
    index += 1
    if edits.key(index) == "(":
        numbers = [edits.render(*argument).replace(" ", "") for argument in edits.arguments(index)]
        if len(numbers) != 2 or not all(n.lstrip("-").isdigit() for n in numbers):
            raise syntax_error("IDENTITY", hint="Write IDENTITY(seed, step) with two whole numbers.")
        seed, step = map(int, numbers)
        index = edits.partner[index] + 1
    bound = f"MINVALUE {min(seed, 1)}" if step > 0 else f"MAXVALUE {max(seed, -1)}"
    parts.append(f"GENERATED {kind} AS IDENTITY (START WITH {seed} INCREMENT BY {step} {bound})")
    return index


def column_type(edits: Edits, start: int, end: int) -> str:
    """The type of a column, as Redshift reads it, in PostgreSQL's words."""
    if start >= end:
        raise syntax_error(edits.tokens[start].text if start < len(edits) else "")
    key = edits.key(start)
    text = edits.render(start, end)
    if "[" in text or "ARRAY" in {edits.key(i) for i in range(start, end)}:
        raise unsupported("array type", "use SUPER there, or a table of its own.")
    if key in UNSUPPORTED_TYPES:
        raise RedshiftError(
            f'type "{edits.tokens[start].text.lower()}" is not supported',
            sqlstate="0A000",
            hint="Local Redshift refuses what Redshift does not support: this type is PostgreSQL's.",
        )
    if key in NOT_IMITATED_TYPES:
        raise RedshiftError(
            f"type {key} is not supported",
            sqlstate="0A000",
            hint="Redshift has this type, but Local Redshift does not imitate it (see its README).",
        )
    size = None
    for index in range(start, end):
        if edits.key(index) == "(":
            size = edits.render(index + 1, edits.partner[index]).strip()
            break
    if key in ("VARCHAR", "NVARCHAR", "TEXT") or (
        key in ("CHARACTER", "CHAR") and edits.key(start + 1) == "VARYING"
    ):
        if key == "TEXT":
            size = "256"
        return f"varchar({_checked_size(size or '256', 65535, 'character varying')})"
    if key in ("CHAR", "CHARACTER", "NCHAR"):
        return f"char({_checked_size(size or '1', 4096, 'character')})"
    if key == "BPCHAR":
        return "char(256)"
    if key in ("NUMERIC", "DECIMAL", "DEC"):
        precision, _, scale = (size or "18,0").partition(",")
        if not precision.strip().isdigit() or not 1 <= int(precision) <= 38:
            raise RedshiftError(
                f"DECIMAL precision {precision.strip()} must be between 1 and 38", sqlstate="22023"
            )
        return f"numeric({precision.strip()},{scale.strip() or '0'})"
    if key == "DATETIME":
        return "timestamp"
    return text


def _checked_size(size: str, limit: int, type_name: str) -> str:
    if size.upper() == "MAX":
        size = str(limit)
    if not size.isdigit() or not 1 <= int(size) <= limit:
        raise RedshiftError(f"length for type {type_name} cannot exceed {limit}", sqlstate="22023")
    return size


def _create_view(edits: Edits) -> None:
    if edits.keys(len(edits) - 4, "WITH", "NO", "SCHEMA", "BINDING"):
        edits.remove(len(edits) - 4, len(edits))


def _create_materialized_view(edits: Edits, index: int) -> None:
    _, index = qualified_name(edits, index + 2)
    while index < len(edits) and edits.key(index) != "AS":
        following = _attributes(edits, index, _Table())
        if following == index:
            if edits.keys(index, "AUTO", "REFRESH"):
                following = index + 3
                edits.remove(index, following)
            else:
                return
        index = following


def _create_schema(edits: Edits, index: int) -> None:
    for position in range(index, len(edits)):
        if edits.key(position) == "QUOTA":
            edits.remove(position, len(edits))
            return


def _alter_table(edits: Edits, plan: Plan, status: bytes) -> None:
    name, index = qualified_name(edits, 2)
    table = dotted(name)
    unchanged = f"ALTER TABLE {table} RESET (fillfactor)"
    keys = [edits.key(i) for i in edits.top_level(index, len(edits))]
    if keys[:1] == ["APPEND"]:
        raise RedshiftError(
            "ALTER TABLE APPEND is not supported",
            sqlstate="0A000",
            hint="Redshift has it, but Local Redshift does not imitate it: use INSERT … SELECT.",
        )
    if keys.count("ADD") + keys.count("DROP") > 1 or (keys[:1] == ["ADD"] and "," in keys):
        raise RedshiftError(
            "ALTER TABLE with more than one ADD or DROP is not supported",
            sqlstate="42601",
            hint="Redshift adds or drops one column per statement.",
        )
    if keys[:1] == ["ADD"]:
        start = index + (2 if edits.key(index + 1) == "COLUMN" else 1)
        if edits.key(start) in CONSTRAINTS:
            _table_constraint(edits, start, len(edits))
            plan.sql = unchanged
            return
        definition = _Table()
        column = _column(edits, start, len(edits), definition)
        if "IDENTITY" in keys:
            raise RedshiftError(
                "ALTER TABLE ADD COLUMN does not support columns with type IDENTITY", sqlstate="0A000"
            )
        plan.sql = f"ALTER TABLE {table} ADD COLUMN {column}"
        return
    if keys[:2] == ["DROP", "CONSTRAINT"]:
        plan.sql = unchanged
        return
    if keys[:1] == ["ALTER"]:
        after = 2 if edits.key(index + 1) == "COLUMN" else 1
        if edits.key(index + 1) in ("DISTSTYLE", "DISTKEY", "SORTKEY", "COMPOUND", "ENCODE"):
            plan.sql = unchanged
            return
        _, position = qualified_name(edits, index + after)
        if edits.key(position) == "ENCODE":
            plan.sql = unchanged
            return
        if edits.key(position) == "TYPE":
            if status != b"I":
                raise RedshiftError(
                    "ALTER TABLE ALTER COLUMN cannot run inside a transaction block", sqlstate="25001"
                )
            if edits.key(position + 1) not in ("VARCHAR", "CHARACTER"):
                raise RedshiftError(
                    "ALTER COLUMN TYPE is only supported for VARCHAR columns", sqlstate="0A000"
                )
            return
        raise unsupported(
            f"ALTER COLUMN {edits.key(position)}", "a column's VARCHAR size and its ENCODE can be altered."
        )
