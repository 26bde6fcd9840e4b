"""Questions that the local commands ask of the published tables, through the driver that analysts use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redshift_connector
from redshift_connector.core import Connection
from rich.console import Console
from rich.table import Table

from local.settings import PAGE_USER, READERS, WAREHOUSE, WAREHOUSE_USER, Settings

Rows = list[tuple[Any, ...]]

TABLES = ("songplays", "users", "songs", "artists", "time")

TOP_SONGS = """
    SELECT song_title, artist_name, COUNT(*) AS plays, COUNT(song_id) > 0 AS in_catalogue
    FROM sparkify.songplays
    GROUP BY song_title, artist_name
    ORDER BY plays DESC, song_title ASC, artist_name ASC
    LIMIT 5
"""
USERS_BY_LEVEL = """
    SELECT level, COUNT(*) AS users
    FROM sparkify.users
    WHERE is_current
    GROUP BY level
    ORDER BY level ASC
"""
CHECKS = """
    SELECT status, COUNT(*) AS checks
    FROM sparkify.quality_results
    WHERE run_id = %s
    GROUP BY status
    ORDER BY status ASC
"""
WINDOW = """
    SELECT
        -- Also those that an hourly run of the schedule has read before.
        events_staged + landed_before - events_outside AS events,
        songplays, duplicate_plays, other_pages, rejected_events, log_files,
        -- Also those that an hourly run of the schedule has published meanwhile.
        (SELECT COUNT(*) FROM staging.source_files WHERE source = 'songs') AS song_files
    FROM sparkify.load_history
    WHERE window_start = %s AND window_end = %s
"""
# As a run does that finds no songs published: until it ends, the others leave the song files to it.
CLAIM_FIRST_CATALOGUE = """
    INSERT INTO staging.catalogue_claims (run_id, claimed_at)
    SELECT %s, GETDATE()
    WHERE NOT EXISTS (SELECT 1 FROM staging.published_catalogue)
"""


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """Connect to the local warehouse; the connection is closed at the end."""
    connection = redshift_connector.connect(
        host=settings.hosts.redshift,
        port=settings.ports.redshift,
        database=WAREHOUSE,
        user=WAREHOUSE_USER,
        password=settings.credentials.redshift_password,
        ssl=False,
    )
    try:
        yield connection
    finally:
        connection.close()


def ensure_page_login(settings: Settings) -> None:
    """The login of the page Sparkify, in the group of readers that `sparkify_schema` grants its rights to."""
    with connect(settings) as connection:
        connection.autocommit = True
        if not rows(connection, "SELECT 1 FROM pg_group WHERE groname = %s", [READERS]):
            connection.cursor().execute(f"CREATE GROUP {READERS}")
        password = settings.credentials.page_password.replace("'", "''")
        if rows(connection, "SELECT 1 FROM pg_user WHERE usename = %s", [PAGE_USER]):
            connection.cursor().execute(f"ALTER USER {PAGE_USER} PASSWORD '{password}'")
        else:
            connection.cursor().execute(f"CREATE USER {PAGE_USER} PASSWORD '{password}' IN GROUP {READERS}")


def claim_first_catalogue(settings: Settings, run_id: str) -> None:
    """Let the pipeline's run stage the song files, if no run has published any."""
    with connect(settings) as connection:
        connection.cursor().execute(CLAIM_FIRST_CATALOGUE, [run_id])
        connection.commit()


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Rows:
    cursor = connection.cursor()
    try:
        cursor.execute(sql, parameters)
        return list(map(tuple, cursor.fetchall()))
    finally:
        cursor.close()


@dataclass(frozen=True)
class Summary:
    """The first answers after a load."""

    counts: dict[str, int]
    top_songs: Rows
    users_by_level: Rows
    checks: Rows
    window: Rows

    @classmethod
    def query(cls, settings: Settings, run_id: str, start: datetime, end: datetime) -> Summary:
        """Read the published tables; `start` and `end` are the window in UTC, without a zone."""
        with connect(settings) as connection:
            return cls(
                counts={
                    table: rows(connection, f"SELECT COUNT(*) FROM sparkify.{table}")[0][0]
                    for table in TABLES
                },
                top_songs=rows(connection, TOP_SONGS),
                users_by_level=rows(connection, USERS_BY_LEVEL),
                checks=rows(connection, CHECKS, [run_id]),
                window=rows(connection, WINDOW, [start, end]),
            )

    def print(self, console: Console) -> None:
        console.print()
        counts = Table("table", "rows", title="Published", title_justify="left")
        counts.columns[1].justify = "right"
        for name, count in self.counts.items():
            counts.add_row(f"sparkify.{name}", f"{count:,}")
        songs = Table("top songs", "artist", "plays", "in catalogue", title="What do our users listen to?")
        songs.title_justify = "left"
        songs.columns[2].justify = "right"
        for title, artist, plays, known in self.top_songs:
            songs.add_row(title, artist, f"{plays:,}", "yes" if known else "no")
        console.print(counts)
        console.print(songs)
        levels = ", ".join(f"{count} {level}" for level, count in self.users_by_level)
        console.print(f"Users by level: {levels}", highlight=False)
        passed = sum(count for status, count in self.checks if status == "passed")
        total = sum(count for _, count in self.checks)
        others = [f", {count} {status}" for status, count in self.checks if status != "passed"]
        console.print(f"Checks: {passed} of {total} passed{''.join(others)}", highlight=False)
        for events, plays, duplicates, other, rejected, log_files, song_files in self.window:
            console.print(
                f"Events: {events:,} in {log_files} log files = {plays:,} plays + {duplicates} duplicates "
                f"+ {other:,} of other pages + {rejected} rejected rows; {song_files:,} song files",
                highlight=False,
                soft_wrap=True,
            )
