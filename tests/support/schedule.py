"""Schedules: what may happen to a pipeline in its life, as text that a person can read and play again.

One step a line:

    layout parts                       where log files lie, see `LAYOUTS`; only as the first step
    write 3                            the log files get their third version
    late 4                             log files come with further events, some of hours long past
    again 5                            log files come a second time, under other keys
    loses 6                            log files are written again without some events, or deleted
    songs 2                            song files are written, new ones and others again
    twins 5                            files that say other things of songs which have a file already
    moves 3                            song files are moved to other keys
    removes 4                          song files are deleted, or emptied
    load 0-5 append                    a run loads the hours 0 to 5, the end not included
    load 1-2 truncate killed publish 7 after
                                       its publish is killed after the seventh statement, and tried again
    load 1-2 append cut load_users 3 before
                                       a connection breaks before the third statement
    together 0-2 append, 1-4 append order 17
                                       several runs, their tasks in an order drawn with the seed 17
    together 0-2 append, write 4, sweep, 0-2 append order 5
                                       the same, and files that are written and a sweep between their tasks
    sweep                              song files are compared with those that were published
    reconcile                          the days whose files changed are loaded again
"""

from __future__ import annotations

import bz2
import gzip
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from airflow.sdk.exceptions import AirflowException

from sparkify.lake import zstd
from tests.support import reference, source
from tests.support.pipeline import PipelineRun
from tests.support.relay import RedshiftRelay
from tests.support.task_process import TaskKilledError, TaskProcess
from tests.support.warehouse import Pipeline, dag_read_once

FIRST_HOUR = datetime(2018, 11, 1, 22)
HOURS = 5
#: Some of the events are to be rejected.
BUDGET = 99
FILES = ("log_data/2018/11/2018-11-01-events.json", "log_data/2018/11/2018-11-02-events.json")
#: What changes the lake; of log files other than one a day, also `LOG_WRITES`.
WRITES = ("write", "songs", "twins", "moves", "removes")
LOG_WRITES = ("late", "again", "loses")
#: By name, the Variables, and how a file's key goes on behind `log_data/`, of its partition's time.
LAYOUTS = {
    "days": ({}, ""),
    "hours": ({"sparkify_log_keys": "{year}-{month}-{day}/{hour}.json"}, "%Y-%m-%d/%H.json"),
    "parts": (
        {
            "sparkify_log_keys": "{year}/{month}/{day}/{hour}/*",
            "sparkify_log_suffixes": "*",
            "sparkify_log_late_hours": "2",
        },
        "%Y/%m/%d/%H/stream-1-%Y-%m-%d-%H-15-00-{number}",
    ),
    "hive": (
        {
            "sparkify_log_keys": "dt={year}-{month}-{day}/hour={hour}/*",
            "sparkify_log_suffixes": ".json .gz .bz2 .zst",
        },
        "dt=%Y-%m-%d/hour=%H/host={number}/part-{number}.json",
    ),
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd.compress,
}
TASKS = (
    "stage_events",
    "stage_songs",
    "load_songplays",
    "load_users",
    "load_songs",
    "load_artists",
    "load_time",
    "run_quality_checks",
    "publish",
)


@dataclass(frozen=True)
class Schedule:
    """Steps in order, as the module's docstring shows them."""

    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        return cls(tuple(line.strip() for line in text.strip().splitlines()))

    def __repr__(self) -> str:
        return 'Schedule.parse("""\n' + "\n".join(self.steps) + '\n""")'


class Player:
    """Plays schedules on a pipeline whose connection leads through a relay."""

    def __init__(self, pipeline: Pipeline, relay: RedshiftRelay):
        self.pipeline = pipeline
        self.relay = relay
        self.loaded: set[int] = set()
        self.layout = "days"
        #: What each log file holds.
        self.log_files: dict[str, list[dict]] = {}
        #: The keys of all that there ever were.
        self.written: set[str] = set()
        #: What each song file holds.
        self.song_files: dict[str, list[dict]] = {}

    def play(self, schedule: Schedule) -> None:
        """All steps, and then what makes any schedule whole: hours left out, days that changed."""
        for step in schedule.steps:
            verb, _, rest = step.partition(" ")
            getattr(self, f"_{verb}")(rest)
        for hour in sorted(set(range(HOURS)) - self.loaded):
            self._load(f"{hour}-{hour + 1} append")
        self._reconcile()
        # Songs that came last are found by the next sweep, and published by whichever run comes next.
        self._sweep()
        self._load("0-1 append")

    def load_at_once(self) -> None:
        """One run over everything, on an empty warehouse."""
        self.pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
        if self.layout == "days":
            self._load(f"0-{HOURS} append")
        else:
            # Files may have come on the days after.
            self.pipeline.load("2018-11-01 00:00", "2018-11-04 00:00", max_rejected_rows=BUDGET)

    def expected(self) -> dict[str, list[tuple]]:
        events = [one for events in self.log_files.values() for one in events]
        return reference.tables(events, [one for songs in self.song_files.values() for one in songs])

    def certified(self) -> set[datetime]:
        """The hours that the warehouse certifies."""
        rows = self.pipeline.query("SELECT hour_start FROM sparkify.loaded_hours WHERE is_certified")
        return {hour for (hour,) in rows}

    def hours_of(self, keys: Iterable[str]) -> set[datetime]:
        """The published hours below whose own partition some of these keys lie."""
        _, pattern = LAYOUTS[self.layout]
        pattern = (
            f"log_data/{pattern.partition('{')[0]}" if pattern else "log_data/%Y/%m/%Y-%m-%d-events.json"
        )
        hours = [hour for (hour,) in self.pipeline.query("SELECT hour_start FROM sparkify.loaded_hours")]
        return {hour for hour in hours if any(key.startswith(hour.strftime(pattern)) for key in keys)}

    def _layout(self, name: str) -> None:
        self.layout = name
        variables, _ = LAYOUTS[name]
        self.pipeline.variables |= variables
        if name != "days":
            self.pipeline.variables["sparkify_log_deletions"] = "take back"

    def _write(self, version: str) -> None:
        chance = random.Random(int(version))
        events = make_events(chance)
        if self.layout == "days":
            files = {key: [] for key in FILES} | by_day(events)
        else:
            files = self._parts(chance, events, version)
            for key in self.log_files.keys() - files.keys():
                self.pipeline.s3.delete_object(Bucket=self.pipeline.bucket, Key=key)
        self.log_files = {}
        for key, rows in files.items():
            self._put_log_file(key, rows)

    def _late(self, version: str) -> None:
        chance = random.Random(int(version))
        events = [one | {"sessionId": 1000 + int(version)} for one in make_events(chance)[:6]]
        for key, rows in self._parts(chance, events, f"late-{version}").items():
            self._put_log_file(key, rows)

    def _again(self, version: str) -> None:
        chance = random.Random(int(version))
        for key in self._some(self.log_files, version):
            if not key.endswith(tuple(COMPRESSIONS)[1:]) and self.layout == "hours":
                continue
            folder, _, name = key.rpartition("/")
            self._put_log_file(f"{folder}/again-{chance.randrange(9)}-{name}", self.log_files[key])

    def _loses(self, version: str) -> None:
        chance = random.Random(int(version))
        for key in self._some(self.log_files, version):
            if self.layout != "days" and chance.random() < 0.5:
                del self.log_files[key]
                self.pipeline.s3.delete_object(Bucket=self.pipeline.bucket, Key=key)
            else:
                self._put_log_file(key, self.log_files[key][::2])

    def _parts(self, chance: random.Random, events: list[dict], name: str) -> dict[str, list[dict]]:
        """Key to events of the files of a layout: of the hour, or of a later one at which they came."""
        _, pattern = LAYOUTS[self.layout]
        files: dict[str, list[dict]] = {}
        for one in events:
            hour = datetime.fromtimestamp(one["ts"] / 1000, UTC)
            if self.layout == "parts":
                hour += timedelta(hours=chance.choice([0, 0, 0, 1, 2, 5, 20]))
            number = f"{name}-{chance.randrange(3)}"
            key = f"log_data/{hour.strftime(pattern).format(number=number)}"
            if self.layout in ("parts", "hive"):
                key += chance.choice(list(COMPRESSIONS))
            files.setdefault(key, []).append(one)
        if self.layout == "hours":
            for key, rows in files.items():
                rows[:0] = self.log_files.get(key, []) if name.startswith("late") else []
        return files

    def _put_log_file(self, key: str, events: list[dict]) -> None:
        self.log_files[key] = events
        self.written.add(key)
        compress = next(of for end, of in reversed(COMPRESSIONS.items()) if key.endswith(end))
        self.pipeline.put({key: compress("\n".join(map(json.dumps, events)).encode())})

    def _songs(self, version: str) -> None:
        for one in make_songs(random.Random(int(version))):
            self._put_song_file(f"song_data/A/TR{one['song_id']}.json", [one])

    def _twins(self, version: str) -> None:
        self._put_song_file(f"song_data/B/TR{version}.json", make_songs(random.Random(int(version))))

    def _moves(self, version: str) -> None:
        for number, key in enumerate(self._some(self.song_files, version)):
            self._put_song_file(f"song_data/C/TR{version}-{number}.json", self.song_files[key])
            self._delete_song_file(key)

    def _removes(self, version: str) -> None:
        for number, key in enumerate(self._some(self.song_files, version)):
            if (number + int(version)) % 2:
                self._put_song_file(key, [])
            else:
                self._delete_song_file(key)

    @staticmethod
    def _some(files: Mapping[str, Any], version: str) -> list[str]:
        keys = sorted(files)
        return random.Random(int(version)).sample(keys, (len(keys) + 1) // 2)

    def _put_song_file(self, key: str, songs: list[dict]) -> None:
        self.song_files[key] = songs
        self.pipeline.put({key: "\n".join(map(json.dumps, songs)).encode()})

    def _delete_song_file(self, key: str) -> None:
        del self.song_files[key]
        self.pipeline.s3.delete_object(Bucket=self.pipeline.bucket, Key=key)

    def _sweep(self, _: str = "") -> None:
        self.pipeline.sweep()

    def _load(self, rest: str) -> None:
        window, mode, *fault = rest.split()
        run = self._new_run(window, mode)
        for task_id in TASKS:
            if fault and fault[1] == task_id:
                self._run_faulty(run, task_id, fault[0], int(fault[2]), fault[3])
            else:
                self._run_task(run, task_id)

    def _together(self, rest: str) -> None:
        members, _, seed = rest.partition(" order ")
        waiting: list[list[Callable[[], None]]] = []
        for member in members.split(", "):
            verb, _, argument = member.partition(" ")
            if verb in (*WRITES, *LOG_WRITES, "sweep"):
                waiting.append([partial(getattr(self, f"_{verb}"), argument)])
            else:
                run = self._new_run(*member.split())
                waiting.append([partial(self._run_task, run, task_id) for task_id in TASKS])
        chance = random.Random(int(seed))
        while waiting:
            chance.choice(waiting).pop(0)()
            waiting = [actions for actions in waiting if actions]

    def _reconcile(self, _: str = "") -> None:
        after = datetime(2018, 11, 4, tzinfo=UTC)
        finder = PipelineRun(
            dag_read_once("sparkify_reconcile"),
            variables=self.pipeline.variables,
            run_id="r",
            run_after=after,
        )
        for task_id in ("find_changed_days", "find_hours_left"):
            self.pipeline.reload(finder.run_task(task_id), max_rejected_rows=BUDGET)

    def _new_run(self, window: str, mode: str) -> PipelineRun:
        first, end = map(int, window.split("-"))
        self.loaded |= set(range(first, end))
        start, stop = (f"{FIRST_HOUR + timedelta(hours=hour):%Y-%m-%d %H:%M}" for hour in (first, end))
        return self.pipeline.new_run(start, stop, mode, max_rejected_rows=BUDGET, sweep=False)

    def _run_task(self, run: PipelineRun, task_id: str, try_number: int = 1) -> None:
        run.run_task(task_id, try_number)

    def _run_faulty(self, run: PipelineRun, task_id: str, kind: str, nth: int, when: str) -> None:
        if kind == "cut":
            self.relay.fault("", when, self.relay.cut, nth)
            try:
                self._run_task(run, task_id)
            except AirflowException:
                self._run_task(run, task_id, try_number=2)
        else:
            self.relay.fault("", when, lambda: task.kill(), nth)
            task = TaskProcess(run, task_id)
            try:
                task.result()
            except TaskKilledError:
                self.relay.faults.clear()
                self._run_task(run, task_id, try_number=2)
        self.relay.faults.clear()


def by_day(events: list[dict]) -> dict[str, list[dict]]:
    """Key to events of the daily files."""
    return {
        key: [json.loads(line) for line in body.splitlines()]
        for key, body in source.log_files(events).items()
    }


def make_events(chance: random.Random) -> list[dict]:
    """Events of two users in the hours from FIRST_HOUR, some exactly on the hour, some odd."""
    events = []
    for user in (1, 2):
        for item in range(chance.randrange(3, 14)):
            time = FIRST_HOUR + timedelta(seconds=chance.randrange(HOURS * 3600))
            if chance.random() < 0.2:
                time = time.replace(minute=0, second=0)
            make = source.event if chance.random() < 0.5 else source.page
            fields = {
                "level": chance.choice(["free", "paid"]),
                "itemInSession": item,
                "firstName": chance.choice(["A", "B", " B ", "", None]),
            }
            if make is source.event:
                fields["song"] = chance.choice(
                    ["Uprising", "Starlight", "Unknown", " Uprising", "Uprising ", " "]
                )
                fields["artist"] = chance.choice(["Muse", "Muse", " Muse", "Muse ", ""])
            events.append(make(str(time), user, **fields))
            if chance.random() < 0.3:
                events.append(odd(chance, events[-1]))
    return events


def odd(chance: random.Random, event: dict) -> dict:
    """An event of the same key that says something else, or that the model has a rule for."""
    changes = chance.choice(
        [
            {"level": chance.choice(["free", "paid"])},
            {"level": None},
            {"level": "gold"},
            {"page": chance.choice(["nextsong", "NextSong ", " NEXTSONG", "Home"])},
            {
                "auth": chance.choice(["Logged Out", " Logged Out ", None]),
                "level": chance.choice(["free", "paid"]),
            },
            {"song": chance.choice(["Starlight", None, ""]), "length": chance.choice([1.5, None])},
            {"song": f"{event.get('song') or ''}  ", "location": "Lansing, MI "},
            {"firstName": chance.choice(["C", None]), "location": chance.choice([" Lansing, MI", " "])},
        ]
    )
    moved = chance.choice([{}, {"itemInSession": event["itemInSession"] + 100}])
    return event | changes | moved


def make_songs(chance: random.Random) -> list[dict]:
    """New versions of some of four songs."""
    return [
        source.song(
            song_id,
            artist_id=chance.choice(["AR1", "AR2"]),
            title=chance.choice(["Uprising", "Starlight", "Uprising "]),
            artist_name=chance.choice(["Muse", "Muse", "MUSE", " Muse"]),
            artist_location=chance.choice(["", " ", "London", " London", "Teignmouth"]),
            duration=chance.choice([200.5, 209.50159]),
            year=chance.choice([0, 2009]),
        )
        for song_id in chance.sample(["SO1", "SO2", "SO3", "SO4"], chance.randrange(1, 5))
    ]
