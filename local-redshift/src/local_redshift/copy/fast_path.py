"""Whole batches of lines into rows, in C as far as it goes; anything unusual is left to the careful path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from local_redshift.copy.fields import NULL, Field, FieldError, escape
from local_redshift.copy.mapping import Mapping
from local_redshift.sql.copy_grammar import CopyCommand


class FastPath:
    """Whole batches at a time, column by column; gives up (None) where the careful path has to look."""

    def __init__(self, command: CopyCommand, mapping: Mapping, fields: list[Field]):
        self.command = command
        self.fields = fields
        self.paths = [str(path[0]) for path in mapping.paths]
        self.keys = {key: position for position, key in enumerate(dict.fromkeys(self.paths))}
        #: Members that are decoded as strings; the others stay raw JSON text.
        self.as_text = {
            key: all(f.is_text for f, path in zip(fields, self.paths, strict=True) if path == key)
            for key in self.keys
        }
        self._build()

    @staticmethod
    def serves(mapping: Mapping) -> bool:
        simple = all(len(path) == 1 and isinstance(path[0], str) for path in mapping.paths)
        return simple and bool(mapping.paths) and not mapping.ignore_case

    def _build(self) -> None:
        names = [f"f{position}" for position in self.keys.values()]
        definition = [
            (name, str | None, None) if self.as_text[key] else (name, msgspec.Raw, msgspec.Raw(NULL))
            for name, key in zip(names, self.keys, strict=True)
        ]
        row = msgspec.defstruct("Row", definition, rename=dict(zip(names, self.keys, strict=True)), gc=False)
        self._plan = [
            (item, self.keys[key], self.as_text[key])
            for item, key in zip(self.fields, self.paths, strict=True)
        ]
        self._decode_lines = msgspec.json.Decoder(row).decode_lines

    def convert(self, heads: list[bytes]) -> tuple[bytes, int] | None:
        """The rows of some files' whole lines, or None."""
        if len(heads) == 1:
            text = heads[0]
        else:
            # Two broken halves must not make one whole object: each file begins and ends one.
            heads = [head for head in heads if head and not head.isspace()]
            if not all(head[:1] == b"{" and head.rstrip()[-1:] == b"}" for head in heads):
                return None
            text = b"\n".join(heads)
        rows = self._decode(text)
        if rows is None:
            return None
        if not rows:
            return b"", 0
        members = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
        try:
            columns = [
                self._texts(item, members[source]) if text_member else self._tokens(item, members[source])
                for item, source, text_member in self._plan
            ]
        except (FieldError, UnicodeDecodeError, Unusual):
            return None
        lines = map("\t".join, zip(*columns, strict=True))
        return ("\n".join(lines) + "\n").encode(), len(rows)

    def _decode(self, text: bytes) -> list[Any] | None:
        while True:
            try:
                return self._decode_lines(text)
            except msgspec.ValidationError as error:
                # A member that is no string in this data: keep it raw from now on.
                match = re.search(r"at `\$\[\.*\d*\]\.(.*)`$", str(error), re.DOTALL)
                member = match[1] if match else None
                if member is None or not self.as_text.get(member):
                    return None
                self.as_text[member] = False
                self._build()
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return None

    def _tokens(self, item: Field, values: Sequence[msgspec.Raw]) -> Sequence[str]:
        """A column from raw JSON text."""
        joined = b"\n".join(values).decode()
        plain = PLAIN_NUMBERS.get(item.kind)
        if plain is not None and plain.fullmatch(joined):
            return joined.split("\n")
        tokens = joined.split("\n")
        if len(tokens) != len(values) or "\\" in joined:
            raise Unusual
        if item.is_text:
            return self._texts(item, [None if t == "null" else t[1:-1] if t[0] == '"' else t for t in tokens])
        nullable: Sequence[str | None] = tokens
        if '"' in joined:
            nullable = [
                None if t == "null" else t[1:-1].strip() or None if t[0] == '"' else t for t in tokens
            ]
        elif "null" in joined:
            nullable = [None if t == "null" else t for t in tokens]
        present = [t for t in nullable if t is not None]
        if item.column.not_null and len(present) < len(tokens):
            raise Unusual
        if plain is None or not plain.fullmatch("\n".join(present)):
            convert = item.convert_text
            return ["\\N" if t is None else convert(t) for t in nullable]
        return present if len(present) == len(tokens) else ["\\N" if t is None else t for t in nullable]

    def _texts(self, item: Field, values: Sequence[str | None]) -> Sequence[str]:
        """A VARCHAR or CHAR column from decoded strings."""
        if self.command.empty_as_null:
            values = [v or None for v in values]
        if self.command.blanks_as_null:
            values = [None if v is not None and v.isspace() else v for v in values]
        nulls = False
        present = cast("Sequence[str]", values)
        try:
            # A NULL makes it fail: that is quicker than a look at each value.
            joined = "".join(present)
        except TypeError:
            nulls = True
            present = [v for v in values if v is not None]
            joined = "".join(present)
        if nulls and item.column.not_null:
            raise Unusual
        if "\x00" in joined:
            raise Unusual
        if joined.isascii():
            longest = max(map(len, present), default=0)
        elif item.kind == "char":
            raise Unusual
        else:
            longest = max(map(len, map(str.encode, present)))
        if longest > item.column.length:
            raise Unusual
        if "\\" in joined or "\t" in joined or "\n" in joined or "\r" in joined:
            return ["\\N" if v is None else escape(v) for v in values]
        return ["\\N" if v is None else v for v in values] if nulls else present


class Unusual(Exception):
    """The batch holds something that the careful path has to look at."""


#: Columns of numbers, one a line, that their type holds whatever they are and PostgreSQL reads as they stand.
PLAIN_NUMBERS = {
    kind: re.compile(rf"(?:{number}(?:\n|\Z))++")
    for kind, number in {
        "int2": r"[0-9]{1,4}+",
        "int4": r"[0-9]{1,9}+",
        "int8": r"[0-9]{1,18}+",
        "float4": r"-?[0-9]{1,15}+(?:\.[0-9]{1,15}+)?+",
        "float8": r"-?[0-9]{1,15}+(?:\.[0-9]{1,15}+)?+",
    }.items()
}
