"""Mutated log files, a thousand in CI: no crash, no hang, and no row is lost.

Every row is published, of another page, outside the window, or in `rejected_rows`; or the file holds a torn
row, and the run says so and publishes nothing. SPARKIFY_FUZZ_FILES and SPARKIFY_FUZZ_SEED choose others.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.source import event, page, song

pytestmark = pytest.mark.integration

FILES = int(os.environ.get("SPARKIFY_FUZZ_FILES", "1000"))
SEED = int(os.environ.get("SPARKIFY_FUZZ_SEED", "20181101"))
FILES_A_RUN = 100
FIRST_DAY = date(2018, 1, 1)
END = FIRST_DAY + timedelta(days=FILES_A_RUN)
ALL = 99_999
OTHER_TYPES = [None, True, -1, 1.5, 10**12, "", "text", "é" * 700, [], {}, [1, 2], {"a": 1}]
#: What a text may hold that is hard to write down, in keys and in values.
TEXTS = ["", " ", "\0", "\ufeff", "\ud800", "\udfff", "\r", "\r\n", "\x1b[31m", "\u202e", "\uffff", "'", '"', 
         "\\", "%s", "…", "😀", "x" * 300, "é" * 300, "中" * 700]  # fmt: skip
#: What the model has a rule for.
ODD = [
    {"page": "nextsong"},
    {"page": " NextSong "},
    {"page": "Thumbs Up"},
    {"auth": "Logged Out"},
    {"level": None},
    {"level": "paid"},
    {"song": "Another", "length": None},
    {"song": " ", "artist": "", "firstName": " "},
    {"song": "Another  ", "artist": "Muse ", "location": "Lansing, MI ", "userAgent": "x "},
    {"level": "paid "},
]
#: What the name of a file may hold; slashes make folders of it, and these have limits of their own.
NAMES = [
    "é",
    "😀",
    "'",
    '"',
    "%",
    "%20",
    "+",
    "&",
    "=",
    "@",
    ":",
    ";--",
    "{{ 1 }}",
    "$(id)",
    "(1)",
    "[a]",
    " b",
    "a" * 99,
]
LONGEST_KEY = 1024


@dataclass
class LogFile:
    """A mutated daily log file.

    :param number: FILES_A_RUN of them in a row are of different days.
    :param intact: the (session, item) of the plays whose lines were left alone.
    """

    number: int
    day: date
    body: bytes
    intact: set[tuple[int, int]]
    other_pages: int

    @property
    def key(self) -> str:
        return f"log_data/{self.day:%Y/%m/%Y-%m-%d}-events.json"

    @property
    def window(self) -> tuple[str, str]:
        return f"{self.day} 00:00", f"{self.day + timedelta(days=1)} 00:00"


def log_file(chance: random.Random, number: int) -> LogFile:
    day = FIRST_DAY + timedelta(days=number % FILES_A_RUN)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = []
    for item in range(chance.randint(2, 8)):
        ts = int(start.timestamp() * 1000) + chance.randrange(86_400_000)
        row = (event if chance.random() < 0.7 else page)(ts, chance.randint(1, 9))
        rows.append(row | {"sessionId": number, "itemInSession": item})
    lines = [json.dumps(row).encode() for row in rows]
    touched = set(chance.sample(range(len(lines)), chance.randint(1, 2)))
    for index in touched:
        lines[index] = mutated(chance, rows[index], lines[index])
    intact = [row for index, row in enumerate(rows) if index not in touched]
    plays = {(row["sessionId"], row["itemInSession"]) for row in intact if row["page"] == "NextSong"}
    return LogFile(number, day, b"\n".join(lines), plays, len(intact) - len(plays))


def mutated(chance: random.Random, row: dict, line: bytes) -> bytes:
    kind = chance.choice(
        [
            *["flip"] * 3,
            "drop",
            "insert",
            "cut",
            *["type"] * 3,
            "key",
            "twice",
            "name",
            "name",
            "double",
            "text",
            "mask",
            "odd",
            "tie",
        ]
    )
    at = chance.randrange(len(line))
    match kind:
        case "flip":
            return line[:at] + bytes([line[at] ^ 1 << chance.randrange(8)]) + line[at + 1 :]
        case "drop":
            return line[:at] + line[at + 1 :]
        case "insert":
            return line[:at] + bytes([chance.randrange(256)]) + line[at:]
        case "cut":
            return line[:at]
        case "type":
            return json.dumps(row | {chance.choice(list(row)): chance.choice(OTHER_TYPES)}).encode()
        case "key":
            gone = chance.choice(list(row))
            return json.dumps({key: value for key, value in row.items() if key != gone}).encode()
        case "mask":
            # COPY counts more errors here than there are rows.
            return b"{x}{y}{z}"
        case "name":
            return json.dumps(row | {text(chance): 1}, ensure_ascii=chance.random() < 0.7).encode(
                errors="surrogatepass"
            )
        case "double":
            key = chance.choice(list(row))
            return b"{" + json.dumps({key: row[key]}).encode()[1:-1] + b", " + line[1:]
        case "text":
            return json.dumps(row | {chance.choice(list(row)): text(chance)}).encode()
        case "odd":
            return json.dumps(row | {"itemInSession": 99} | chance.choice(ODD)).encode()
        case "tie":
            return line + b"\n" + json.dumps(row | chance.choice(ODD)).encode()
        case "twice":
            return line + chance.choice([b"", b" ", b"\n"]) + line
    raise AssertionError(kind)


def text(chance: random.Random) -> str:
    return "".join(chance.choices(TEXTS, k=chance.randint(1, 4)))


def song_keys(chance: random.Random, count: int) -> list[str]:
    """Keys of song files: some as long as S3 has them, some alike in all that Redshift keeps of a name."""
    keys = set()
    shared = "song_data/" + "s" * 240 + "/"
    while len(keys) < count:
        key = chance.choice(["song_data/", "song_data/", shared])
        for _ in range(chance.choice([1, 1, 2, 12])):
            folder = "".join(chance.choices(NAMES, k=chance.randint(1, 3))).strip() + "/"
            if len((key + folder).encode()) < LONGEST_KEY - 40:
                key += folder
        keys.add(f"{key}TR{len(keys)}.json")
    return sorted(keys)


def values(line: bytes) -> int | None:
    """The root-level values of a line; None where one of them goes on behind its end."""
    count, depth, in_string, is_junk, skip = 0, 0, False, False, False
    for byte in line.replace(b"\r", b" "):
        char = chr(byte)
        if skip:
            skip = False
        elif in_string:
            skip = char == "\\"
            in_string = char != '"'
        elif depth:
            in_string = char == '"'
            depth += (char in "{[") - (char in "}]")
        elif char in "{[":
            count, depth, is_junk = count + 1, 1, False
        elif not is_junk and not char.isspace():
            count, is_junk = count + 1, True
    return None if depth or in_string else count


def untorn(file: LogFile) -> int | None:
    """The values of a file; None where a line is torn."""
    counts = [values(line) for line in file.body.split(b"\n")]
    return None if None in counts else sum(counts)


def fuzzed() -> Iterator[LogFile]:
    chance = random.Random(SEED)
    for number in range(FILES):
        yield log_file(chance, number)


def published(pipeline) -> set[tuple[int, int]]:
    return set(pipeline.query("SELECT session_id, item_in_session FROM sparkify.songplays"))


def failed_checks(pipeline) -> set[str]:
    rows = pipeline.query("SELECT check_name FROM sparkify.quality_results WHERE status = 'failed'")
    return {name for (name,) in rows}


def history(pipeline, run) -> dict[str, int]:
    row = run.xcoms["publish", "return_value"]
    assert row["events_staged"] == row["events_in_window"] + row["events_outside"] + row["rejected_events"]
    assert row["events_in_window"] == row["songplays"] + row["duplicate_plays"] + row["other_pages"]
    kept = pipeline.query("SELECT COUNT(*) FROM sparkify.rejected_rows WHERE source = 'events'")[0][0]
    assert kept == row["rejected_events"]
    return row


@pytest.fixture
def empty(pipeline, fresh_schema) -> Callable[[list[LogFile]], None]:
    """Takes these files out of the lake, and all rows out of the tables."""

    def take_out(files: list[LogFile]) -> None:
        for file in files:
            pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=file.key)
        fresh_schema.give(pipeline)

    return take_out


def test_no_row_of_a_mutated_file_is_lost(pipeline, empty):
    files = list(fuzzed())
    counts = {file.body: untorn(file) for file in files}
    whole = [file for file in files if counts[file.body] is not None]
    assert len(whole) > FILES / 2
    rejected = 0
    for start in range(0, FILES, FILES_A_RUN):
        batch = [file for file in whole if start <= file.number < start + FILES_A_RUN]
        pipeline.put({file.key: file.body for file in batch})
        run = pipeline.load(f"{FIRST_DAY} 00:00", f"{END} 00:00", max_rejected_rows=ALL)
        row = history(pipeline, run)
        assert row["events_staged"] == sum(counts[file.body] for file in batch)
        assert set().union(*(file.intact for file in batch)) <= published(pipeline)
        assert row["other_pages"] >= sum(file.other_pages for file in batch)
        rejected += row["rejected_events"]
        empty(batch)
    assert rejected > FILES / 10


def test_a_torn_row_is_rejected_or_stops_the_run(pipeline, empty):
    torn = [file for file in fuzzed() if untorn(file) is None][: max(20, FILES // 40)]
    stopped = 0
    for file in torn:
        pipeline.put({file.key: file.body})
        run = pipeline.new_run(*file.window, max_rejected_rows=ALL)
        run.run(before="run_quality_checks")
        try:
            run.run(since="run_quality_checks")
        except AirflowFailException:
            assert failed_checks(pipeline) == {"every_value_is_read"}
            assert published(pipeline) == set()
            stopped += 1
        else:
            row = history(pipeline, run)
            assert file.intact <= published(pipeline)
            assert row["other_pages"] >= file.other_pages
        empty([file])
    assert 0 < stopped < len(torn)


@pytest.mark.parametrize("is_serverless", [False, True])
def test_no_song_is_lost_whatever_its_file_is_called(pipeline, is_serverless):
    """Also a second run stages what was rejected, and only with it what cannot be told from it."""
    chance = random.Random(SEED)
    keys = song_keys(chance, max(20, FILES // 10))
    bad = set(chance.sample(keys, len(keys) // 4))
    songs = {key: song(f"SO{number}", title=None if key in bad else "T") for number, key in enumerate(keys)}
    for key, row in songs.items():
        row[text(chance)] = chance.choice(TEXTS[:4])
        pipeline.put({key: json.dumps(row).encode()})
    refused = {key for key, row in songs.items() if row["title"] is None or has_half_a_character(row)}
    with pipeline.without_stl_tables() if is_serverless else nullcontext():
        for _ in range(2):
            run = pipeline.load("2018-01-01 00:00", "2018-01-02 00:00", max_rejected_rows=ALL)
            assert len(pipeline.table("songs")) == len(keys) - len(refused)
            [(kept,)] = pipeline.query("SELECT COUNT(*) FROM sparkify.rejected_rows WHERE source = 'songs'")
            assert kept == len(refused)
    again = {
        key
        for (key,) in pipeline.query("SELECT object_key FROM staging.source_files WHERE rejected_rows > 0")
    }
    alike = {key for key in keys if any(cut(pipeline, key) == cut(pipeline, other) for other in refused)}
    assert refused <= again <= refused | alike
    assert run.xcoms["stage_songs", "return_value"]["files"] == len(again)


def has_half_a_character(row: dict) -> bool:
    """Whether a key holds half a surrogate pair, which COPY refuses."""
    try:
        "".join(json.loads(json.dumps(row))).encode()
    except UnicodeEncodeError:
        return True
    return False


def cut(pipeline, key: str) -> str:
    """What Redshift keeps of a file's name."""
    return f"s3://{pipeline.bucket}/{key}"[:256]
