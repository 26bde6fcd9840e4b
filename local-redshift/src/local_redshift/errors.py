"""Errors as Redshift words them, and the translation of PostgreSQL's into Redshift's."""

from __future__ import annotations

import re


class RedshiftError(Exception):
    """An error for the client: message, SQLSTATE, and optionally DETAIL and HINT."""

    def __init__(self, text: str, *, sqlstate: str = "XX000", detail: str = "", hint: str = ""):
        super().__init__(text)
        self.text = text
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint

    def fields(self) -> dict[str, str]:
        """The fields of its ErrorResponse."""
        fields = {
            "S": "ERROR",
            "V": "ERROR",
            "C": self.sqlstate,
            "M": self.text,
            "D": self.detail,
            "H": self.hint,
        }
        return {key: value for key, value in fields.items() if value}


class BackendError(Exception):
    """PostgreSQL answered a statement of the session's own with an error; it skips to the next Sync."""

    def __init__(self, fields: dict[str, str]):
        super().__init__(fields.get("M", ""))
        self.fields = fields


def unsupported(what: str, instead: str) -> RedshiftError:
    """A statement that PostgreSQL would take and Redshift does not."""
    return RedshiftError(
        f"{what} is not supported",
        sqlstate="0A000",
        hint=f"Local Redshift refuses what Redshift does not support: {instead}",
    )


def syntax_error(near: str, hint: str = "") -> RedshiftError:
    text = f'syntax error at or near "{near}"' if near else "syntax error at end of input"
    return RedshiftError(text, sqlstate="42601", hint=hint)


def internal_error_detail(text: str, code: int, context: str, query: int, location: str) -> str:
    """The block that Redshift puts into DETAIL."""
    line = "-" * 47
    return (
        f"\n  {line}\n  error:  {text}\n  code:      {code}\n  context:   {context}\n"
        f"  query:     {query}\n  location:  {location}\n  process:   padbmaster [pid=0]\n  {line}\n"
    )


BYTE_LENGTH_CONSTRAINT = re.compile(r"redshift_bytes_(character|character varying)_(\d+)_\d+")
HIDDEN_FIELDS = frozenset("qpWFLRstcdn")


def translate(fields: dict[str, str]) -> dict[str, str]:
    """Fields of PostgreSQL's ErrorResponse, as Redshift would have put them."""
    code = fields.get("C", "")
    text = fields.get("M", "")
    changed = {key: value for key, value in fields.items() if key not in HIDDEN_FIELDS}
    if code in ("40001", "40P01"):
        changed.update(
            C="XX000",
            M="1023",
            D="Serializable isolation violation on table, transactions forming the cycle are unknown to the "
            f"stand-in: {text}",
        )
        changed.pop("H", None)
    elif code == "28P01":
        changed["C"] = "28000"
    elif code == "23514" and (match := BYTE_LENGTH_CONSTRAINT.fullmatch(fields.get("n", ""))):
        changed.update(C="22001", M=f"value too long for type {match[1]}({match[2]})")
        changed.pop("D", None)
    elif code == "428C9" and "GENERATED ALWAYS" in fields.get("D", ""):
        changed.update(C="0A000", M="cannot set an identity column to a value")
        changed.pop("H", None)
        changed.pop("D", None)
    elif code == "21000" and "MERGE" in text:
        changed.update(C="XX000", M="Found multiple matches to update the same tuple.")
        changed.pop("H", None)
    return changed
