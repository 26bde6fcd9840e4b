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
class Sighting:
    """In how many rows a key was unknown, or missing, and the first file of them."""

    rows: int
    first_file: str


@dataclass
class Drift:
    """What is counted over the objects of a run's files.

    :param known: the keys that the landing table takes.
    """

    known: frozenset[str]
    rows: int = 0
    sightings: dict[tuple[str, str], Sighting] = field(default_factory=dict)

    def look_at(self, file_name: str, text: bytes) -> None:
        """Count the keys of the objects in a file, or in the part of it from some line on."""
        for keys in object_keys(text):
            self.rows += 1
            for problem, names in ((UNKNOWN, keys - self.known), (MISSING, self.known - keys)):
                for name in names:
                    self._count(problem, name, file_name)

    def _count(self, problem: str, name: str, file_name: str) -> None:
        sighting = self.sightings.get((problem, name))
        if sighting is not None:
            sighting.rows += 1
        elif len(self.sightings) < MOST_KEYS:
            self.sightings[problem, name] = Sighting(1, file_name)

    def table_rows(self) -> list[tuple[str, str, int, str]]:
        """problem, key, rows, first file; the most frequent first."""
        rows = [(problem, key, s.rows, s.first_file) for (problem, key), s in self.sightings.items()]
        return sorted(rows, key=lambda row: (-row[2], row))


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
