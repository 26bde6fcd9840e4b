"""The tables as include/sql/*/create.sql declares them, compared with those that are in the warehouse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkify.paths import CREATE_SQL, SQL

if TYPE_CHECKING:
    from sparkify.warehouse import Transaction

TABLE = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+\.\w+) \(\n(.*?)^\)(.*?);", re.MULTILINE | re.DOTALL)
VIEW = re.compile(r"^CREATE OR REPLACE VIEW (\w+\.\w+)", re.MULTILINE)
COLUMN = re.compile(r"^    ([a-z_]+) ((?:DOUBLE PRECISION|[A-Z]+)(?: ?\(\d+\))?)(.*?),?$", re.MULTILINE)
KEYS = {
    "primary key": re.compile(r"PRIMARY KEY \((.+?)\)"),
    "DISTKEY": re.compile(r"\bDISTKEY \((.+?)\)"),
    "SORTKEY": re.compile(r"\bSORTKEY \((.+?)\)"),
}
#: What information_schema calls the types of create.sql, and a value for the rows that are there already.
TYPES = {
    "BIGINT": ("bigint", "0"),
    "INTEGER": ("integer", "0"),
    "BOOLEAN": ("boolean", "FALSE"),
    "TIMESTAMP": ("timestamp without time zone", "'1970-01-01'"),
    "DOUBLE PRECISION": ("double precision", "0"),
    "VARCHAR": ("character varying", "''"),
}
#: Tables that sparkify_reconcile makes again from observations and song files.
DERIVED = {
    *("sparkify.songs", "sparkify.artists", "sparkify.users", "sparkify.time"),
    *("staging.song_observations", "staging.artist_observations", "staging.played_titles"),
}
#: Above so many rows, DISTSTYLE ALL costs changes more than it saves joins: one slice of each node writes.
MOST_ROWS_EVERYWHERE = 2_000_000
#: Rows of the fullest slice for one of the emptiest ("SVV_TABLE_INFO", skew_rows).
MOST_SKEW = 4.0
STYLE = re.compile(r"\bDISTSTYLE (\w+)")
IN_SCHEMAS = "WHERE {schema} IN ('sparkify', 'staging')"


@dataclass(frozen=True)
class Column:
    """A column. `kind` is its type as create.sql writes it: `VARCHAR(64)`."""

    name: str
    kind: str
    nullable: bool
    default: str = ""
    identity: bool = False


@dataclass(frozen=True)
class Declaration:
    """A table of create.sql. `keys`: the columns of its primary key, DISTKEY and SORTKEY, by these names;
    `style`: its DISTSTYLE."""

    table: str
    columns: tuple[Column, ...]
    keys: Mapping[str, tuple[str, ...]]
    style: str


@dataclass(frozen=True)
class Difference:
    """One thing that is not as declared; `remedy` is the statement, or what else to do."""

    table: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}\n{self.remedy}"


def declared_tables() -> dict[str, Declaration]:
    """`schema.table` to its declaration."""
    scripts = [(SQL / path).read_text() for path in CREATE_SQL]
    return {
        name: _declaration(name, body, rest)
        for script in scripts
        for name, body, rest in TABLE.findall(script)
    }


def declared_views() -> list[str]:
    """`schema.view` of each view."""
    return [view for path in CREATE_SQL for view in VIEW.findall((SQL / path).read_text())]


def column_differences(transaction: Transaction) -> list[Difference]:
    """Columns that are missing, of another type, or nullable where they should not be, or the reverse, of the
    tables that are there."""
    actual = _actual_columns(transaction)
    return [
        difference
        for table, declaration in declared_tables().items()
        if table in actual
        for difference in _of_table(declaration, actual[table])
    ]


def relations(transaction: Transaction) -> dict[str, str]:
    """`schema.name` of each table and view that is there, work tables included: `BASE TABLE` or `VIEW`."""
    rows = transaction.execute(
        "SELECT table_schema || '.' || table_name, table_type FROM information_schema.tables "
        + IN_SCHEMAS.format(schema="table_schema"),
        name="list the tables",
    )
    return dict(map(tuple, rows))


def missing_relations(transaction: Transaction) -> list[str]:
    """The declared tables and views that are not there."""
    return sorted({*declared_tables(), *declared_views()} - relations(transaction).keys())


def key_differences(transaction: Transaction) -> tuple[list[Difference], list[str]]:
    """Keys that are not as declared, and the kinds of keys that could not be compared, as the catalog records
    none of them for any table."""
    kinds = {
        "primary key": (
            "SELECT k.table_schema || '.' || k.table_name, k.column_name, k.ordinal_position "
            "FROM information_schema.table_constraints AS c "
            "INNER JOIN information_schema.key_column_usage AS k "
            "ON c.constraint_schema = k.constraint_schema AND c.constraint_name = k.constraint_name "
            "AND c.table_name = k.table_name "
            + IN_SCHEMAS.format(schema="k.table_schema")
            + " AND c.constraint_type = 'PRIMARY KEY'"
        ),
        "DISTKEY": (
            "SELECT schema_name || '.' || table_name, column_name, 1 FROM svv_redshift_columns "
            + IN_SCHEMAS.format(schema="schema_name")
            + " AND database_name = CURRENT_DATABASE() AND distkey"
        ),
        "SORTKEY": (
            "SELECT schema_name || '.' || table_name, column_name, sortkey FROM svv_redshift_columns "
            + IN_SCHEMAS.format(schema="schema_name")
            + " AND database_name = CURRENT_DATABASE() AND sortkey <> 0"
        ),
    }
    found, skipped = [], []
    for kind, sql in kinds.items():
        actual: dict[str, list[tuple[int, str]]] = {}
        for table, column, position in transaction.execute(sql, name=f"read the {kind}s"):
            actual.setdefault(table, []).append((abs(int(position)), column))
        tables = declared_tables()
        if not actual.keys() & tables.keys():
            skipped.append(kind)
            continue
        for table, declaration in tables.items():
            expected = declaration.keys.get(kind, ())
            there = tuple(column for _, column in sorted(actual.get(table, ())))
            if there != expected:
                found.append(
                    Difference(
                        table,
                        f"{table} has the {kind} ({', '.join(there)}), but is declared with "
                        f"({', '.join(expected)}).",
                        _alter_key(declaration, kind, expected, there),
                    )
                )
    return found, skipped


def distribution_findings(transaction: Transaction) -> list[Difference] | None:
    """Tables that are too large for their DISTSTYLE ALL, or fill some slices much more than others; None
    where the login may not see it ("SVV_TABLE_INFO": superusers)."""
    rows = transaction.execute(
        "SELECT schema || '.' || \"table\", tbl_rows, skew_rows FROM svv_table_info "
        + IN_SCHEMAS.format(schema="schema"),
        name="read the distribution of the tables",
    )
    found = []
    tables = declared_tables()
    for table, count, skew in sorted(rows):
        if table not in tables:
            continue
        if tables[table].style == "ALL" and (count or 0) > MOST_ROWS_EVERYWHERE:
            found.append(
                Difference(
                    table,
                    f"{table} has {count:,.0f} rows, and each node has all of them (DISTSTYLE ALL).",
                    f"ALTER TABLE {table} ALTER DISTSTYLE EVEN;",
                )
            )
        keys = ", ".join(tables[table].keys.get("DISTKEY", ()))
        if keys and (skew or 0) > MOST_SKEW:
            found.append(
                Difference(
                    table,
                    f"The fullest slice has {skew:.1f} times as many rows of {table} as the emptiest. This "
                    f"shows which {keys} they have:",
                    f"SELECT {keys}, COUNT(*) FROM {table} GROUP BY {keys} ORDER BY COUNT(*) DESC LIMIT 10;",
                )
            )
    return found if rows else None


def _alter_key(declaration: Declaration, kind: str, columns: Sequence[str], there: Sequence[str]) -> str:
    table, listed = declaration.table, ", ".join(columns)
    if kind == "primary key":
        add = f"ALTER TABLE {table} ADD PRIMARY KEY ({listed});" if columns else ""
        if not there:
            return add
        name = f"SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'p';"
        return f"{name} -- then ALTER TABLE {table} DROP CONSTRAINT with the name it returns. {add}".rstrip()
    if kind == "DISTKEY":
        return (
            f"ALTER TABLE {table} ALTER DISTKEY {listed};"
            if columns
            else f"ALTER TABLE {table} ALTER DISTSTYLE {declaration.style};"
        )
    return (
        f"ALTER TABLE {table} ALTER SORTKEY ({listed});"
        if columns
        else f"ALTER TABLE {table} ALTER SORTKEY NONE;"
    )


def _of_table(declaration: Declaration, actual: Mapping[str, Column]) -> list[Difference]:
    table = declaration.table
    expected = {column.name: column for column in declaration.columns}
    missing = [column for column in declaration.columns if column.name not in actual]
    extra = [column for name, column in actual.items() if name not in expected]
    found = []
    for column in missing:
        alike = [one for one in extra if (one.kind, one.nullable) == (column.kind, column.nullable)]
        alone = len([m for m in missing if (m.kind, m.nullable) == (column.kind, column.nullable)]) == 1
        text = f"{table} has no column {column.name} ({column.kind})"
        if len(alike) == 1 and alone:
            found.append(
                Difference(
                    table,
                    f"{text}, but an undeclared column {alike[0].name} of that type: it looks renamed.",
                    f"ALTER TABLE {table} RENAME COLUMN {alike[0].name} TO {column.name};",
                )
            )
        else:
            found.append(Difference(table, f"{text}.", _add(table, column)))
    for column in declaration.columns:
        there = actual.get(column.name)
        if there and (there.kind, there.nullable) != (column.kind, column.nullable):
            found.append(
                Difference(
                    table,
                    f"{table}.{column.name} is {_written(there)}, but is declared as {_written(column)}.",
                    _change(table, column),
                )
            )
    return found


def _change(table: str, column: Column) -> str:
    """A column's type or NOT NULL as declared. Only what observations and song files bring back is dropped:
    the fact's log files may be gone, and nothing brings the bookkeeping back."""
    if table in DERIVED:
        return _rebuild_table(table)
    name, added = column.name, f"{column.name}_as_declared"
    if column.identity:
        return f"-- {name} numbers the rows, and no statement can change it: restore {table} from a snapshot."
    return (
        f"{_add_column(table, column, added)} UPDATE {table} SET {added} = CAST({name} AS {column.kind}); "
        f"ALTER TABLE {table} DROP COLUMN {name}; ALTER TABLE {table} RENAME COLUMN {added} TO {name};"
    )


def _add(table: str, column: Column) -> str:
    # Songs and artists would be derived from the default; loading windows again stages no song file again.
    if table in ("staging.song_observations", "staging.artist_observations"):
        return _rebuild_table(table)
    if column.identity:
        return (
            f"{_rebuild_table(table)} (Only if the log files of all published windows still exist: rows "
            f"without a file are lost, and {column.name} gets new values. Otherwise restore a snapshot.)"
        )
    return f"{_add_column(table, column, column.name)} {_fill(table)}"


def _add_column(table: str, column: Column, name: str) -> str:
    default = column.default or TYPES[column.kind.partition("(")[0]][1]
    rest = "" if column.nullable else f" DEFAULT {default} NOT NULL"
    return f"ALTER TABLE {table} ADD COLUMN {name} {column.kind}{rest};"


def _fill(table: str) -> str:
    if table in ("sparkify.songs", "sparkify.users"):
        return "-- then run sparkify_reconcile, which fills it"
    if table in ("sparkify.artists", "sparkify.time"):
        return "-- then run sparkify for any window with dimension_mode truncate, which fills it"
    if table in ("staging.publish_log", "staging.schema_migrations", "sparkify.quality_results"):
        return "-- in earlier rows nothing fills it"
    return (
        "-- then pause sparkify_reconcile, run sparkify again for all published windows, which fills it, and "
        "unpause sparkify_reconcile"
    )


def _rebuild_table(table: str) -> str:
    return f"DROP TABLE {table} CASCADE; -- then run sparkify_reconcile, which recreates and fills it"


def _written(column: Column) -> str:
    return column.kind if column.nullable else f"{column.kind} NOT NULL"


def _declaration(table: str, body: str, rest: str) -> Declaration:
    found = {kind: pattern.search(body + rest) for kind, pattern in KEYS.items()}
    keys = {kind: tuple(match[1].split(", ")) for kind, match in found.items() if match}
    columns = tuple(
        Column(
            name,
            kind.replace(" (", "("),
            "NOT NULL" not in rest_of,
            default[1] if (default := re.search(r"DEFAULT (\S+)", rest_of)) else "",
            "IDENTITY" in rest_of,
        )
        for name, kind, rest_of in COLUMN.findall(body)
    )
    style = STYLE.search(rest)
    return Declaration(table, columns, keys, style[1] if style else "AUTO")


def _actual_columns(transaction: Transaction) -> dict[str, dict[str, Column]]:
    rows = transaction.execute(
        "SELECT table_schema || '.' || table_name, column_name, data_type, character_maximum_length, "
        "is_nullable FROM information_schema.columns " + IN_SCHEMAS.format(schema="table_schema"),
        name="list the columns",
    )
    names = {catalog: declared for declared, (catalog, _) in TYPES.items()}
    tables: dict[str, dict[str, Column]] = {}
    for table, name, data_type, length, nullable in rows:
        kind = names.get(data_type, data_type)
        kind = f"{kind}({length})" if kind == "VARCHAR" else kind
        tables.setdefault(table, {})[name] = Column(name, kind, nullable == "YES")
    return tables
