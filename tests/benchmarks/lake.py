"""What a day of compressed parts costs, a tenth of it late: `python -m tests.benchmarks.lake`.

On servers that it starts and removes itself, a day of a service whose parts lie below the hour of their
arrival, as Firehose writes them: hour by hour the parts of the hour are put there, and its run is made
through the project's own tasks. Some of the events are late, by up to three days, whose hours are published
already.

It prints the seconds of the stages of a run, the bytes that COPY read for those that arrived, the rows that
were written to published tables for those that are new, and the LIST requests of a run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import psycopg
from botocore.client import BaseClient

from local_redshift.cluster import LocalCluster
from local_redshift.embedded.interruption import Interruption
from tests.benchmarks.history import airflow_environment, at_least
from tests.support.source import event, page
from tests.support.warehouse import Pipeline, new_buckets

DAY = datetime(2018, 11, 10, tzinfo=UTC)
MOST_LATE = timedelta(days=3)
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


def day(servers: LocalCluster, events: int, parts: int) -> bool:
    """Load the day hour by hour and print what it cost; whether the targets are met."""
    redshift = servers.redshift
    pipeline = Pipeline(redshift, servers.s3.client(), new_buckets(servers.s3.client()))
    pipeline.variables |= VARIABLES
    pipeline.create_schema()
    pipeline.load(f"{DAY - MOST_LATE:%F %H:%M}", f"{DAY:%F %H:%M}")
    chance = random.Random(28)
    arrived, seconds, lists, before = 0, defaultdict(list), [], written(redshift)
    for number in range(24):
        hour = DAY + timedelta(hours=number)
        rows = events_of(hour, events // 24, chance)
        of_part = max(1, len(rows) * 24 // parts)
        for start in range(0, len(rows), of_part):
            body = gzip.compress(
                "\n".join(map(json.dumps, rows[start : start + of_part])).encode(), 6, mtime=0
            )
            arrived += len(body)
            key = f"log_data/{hour:%Y/%m/%d/%H}/stream-1-{hour:%Y-%m-%d-%H}-00-00-{start:07}.gz"
            pipeline.put({key: body})
        run = pipeline.new_run(f"{hour:%F %H:%M}", f"{hour + timedelta(hours=1):%F %H:%M}")
        spent: dict[str, float] = defaultdict(float)
        with counting_lists() as listed:
            for task in run.dag.topological_sort():
                began = time.perf_counter()
                run.run_task(task.task_id)
                spent[STAGES.get(task.task_id, "load")] += time.perf_counter() - began
        lists.append(len([prefix for prefix in listed if prefix.startswith("log_data/")]))
        for stage, of_run in spent.items():
            seconds[stage].append(of_run)
    [(copied,)] = pipeline.query("SELECT SUM(size_bytes) FROM staging.batches")
    [(new,)] = pipeline.query(NEW)
    copied_ratio, written_ratio = copied / arrived, (written(redshift) - before) / new
    print(f"{events:,} events in {parts:,} parts, {arrived / 1e6:.1f} MB; seconds of an hourly run, median:")
    for stage in ("stage", "load", "checks", "publish"):
        print(f"  {stage:8} {statistics.median(seconds[stage]):6.2f}")
    print(f"bytes COPYed for bytes arrived: {copied_ratio:.3f}, at most {COPIED_TARGET}")
    print(f"rows written to published tables for new rows: {written_ratio:.3f}, at most {WRITTEN_TARGET}")
    print(f"LIST requests of a run: {min(lists)} to {max(lists)}")
    return copied_ratio <= COPIED_TARGET and written_ratio <= WRITTEN_TARGET


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
    parser.add_argument("--events", type=at_least(24), default=1_000_000, help="events of the day (1000000)")
    parser.add_argument("--parts", type=at_least(24), default=2_000, help="parts of the day (2000)")
    options = parser.parse_args(argv)
    interruption = Interruption()
    with (
        tempfile.TemporaryDirectory(prefix="bench-lake-") as folder,
        LocalCluster(Path(folder)) as servers,
        airflow_environment(servers),
        interruption.let_through(),
    ):
        return 0 if day(servers, options.events, options.parts) else 1


if __name__ == "__main__":
    sys.exit(main())
