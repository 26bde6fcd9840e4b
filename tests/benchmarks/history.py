"""What an hourly run costs the warehouse, the more is published: `python -m tests.benchmarks.history`.

On servers that it starts and removes itself, it fills the published tables with the past of a service that
always was as busy as in the hours that are measured, then runs such hours through the project's own tasks:

- ordinary hours: further hours of the log, no new song;
- hours with new songs: three songs come with each that the past's last week has played for the first time;
- hours with old songs: three songs come with each that have been played all the time.

Each of these hours begins a day of its own, whose file holds nothing else. SQL time is what the run's
statements took, from `sparkify.warehouse.Transaction.execute`; the lock is held from its LOCK to its COMMIT.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import psycopg

from local_redshift.cluster import LocalCluster
from local_redshift.embedded.interruption import Interruption
from tests.support.servers import aws_connection, redshift_connection
from tests.support.source import event, page, song
from tests.support.warehouse import Pipeline, new_buckets

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
HOUR_MS = 3_600_000
PLAYS_A_USER = 8
PLAYS_A_PAGE = 4
HOURS_OF_A_LEVEL = 8760
#: Half of the plays are of songs of the catalogue, a quarter of half as many that are not in it. The last
#: quarter is of half as many again, that are not in it either, others in each `HOURS_OF_A_HIT`.
SONGS = 10_000
HOURS_OF_A_HIT = 168
SONGS_AN_ARTIST = 5
SONGS_AT_ONCE = 3
ORDINARY, NEW, OLD = KINDS = ("ordinary", "with new songs", "with old songs")
TARGET = 1.2
#: SQL seconds of an hour with new songs, at the largest size.
TARGET_WITH_SONGS = 2.0
PLAYS_A_CHUNK = 1_000_000
#: Seconds from which on the growth of a statement is shown.
GROWTH_SHOWN = 0.01
WORK_TABLE = re.compile(r"__\d{10}_\w*")
AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/36.0.1985.143 Safari/537.36"
)
LOCATION = "San Francisco-Oakland-Hayward, CA"

# The past in SQL, in order of time: the hour h (since the beginning), the play i of it, the user of the play.
# `Service` has the same in Python, for the hours to come.
IN_ORDER = """
    SELECT n / {{{an_hour}}} AS h, n % {{{an_hour}}} AS i
    FROM generate_series({{first}} * {{{an_hour}}}::bigint, ({{last}} + 1) * {{{an_hour}}}::bigint - 1) AS n
"""
HOUR = f"(TIMESTAMP '{BEGINNING:%F}' + h * INTERVAL '1 hour')"
MOMENT = f"({HOUR} + (i * {{gap}} + (h * 7 + i) % {{jitter}}) * INTERVAL '1 ms')"
USER = "(h * {users_an_hour} + i % {users_an_hour}) % {users}"
LEVEL = f"CASE WHEN ((h + {{user}} * 37) / {HOURS_OF_A_LEVEL}) % 2 = 0 THEN 'free' ELSE 'paid' END"
DRAWN = f"((h * {{plays_an_hour}} + i) * 7919) % {2 * SONGS}"
SONG = f"{DRAWN} + CASE WHEN {DRAWN} < {3 * SONGS // 2} THEN 0 ELSE {SONGS // 2} * (h / {HOURS_OF_A_HIT}) END"

PLAYS = f"""
    INSERT INTO sparkify.songplays (
        start_time, user_id, level, song_id, artist_id, session_id, item_in_session, location, user_agent,
        song_title, artist_name, song_length
    )
    SELECT
        {MOMENT}, user_id, {LEVEL.format(user="user_id")},
        CASE WHEN song < {SONGS} THEN CONCAT('SO', song) END,
        CASE WHEN song < {SONGS} THEN CONCAT('AR', song / {SONGS_AN_ARTIST}) END,
        h * {{users_an_hour}} + i % {{users_an_hour}}, i / {{users_an_hour}}, '{LOCATION}', '{AGENT}',
        CONCAT('Song ', song), CONCAT('Artist ', song / {SONGS_AN_ARTIST}), 200
    FROM (
        SELECT h, i, {USER} AS user_id, {SONG} AS song
        FROM ({IN_ORDER.format(an_hour="plays_an_hour")}) AS hours
    ) AS plays
"""
TITLES = """
    TRUNCATE staging.played_titles;
    INSERT INTO staging.played_titles
    SELECT DATE_TRUNC('day', MIN(start_time)), song_title, artist_name
    FROM sparkify.songplays
    GROUP BY DATE_TRUNC('month', start_time), song_title, artist_name
    ORDER BY 1
"""
MOMENTS = f"""
    INSERT INTO sparkify.time
    SELECT
        moment, EXTRACT(HOUR FROM moment), EXTRACT(DAY FROM moment), EXTRACT(WEEK FROM moment),
        EXTRACT(MONTH FROM moment), EXTRACT(YEAR FROM moment), EXTRACT(DOW FROM moment)
    FROM (
        SELECT {MOMENT} AS moment
        FROM ({IN_ORDER.format(an_hour="plays_an_hour")}) AS hours
    ) AS moments
"""
OBSERVATIONS = f"""
    INSERT INTO staging.user_observations
    SELECT
        user_id, {MOMENT}, {LEVEL.format(user="user_id")},
        CONCAT('First', user_id), CONCAT('Last', user_id), 'F'
    FROM (
        SELECT h, i, {USER} AS user_id
        FROM ({IN_ORDER.format(an_hour="users_an_hour")}) AS hours
    ) AS sightings
"""
HOURS = f"""
    INSERT INTO staging.published_hours
        (hour_start, run_id, songplays, user_observations, duplicate_plays, other_pages, rejected_rows)
    SELECT {HOUR}, CONCAT('past_', h), {{plays_an_hour}}, {{users_an_hour}}, 0, {{pages_an_hour}}, 0
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO staging.publish_log
    SELECT MD5(CAST(h AS TEXT)), CONCAT('past_', h), {HOUR}
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO sparkify.load_history
    SELECT
        {HOUR}, {HOUR} + INTERVAL '1 hour', CONCAT('past_', h), 1, 0,
        24 * ({{plays_an_hour}} + {{pages_an_hour}}), {{plays_an_hour}} + {{pages_an_hour}},
        23 * ({{plays_an_hour}} + {{pages_an_hour}}), {{plays_an_hour}}, 0, {{pages_an_hour}}, 0, 0,
        {{users_an_hour}}, 0, 0, {{plays_an_hour}}, {HOUR}
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO staging.landed_files
    SELECT
        '{{bucket}}', TO_CHAR({HOUR}, '"log_data/"YYYY/MM/YYYY-MM-DD"-events.json"'),
        MD5(CAST(h AS TEXT)), 3000000, {HOUR}, {HOUR}, 0
    FROM generate_series({{first}}::bigint, {{last}}, 24) AS h
"""
#: As publish derives it from the observations.
USERS = """
    TRUNCATE sparkify.users;
    INSERT INTO sparkify.users
    SELECT
        user_id, first_name, last_name, gender, level, observed_at,
        COALESCE(LEAD(observed_at) OVER later, TIMESTAMP '9999-12-31'), LEAD(observed_at) OVER later IS NULL
    FROM (
        SELECT *, LAG(level) OVER (PARTITION BY user_id ORDER BY observed_at) AS previous_level
        FROM staging.user_observations
    ) AS sequence_of_levels
    WHERE previous_level IS NULL OR previous_level <> level
    WINDOW later AS (PARTITION BY user_id ORDER BY observed_at)
"""
#: Redshift vacuums and analyzes by itself; that its VACUUM also sorts is why the past is written in order.
FILLED = (
    *("sparkify.songplays", "sparkify.time", "sparkify.users", "sparkify.songs", "sparkify.artists"),
    *("sparkify.load_history", "staging.user_observations", "staging.song_observations"),
    *(
        "staging.artist_observations",
        "staging.source_files",
        "staging.landed_files",
        "staging.published_hours",
        "staging.publish_log",
        "staging.played_titles",
    ),
)


class Service:
    """The log of a service that was as busy in every hour since the beginning.

    :param plays_an_hour: at least `PLAYS_A_USER`.
    :param users: how many users take turns.
    """

    def __init__(self, plays_an_hour: int, users: int):
        self.plays_an_hour = plays_an_hour
        self.users_an_hour = plays_an_hour // PLAYS_A_USER
        self.pages_an_hour = plays_an_hour // PLAYS_A_PAGE
        self.users = max(users, self.users_an_hour)
        #: Milliseconds from play to play, and by how many one may be late.
        self.gap = HOUR_MS // plays_an_hour
        self.jitter = min(1000, self.gap)

    def hour(self, h: int) -> Iterator[dict]:
        """The events of the hour, as the log file has them."""
        start = BEGINNING + timedelta(hours=h)
        for i in range(self.plays_an_hour):
            number = self.song_of(h, i)
            moment = start + timedelta(milliseconds=i * self.gap + (h * 7 + i) % self.jitter)
            user = (h * self.users_an_hour + i % self.users_an_hour) % self.users
            common = {
                "level": ("free", "paid")[(h + user * 37) // HOURS_OF_A_LEVEL % 2],
                "sessionId": h * self.users_an_hour + i % self.users_an_hour,
                "location": LOCATION,
                "userAgent": AGENT,
            }
            ts = round(moment.timestamp() * 1000)
            yield event(
                ts,
                user,
                **common,
                itemInSession=i // self.users_an_hour,
                song=f"Song {number}",
                artist=f"Artist {number // SONGS_AN_ARTIST}",
                length=200,
            )
            if i < self.pages_an_hour:
                yield page(ts + self.gap // 3, user, **common, itemInSession=1000 + i // self.users_an_hour)

    def song_of(self, h: int, i: int) -> int:
        """The number of the song of the hour's play."""
        drawn = ((h * self.plays_an_hour + i) * 7919) % (2 * SONGS)
        return drawn if drawn < 3 * SONGS // 2 else drawn + SONGS // 2 * (h // HOURS_OF_A_HIT)

    @staticmethod
    def hits(h: int) -> int:
        """The first of the numbers of songs that are played only in the `HOURS_OF_A_HIT` around the hour."""
        return 3 * SONGS // 2 + SONGS // 2 * (h // HOURS_OF_A_HIT)

    @staticmethod
    def song(number: int) -> dict:
        """A song that plays are called like; those from `SONGS` on are not in the catalogue at first."""
        return song(
            f"SO{number}",
            f"AR{number // SONGS_AN_ARTIST}",
            title=f"Song {number}",
            artist_name=f"Artist {number // SONGS_AN_ARTIST}",
            duration=200.0,
        )


@dataclass
class Spent:
    """Of one run: SQL seconds by statement, and the seconds that the publish lock was held."""

    sql: Counter[str] = field(default_factory=Counter)
    locked: float = 0.0


@dataclass
class Cost:
    """What runs of one kind spent, the median of each figure."""

    runs: list[Spent]

    @property
    def seconds(self) -> float:
        return statistics.median(run.sql.total() for run in self.runs)

    @property
    def locked(self) -> float:
        return statistics.median(run.locked for run in self.runs)

    def of(self, statement: str) -> float:
        return statistics.median(run.sql[statement] for run in self.runs)

    def statements(self) -> set[str]:
        return {statement for run in self.runs for statement in run.sql}


@dataclass
class Measured:
    """What runs cost with so many plays published before them, by the kinds of `KINDS`."""

    plays: int
    costs: dict[str, Cost]


class History:
    """A warehouse whose published past grows, and hourly runs behind it."""

    def __init__(self, servers: LocalCluster, service: Service):
        self.service = service
        self.hours = 0
        self.plays = 0
        self.old_songs = 0
        self.new_songs = 0
        self.pipeline = Pipeline(servers.redshift, servers.s3.client(), new_buckets(servers.s3.client()))
        self.dsn = servers.postgres.dsn(servers.redshift.database)
        self.pipeline.create_schema()
        catalogue = map(json.dumps, map(self.service.song, range(SONGS)))
        self.pipeline.put({"song_data/A/all.json": "\n".join(catalogue).encode()})
        before = BEGINNING - timedelta(days=1)
        self.pipeline.load(f"{before:%F %H:%M}", f"{before + timedelta(hours=1):%F %H:%M}")

    def fill(self, plays: int) -> None:
        """Publish whole weeks until there are that many plays, in order of time."""
        service = self.service
        end = self.hours + max(0, -(-(plays - self.plays) // service.plays_an_hour))
        end = -(-end // HOURS_OF_A_HIT) * HOURS_OF_A_HIT
        names = {**vars(service), "bucket": self.pipeline.bucket}
        step = max(24, PLAYS_A_CHUNK // service.plays_an_hour // 24 * 24)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for first in range(self.hours, end, step):
                last = min(first + step, end) - 1
                for statements in (PLAYS, MOMENTS, OBSERVATIONS, HOURS):
                    connection.execute(statements.format(**names, first=first, last=last))
            connection.execute(USERS)
            connection.execute(TITLES)
            for table in FILLED:
                connection.execute(f"VACUUM (ANALYZE) {table}")
        self.plays += (end - self.hours) * service.plays_an_hour
        self.hours = end
        self.new_songs = service.hits(end - 1)

    def measure(self, rounds: int) -> Measured:
        """Run hours of the next days: one that does not count, then the rounds of each kind in turn."""
        published = self.plays
        self.run_hour()
        runs: dict[str, list[Spent]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, of_kind in runs.items():
                of_kind.append(self.run_hour(kind))
        return Measured(published, {kind: Cost(of_kind) for kind, of_kind in runs.items()})

    def run_hour(self, kind: str = ORDINARY) -> Spent:
        """Load the first hour of the next day, with the songs of its kind."""
        h = self.hours
        self.pipeline.put_songs(*map(self.service.song, self._songs(kind)))
        self.pipeline.put_events(*self.service.hour(h))
        start = BEGINNING + timedelta(hours=h)
        with spending() as spent:
            self.pipeline.load(f"{start:%F %H:%M}", f"{start + timedelta(hours=1):%F %H:%M}")
        self.hours += 24
        self.plays += self.service.plays_an_hour
        return spent

    def _songs(self, kind: str) -> range:
        if kind == NEW:
            first = self.new_songs
            self.new_songs += SONGS_AT_ONCE
        elif kind == OLD:
            first = SONGS + self.old_songs
            self.old_songs += SONGS_AT_ONCE
        else:
            return range(0)
        return range(first, first + SONGS_AT_ONCE)


@contextmanager
def spending() -> Iterator[Spent]:
    """What the runs within it spend: statements by their names without the run's own part."""
    from sparkify.warehouse import Transaction, Warehouse

    execute, lock, transaction = Transaction.execute, Transaction.lock, Warehouse.transaction
    spent, locked_at = Spent(), {}

    def timed(self, statement, parameters=(), *, name=""):
        began = time.perf_counter()
        try:
            return execute(self, statement, parameters, name=name)
        finally:
            key = name or " ".join(statement.split())[:60]
            spent.sql[WORK_TABLE.sub("", key)] += time.perf_counter() - began

    def locking(self, *arguments):
        lock(self, *arguments)
        locked_at[self] = time.perf_counter()

    @contextmanager
    def ending(self):
        with transaction(self) as made:
            yield made
        if made in locked_at:
            spent.locked += time.perf_counter() - locked_at.pop(made)

    with (
        mock.patch.object(Transaction, "execute", timed),
        mock.patch.object(Transaction, "lock", locking),
        mock.patch.object(Warehouse, "transaction", ending),
    ):
        yield spent


@contextmanager
def airflow_environment(servers: LocalCluster) -> Iterator[None]:
    """Airflow's hooks reach the servers, and Airflow writes its files beside theirs."""
    settings = {
        "AIRFLOW_HOME": str(servers.folder / "airflow"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws_connection(servers.s3)),
        "AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(redshift_connection(servers.redshift)),
    }
    with mock.patch.dict(os.environ, settings):
        yield


def grown(first: Cost, last: Cost) -> Iterator[str]:
    """The statements that grew, a line each, those that grew most first."""
    growth = {name: last.of(name) - first.of(name) for name in first.statements() | last.statements()}
    for name in sorted(growth, key=growth.__getitem__, reverse=True):
        if growth[name] >= GROWTH_SHOWN:
            yield f"  {first.of(name):8.3f} {last.of(name):8.3f}  {name}"


def report(servers: LocalCluster, service: Service, plays: list[int], rounds: int) -> bool:
    """Print the table as it grows; whether both targets are met."""
    history = History(servers, service)
    print(f"\n{service.plays_an_hour:,} plays an hour")
    print(f"{'':>12}" + "".join(f"  {kind:>25}" for kind in KINDS))
    print(f"{'plays':>12}" + f"  {'SQL s':>9} {'ratio':>7} {'lock s':>7}" * len(KINDS), flush=True)
    measured: list[Measured] = []
    for size in sorted(plays):
        history.fill(size)
        now = history.measure(rounds)
        measured.append(now)
        cells = [
            f"{cost.seconds:9.2f} {ratio(measured[0], now, kind):7.2f} {cost.locked:7.2f}"
            for kind, cost in now.costs.items()
        ]
        print(f"{now.plays:12,}  {'  '.join(cells)}", flush=True)
    first, last = measured[0], measured[-1]
    for kind in KINDS:
        print(f"\nThe statements of hours {kind} that grew, seconds at the first and the last size:")
        print(*grown(first.costs[kind], last.costs[kind]), sep="\n")
    worst = max(ratio(first, now, ORDINARY) for now in measured)
    with_songs = last.costs[NEW].seconds
    print(f"\nordinary: {worst:.2f} times the smallest, at most {TARGET:g}: {verdict(worst <= TARGET)}")
    met = verdict(with_songs <= TARGET_WITH_SONGS)
    print(f"with new songs: {with_songs:.2f} s, at most {TARGET_WITH_SONGS:g}: {met}", flush=True)
    return worst <= TARGET and with_songs <= TARGET_WITH_SONGS


def verdict(is_met: bool) -> str:
    return "ok" if is_met else "MISSED"


def ratio(first: Measured, now: Measured, kind: str) -> float:
    return now.costs[kind].seconds / first.costs[kind].seconds


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


@contextmanager
def bench_servers(name: str, interruption: Interruption) -> Iterator[LocalCluster]:
    """Empty servers for one benchmark, which its connections lead to."""
    with (
        tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder,
        LocalCluster(Path(folder)) as servers,
        airflow_environment(servers),
        interruption.let_through(),
    ):
        yield servers


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.history", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--plays",
        type=int,
        nargs="+",
        default=[1_000_000, 10_000_000, 50_000_000],
        help="plays published before the hours that are measured (1000000 10000000 50000000)",
    )
    parser.add_argument(
        "--plays-an-hour", type=at_least(PLAYS_A_USER), nargs="+", default=[240, 10_000],
        help="how busy the service is, a table each (240 10000)",
    )  # fmt: skip
    parser.add_argument("--users", type=at_least(1), default=10_000, help="users who take turns (10000)")
    parser.add_argument(
        "--rounds", type=at_least(1), default=5, help="hours of each kind, of which the median counts (5)"
    )
    options = parser.parse_args(argv)

    interruption, met = Interruption(), []
    for plays_an_hour in options.plays_an_hour:
        with bench_servers("history", interruption) as servers:
            service = Service(plays_an_hour, options.users)
            met.append(report(servers, service, options.plays, options.rounds))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
