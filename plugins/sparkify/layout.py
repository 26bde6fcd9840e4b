"""Layout: where in the lake the files of a source lie, and which hours they are of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from airflow.sdk.exceptions import AirflowFailException

from sparkify.lake import SourceFile, folder

#: The places of a template, from the widest to the narrowest, each with how Python writes and a key shows it.
UNITS = {
    "year": ("%Y", r"\d{4}"),
    "month": ("%m", r"\d{2}"),
    "day": ("%d", r"\d{2}"),
    "hour": ("%H", r"\d{2}"),
}
PLACE = re.compile(r"\{(\w*)\}")
#: COPY's option for the end of a key ("COPY from Amazon S3", "File compression parameters").
COMPRESSIONS = {".gz": "GZIP", ".bz2": "BZIP2", ".zst": "ZSTD", ".lzo": "LZOP"}
#: COPY of these has neither JSONPaths nor MAXERROR, and maps by position ("COPY from columnar data formats").
COLUMNAR = (".parquet", ".orc", ".avro")
ANY = "*"
#: From how many partitions of one folder on the folder is listed once.
FOLDER_LISTED_FROM = 3


class LayoutError(AirflowFailException, ValueError):
    """The declaration of a layout, or a file that lies where it says, is not what the pipeline can load."""


@dataclass(frozen=True, order=True)
class Partition:
    """The files of a span of time, as the template says: a day, say, or an hour.

    :param start: UTC.
    :param end: not included.
    :param key: how the keys begin, or the one key.
    """

    start: datetime
    end: datetime
    key: str


@dataclass(frozen=True)
class Layout:
    """Where a source's files lie.

    :param prefix: what all keys begin with; a slash is put behind it.
    :param template: the keys below it, with the places {year}, {month}, {day} and {hour} in any order, as
        often as needed, from the year down without a gap: `dt={year}-{month}-{day}/hour={hour}/*`. A last `*`
        stands for any rest, folders included; without it there is one key a partition. All in UTC.
    :param suffixes: how keys end that a `*` stands for, of which one is enough; `*` for any end.
    """

    prefix: str
    template: str
    suffixes: tuple[str, ...] = (ANY,)

    def __post_init__(self) -> None:
        names = PLACE.findall(self.template)
        unknown = sorted(set(names) - UNITS.keys())
        text = PLACE.sub("", self.template)
        problem = ""
        if unknown:
            problem = f"has the place {{{unknown[0]}}}, which there is not"
        elif not names:
            problem = "has no {year}, so every run would list every file"
        elif missing := [unit for unit in self._units_to(names) if unit not in names]:
            problem = f"has no {{{missing[0]}}}, so its files would be of no span of time"
        elif ANY in text.removesuffix(ANY) or "{" in text or "}" in text:
            problem = "may have * at its end only, and braces around places only"
        elif self.template.startswith("/"):
            problem = "begins with a slash"
        if problem:
            raise LayoutError(
                f"The key template {self.template!r} {problem}.\nEnter the keys below the prefix, such as "
                "{year}/{month}/{day}/{hour}/* or dt={year}-{month}-{day}/*."
            )
        columnar = [one for one in (self.template, *self.suffixes) if one.lower().endswith(COLUMNAR)]
        if columnar:
            raise LayoutError(
                f"{columnar[0]!r} names columnar files, which COPY loads by the position of their columns, "
                f"and without setting bad rows aside.\nEnter the suffixes of JSON-lines files, such as "
                f".json .json.gz."
            )

    @staticmethod
    def _units_to(names: Iterable[str]) -> list[str]:
        """The units down to the narrowest of these."""
        order = list(UNITS)
        return order[: max(map(order.index, names)) + 1]

    @cached_property
    def unit(self) -> str:
        """The span of a partition: `year`, `month`, `day` or `hour`."""
        return self._units_to(PLACE.findall(self.template))[-1]

    @property
    def has_many(self) -> bool:
        """Whether a partition may have more than one file."""
        return self.template.endswith(ANY)

    def partitions(self, start: datetime, end: datetime) -> Iterator[Partition]:
        """Those that overlap `[start, end)`, in order.

        :param start: UTC.
        :param end: UTC.
        """
        moment = self._floor(start)
        while moment < end:
            following = self._next(moment)
            yield Partition(moment, following, self._rendered(self.template.removesuffix(ANY), moment))
            moment = following

    def partition_at(self, moment: datetime) -> Partition:
        """The one that a moment is in, UTC."""
        return next(self.partitions(moment, moment + timedelta(microseconds=1)))

    def prefixes(self, partitions: Iterable[Partition]) -> list[str]:
        """What to list for partitions: a prefix each, or a folder that holds several of them."""
        head, place, _ = self.template.rpartition("{hour}")
        if not place or PLACE.findall(head)[-1:] == ["hour"] or "{hour}" in head:
            return [one.key for one in partitions]
        folders: dict[str, list[str]] = {}
        for one in partitions:
            folders.setdefault(self._rendered(head, one.start), []).append(one.key)
        return [
            key
            for of_folder, keys in folders.items()
            for key in ([of_folder] if len(keys) >= FOLDER_LISTED_FROM else keys)
        ]

    def partition_of(self, key: str) -> Partition | None:
        """The partition that a key is of; None for one that is no file of the source.

        Hidden files are none, as in Hive: those whose names begin with `_` or `.`.
        """
        match = self._pattern.fullmatch(key)
        name = key.rpartition("/")[2]
        if not match or (self.has_many and (not name or name.startswith(("_", ".")))):
            return None
        if self.has_many and ANY not in self.suffixes and not key.endswith(self.suffixes):
            return None
        found = {unit: int(match[unit]) for unit in UNITS if unit in match.groupdict()}
        try:
            start = datetime(
                found["year"], found.get("month", 1), found.get("day", 1), found.get("hour", 0), tzinfo=UTC
            )
        except ValueError:
            return None
        return self.partition_at(start)

    def files(self, listed: Iterable[SourceFile]) -> Iterator[tuple[Partition, SourceFile]]:
        """The source's files among those that were listed, each with its partition.

        :raises LayoutError: where a file is columnar: it would be passed over without a word.
        """
        for file in listed:
            if file.object_key.lower().endswith(COLUMNAR):
                raise LayoutError(
                    f"{file.object_key} is a columnar file, which COPY loads by the position of its columns, "
                    f"and without setting bad rows aside.\nMove it out of {folder(self.prefix)}, or have the "
                    f"files written as JSON lines."
                )
            if partition := self.partition_of(file.object_key):
                yield partition, file

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern, seen, place = re.escape(folder(self.prefix)), set(), 0
        template = self.template.removesuffix(ANY)
        for match in PLACE.finditer(template):
            pattern += re.escape(template[place : match.start()])
            unit = match[1]
            pattern += f"(?P={unit})" if unit in seen else f"(?P<{unit}>{UNITS[unit][1]})"
            seen.add(unit)
            place = match.end()
        return re.compile(pattern + re.escape(template[place:]) + (".*" if self.has_many else ""), re.DOTALL)

    def _rendered(self, template: str, moment: datetime) -> str:
        return folder(self.prefix) + PLACE.sub(lambda match: moment.strftime(UNITS[match[1]][0]), template)

    def _floor(self, moment: datetime) -> datetime:
        midnight = moment.replace(minute=0, second=0, microsecond=0)
        if self.unit == "hour":
            return midnight
        midnight = midnight.replace(hour=0)
        if self.unit == "day":
            return midnight
        return midnight.replace(day=1) if self.unit == "month" else midnight.replace(month=1, day=1)

    def _next(self, moment: datetime) -> datetime:
        if self.unit == "hour":
            return moment + timedelta(hours=1)
        if self.unit == "day":
            return moment + timedelta(days=1)
        days = 32 if self.unit == "month" else 366
        return self._floor(moment + timedelta(days=days))


def compression(key: str) -> str:
    """COPY's option for a file, by the end of its key; empty where it is not compressed."""
    return next((option for suffix, option in COMPRESSIONS.items() if key.lower().endswith(suffix)), "")
