"""The root-level JSON values of a source file as it stands, in one pass and in bounded memory.

COPY finds the end of a value by its brackets and quotes (Redshift: "COPY from JSON format"). So it takes a
torn object and what follows it for one row, which it refuses: the rows inside are hidden, as are those of an
array or of an object around them. This finds them.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

#: Redshift's limit of one JSON object, "COPY from JSON format": what is longer is no row.
MOST_CHARACTERS = 4 * 1024 * 1024
#: How much text may be tried in search of hidden objects, as a multiple of the file's.
EFFORT = 8
#: What is charged for a value that is nested too deeply for the decoder, and for one that is none, at least.
DEEP, LEAST_EFFORT = 10_000, 512
#: A row is tried in a part of the text that is as long as most are. Of a text that ends within a token the
#: decoder may say that it is wrong there.
USUAL_CHARACTERS, LONGEST_TOKEN = 16 * 1024, 16
#: A long value takes many times its length of memory while it is decoded: one at a time, of all threads.
LONG_VALUE = Lock()
SPACE = re.compile(r"[ \t\r\n]*")
JUNK = re.compile(r"[^{\[\n]*")
IN_STRING = re.compile(r'["\\]')
OUTSIDE_STRING = re.compile(r'["{}\[\]]')
NO_KEYS: frozenset[str | Twice] = frozenset()

#: Of a text, what the JSON value at its beginning is to the reader, and where it ends.
Reading = Callable[[str], tuple[Any, int]]


class Twice(NamedTuple):
    """Beside a key in an object's set of keys: it stands in the object more than once."""

    key: str


@dataclass(frozen=True)
class Value:
    """One root-level value, or what stands in place of one.

    :param keys: the first-level keys of an object, those that stand twice also as `Twice`; None of anything
        else, or of what is no JSON.
    :param line: the number of its last line, from 1.
    :param hidden: how many rows are inside of what is none; None where it cannot be told, or was not asked.
    """

    keys: frozenset[str | Twice] | None
    line: int
    hidden: int | None = 0


def values(
    chunks: Iterable[bytes], known: frozenset[str] | None = None, *, search: bool = True
) -> Iterator[Value]:
    """The values of a file, or of the part of it from some line on, in order.

    :param chunks: its bytes; invalid UTF-8 is passed over.
    :param known: the keys of a row: an object without any of them is a part of another one. None: all are
        rows.
    :param search: whether to look for rows inside of what is none.
    """
    return _Reader(chunks, known, search).values()


class _Reader:
    """A file's text, of which at least the longest value is in memory from `position` on."""

    def __init__(self, chunks: Iterable[bytes], known: frozenset[str] | None, search: bool) -> None:
        self.chunks = iter(chunks)
        self.known = known
        self.search = search
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.keys = _reading(_names, lambda value: value if isinstance(value, frozenset) else None)
        self.rows = _reading(self._rows, _count)
        self.text = ""
        self.position = 0
        self.line = 1
        self.counted = 0
        self.ended = False
        self.effort = EFFORT * MOST_CHARACTERS

    def values(self) -> Iterator[Value]:
        while self._skip(SPACE):
            if self.text[self.position] in "{[":
                yield self._value()
            else:
                self._skip(JUNK)
                yield Value(None, self._line())

    def _value(self) -> Value:
        decoded = self._decode(self.position, self.keys)
        if decoded is None:
            hidden = self._pass_over()
            return Value(None, self._line(), hidden)
        keys, end = decoded
        is_whole = keys is not None and (self.known is None or not self.known.isdisjoint(keys))
        hidden = 0 if is_whole else self._inside(self.position)
        is_row = end - self.position <= MOST_CHARACTERS
        self.position = end
        return Value(keys if is_row else None, self._line(), hidden)

    def _inside(self, start: int) -> int | None:
        """How many rows are in the value that begins there, which is none.

        COPY refuses an array of rows, or an object around them, as one value, and sees none of them.
        """
        decoded = self._decode(start, self.rows) if self.search else None
        return None if decoded is None else decoded[0]

    def _rows(self, pairs: list[tuple[str, object]]) -> _Rows:
        """What the decoder makes of an object in search of rows."""
        if self.known is None or any(key in self.known for key, _ in pairs):
            return _Rows(1)
        return _Rows(sum(_count(value) for _, value in pairs))

    def _decode(self, start: int, read: Reading) -> tuple[Any, int] | None:
        """What is read of the value that begins there, and where it ends; None of what is no JSON.

        Tried in a part of the text, because the decoder's error counts all lines before it.
        """
        for size in (USUAL_CHARACTERS, MOST_CHARACTERS + 1):
            part = self.text[start : start + size]
            try:
                with LONG_VALUE if size > USUAL_CHARACTERS else nullcontext():
                    found, end = read(part)
            except RecursionError:
                self.effort -= DEEP
                return None
            except json.JSONDecodeError as error:
                is_cut = error.pos > len(part) - LONGEST_TOKEN or error.msg.startswith("Unterminated")
                self.effort -= len(part) if is_cut else max(error.pos, LEAST_EFFORT)
                if not is_cut or len(part) < size:
                    return None
            else:
                self.effort -= end
                return found, start + end
        return None

    def _pass_over(self) -> int | None:
        """To the end of what is no JSON, as COPY finds it; how many rows are inside."""
        frame = _Frame()
        hidden: int | None = 0 if self.search else None
        seek = self.position + 1
        while True:
            limit = len(self.text) if self.ended else len(self.text) - MOST_CHARACTERS
            end = frame.end(self.text, self.position, limit)
            stop = limit if end is None else end
            if hidden is not None:
                found, seek = self._whole_objects(seek, stop)
                hidden = None if found is None else hidden + found
            self.position = stop
            if end is not None or self.ended:
                return hidden
            seek -= stop
            self._fill()

    def _whole_objects(self, start: int, stop: int) -> tuple[int | None, int]:
        """How many rows are in the objects that begin between the two, and where the last one ends; None for
        too much to try."""
        count = 0
        while (start := self.text.find("{", start, stop)) >= 0:
            if self.effort < 0:
                return None, stop
            decoded = self._decode(start, self.rows)
            if decoded is None:
                start += 1
            else:
                rows, start = decoded
                count += rows
        return count, stop if start < 0 else start

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """To where the pattern ends; whether something follows."""
        while True:
            self._fill()
            if match := pattern.match(self.text, self.position):
                self.position = match.end()
            if self.position < len(self.text):
                return True
            if self.ended:
                return False

    def _line(self) -> int:
        """The number of the line that `position` is in."""
        self.line += self.text.count("\n", self.counted, self.position)
        self.counted = self.position
        return self.line

    def _fill(self) -> None:
        if self.ended or len(self.text) - self.position > MOST_CHARACTERS:
            return
        self._line()
        parts = [self.text[self.position :]]
        self.position = self.counted = 0
        size = len(parts[0])
        while size <= 2 * MOST_CHARACTERS and not self.ended:
            chunk = next(self.chunks, None)
            self.ended = chunk is None
            parts.append(self.decoder.decode(chunk or b"", final=self.ended))
            size += len(parts[-1])
            self.effort += EFFORT * len(parts[-1])
        self.text = "".join(parts)


class _Rows(int):
    """An object, by how many rows it is or holds."""


def _count(value: object) -> int:
    """The rows in what was decoded in search of them."""
    count = 0
    waiting = [value]
    while waiting:
        match waiting.pop():
            case _Rows() as rows:
                count += rows
            case list() as items:
                waiting += items
    return count


def _nothing(_: str) -> None:
    """What the decoder makes of a number: Python's own are slow, and refuse one of many digits."""


def _reading(
    of_object: Callable[[list[tuple[str, object]]], object], of_value: Callable[[object], object]
) -> Reading:
    """A decoder that keeps of each object, and then of the value, no more than is asked."""
    decode = json.JSONDecoder(
        object_pairs_hook=of_object, parse_int=_nothing, parse_float=_nothing
    ).raw_decode

    def read(text: str) -> tuple[Any, int]:
        value, end = decode(text)
        return of_value(value), end

    return read


def _names(pairs: list[tuple[str, object]]) -> frozenset[str | Twice]:
    """What the decoder makes of an object: its keys."""
    if not pairs:
        return NO_KEYS
    keys = frozenset(key for key, _ in pairs)
    if len(keys) == len(pairs):
        return keys
    counts = Counter(key for key, _ in pairs)
    return keys | {Twice(key) for key, count in counts.items() if count > 1}


@dataclass
class _Frame:
    """Where COPY lets a value end: brackets are counted, those in strings are not."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False

    def end(self, text: str, start: int, stop: int) -> int | None:
        """Its end in this part of the text, or None where it goes on."""
        while start < stop:
            if self.escaped:
                self.escaped = False
                start += 1
                continue
            match = (IN_STRING if self.in_string else OUTSIDE_STRING).search(text, start, stop)
            if match is None:
                return None
            start = match.end()
            match match[0]:
                case "\\":
                    self.escaped = True
                case '"':
                    self.in_string = not self.in_string
                case bracket:
                    self.depth += 1 if bracket in "{[" else -1
                    if self.depth == 0:
                        return start
        return None
