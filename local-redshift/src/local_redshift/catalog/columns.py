"""The columns of a table, as PostgreSQL's catalog knows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

#: Those of the table {table}, a literal of its name.
COLUMNS = """
SELECT a.attname, t.typname, a.atttypmod, a.attnotnull, a.attidentity <> '', a.attrelid::oid,
    (SELECT redshift.is_empty({table}::regclass))
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

TYPES = {
    "varchar": "varchar",
    "text": "varchar",
    "bpchar": "char",
    "int2": "int2",
    "int4": "int4",
    "int8": "int8",
    "numeric": "numeric",
    "float4": "float4",
    "float8": "float8",
    "bool": "bool",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "time": "time",
    "timetz": "timetz",
}


@dataclass(frozen=True)
class Column:
    """A column of the target: names and sizes as in PostgreSQL's catalog."""

    name: str
    type_name: str
    modifier: int = -1
    not_null: bool = False
    identity: bool = False

    @property
    def kind(self) -> str:
        return TYPES.get(self.type_name, self.type_name)

    @cached_property
    def length(self) -> int:
        """Bytes that a character column holds."""
        return self.modifier - 4 if self.modifier >= 4 else 65535

    @cached_property
    def precision(self) -> tuple[int, int]:
        """Precision and scale of a numeric column."""
        if self.modifier < 4:
            return 38, 37
        return (self.modifier - 4) >> 16, (self.modifier - 4) & 0xFFFF

    @property
    def length_text(self) -> str:
        """col_length as stl_load_errors shows it."""
        if self.kind in ("varchar", "char"):
            return str(self.length)
        return "{},{}".format(*self.precision) if self.kind == "numeric" else ""
