"""What log files, songs and a busy hour cost at the size of a large lake: `python -m tests.benchmarks.lake`.

On servers that it starts and removes itself, through the project's own tasks:

- `day`: a day of a service whose parts lie below the hour of their arrival, as Firehose writes them. Hour by
  hour the parts are put there, and the run of the hour is made. Some of the events are late, by up to three
  days, whose hours are published already. Then come hours of a day a month later, when the lake holds the
  parts of all days between.
- `songs`: an hourly run with new songs that a queue tells of, and a sweep (`tests.benchmarks.catalogue`).
- `hour`: an hour of a million events behind a long history (`tests.benchmarks.busy_hour`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from unittest import mock

import psycopg
from botocore.client import BaseClient

from local_redshift.cluster import LocalCluster
from local_redshift.embedded.interruption import Interruption
from tests.benchmarks.busy_hour import report_busy_hour
from tests.benchmarks.catalogue import report_hours, report_sweep
from tests.benchmarks.history import at_least, bench_servers, verdict
from tests.support.source import event, page
from tests.support.warehouse import Pipeline, new_buckets

DAY = datetime(2018, 11, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOST_LATE = timedelta(days=3)
#: The last day, and how many hours of it are run.
DAYS, HOURS_LATER = 30, 3
FIGURES = ("day", "songs", "hour")
LATE_SHARE = 0.1
USERS = 20_000
PAGES_A_PLAY = 0.25
VARIABLES = {
    "sparkify_log_keys": "{year}/{month}/{day}/{hour}/*",
    "sparkify_log_suffixes": "*",
    "sparkify_log_late_hours": "2",
}
STAGES = {"stage_events": "stage", "run_quality_checks": "checks", "publish": "publish"}
COPIED_TARGET, WRITTEN_TARGET = 1.1, 1.2
WRITTEN = """
    SELECT SUM(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables
    WHERE schemaname = 'sparkify' AND relname IN ('songplays', 'users', 'time', 'songs', 'artists')
"""
NEW = "SELECT " + " + ".join(
    f"(SELECT COUNT(*) FROM sparkify.{table})" for table in ("songplays", "users", "time")
)


#: Files that have landed, a batch an hour, whose events are not kept.
LANDED = """
    CREATE TEMP TABLE hours AS
    SELECT
        hour_start,
        ROW_NUMBER() OVER (ORDER BY hour_start) + (SELECT MAX(batch) FROM staging.batches) AS batch
    FROM generate_series(TIMESTAMP '{first}', TIMESTAMP '{last}', INTERVAL '1 hour') AS hour_start;
    INSERT INTO staging.batches
    SELECT batch, 'past', {last_part} + 1, {size}, 1, 0, hour_start, TRUE, FALSE FROM hours;
    INSERT INTO staging.landed_files
    SELECT
        '{bucket}',
        TO_CHAR(hour_start, '"log_data/"YYYY/MM/DD/HH24"/stream-1-"YYYY-MM-DD-HH24"-00-00-"')
        || LPAD(CAST(part AS TEXT), 7, '0') || '.gz',
        '{etag}', {size}, hour_start, hour_start, 0, hour_start, hour_start + INTERVAL '1 hour', batch
    FROM hours, generate_series(0, {last_part}) AS part;
    INSERT INTO staging.published_hours
        (hour_start, run_id, duplicate_plays, other_pages, rejected_rows, version, is_landed)
    SELECT hour_start, 'past', 0, 0, 0, (SELECT MAX(batch) FROM hours), TRUE FROM hours
"""


def events_of(hour: datetime, count: int, chance: random.Random) -> list[dict]:
    """What arrives in an hour: events of it, and late ones."""
    events = []
    for number in range(count):
        moment = hour + timedelta(seconds=chance.random() * 3600)
        if chance.random() < LATE_SHARE:
            moment -= timedelta(seconds=chance.random() * MOST_LATE.total_seconds())
        user = chance.randrange(USERS)
        make = page if chance.random() < PAGES_A_PLAY else event
        fields = (
            {"song": f"Song {number % 5000}", "artist": f"Artist {number % 900}"} if make is event else {}
        )
        events.append(
            make(
                round(moment.timestamp() * 1000),
                user,
                sessionId=user,
                itemInSession=number,
                level=("free", "paid")[user % 2],
                **fields,
            )
        )
    return events


@contextmanager
def counting_lists() -> Iterator[list[str]]:
    """The prefixes that were listed in the bucket of the log files."""
    listed: list[str] = []
    call = BaseClient._make_api_call

    def counted(self, operation, arguments):
        if operation == "ListObjectsV2":
            listed.append(arguments["Prefix"])
        return call(self, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", counted):
        yield listed


class Service:
    """A warehouse, and a lake in which each hour's parts arrive just before its run.

    :param events: of a day.
    :param parts: of a day.
    """

    def __init__(self, servers: LocalCluster, events: int, parts: int):
        self.servers = servers
        self.events = events
        self.parts = parts
        self.arrived = 0
        self.chance = random.Random(28)
        self.pipeline = Pipeline(servers.redshift, servers.s3.client(), new_buckets(servers.s3.client()))
        self.pipeline.variables |= VARIABLES
        self.pipeline.create_schema()

    def load(self, hour: datetime) -> Hour:
        """Put the parts of an hour, and run it."""
        rows = events_of(hour, self.events // 24, self.chance)
        of_part = max(1, len(rows) * 24 // self.parts)
        for start in range(0, len(rows), of_part):
            body = part_of(rows[start : start + of_part])
            self.arrived += len(body)
            self.pipeline.put({key_of(hour, start): body})
        run = self.pipeline.new_run(f"{hour:%F %H:%M}", f"{hour + timedelta(hours=1):%F %H:%M}")
        spent: dict[str, float] = defaultdict(float)
        with counting_lists() as listed:
            for task in run.dag.topological_sort():
                began = time.perf_counter()
                run.run_task(task.task_id)
                spent[STAGES.get(task.task_id, "load")] += time.perf_counter() - began
        files = run.xcoms["stage_events", "return_value"]["files"]
        return Hour(spent, sum(prefix.startswith("log_data/") for prefix in listed), files)

    def fill(self, first: datetime, end: datetime) -> None:
        """Parts of days that have landed and are published, without events that the warehouse keeps."""
        hours = [first + timedelta(hours=number) for number in range(int((end - first) / HOUR))]
        body = part_of(events_of(first, 1, self.chance))
        folder = self.servers.s3.root / self.pipeline.bucket
        for hour in hours:
            (folder / key_of(hour, 0)).parent.mkdir(parents=True)
            for number in range(self.parts // 24):
                (folder / key_of(hour, number)).write_bytes(body)
        etag = self.pipeline.s3.head_object(Bucket=self.pipeline.bucket, Key=key_of(first, 0))["ETag"]
        names = {
            "bucket": self.pipeline.bucket,
            "first": f"{first:%F %T}",
            "last": f"{end - HOUR:%F %T}",
            "last_part": self.parts // 24 - 1,
            "etag": etag.strip('"'),
            "size": len(body),
        }
        with psycopg.connect(self.servers.postgres.dsn(self.servers.redshift.database)) as connection:
            connection.execute(LANDED.format(**names))


@dataclass(frozen=True)
class Hour:
    """What the run of an hour cost.

    :param seconds: of its stages.
    :param lists: its LIST requests for log files.
    :param files: that it has landed.
    """

    seconds: dict[str, float]
    lists: int
    files: int


def key_of(hour: datetime, number: int) -> str:
    """The key of a part."""
    return f"log_data/{hour:%Y/%m/%d/%H}/stream-1-{hour:%Y-%m-%d-%H}-00-00-{number:07}.gz"


def part_of(events: list[dict]) -> bytes:
    return gzip.compress("\n".join(map(json.dumps, events)).encode(), 6, mtime=0)


def report_day(servers: LocalCluster, events: int, parts: int) -> bool:
    """Load the day hour by hour and print what it cost; whether the targets are met."""
    service = Service(servers, events, parts)
    service.pipeline.load(f"{DAY - MOST_LATE:%F %H:%M}", f"{DAY:%F %H:%M}")
    before = written(servers.redshift)
    hours = [service.load(DAY + number * HOUR) for number in range(24)]
    [(copied,)] = service.pipeline.query("SELECT SUM(size_bytes) FROM staging.batches")
    [(new,)] = service.pipeline.query(NEW)
    copied_ratio = copied / service.arrived
    written_ratio = (written(servers.redshift) - before) / new
    later = DAY + timedelta(days=DAYS - 1)
    service.fill(DAY + timedelta(days=1), later)
    hours_later = [service.load(later + number * HOUR) for number in range(HOURS_LATER)]
    lists = [[hour.lists for hour in some] for some in (hours[:HOURS_LATER], hours_later)]

    print(f"\nA day of {events:,} events in {parts:,} parts, {service.arrived / 1e6:.1f} MB")
    print(f"seconds of an hourly run: median of day 1, its last hour, median of day {DAYS} "
          f"({HOURS_LATER} hours)")  # fmt: skip
    for stage in ("stage", "load", "checks", "publish"):
        of_day, of_later = ([hour.seconds[stage] for hour in some] for some in (hours, hours_later))
        print(f"  {stage:8} {statistics.median(of_day):6.2f} {of_day[-1]:6.2f} "
              f"{statistics.median(of_later):6.2f}")  # fmt: skip
    print(
        f"LIST requests of a run: {min(hour.lists for hour in hours)} to {max(hour.lists for hour in hours)}"
    )
    first, first_later = hours[0].files, hours_later[0].files
    goals = {
        f"bytes COPYed for bytes arrived: {copied_ratio:.3f}, at most {COPIED_TARGET}":
            copied_ratio <= COPIED_TARGET,
        f"rows written to published tables for new rows: {written_ratio:.3f}, at most {WRITTEN_TARGET}":
            written_ratio <= WRITTEN_TARGET,
        f"LIST requests of the first hours: {lists[0]} on day 1, {lists[1]} on day {DAYS}, the same":
            lists[0] == lists[1],
        f"files landed in the first hour: {first} on day 1, {first_later} on day {DAYS}, the same":
            first == first_later,
    }  # fmt: skip
    for text, is_met in goals.items():
        print(f"{text}: {verdict(is_met)}", flush=True)
    return all(goals.values())


def written(redshift) -> int:
    """Rows that were ever written to the published tables."""
    with psycopg.connect(
        host="127.0.0.1", port=redshift.backend_port, user="postgres",
        password=redshift.backend_password, dbname=redshift.database, autocommit=True,
    ) as connection:  # fmt: skip
        # Sessions hand their counts in when they end, or after a second.
        connection.execute("SELECT pg_stat_force_next_flush()")
        [count] = connection.execute(WRITTEN).fetchone()
        return int(count or 0)


def main(argv: list[str] | None = None) -> int:
    """Print the figures; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.lake", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--figures", nargs="+", choices=FIGURES, default=FIGURES, help=f"which ones ({' '.join(FIGURES)})"
    )
    parser.add_argument(
        "--events", type=at_least(240), default=1_000_000, help="of the day, and of the busy hour (1000000)"
    )
    parser.add_argument("--parts", type=at_least(24), default=2_000, help="parts of the day (2000)")
    parser.add_argument(
        "--songs", type=at_least(10), default=1_000_000, help="song files that are known (1000000)"
    )
    parser.add_argument(
        "--rounds", type=at_least(1), default=5, help="hours with new songs, of which the median counts (5)"
    )
    parser.add_argument(
        "--plays", type=at_least(1), default=50_000_000, help="plays before the busy hour (50000000)"
    )
    options = parser.parse_args(argv)
    reports = {
        "day": lambda servers: report_day(servers, options.events, options.parts),
        "songs": lambda servers: all(
            [report_hours(servers, options.songs, options.rounds), report_sweep(servers, options.songs)]
        ),
        "hour": lambda servers: report_busy_hour(servers, options.events, options.plays),
    }
    interruption, met = Interruption(), []
    for figure in options.figures:
        with bench_servers("lake", interruption) as servers:
            met.append(reports[figure](servers))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
