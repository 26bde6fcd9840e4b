"""What COPY costs here, against what its parts can do: `make bench-copy`.

Every figure is a ratio within this one run, on servers that it starts and removes itself:

- events: COPY of newline-delimited JSON through JSONPaths, against PostgreSQL's own COPY FROM STDIN of
  the same rows as CSV into the same table;
- objects: COPY of a prefix of one-object files, against a bare concurrent S3 client that reads them;
- memory: the highest resident memory of Local Redshift for a large prefix, against a tenth of it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import obstore
import psycopg
from obstore.store import S3Store

from local_redshift.cluster import LocalCluster
from local_redshift.embedded.interruption import Interruption
from local_redshift.embedded.s3 import LocalS3

BUCKET = "bench"
KEYS = (
    *("artist", "auth", "firstName", "gender", "itemInSession", "lastName", "length", "level", "location"),
    *("method", "page", "registration", "sessionId", "song", "status", "ts", "userAgent", "userId"),
)
EVENT_COLUMNS = """
    artist varchar(1024), auth varchar(64), first_name varchar(256), gender varchar(16),
    item_in_session integer,
    last_name varchar(256), length double precision, level varchar(16), location varchar(1024),
    method varchar(16),
    page varchar(64), registration double precision, session_id bigint, song varchar(1024), status integer,
    ts bigint, user_agent varchar(2048), user_id varchar(64)
"""
SONG_COLUMNS = """
    num_songs integer, artist_id varchar(64), artist_latitude double precision,
    artist_longitude double precision,
    artist_location varchar(1024), artist_name varchar(1024), song_id varchar(64), title varchar(1024),
    duration double precision, year integer
"""
TARGETS = {"events": 0.5, "objects": 0.7, "rate": 400, "memory": 1.25}
#: A tenth of the large prefix has to be more than COPY holds at once, or the peaks say nothing.
MINIMUM_MEMORY_BYTES = 1_000_000_000
MEMORY_FILE_EVENTS = 20_000


class Bench(LocalCluster):
    """The servers of one run, and the lake that COPY reads."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.lake = self.s3.root / BUCKET
        self.lake.mkdir(parents=True)
        (self.lake / "paths.json").write_text(json.dumps({"jsonpaths": [f"$['{key}']" for key in KEYS]}))

    def execute(self, *statements: str) -> None:
        connection = self.redshift.connect()
        try:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()
        finally:
            connection.close()

    def empty_events(self) -> None:
        self.execute("DROP TABLE IF EXISTS events", f"CREATE TABLE events ({EVENT_COLUMNS})")

    def copy_events(self, prefix: str) -> None:
        self.execute(
            f"COPY events FROM 's3://{BUCKET}/{prefix}' IAM_ROLE default JSON 's3://{BUCKET}/paths.json'",
        )

    def peak_memory(self) -> int:
        """Bytes that Local Redshift held at the most since the last `forget_peak`."""
        for line in (self._proc() / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise LookupError("this system tells no peak of resident memory")

    def forget_peak(self) -> None:
        (self._proc() / "clear_refs").write_text("5")

    def _proc(self) -> Path:
        return Path("/proc") / (self.folder / "redshift.pid").read_text().split()[0]


def store(s3: LocalS3) -> S3Store:
    return S3Store(
        BUCKET,
        endpoint=s3.endpoint_url,
        region=s3.region,
        access_key_id=s3.access_key,
        secret_access_key=s3.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def keys(s3: LocalS3, folder: str) -> list[str]:
    return [entry["path"] for batch in obstore.list(store(s3), prefix=folder) for entry in batch]


def wait_until_shown(s3: LocalS3, folder: str, count: int) -> None:
    """The local S3 shows what was written beside it a moment later."""
    deadline = time.monotonic() + 30
    while (shown := len(keys(s3, folder))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the local S3 shows {shown} of {count} objects below s3://{BUCKET}/{folder}")
        time.sleep(0.1)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def make_events(count: int, seed: int = 1) -> list[dict]:
    """Events in the form of the real logs, about 450 bytes each."""
    chance = random.Random(seed)
    agent = '"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko)"'
    return [
        {
            "artist": f"Artist {chance.randrange(5000)}",
            "auth": "Logged In",
            "firstName": "Jacob",
            "gender": "M",
            "itemInSession": number % 50,
            "lastName": "Klein",
            "length": round(chance.uniform(60, 400), 5),
            "level": "paid",
            "location": "Tampa-St. Petersburg-Clearwater, FL",
            "method": "PUT",
            "page": "NextSong",
            "registration": 1540558108796.0,
            "sessionId": number // 50,
            "song": f'Song "{chance.randrange(50_000)}"' if number % 20 == 0 else f"Song {number}",
            "status": 200,
            "ts": 1541105830796 + number,
            "userAgent": agent,
            "userId": str(chance.randrange(1000)),
        }
        for number in range(count)
    ]


def bench_events(bench: Bench, count: int, rounds: int) -> list[tuple]:
    events = make_events(count)
    folder = bench.lake / "events"
    folder.mkdir()
    size = 50_000
    for first in range(0, count, size):
        lines = "\n".join(map(json.dumps, events[first : first + size]))
        (folder / f"{first:09}.json").write_text(lines)
    text = io.StringIO()
    csv.writer(text).writerows(event.values() for event in events)
    rows = text.getvalue().encode()
    del events, text
    wait_until_shown(bench.s3, "events", len(list(folder.iterdir())))

    def copy_csv() -> None:
        with (
            psycopg.connect(bench.postgres.dsn("dev")) as connection,
            connection.cursor().copy("COPY public.events FROM STDIN (FORMAT csv)") as copy,
        ):
            for first in range(0, len(rows), 1 << 20):
                copy.write(rows[first : first + (1 << 20)])

    own, here = [], []
    for _ in range(rounds + 1):
        bench.empty_events()
        own.append(timed(copy_csv))
        bench.empty_events()
        here.append(timed(lambda: bench.copy_events("events/")))
    # The first round warms the caches.
    own, here = own[1:], here[1:]
    ratio = statistics.median(a / b for a, b in zip(own, here, strict=True))
    note = f"{statistics.median(here):.2f} s for {count:,} events, PostgreSQL {statistics.median(own):.2f} s"
    return [("events: rate against PostgreSQL's COPY of CSV", ratio, TARGETS["events"], "at least", note)]


def bench_objects(bench: Bench, count: int, rounds: int) -> list[tuple]:
    for number in range(count):
        song = {
            "num_songs": 1,
            "artist_id": f"AR{number % 997:07}",
            "artist_latitude": None,
            "artist_longitude": None,
            "artist_location": "London, England",
            "artist_name": f"Artist {number % 997}",
            "song_id": f"SO{number:07}",
            "title": f"Song {number}",
            "duration": 200.5,
            "year": 2000,
        }
        path = bench.lake / "songs" / f"{number % 26:02}" / f"TR{number:07}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(song))

    async def read_all() -> int:
        source = store(bench.s3)
        listed = [entry["path"] async for batch in obstore.list(source, prefix="songs") for entry in batch]
        at_once = asyncio.Semaphore(16)

        async def read(key: str) -> int:
            async with at_once:
                return len(await (await obstore.get_async(source, key)).bytes_async())

        return len(await asyncio.gather(*map(read, listed)))

    def copy_songs() -> None:
        bench.execute(
            "DROP TABLE IF EXISTS songs",
            f"CREATE TABLE songs ({SONG_COLUMNS})",
            f"COPY songs FROM 's3://{BUCKET}/songs/' IAM_ROLE default JSON 'auto'",
        )

    wait_until_shown(bench.s3, "songs", count)
    bare, here = [], []
    for _ in range(rounds):
        bare.append(timed(lambda: asyncio.run(read_all())))
        here.append(timed(copy_songs))
    ratio = statistics.median(a / b for a, b in zip(bare, here, strict=True))
    rate = count / statistics.median(here)
    note = f"{count:,} objects; the bare client reads {count / statistics.median(bare):,.0f} a second"
    return [
        ("objects: rate against a bare S3 client", ratio, TARGETS["objects"], "at least", note),
        ("objects: read and loaded a second", rate, TARGETS["rate"], "at least", ""),
    ]


def bench_memory(bench: Bench, size: int) -> list[tuple]:
    if not Path("/proc/self/clear_refs").exists():
        return [("memory", 0.0, 0.0, "at least", "not measured: this system has no /proc")]
    lines = "\n".join(map(json.dumps, make_events(MEMORY_FILE_EVENTS))).encode()
    peaks = {}
    for name, total in (("small", size // 10), ("large", size)):
        folder = bench.lake / name
        folder.mkdir()
        files = total // len(lines)
        for number in range(files):
            (folder / f"{number:05}.json").write_bytes(lines)
        wait_until_shown(bench.s3, name, files)
        bench.empty_events()
        bench.forget_peak()
        bench.copy_events(f"{name}/")
        peaks[name] = bench.peak_memory()
        shutil.rmtree(folder)
    ratio = peaks["large"] / peaks["small"]
    note = (
        f"peak {peaks['large'] / 1e6:.0f} MB for {size / 1e9:.1f} GB, "
        f"{peaks['small'] / 1e6:.0f} MB for {size / 1e10:.2f} GB"
    )
    return [("memory: peak against that of a tenth", ratio, TARGETS["memory"], "at most", note)]


def memory_bytes(text: str) -> int:
    size = int(text)
    if size < MINIMUM_MEMORY_BYTES:
        raise argparse.ArgumentTypeError(
            f"{size} is too small: a tenth of it would fit into what COPY holds at once. "
            f"Give at least {MINIMUM_MEMORY_BYTES}."
        )
    return size


def main(argv: list[str] | None = None) -> int:
    """Print the figures beside their targets; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=500_000, help="rows of the event load (500000)")
    parser.add_argument("--objects", type=int, default=15_000, help="one-object files (15000)")
    parser.add_argument(
        "--memory-bytes",
        type=memory_bytes,
        default=2_000_000_000,
        help=f"size of the large prefix, {MINIMUM_MEMORY_BYTES} or more (2000000000)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="alternating rounds, of which the median counts"
    )
    options = parser.parse_args(argv)

    interruption = Interruption()
    with (
        tempfile.TemporaryDirectory(prefix="bench-copy-") as folder,
        Bench(Path(folder)) as bench,
        interruption.let_through(),
    ):
        missed = 0
        for rows in (
            lambda: bench_events(bench, options.events, options.rounds),
            lambda: bench_objects(bench, options.objects, options.rounds),
            lambda: bench_memory(bench, options.memory_bytes),
        ):
            for name, figure, target, direction, note in rows():
                met = figure >= target if direction == "at least" else figure <= target
                missed += not met
                verdict = "ok" if met else "MISSED"
                print(f"{name:<46} {figure:8.2f}  {direction} {target:g}  {verdict:<7} {note}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
