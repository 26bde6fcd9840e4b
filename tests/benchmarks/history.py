"""What an hourly run costs the warehouse, the more is published: `python -m tests.benchmarks.history`.

On servers that it starts and removes itself, it fills the published tables with the past of a service that
always was as busy as in the hours that are measured, then runs such hours through the project's own tasks:

- ordinary hours: the next hours of the log, no new song;
- hours with new songs: three songs that earlier plays are called like come with each.

SQL time is what the run's statements took, from `sparkify.warehouse.Transaction.execute`.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
PLAYS_AN_HOUR = 240
OTHER_PAGES_AN_HOUR = 60
USERS_AN_HOUR = 30
HOURS_OF_A_LEVEL = 8760
#: Plays are of twice as many songs as the catalogue holds.
SONGS = 10_000
SONGS_AN_ARTIST = 5
NEW_SONGS = 3
TARGET = 1.5
#: One hour to warm up, the rounds of each kind after it, and all of them in one day.
MOST_ROUNDS = 11
PLAYS_A_CHUNK = 1_000_000
STATEMENTS_SHOWN = 5
WORK_TABLE = re.compile(r"__\d{10}_\w*")
AGENT = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/36.0.1985.143 Safari/537.36"
)
LOCATION = "San Francisco-Oakland-Hayward, CA"

# The past in SQL: the hour h (since the beginning), the play i of it, the user of the play. `Service` has the
# same in Python, for the hours to come.
HOUR = f"(TIMESTAMP '{BEGINNING:%F}' + h * INTERVAL '1 hour')"
MOMENT = f"({HOUR} + (i * 15000 + (h * 7 + i) % 1000) * INTERVAL '1 ms')"
USER = "(h * {per_hour} + i % {per_hour}) % {users}"
LEVEL = f"CASE WHEN ((h + {{user}} * 37) / {HOURS_OF_A_LEVEL}) % 2 = 0 THEN 'free' ELSE 'paid' END"
SONG = f"((h * {PLAYS_AN_HOUR} + i) * 7919) % {2 * SONGS}"

PLAYS = f"""
    INSERT INTO sparkify.songplays (
        start_time, user_id, level, song_id, artist_id, session_id, item_in_session, location, user_agent,
        song_title, artist_name, song_length
    )
    SELECT
        {MOMENT}, user_id, {LEVEL.format(user="user_id")},
        CASE WHEN song < {SONGS} THEN CONCAT('SO', song) END,
        CASE WHEN song < {SONGS} THEN CONCAT('AR', song / {SONGS_AN_ARTIST}) END,
        h * {{per_hour}} + i % {{per_hour}}, i / {{per_hour}}, '{LOCATION}', '{AGENT}',
        CONCAT('Song ', song), CONCAT('Artist ', song / {SONGS_AN_ARTIST}), 200
    FROM (
        SELECT h, i, {USER} AS user_id, {SONG} AS song
        FROM generate_series({{first}}::bigint, {{last}}) AS h, generate_series(0, {PLAYS_AN_HOUR - 1}) AS i
    ) AS plays
"""
MOMENTS = f"""
    INSERT INTO sparkify.time
    SELECT
        moment, EXTRACT(HOUR FROM moment), EXTRACT(DAY FROM moment), EXTRACT(WEEK FROM moment),
        EXTRACT(MONTH FROM moment), EXTRACT(YEAR FROM moment), EXTRACT(DOW FROM moment)
    FROM (
        SELECT {MOMENT} AS moment
        FROM generate_series({{first}}::bigint, {{last}}) AS h, generate_series(0, {PLAYS_AN_HOUR - 1}) AS i
    ) AS moments
"""
OBSERVATIONS = f"""
    INSERT INTO staging.user_observations
    SELECT
        user_id, {MOMENT}, {LEVEL.format(user="user_id")},
        CONCAT('First', user_id), CONCAT('Last', user_id), 'F'
    FROM (
        SELECT h, i, {USER} AS user_id
        FROM generate_series({{first}}::bigint, {{last}}) AS h, generate_series(0, {{per_hour}} - 1) AS i
    ) AS sightings
"""
HOURS = f"""
    INSERT INTO staging.published_hours
    SELECT
        {HOUR}, REPEAT(MD5(CAST(h AS TEXT)), 2), {HOUR}, CONCAT('past_', h), {PLAYS_AN_HOUR}, {{per_hour}}
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO staging.publish_log
    SELECT MD5(CAST(h AS TEXT)), CONCAT('past_', h), {HOUR}
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO sparkify.load_history
    SELECT
        {HOUR}, {HOUR} + INTERVAL '1 hour', CONCAT('past_', h), 1, 0,
        24 * {PLAYS_AN_HOUR + OTHER_PAGES_AN_HOUR}, {PLAYS_AN_HOUR + OTHER_PAGES_AN_HOUR},
        23 * {PLAYS_AN_HOUR + OTHER_PAGES_AN_HOUR}, {PLAYS_AN_HOUR}, 0, {OTHER_PAGES_AN_HOUR}, 0, 0,
        {{per_hour}}, 0, 0, {PLAYS_AN_HOUR}, {HOUR}
    FROM generate_series({{first}}::bigint, {{last}}) AS h;
    INSERT INTO staging.source_files
    SELECT
        'events', '{{bucket}}', TO_CHAR({HOUR}, '"log_data/"YYYY/MM/YYYY-MM-DD"-events.json"'),
        MD5(CAST(h AS TEXT)), 3000000, {HOUR}, {HOUR}, CONCAT('past_', h), {HOUR}
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
#: Redshift vacuums and analyzes by itself.
FILLED = (
    *("sparkify.songplays", "sparkify.time", "sparkify.users", "sparkify.songs", "sparkify.artists"),
    *("sparkify.load_history", "staging.user_observations", "staging.song_observations"),
    *(
        "staging.artist_observations",
        "staging.source_files",
        "staging.published_hours",
        "staging.publish_log",
    ),
)


class Service:
    """The log of a service: `PLAYS_AN_HOUR` plays by `USERS_AN_HOUR` users in every hour since the beginning.

    :param users: how many users take turns.
    """

    def __init__(self, users: int):
        self.users = users

    def hour(self, h: int) -> Iterator[dict]:
        """The events of the hour, as the log file has them."""
        start = BEGINNING + timedelta(hours=h)
        for i in range(PLAYS_AN_HOUR):
            number = ((h * PLAYS_AN_HOUR + i) * 7919) % (2 * SONGS)
            moment = start + timedelta(milliseconds=i * 15000 + (h * 7 + i) % 1000)
            user = (h * USERS_AN_HOUR + i % USERS_AN_HOUR) % self.users
            common = {
                "level": ("free", "paid")[(h + user * 37) // HOURS_OF_A_LEVEL % 2],
                "sessionId": h * USERS_AN_HOUR + i % USERS_AN_HOUR,
                "location": LOCATION,
                "userAgent": AGENT,
            }
            ts = round(moment.timestamp() * 1000)
            yield event(
                ts,
                user,
                **common,
                itemInSession=i // USERS_AN_HOUR,
                song=f"Song {number}",
                artist=f"Artist {number // SONGS_AN_ARTIST}",
                length=200,
            )
            if i < OTHER_PAGES_AN_HOUR:
                yield page(ts + 5000, user, **common, itemInSession=1000 + i // USERS_AN_HOUR)

    @staticmethod
    def song(number: int) -> dict:
        """A song that plays are called like; those from `SONGS` on come late."""
        return song(
            f"SO{number}",
            f"AR{number // SONGS_AN_ARTIST}",
            title=f"Song {number}",
            artist_name=f"Artist {number // SONGS_AN_ARTIST}",
            duration=200.0,
        )


@dataclass
class Cost:
    """SQL seconds of runs of one kind, each by statement."""

    runs: list[Counter[str]]

    @property
    def seconds(self) -> float:
        return statistics.median(run.total() for run in self.runs)

    def of(self, statement: str) -> float:
        return statistics.median(run[statement] for run in self.runs)

    def statements(self) -> set[str]:
        return {statement for run in self.runs for statement in run}


@dataclass
class Measured:
    """What runs cost with so many plays published before them."""

    plays: int
    ordinary: Cost
    with_songs: Cost


class History:
    """A warehouse whose published past grows, and hourly runs behind it.

    :param users: how many users take turns.
    """

    def __init__(self, servers: LocalCluster, users: int):
        self.service = Service(users)
        self.users = users
        self.hours = 0
        self.plays = 0
        self.new_songs = 0
        self.pipeline = Pipeline(servers.redshift, servers.s3.client(), new_buckets(servers.s3.client()))
        self.dsn = servers.postgres.dsn(servers.redshift.database)
        self.pipeline.create_schema()
        catalogue = map(json.dumps, map(self.service.song, range(SONGS)))
        self.pipeline.put({"song_data/A/all.json": "\n".join(catalogue).encode()})
        before = BEGINNING - timedelta(days=1)
        self.pipeline.load(f"{before:%F %H:%M}", f"{before + timedelta(hours=1):%F %H:%M}")

    def fill(self, plays: int) -> None:
        """Publish whole days until there are that many plays, in order of time."""
        day = 24 * PLAYS_AN_HOUR
        end = self.hours + max(0, -(-(plays - self.plays) // day)) * 24
        names = {"users": self.users, "per_hour": USERS_AN_HOUR, "bucket": self.pipeline.bucket}
        step = max(24, PLAYS_A_CHUNK // day * 24)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for first in range(self.hours, end, step):
                last = min(first + step, end) - 1
                for statements in (PLAYS, MOMENTS, OBSERVATIONS, HOURS):
                    connection.execute(statements.format(**names, first=first, last=last))
            connection.execute(USERS)
            for table in FILLED:
                connection.execute(f"VACUUM (ANALYZE) {table}")
        self.plays += (end - self.hours) * PLAYS_AN_HOUR
        self.hours = end

    def measure(self, rounds: int) -> Measured:
        """Run hours of the next day: one that does not count, then the rounds of each kind."""
        published = self.plays
        day = self.hours
        self.pipeline.put_events(*(one for h in range(day, day + 24) for one in self.service.hour(h)))
        self.run_hour()
        ordinary = Cost([self.run_hour() for _ in range(rounds)])
        with_songs = Cost([self.run_hour(NEW_SONGS) for _ in range(rounds)])
        self.hours = day + 24
        return Measured(published, ordinary, with_songs)

    def run_hour(self, songs: int = 0) -> Counter[str]:
        """Load the next hour, with so many new songs; the SQL seconds by statement."""
        first = SONGS + self.new_songs
        self.pipeline.put_songs(*map(self.service.song, range(first, first + songs)))
        self.new_songs += songs
        start = BEGINNING + timedelta(hours=self.hours)
        with sql_seconds() as spent:
            self.pipeline.load(f"{start:%F %H:%M}", f"{start + timedelta(hours=1):%F %H:%M}")
        self.hours += 1
        self.plays += PLAYS_AN_HOUR
        return spent


@contextmanager
def sql_seconds() -> Iterator[Counter[str]]:
    """Counts the seconds in `Transaction.execute`, by the statement's name without the run's own part."""
    from sparkify.warehouse import Transaction

    execute = Transaction.execute
    spent: Counter[str] = Counter()

    def timed(transaction, statement, parameters=(), *, name=""):
        began = time.perf_counter()
        try:
            return execute(transaction, statement, parameters, name=name)
        finally:
            key = name or " ".join(statement.split())[:60]
            spent[WORK_TABLE.sub("", key)] += time.perf_counter() - began

    with mock.patch.object(Transaction, "execute", timed):
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
    """The statements that grew most, a line each."""
    by_growth = sorted(
        last.statements() | first.statements(), key=lambda name: first.of(name) - last.of(name)
    )
    for name in by_growth[:STATEMENTS_SHOWN]:
        yield f"  {first.of(name):8.3f} {last.of(name):8.3f}  {name}"


def report(servers: LocalCluster, plays: list[int], users: int, rounds: int) -> int:
    """Print the table as it grows; 1 where an ordinary hour costs more than the target."""
    history = History(servers, users)
    print(f"{'':>12}  {'ordinary hour':>18}  {f'with {NEW_SONGS} new songs':>18}")
    print(f"{'plays':>12}  {'SQL s':>10} {'ratio':>7}  {'SQL s':>10} {'ratio':>7}", flush=True)
    measured: list[Measured] = []
    for size in sorted(plays):
        history.fill(size)
        now = history.measure(rounds)
        measured.append(now)
        cells = [
            f"{getattr(now, kind).seconds:10.2f} {ratio(measured[0], now, kind):7.2f}"
            for kind in ("ordinary", "with_songs")
        ]
        print(f"{now.plays:12,}  {'  '.join(cells)}", flush=True)
    for kind, title in (("ordinary", "an ordinary hour"), ("with_songs", "an hour with new songs")):
        print(f"\nThe statements of {title} that grew most, seconds at the first and the last size:")
        print(*grown(getattr(measured[0], kind), getattr(measured[-1], kind)), sep="\n")
    worst = max(ratio(measured[0], now, "ordinary") for now in measured)
    met = worst <= TARGET
    print(f"\nordinary hour: {worst:.2f} times the smallest, at most {TARGET:g}: {'ok' if met else 'MISSED'}")
    return 0 if met else 1


def ratio(first: Measured, now: Measured, kind: str) -> float:
    return getattr(now, kind).seconds / getattr(first, kind).seconds


def rounds_of_a_day(text: str) -> int:
    rounds = int(text)
    if not 1 <= rounds <= MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{rounds} is not within 1 and {MOST_ROUNDS}")
    return rounds


def users_of_an_hour(text: str) -> int:
    users = int(text)
    if users < USERS_AN_HOUR:
        raise argparse.ArgumentTypeError(f"{users} is too few: {USERS_AN_HOUR} play in each hour")
    return users


def main(argv: list[str] | None = None) -> int:
    """Print the table; 1 where an ordinary hour costs more than the target allows."""
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
    parser.add_argument("--users", type=users_of_an_hour, default=10_000, help="users who take turns (10000)")
    parser.add_argument(
        "--rounds", type=rounds_of_a_day, default=5, help="hours of each kind, of which the median counts (5)"
    )
    options = parser.parse_args(argv)

    interruption = Interruption()
    with (
        tempfile.TemporaryDirectory(prefix="bench-history-") as folder,
        LocalCluster(Path(folder)) as servers,
        airflow_environment(servers),
        interruption.let_through(),
    ):
        return report(servers, options.plays, options.users, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
