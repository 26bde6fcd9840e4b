"""Schema drift: keys of the source objects that no column takes, and known keys that objects lack.

COPY passes over a key that it was not told of and loads NULL for one that is missing, without a word
(Redshift: "COPY from JSON format"), so the objects are looked at as they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkify.lake import SourceFile

#: How much of the files of one run is looked at: the end of each, where a growing file is new.
BYTES_A_FILE = 8 * 1024 * 1024
MOST_FILES = 300
MOST_KEYS = 100
UNKNOWN, MISSING = "unknown", "missing"
FIRST_NAME = re.compile(r"^\$(?:\['([^']+)'\]|\[\"([^\"]+)\"\]|\.([^.\[\]]+))")


@dataclass
class Shape:
    """In how many objects one set of keys was seen, and the first file of them."""

    rows: int
    first_file: str


@dataclass
class Shapes:
    """The sets of keys that the objects of a run's files have."""

    rows: int = 0
    shapes: dict[frozenset[str], Shape] = field(default_factory=dict)

    def look_at(self, file_name: str, text: bytes) -> None:
        """Count the objects in a file, or in the part of it from some line on."""
        for keys in object_keys(text):
            self.rows += 1
            self.shapes.setdefault(keys, Shape(0, file_name)).rows += 1

    def drift(self, known: frozenset[str]) -> list[tuple[str, str, int, str]]:
        """Problem, key, rows, first file of each key that is unknown, or missing; the most frequent first.

        :param known: the keys that the landing table takes.
        """
        sightings: dict[tuple[str, str], Shape] = {}
        for keys, shape in self.shapes.items():
            for problem, names in ((UNKNOWN, keys - known), (MISSING, known - keys)):
                for name in names:
                    sightings.setdefault((problem, name), Shape(0, shape.first_file)).rows += shape.rows
        rows = [(problem, key, one.rows, one.first_file) for (problem, key), one in sightings.items()]
        return sorted(rows, key=lambda row: (-row[2], row))[:MOST_KEYS]


def object_keys(text: bytes) -> Iterator[frozenset[str]]:
    """The first-level keys of each JSON object of a file; after what is no JSON, the next line."""
    source = text.decode("utf-8", errors="replace")
    decoder = json.JSONDecoder()
    position = 0
    while position < len(source):
        if source[position].isspace():
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(source, position)
        except (ValueError, RecursionError):
            newline = source.find("\n", position)
            position = len(source) if newline < 0 else newline + 1
            continue
        if isinstance(value, dict):
            yield frozenset(value)


def jsonpaths_keys(text: bytes) -> frozenset[str] | None:
    """The first-level keys that a JSONPaths file names; None where it is no such file: COPY will say so."""
    try:
        expressions = json.loads(text)["jsonpaths"]
        found = [FIRST_NAME.match(expression) for expression in expressions]
    except (ValueError, TypeError, KeyError):
        return None
    return frozenset(match[1] or match[2] or match[3] for match in found if match)


def sampled(files: Iterable[SourceFile]) -> list[SourceFile]:
    """At most `MOST_FILES` of the files, spread evenly, the last one included."""
    files = list(files)
    if len(files) <= MOST_FILES:
        return files
    return [files[(number + 1) * len(files) // MOST_FILES - 1] for number in range(MOST_FILES)]
