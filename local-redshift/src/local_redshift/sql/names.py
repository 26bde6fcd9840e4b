"""Names and literals: how a statement writes them, and how PostgreSQL reads them."""

from __future__ import annotations

from collections.abc import Iterable

from local_redshift.errors import syntax_error
from local_redshift.sql.edits import Edits

#: Words that Redshift reserves and PostgreSQL does not. Source: "Reserved words".
RESERVED = frozenset(
    [
        "AES128",
        "AES256",
        "ALLOWOVERWRITE",
        "BACKUP",
        "BLANKSASNULL",
        "BYTEDICT",
        "BZIP2",
        "CONNECT",
        "CREDENTIALS",
        "DEFLATE",
        "DEFRAG",
        "DELTA",
        "DELTA32K",
        "DISABLE",
        "EMPTYASNULL",
        "ENABLE",
        "ENCODE",
        "ENCRYPT",
        "ENCRYPTION",
        "EXPLICIT",
        "GLOBALDICT256",
        "GLOBALDICT64K",
        "GZIP",
        "IDENTITY",
        "IGNORE",
        "LANGUAGE",
        "LUN",
        "LUNS",
        "LZO",
        "LZOP",
        "MINUS",
        "MOSTLY16",
        "MOSTLY32",
        "MOSTLY8",
        "NEW",
        "OFF",
        "OFFLINE",
        "OID",
        "OLD",
        "OPEN",
        "PARALLEL",
        "PARTITION",
        "PERCENT",
        "PERMISSIONS",
        "PIVOT",
        "RAW",
        "READRATIO",
        "RECOVER",
        "REJECTLOG",
        "RESORT",
        "RESPECT",
        "RESTORE",
        "SNAPSHOT",
        "START",
        "SYSDATE",
        "SYSTEM",
        "TAG",
        "TDES",
        "TEXT255",
        "TEXT32K",
        "TIMESTAMP",
        "TOP",
        "TRUNCATECOLUMNS",
        "UNPIVOT",
        "WALLET",
        "WITHOUT",
    ]
)


def qualified_name(edits: Edits, index: int) -> tuple[list[str], int]:
    """A possibly qualified name at the index: its parts, and the index after it."""
    if index >= len(edits):
        raise syntax_error("")
    if edits.tokens[index].kind not in ("word", "quoted", "hash"):
        raise syntax_error(edits.tokens[index].text)
    parts = [edits.identifier(index)]
    index += 1
    while edits.key(index) == "." and index + 1 < len(edits):
        parts.append(edits.identifier(index + 1))
        index += 2
    return parts, index


def literal(value: str) -> str:
    """A string literal that reads the same with and without standard_conforming_strings."""
    escaped = value.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in value else f"'{escaped}'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def dotted(parts: Iterable[str]) -> str:
    """A qualified name."""
    return ".".join(map(quoted, parts))
