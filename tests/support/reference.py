"""The published model computed from source rows in plain Python, independently of the SQL.

Every function takes the source rows that the published windows cover and gives the rows that the table must
hold, as a sorted list of tuples; surrogate ids are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

OPEN = datetime(9999, 12, 31)
EPOCH = datetime(1970, 1, 1)
Event = Mapping[str, Any]
Song = Mapping[str, Any]

COLUMNS = {
    "songplays": (
        "start_time, user_id, level, song_id, artist_id, session_id, item_in_session, location, user_agent, "
        "song_title, artist_name, song_length"
    ),
    "users": "user_id, first_name, last_name, gender, level, valid_from, valid_to, is_current",
    "songs": "song_id, title, artist_id, year, duration",
    "artists": "artist_id, name, location, latitude, longitude",
    "time": "start_time, hour, day, week, month, year, weekday",
}


def tables(events: Iterable[Event], songs: Iterable[Song]) -> dict[str, list[tuple]]:
    """All five published tables.

    :param songs: what all song files say that are there.
    """
    events, songs = accepted(events), believed(songs)
    return {
        "songplays": songplays(events, songs),
        "users": users(events),
        "songs": in_order(
            (s["song_id"], title(s["title"]), s["artist_id"], s["year"] or None, s["duration"]) for s in songs
        ),
        "artists": artists(songs),
        "time": calendar(events),
    }


def believed(songs: Iterable[Song]) -> list[Song]:
    """One of the rows that song files hold of each song: the first, by what it says."""

    def rank(one: Song) -> list[tuple]:
        texts = title(one["title"]), text(one["artist_id"]), text(one["artist_name"])
        place = text(one["artist_location"]), one["artist_latitude"], one["artist_longitude"]
        return [last(value) for value in (*texts, one["duration"], one["year"], *place)]

    by_id = defaultdict(list)
    for one in songs:
        song_id = one["song_id"].rstrip(" ")
        by_id[song_id].append({**one, "song_id": song_id})
    return [min(rows, key=rank) for rows in by_id.values()]


def in_order(rows: Iterable[tuple]) -> list[tuple]:
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row])


def moment(ts: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ts)


def text(value: Any) -> str | None:
    """Without the blanks around it; None for nothing else."""
    return None if value is None else str(value).strip(" ") or None


def title(value: Any) -> str | None:
    """Without the blanks at its end; those before it stay."""
    return None if text(value) is None else str(value).rstrip(" ")


def accepted(events: Iterable[Event]) -> list[Event]:
    """Without the events that are rejected."""
    return [
        e
        for e in events
        if e["level"] in ("free", "paid", None)
        and (e["page"] == "NextSong") == (e["page"].strip(" ").lower() == "nextsong")
        and (e["page"] != "NextSong" or e["level"])
    ]


def last(value: Any) -> tuple:
    """A sort key that puts None behind every value, and texts in byte order."""
    return value is None, value.encode() if isinstance(value, str) else value


def plays(events: Iterable[Event]) -> dict[tuple, Event]:
    """Natural key to event: of several a paid one, then the lowest values."""

    def rank(e: Event) -> tuple:
        values = (title(e["song"]), text(e["artist"]), e["length"], text(e["location"]), text(e["userAgent"]))
        return e["level"] != "paid", *map(last, values)

    of_key = defaultdict(list)
    for e in events:
        if e["page"] == "NextSong":
            of_key[e["ts"], int(e["userId"]), e["sessionId"], e["itemInSession"]].append(e)
    return {key: min(own, key=rank) for key, own in of_key.items()}


def songplays(events: Iterable[Event], songs: Iterable[Song]) -> list[tuple]:
    by_name = defaultdict(list)
    for song in songs:
        by_name[text(song["title"]), text(song["artist_name"])].append(song)
    rows = []
    for (ts, user_id, session_id, item), e in plays(events).items():
        name = text(e["song"]), text(e["artist"])
        found = by_name.get(name, []) if all(name) else []
        length = e["length"]
        song = min(
            found,
            key=lambda s: (0 if length is None else abs(s["duration"] - length), s["song_id"]),
            default=None,
        )
        rows.append(
            (
                moment(ts),
                user_id,
                e["level"],
                song and song["song_id"],
                song and song["artist_id"],
                session_id,
                item,
                text(e["location"]),
                text(e["userAgent"]),
                title(e["song"]),
                text(e["artist"]),
                e["length"],
            )
        )
    return in_order(rows)


def users(events: Iterable[Event]) -> list[tuple]:
    """Spans from plays and from all events that are not logged out."""

    def rank(e: Event) -> tuple:
        """The last of the session; of one place in it a play, a paid one, then the lowest names."""
        place = tuple((e[key] is None, -(e[key] or 0)) for key in ("itemInSession", "sessionId"))
        names = (text(e[key]) for key in ("firstName", "lastName", "gender"))
        return *place, e["page"] != "NextSong", e["level"] != "paid", *map(last, names)

    timelines: dict[int, dict[int, Event]] = defaultdict(dict)
    for e in sorted(events, key=lambda e: (e["ts"], *rank(e))):
        is_logged_out = (e["auth"] or "").strip(" ") == "Logged Out"
        if e["userId"] and e["level"] and (e["page"] == "NextSong" or not is_logged_out):
            timelines[int(e["userId"])].setdefault(e["ts"], e)
    rows = []
    for user_id, timeline in timelines.items():
        spans = []
        for e in timeline.values():
            if not spans or spans[-1]["level"] != e["level"]:
                spans.append(e)
        ends = [moment(e["ts"]) for e in spans[1:]] + [OPEN]
        for e, end in zip(spans, ends, strict=True):
            rows.append(
                (
                    user_id,
                    text(e["firstName"]),
                    text(e["lastName"]),
                    text(e["gender"]),
                    e["level"],
                    moment(e["ts"]),
                    end,
                    end == OPEN,
                )
            )
    return in_order(rows)


def artists(songs: Iterable[Song]) -> list[tuple]:
    by_artist = defaultdict(list)
    for song in songs:
        by_artist[song["artist_id"]].append(song)
    rows = []
    for artist_id, own in by_artist.items():
        names = Counter(text(s["artist_name"]) for s in own if text(s["artist_name"]))
        places = Counter(text(s["artist_location"]) for s in own if text(s["artist_location"]))
        points = Counter(
            (s["artist_latitude"], s["artist_longitude"])
            for s in own
            if s["artist_latitude"] is not None and s["artist_longitude"] is not None
        )
        rows.append(
            (artist_id, most_common(names), most_common(places), *(most_common(points) or (None, None)))
        )
    return in_order(rows)


def most_common(counts: Counter) -> Any:
    """The most frequent; of equally frequent texts the shortest, then the first in byte order."""

    def rank(item: tuple[Any, int]) -> tuple:
        value, count = item
        return (-count, len(value), value.encode()) if isinstance(value, str) else (-count, value)

    return min(counts.items(), key=rank)[0] if counts else None


def calendar(events: Iterable[Event]) -> list[tuple]:
    starts = {moment(ts).replace(tzinfo=UTC) for ts, *_ in plays(events)}
    return in_order(
        (
            start.replace(tzinfo=None),
            start.hour,
            start.day,
            start.isocalendar().week,
            start.month,
            start.year,
            start.isoweekday() % 7,
        )
        for start in starts
    )
