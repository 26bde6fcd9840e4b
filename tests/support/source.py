"""Source rows for tests, in the form of the real files, with defaults for what is beside the point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any


def at(text: str) -> int:
    """`2018-11-01 20:57:10.796` (UTC) as `ts`: milliseconds since the epoch."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def event(time: str | int, user: int | str = 8, **fields: Any) -> dict[str, Any]:
    """A NextSong event of a logged-in user unless the fields say otherwise."""
    ts = at(time) if isinstance(time, str) else time
    logged_in = user != ""
    return {
        "artist": "Muse",
        "auth": "Logged In" if logged_in else "Logged Out",
        "firstName": f"First{user}" if logged_in else None,
        "gender": "F" if logged_in else None,
        "itemInSession": 0,
        "lastName": f"Last{user}" if logged_in else None,
        "length": 209.50159,
        "level": "free",
        "location": "Lansing, MI" if logged_in else None,
        "method": "PUT",
        "page": "NextSong",
        "registration": 1541033612796.0 if logged_in else None,
        "sessionId": 139,
        "song": "Supermassive Black Hole",
        "status": 200,
        "ts": ts,
        "userAgent": '"Mozilla/5.0 (X11; Linux x86_64)"' if logged_in else None,
        "userId": str(user),
        **fields,
    }


def page(time: str | int, user: int | str = 8, page: str = "Home", **fields: Any) -> dict[str, Any]:
    """An event of another page."""
    return event(time, user, page=page, artist=None, song=None, length=None, method="GET", **fields)


def song(song_id: str = "SO1", artist_id: str = "AR1", **fields: Any) -> dict[str, Any]:
    """A song that the default event plays."""
    return {
        "artist_id": artist_id,
        "artist_latitude": None,
        "artist_location": "",
        "artist_longitude": None,
        "artist_name": "Muse",
        "duration": 209.50159,
        "num_songs": 1,
        "song_id": song_id,
        "title": "Supermassive Black Hole",
        "year": 0,
        **fields,
    }


def log_files(events: Iterable[Mapping[str, Any]], prefix: str = "log_data") -> dict[str, bytes]:
    """Key to bytes of the daily files, without a newline at the end, as the app writes them."""
    days: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(events, key=lambda e: e["ts"]):
        day = datetime.fromtimestamp(one["ts"] / 1000, UTC)
        days.setdefault(f"{prefix}/{day:%Y/%m/%Y-%m-%d}-events.json", []).append(one)
    return {key: "\n".join(map(json.dumps, rows)).encode() for key, rows in days.items()}


def song_files(songs: Iterable[Mapping[str, Any]], prefix: str = "song_data") -> dict[str, bytes]:
    """Key to bytes of the song files, one object each."""
    return {f"{prefix}/A/B/C/TR{one['song_id']}.json": json.dumps(one).encode() for one in songs}
