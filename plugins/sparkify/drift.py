"""Schema drift: keys of the source objects that no column takes, that an object has twice, or that it lacks.

COPY passes over a key that it was not told of, loads NULL for one that is missing and one of the values of a
key that stands twice, without a word (Redshift: "COPY from JSON format"), so the objects are looked at as
they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkify.json_values import Twice, Value
from sparkify.text import fit

if TYPE_CHECKING:
    from sparkify.lake import SourceFile

#: How much of the files of one run is looked at: the end of each, where a growing file is new; of a
#: compressed one the beginning.
BYTES_PER_FILE = 8 * 1024 * 1024
BYTES_PER_RUN = 64 * 1024 * 1024
MOST_FILES = 300
LOOK_SECONDS = 60
#: How many sets of keys are told apart, and how many bytes their names may have; each name counts this much
#: more, which is about what Python needs for one.
MOST_SHAPES = 5_000
NAMES_BYTES, NAME_BYTES = 4 * 1024 * 1024, 64
#: What is read of a JSONPaths file.
JSONPATHS_BYTES = 1024 * 1024
#: How many keys of one problem are listed; the others are counted.
MOST_KEYS = 100
KEY_NAME_BYTES, FILE_NAME_BYTES = 512, 1024
UNKNOWN, TWICE, MISSING = "unknown", "twice", "missing"
#: In place of a problem: why not all objects were looked at, or their keys are not known.
TIME, LIMIT = "time", "limit"
FIRST_NAME = re.compile(r"^\$(?:\['([^']+)'\]|\[\"([^\"]+)\"\]|\.([^.\[\]]+))")


@dataclass(slots=True)
class Shape:
    """In how many objects one set of keys was seen, and the first file of them."""

    rows: int
    first_file: str


@dataclass
class Shapes:
    """The root-level values of a run's files, and the sets of keys that the objects among them have.

    :param others: the objects whose sets of keys were too many, or had names too long, to be told apart.
    :param given_up: why there may be more values; empty where there are none.
    """

    values: int = 0
    objects: int = 0
    shapes: dict[frozenset[str | Twice], Shape] = field(default_factory=dict)
    others: Shape = field(default_factory=lambda: Shape(0, ""))
    names_bytes: int = 0
    given_up: str = ""

    def look_at(self, file_name: str, values: Iterable[Value]) -> None:
        """Count the root-level values of a file, or of a part of it."""
        for value in values:
            self.values += 1
            if value.keys is not None:
                self.objects += 1
                shape = self.shapes.get(value.keys) or self._new(value.keys, file_name)
                shape.rows += 1

    def _new(self, keys: frozenset[str | Twice], file_name: str) -> Shape:
        """The shape of a set of keys that is seen for the first time."""
        size = sum(
            NAME_BYTES + (0 if isinstance(key, Twice) else len(key.encode(errors="surrogatepass")))
            for key in keys
        )
        if len(self.shapes) >= MOST_SHAPES or self.names_bytes + size > NAMES_BYTES:
            self.others.first_file = self.others.first_file or file_name
            return self.others
        self.names_bytes += size
        return self.shapes.setdefault(keys, Shape(0, file_name))

    def limits(self) -> Iterator[tuple[str, str, int, int, str]]:
        """As `drift`, what was not looked at: in place of the key, the sentence that says so."""
        if self.given_up:
            yield TIME, fit(self.given_up, KEY_NAME_BYTES), 0, 0, ""
        if self.others.rows:
            file = fit(self.others.first_file, FILE_NAME_BYTES)
            sentence = (
                f"the keys of {self.others.rows:,} object(s) are not known: their files have more than "
                f"{MOST_SHAPES:,} different sets of keys, or {NAMES_BYTES // 1024**2} MB of them"
            )
            yield LIMIT, sentence, self.others.rows, 0, file

    def drift(self, known: frozenset[str]) -> list[tuple[str, str | None, int, int, str]]:
        """Problem, key, rows, number of keys, first file: of keys that are unknown, missing or there twice.

        By problem, the most frequent first. Of more than `MOST_KEYS` the last row stands for all others:
        without a key, with their number, the rows and the first file of the most frequent of them. The texts
        fit the columns of the work table of keys.

        :param known: the keys that the landing table takes.
        """
        sightings: dict[str, dict[str, Shape]] = {UNKNOWN: {}, TWICE: {}, MISSING: {}}
        for keys, shape in self.shapes.items():
            problems = [(MISSING, key) for key in known - keys]
            problems += [
                (TWICE, key.key) if isinstance(key, Twice) else (UNKNOWN, key) for key in keys - known
            ]
            for problem, key in problems:
                sightings[problem].setdefault(key, Shape(0, shape.first_file)).rows += shape.rows
        rows: list[tuple[str, str | None, int, int, str]] = []
        for problem, of_keys in sightings.items():
            found = sorted(of_keys.items(), key=lambda item: (-item[1].rows, item[0]))
            rows += [(problem, key, one.rows, 1, one.first_file) for key, one in found[:MOST_KEYS]]
            if others := found[MOST_KEYS:]:
                rows.append((problem, None, others[0][1].rows, len(others), others[0][1].first_file))
        return [
            (
                problem,
                None if key is None else fit(key, KEY_NAME_BYTES) or '""',
                count,
                keys,
                fit(file, FILE_NAME_BYTES),
            )
            for problem, key, count, keys, file in rows
        ]


def jsonpaths_keys(text: bytes) -> frozenset[str] | None:
    """The first-level keys that a JSONPaths file names; None where it is no such file, or not all of it."""
    try:
        expressions = json.loads(text)["jsonpaths"]
        found = [FIRST_NAME.match(expression) for expression in expressions]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return frozenset(match[1] or match[2] or match[3] for match in found if match)


def sampled(files: Iterable[SourceFile]) -> list[SourceFile]:
    """At most `MOST_FILES` of the files, spread evenly, the last one included."""
    files = list(files)
    if len(files) <= MOST_FILES:
        return files
    return [files[(number + 1) * len(files) // MOST_FILES - 1] for number in range(MOST_FILES)]
