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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
SPACE = re.compile(r"[ \t\r\n]*")
JUNK = re.compile(r"[^{\[\n]*")
IN_STRING = re.compile(r'["\\]')
OUTSIDE_STRING = re.compile(r'["{}\[\]]')


class Twice(NamedTuple):
    """Beside a key in an object's set of keys: it stands in the object more than once."""

    key: str


@dataclass(frozen=True)
class Value:
    """One root-level value, or what stands in place of one.

    :param keys: the first-level keys of an object, those that stand twice also as `Twice`; None of anything
        else, or of what is no JSON.
    :param line: the number of its last line, from 1.
    :param hidden: how many rows are inside of what is none; None where it cannot be told.
    """

    keys: frozenset[str | Twice] | None
    line: int
    hidden: int | None = 0


def values(chunks: Iterable[bytes], known: frozenset[str] | None = None) -> Iterator[Value]:
    """The values of a file, or of the part of it from some line on, in order.

    :param chunks: its bytes; invalid UTF-8 is passed over.
    :param known: the keys of a row: an object without any of them is a part of another one. None: all are
        rows.
    """
    return _Reader(chunks, known).values()


class _Reader:
    """A file's text, of which at least the longest value is in memory from `position` on."""

    def __init__(self, chunks: Iterable[bytes], known: frozenset[str] | None) -> None:
        self.chunks = iter(chunks)
        self.known = known
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.raw_decode = json.JSONDecoder(object_pairs_hook=_names).raw_decode
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
        decoded = self._decode(self.position)
        if decoded is None:
            hidden = self._pass_over()
            return Value(None, self._line(), hidden)
        value, end = decoded
        is_object = isinstance(value, frozenset)
        hidden = 0
        if self.known is not None and not (is_object and value & self.known):
            # An array of rows, or an object around them, is one value: COPY refuses it and sees none of them.
            hidden, _ = self._whole_objects(self.position + 1, end)
        is_row = is_object and end - self.position <= MOST_CHARACTERS
        self.position = end
        return Value(value if is_row else None, self._line(), hidden)

    def _decode(self, start: int) -> tuple[Any, int] | None:
        """The value that begins there and where it ends; None of what is no JSON.

        Tried in a part of the text, because the decoder's error counts all lines before it.
        """
        for size in (USUAL_CHARACTERS, MOST_CHARACTERS + 1):
            part = self.text[start : start + size]
            try:
                value, end = self.raw_decode(part)
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
                return value, start + end
        return None

    def _pass_over(self) -> int | None:
        """To the end of what is no JSON, as COPY finds it; how many whole objects are inside."""
        frame = _Frame()
        hidden: int | None = 0
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
        """How many rows begin between the two, and where the last one ends; None for too much to try."""
        count = 0
        while (start := self.text.find("{", start, stop)) >= 0:
            if self.effort < 0:
                return None, stop
            decoded = self._decode(start)
            if decoded is None:
                start += 1
            else:
                value, start = decoded
                count += self.known is None or not self.known.isdisjoint(value)
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


def _names(pairs: list[tuple[str, object]]) -> frozenset[str | Twice]:
    """What the decoder makes of an object: its keys."""
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
