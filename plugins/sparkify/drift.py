"""Schema drift: keys of the source objects that no column takes, and known keys that objects lack.

COPY passes over a key that it was not told of and loads NULL for one that is missing, without a word
(Redshift: "COPY from JSON format"), so the objects are looked at as they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkify.json_values import Value
    from sparkify.lake import SourceFile

#: How much of the files of one run is looked at: the end of each, where a growing file is new; of a
#: compressed one the beginning.
BYTES_PER_FILE = 8 * 1024 * 1024
BYTES_PER_RUN = 64 * 1024 * 1024
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
    """The root-level values of a run's files, and the sets of keys that the objects among them have."""

    values: int = 0
    objects: int = 0
    shapes: dict[frozenset[str], Shape] = field(default_factory=dict)

    def look_at(self, file_name: str, values: Iterable[Value]) -> None:
        """Count the root-level values of a file, or of a part of it."""
        for value in values:
            self.values += 1
            if value.keys is not None:
                self.objects += 1
                self.shapes.setdefault(value.keys, Shape(0, file_name)).rows += 1

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
