"""JSON objects into rows: framing, and errors with file and line.

Two paths lead to the same rows. The fast one takes a batch of lines and works column by column in C; as
soon as anything in the batch is unusual it gives the batch up, and the careful one converts it value by
value and knows for each error its file, line and column.

Source: Amazon Redshift Database Developer Guide, "COPY from JSON format".
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from local_redshift.catalog.records import FileRead, LoadError
from local_redshift.copy.fast_path import FastPath
from local_redshift.copy.fields import NULL, Field, FieldError, escape
from local_redshift.copy.mapping import Mapping, Path
from local_redshift.copy.source import Part
from local_redshift.sql.copy_grammar import CopyCommand

#: Redshift's limit for one JSON object, in bytes.
MAX_OBJECT = 4 * 1024 * 1024
#: How much of a row, a value and a reason STL_LOAD_ERRORS shows at most.
KEPT = 1024

Members = dict[str, msgspec.Raw] | list[msgspec.Raw]


class TooManyErrors(Exception):
    """MAXERROR is reached: the load fails."""


class Piece(NamedTuple):
    """Some text of one file, and whether it is its last."""

    file: _File
    text: bytes
    last: bool


@dataclass
class _File:
    """How far one file is read."""

    url: str
    #: What follows the last newline that was seen: the beginning of a line.
    rest: bytes = b""
    #: The beginning of a value that goes on over the lines to come; empty of one that is too big to be kept.
    unfinished: bytes = b""
    #: Newlines before `unfinished`, and its place in the file.
    lines: int = 0
    offset: int = 0
    within_line: bool = False
    #: How far that value is read, while its end has not come.
    frame: _Frame | None = None

    @property
    def at_value(self) -> bool:
        """Whether what comes next begins no later than a value does."""
        return self.frame is None

    def advance(self, text: bytes) -> None:
        """What was converted last."""
        if text:
            self.lines += text.count(b"\n")
            self.offset += len(text)
            self.within_line = not text.endswith(b"\n")


@dataclass
class _Frame:
    """Where a root-level object or array ends, found part after part: brackets are counted, those in strings
    are not."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False

    def end(self, text: bytes, position: int = 0) -> int | None:
        """Where in this part it ends, or None."""
        while position < len(text):
            if self.escaped:
                self.escaped = False
                position += 1
                continue
            match = (IN_STRING if self.in_string else OUTSIDE_STRING).search(text, position)
            if match is None:
                return None
            position = match.end()
            found = match.group()
            if found == b"\\":
                self.escaped = True
            elif found == b'"':
                self.in_string = not self.in_string
            else:
                self.depth += 1 if found in b"{[" else -1
                if self.depth == 0:
                    return position
        return None


#: What is converted at once: it stays in a processor's cache.
UNIT_BYTES = 1 << 17

IN_STRING = re.compile(rb'["\\]')
OUTSIDE_STRING = re.compile(rb'["{}\[\]]')
SPACE = re.compile(rb"[ \t\r\n]*")
JUNK = re.compile(rb"[^{\[\n]*")
LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..)"
)
NOT_AN_OBJECT = "Invalid JSONPath format: Member is not an object."
NOT_AN_ARRAY = "Invalid JSONPath format: Not an array or index out of range."


class Converter:
    """Converts batches of bytes into rows in COPY's text format, and collects load errors."""

    def __init__(self, command: CopyCommand, mapping: Mapping):
        self.command = command
        self.mapping = mapping
        self.rows = 0
        self.errors: list[LoadError] = []
        #: The files that were read to their end.
        self.files: list[FileRead] = []
        self.fields = [Field(column, command) for column in mapping.columns]
        self._file: _File | None = None
        self._decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
        self._decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._fast = FastPath(command, mapping, self.fields) if FastPath.serves(mapping) else None

    def convert(self, batch: Iterable[Part]) -> bytes:
        """Rows of the batch: parts of files in order.

        Raises TooManyErrors once MAXERROR is reached, and from then on.
        """
        self._check_errors()
        rows = []
        unit: list[Piece] = []
        size = 0
        for piece in self._pieces(batch):
            unit.append(piece)
            size += len(piece.text)
            if size >= UNIT_BYTES:
                rows.append(self._convert(unit))
                unit, size = [], 0
        rows.append(self._convert(unit))
        return b"".join(rows)

    def _convert(self, unit: list[Piece]) -> bytes:
        done = None
        if (
            self._fast is not None
            and sum(len(piece.text) for piece in unit) <= MAX_OBJECT
            and all(piece.file.at_value for piece in unit)
        ):
            done = self._fast.convert([piece.text for piece in unit])
        if done is not None:
            rows, count = done
            self.rows += count
            for piece in unit:
                piece.file.advance(piece.text)
        else:
            out: list[str] = []
            for piece in unit:
                self._careful(piece.file, piece.text, piece.last, out)
            rows = "".join(out).encode()
        for piece in unit:
            if piece.last:
                file = piece.file
                now = datetime.datetime.now(datetime.UTC)
                self.files.append(FileRead(file.url, file.lines + file.within_line, file.offset, now))
        return rows

    def _pieces(self, batch: Iterable[Part]) -> Iterator[Piece]:
        """Whole lines, about a unit at the most; the end of a file need not end a line."""
        for source, data, last in batch:
            file = self._file or _File(source.url)
            self._file = None if last else file
            text = file.rest + data
            start, end = 0, len(text)
            while end - start > UNIT_BYTES and (newline := text.rfind(b"\n", start, start + UNIT_BYTES)) >= 0:
                yield Piece(file, text[start : newline + 1], False)
                start = newline + 1
            if not last:
                newline = text.rfind(b"\n", start)
                if newline >= 0 or end - start <= 2 * MAX_OBJECT:
                    end = max(start, newline + 1)
            file.rest = text[end:]
            yield Piece(file, text[start:end], last)

    # The careful path -----------------------------------------------------------------------

    def _careful(self, file: _File, text: bytes, last: bool, out: list[str]) -> None:
        """Convert what is complete, value by value; an object that goes on stays with the file."""
        seek = len(file.unfinished)
        text = file.unfinished + text
        frame, file.frame = file.frame, None
        position = 0
        if frame is not None and not seek:
            end = frame.end(text)
            file.frame, frame = (frame if end is None else None), None
            position = len(text) if end is None else end
        line = file.lines
        counted = 0
        while True:
            if frame is None:
                blank = SPACE.match(text, position)
                position = seek = blank.end() if blank else position
                if position == len(text):
                    break
            if text[position : position + 1] in b"{[":
                frame = frame or _Frame()
                end = frame.end(text, seek)
            else:
                # An error on its own: it ends with its line, or where a value begins.
                junk = JUNK.match(text, position)
                end = max(junk.end() if junk else position, position + 1)
            if end is None:
                file.frame = frame
                if not last and len(text) - position <= MAX_OBJECT:
                    break
                end = len(text)
            line += text.count(b"\n", counted, end)
            counted = end
            self._row(file, text[position:end], line + 1, file.offset + position, out)
            frame = None
            position = end
        file.advance(text[:position])
        file.unfinished = text[position:]

    def _row(self, file: _File, value: bytes, line: int, offset: int, out: list[str]) -> None:
        """Convert one root-level value; a load error leaves its row out."""
        column = None
        try:
            if len(value) > MAX_OBJECT:
                raise FieldError(1216, f"JSON object exceeds the maximum size of {MAX_OBJECT} bytes")
            texts = []
            for item, token in zip(self.fields, self._tokens(value), strict=True):
                column = item.column
                text = item.convert(token)
                texts.append("\\N" if text is None else escape(text))
        except FieldError as error:
            self._report(
                LoadError(
                    file.url,
                    line,
                    column,
                    error.code,
                    error.reason[:KEPT],
                    value[:KEPT].decode(errors="replace"),
                    error.value[:KEPT],
                    offset,
                )
            )
            return
        out.append("\t".join(texts) + "\n")
        self.rows += 1

    def _report(self, error: LoadError) -> None:
        self.errors.append(error)
        self._check_errors()

    def _check_errors(self) -> None:
        if len(self.errors) >= max(1, self.command.max_error):
            raise TooManyErrors

    def _tokens(self, value: bytes) -> list[bytes | None]:
        """The raw JSON text of each column's value."""
        if surrogate := LONE_SURROGATE.search(value):
            mark = self.command.accept_invalid_chars
            if mark is None:
                raise FieldError(
                    1220,
                    "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: "
                    + surrogate.group()[-4:].decode(errors="replace").lower()
                    + " (error 5)",
                )
            value = LONE_SURROGATE.sub(rb"\1" + mark.encode(), value)
        try:
            if value[:1] == b"{":
                named = self._decode_object(value)
                if self.mapping.ignore_case:
                    named = {name.lower(): raw for name, raw in named.items()}
                members: Members = named
            elif value[:1] == b"[":
                if self.mapping.by_name:
                    raise FieldError(1216, NOT_AN_OBJECT)
                members = self._decode_array(value)
            else:
                raise FieldError(1216, "Invalid value.")
        except RecursionError as error:
            raise FieldError(1216, "Invalid value: it is nested too deeply.") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FieldError(1216, "Invalid value.") from error
        return [self._follow(value, members, path) for path in self.mapping.paths]

    def _follow(self, whole: bytes, members: Members, path: Path) -> bytes | None:
        if not path:
            return whole
        node = members
        for depth, step in enumerate(path):
            if isinstance(step, str):
                if not isinstance(node, dict):
                    raise FieldError(1216, NOT_AN_OBJECT)
                if step not in node:
                    return None
                token = bytes(node[step])
            else:
                if not isinstance(node, list) or step >= len(node):
                    raise FieldError(1216, NOT_AN_ARRAY)
                token = bytes(node[step])
            if depth == len(path) - 1:
                return token
            if token == NULL:
                return None
            if token[:1] == b"{":
                node = self._decode_object(token)
            elif token[:1] == b"[":
                node = self._decode_array(token)
            else:
                raise FieldError(1216, NOT_AN_OBJECT if isinstance(path[depth + 1], str) else NOT_AN_ARRAY)
        return None
