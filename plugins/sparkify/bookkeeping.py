"""What the tables hold, compared with what the bookkeeping says that they were published with.

`staging.published_hours` counts the plays, observations and rejected rows of each hour,
`staging.published_catalogue` the songs, `sparkify.load_history` the windows; `users`, `songs`, `artists` and
`time` are derived from observations and fact. The queries are in include/sql/bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sparkify.paths import SQL
from sparkify.warehouse import without_semicolon
from sparkify.window import DAY, HOUR

if TYPE_CHECKING:
    import jinja2

    from sparkify.warehouse import Transaction

REMEDY = (
    "Run the DAG sparkify_reconcile: it recreates lost tables, rebuilds dimensions from the observations, "
    "and reloads the hours with lost rows from their files."
)


@dataclass(frozen=True)
class Differences:
    """Where the tables differ from the bookkeeping; false where nothing does.

    :param hours: UTC hour (naive) to what is wrong with it that loading it again heals.
    :param derived: which of `songs` (with `artists`), `users` and `time` are to be derived again.
    :param songs_lost: whether all song files are to be staged again.
    :param batches: of log files, those of which not all is there that landed.
    :param sentences: all of it, for people, one sentence per table.
    :param published: the published hours (naive UTC).
    :param rejected: hour of a window in the history to the number of rows that the windows over it left out.
    """

    hours: Mapping[datetime, str] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    songs_lost: bool = False
    sentences: tuple[str, ...] = ()
    published: frozenset[datetime] = frozenset()
    rejected: Mapping[datetime, int] = field(default_factory=dict)
    batches: frozenset[int] = frozenset()

    def never_loaded(self, before: date) -> list[datetime]:
        """The hours (naive UTC) that no run has loaded, of days that others were loaded of, in order.

        :param before: the day that is not over; its hours and later ones are left out.
        """
        days = {hour.date() for hour in self._loaded}
        hours = [hour for day in days if day < before for hour in _hours(midnight(day), midnight(day + DAY))]
        return sorted(set(hours) - self._loaded)

    def never_loaded_between(self, day: date) -> list[datetime]:
        """The hours (naive UTC) of a day that no run has loaded, between hours that were, in order."""
        loaded = [hour for hour in self._loaded if hour.date() == day]
        return sorted(set(_hours(min(loaded), max(loaded))) - self._loaded) if loaded else []

    @property
    def _loaded(self) -> Set[datetime]:
        return self.published | self.rejected.keys()

    def __bool__(self) -> bool:
        return bool(self.sentences)

    def __str__(self) -> str:
        return "; ".join(self.sentences)


def differences(transaction: Transaction) -> Differences:
    """Compare all tables wholly, in one snapshot.

    :raises SchemaMissingError: where a table is not there.
    """
    hours: dict[datetime, str] = {}
    sentences = []

    differing = _ask(transaction, "hours")
    for name, there, expected, of in (
        ("sparkify.songplays", 2, 1, "play(s) published"),
        ("staging.user_observations", 4, 3, "observation(s) published"),
        ("sparkify.time", 6, 5, "moment(s) of plays"),
    ):
        rows = [row for row in differing if row[there] != row[expected]]
        if rows:
            held, meant = (sum(int(row[column]) for row in rows) for column in (there, expected))
            text = f"{name} has {held} row(s) for {meant} {of}"
            sentences.append(f"{text} in {len(rows)} hour(s), the first {rows[0][0]:%Y-%m-%d %H:%M} UTC")
            if name != "sparkify.time":
                hours.update({row[0]: f"{text} in {row[0]:%H:%M}" for row in rows})
    time_differs = any(row[5] != row[6] for row in differing)

    published = {hour for (hour,) in transaction.execute(
        "SELECT hour_start FROM staging.published_hours", name="read staging.published_hours")}  # fmt: skip
    covered: dict[datetime, int] = {}
    for start, end, rejected in _ask(transaction, "windows"):
        for hour in _hours(start, end):
            covered[hour] = covered.get(hour, 0) + rejected
    without_rejected = {hour for (hour,) in _ask(transaction, "rejected")}
    for name, lost, of in (
        ("staging.published_hours", covered.keys() - published, "sparkify.load_history"),
        ("sparkify.load_history", published - covered.keys(), "staging.published_hours"),
        ("sparkify.rejected_rows", without_rejected, "staging.published_hours"),
    ):
        if lost:
            text = (
                f"{name} lacks {len(lost)} hour(s) that {of} holds, the first {min(lost):%Y-%m-%d %H:%M} UTC"
            )
            sentences.append(text)
            hours.update(dict.fromkeys(lost - hours.keys(), text))

    batches = {batch for (batch,) in _ask(transaction, "landing")}
    if batches:
        sentences.append(
            f"{len(batches)} batch(es) of log files are not as they landed, the first {min(batches)}"
        )

    [row] = _ask(transaction, "tables")
    songs, artists, users, without_span, torn, songs_published, songs_observed, titles = map(int, row)
    songs_lost = bool(torn) or songs_observed < songs_published
    if songs_lost:
        sentences.append(
            f"staging.song_observations has {songs_observed} song(s) of {songs_published}, and "
            f"staging.artist_observations differs from it in {torn} song(s)"
        )
    for name, count, source in (
        ("songs", songs, "song_observations"),
        ("artists", artists, "artist_observations"),
        ("users", users, "user_observations"),
    ):
        if count:
            sentences.append(f"sparkify.{name} differs from staging.{source} in {count} row(s)")
    if titles:
        sentences.append(f"staging.played_titles lacks {titles} title(s) of sparkify.songplays")
    derived = {
        # Never from observations that are lost themselves: it would take the rows that are left.
        "songs": (songs or artists or titles) and not songs_lost,
        "users": without_span or (users and not any(row[3] != row[4] for row in differing)),
        "time": time_differs,
    }
    return Differences(
        hours=hours,
        derived=frozenset(name for name, differs in derived.items() if differs),
        songs_lost=songs_lost,
        sentences=tuple(sentences),
        published=frozenset(published),
        rejected=covered,
        batches=frozenset(batches),
    )


def rebuild(transaction: Transaction, tables: Iterable[str]) -> None:
    """Derive tables again, by their own publish.sql in truncate mode; under the publish lock.

    :param tables: of `songs` (artists, and the songs of plays, with it), `users`, `time`.
    """
    if tables := sorted(tables):
        transaction.run_script(rebuild_script(tables), f"rebuild {', '.join(tables)}")


def rebuild_script(tables: Iterable[str]) -> str:
    """The rendered statements of `rebuild`."""
    return _environment().get_template("bookkeeping/rebuild.sql").render(tables=tables)


def forget_script(batches: Iterable[int]) -> str:
    """The rendered statements that have the files of batches land again."""
    return _environment().get_template("bookkeeping/forget_batches.sql").render(batches=sorted(batches))


def comparison(name: str) -> str:
    """A query of include/sql/bookkeeping."""
    return _environment().get_template(f"bookkeeping/{name}.sql").render()


def _ask(transaction: Transaction, name: str) -> list[tuple[Any, ...]]:
    return transaction.execute(without_semicolon(comparison(name)), name=f"bookkeeping/{name}.sql")


def midnight(day: date) -> datetime:
    """The start of a UTC day (naive)."""
    return datetime(day.year, day.month, day.day)


def _hours(start: datetime, end: datetime) -> list[datetime]:
    return [start + n * HOUR for n in range((end - start) // HOUR)]


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(loader=jinja2.FileSystemLoader(SQL), undefined=jinja2.StrictUndefined)
