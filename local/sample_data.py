"""Invented event logs and an invented song catalogue, in the layout and with the oddities of real ones.

The same `SampleSpec` gives the same bytes; with another end, the same events on other days. All names are
made up from word lists. What real logs have, and these have too: files that end without a newline;
logged-out events with an empty userId and nulls; users whose level changes, where the submitting event
still carries the old level; user agents with literal double quotes and commas; accented names decoded twice
with the wrong charset (in the logs only); artists under several spellings and places; JSON numbers where
strings are expected; year 0 for unknown; songs of one title and artist with several durations; and mostly
plays of songs the catalogue lacks.

The sample goes on after its end: a day's file then grows from hour to hour, a few sessions come hours late,
and every third file is rewritten the day after. What a file holds at any hour follows from the spec.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, count
from random import Random
from typing import Any, TypeVar

Item = TypeVar("Item")


def _words(text: str, separator: str | None = None) -> list[str]:
    return text.split(separator)


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
# Where ts counts from.
EPOCH = date(1970, 1, 1)

ADJECTIVES = _words(
    "Amber Borrowed Brass Clumsy Copper Crooked Distant Electric Faded Feral Gentle Gilded Hollow Idle "
    "Indigo Jolly Lunar Midnight Nervous Paper Patient Polite Quiet Reluctant Restless Rusty Salted Second "
    "Silver Sleepy Stubborn Sunday Tangled Tiny Unlikely Velvet Wandering Wooden"
)
NOUNS = _words(
    "Accordion Anchor Attic Badger Balcony Beehive Bicycle Biscuit Canary Carousel Comet Compass Cricket "
    "Dandelion Ferry Firefly Gravel Harbor Heron Kettle Lantern Lighthouse Marmalade Meadow Mitten Orchard "
    "Otter Pancake Parade Pendulum Pepper Pigeon Postcard Puddle Radiator Satellite Staircase Teapot "
    "Thimble Toaster Tugboat Umbrella Walnut Windmill"
)
FIRST_NAMES = {
    "F": _words(
        "Ada Beatriz Carmen Dalia Edith Farah Greta Hana Ines Jolene Kira Leila Maren Nadia Odette Petra "
        "Rosa Sadie Tova Una Vera Wanda Yara Zelda"
    ),
    "M": _words(
        "Abel Boris Cyrus Dario Emil Felix Gus Hugo Ivo Jasper Kofi Lars Milo Nico Otis Pablo Quentin Rafael "
        "Stellan Tomas Viktor Wendell Yusuf Zeno"
    ),
}
LAST_NAMES = _words(
    "Abernathy Bellweather Castellan Dunmore Eastlake Fairbairn Goldfinch Hathersage Inkpen Juniper "
    "Kettering Lockridge Merriweather Nightingale Okafor Pemberton Quill Ravenscroft Silverman "
    "Thistlewood Underhill Vandermeer Whitlock Yarrow"
)
LOCATIONS = _words(
    "Atlanta-Sandy Springs-Roswell, GA|Birmingham-Hoover, AL|Chicago-Naperville-Elgin, IL-IN-WI|"
    "Eugene, OR|Harrisburg-Carlisle, PA|Janesville-Beloit, WI|Lansing-East Lansing, MI|Lubbock, TX|"
    "Marinette, WI-MI|New York-Newark-Jersey City, NY-NJ-PA|Portland-South Portland, ME|Red Bluff, CA|"
    "Sacramento--Roseville--Arden-Arcade, CA|San Francisco-Oakland-Hayward, CA|"
    "Tampa-St. Petersburg-Clearwater, FL|Waterloo-Cedar Falls, IA",
    "|",
)
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
USER_AGENTS = (
    f'"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) {_WEBKIT} Chrome/36.0.1985.143 Safari/537.36"',
    f'"Mozilla/5.0 (Windows NT 6.1; WOW64) {_WEBKIT} Chrome/36.0.1985.125 Safari/537.36"',
    f'"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/37.0.2062.94 Safari/537.36"',
    f'"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) {_WEBKIT} Version/7.0 Safari/9537.53"',
    "Mozilla/5.0 (Windows NT 5.1; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.9; rv:31.0) Gecko/20100101 Firefox/31.0",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; WOW64; Trident/5.0)",
)
# Location, latitude, longitude, as a song file has them: the first is a string, a number or null.
Place = tuple[str | int | None, float | None, float | None]
ARTIST_PLACES: Sequence[Place] = (
    ("Lisbon, Portugal", 38.72225, -9.13934),
    ("Göteborg, Sweden", 57.70887, 11.97456),
    ("Halifax, Nova Scotia", 44.64862, -63.5859),
    ("Kyoto, Japan", 35.01157, 135.76803),
    ("Leeds, England", 53.80076, -1.54917),
    ("Tucson, AZ", 32.22155, -110.96976),
    ("Valparaíso, Chile", -33.04587, -71.61967),
    ("Wellington, New Zealand", -41.28664, 174.77557),
)

# Events an hour of the day, UTC: the listeners live in North America.
HOURS = (19, 20, 16, 13, 16, 21, 23, 22, 25, 31, 36, 39, 37, 42, 50, 58, 63, 57, 58, 43, 40, 33, 25, 22)

# Every so many days, the last of the sample among them, a file lacks a location until it is written anew.
REWRITTEN_DAYS, REWRITTEN_AFTER = 3, 30 * HOUR

# Page, method, status, whether logged in.
Page = tuple[str, str, int, bool]
PLAY: Page = ("NextSong", "PUT", 200, True)
# Pages other than NextSong that a logged-in user opens now and then: (page, method, status, weight).
BROWSING = (
    ("Home", "GET", 200, 60),
    ("Settings", "GET", 200, 6),
    ("Save Settings", "PUT", 307, 2),
    ("Help", "GET", 200, 4),
    ("About", "GET", 200, 3),
    ("Error", "GET", 404, 2),
)


@dataclass(frozen=True)
class SampleSpec:
    """The last day of the sample, UTC, and its size. `events_per_day` is an average; the total is exact.

    Weekends are days like others, so that no count depends on the weekday of the end.
    """

    end: date
    days: int = 30
    users: int = 100
    songs: int = 300
    events_per_day: int = 250
    seed: int = 2018

    def __post_init__(self) -> None:
        for name, least in (("days", 1), ("users", 1), ("songs", 1), ("events_per_day", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}.")
        if self.end.toordinal() - self.days < EPOCH.toordinal():
            raise ValueError(f"days is {self.days}: the sample would begin before 1970.")

    @property
    def start_time(self) -> datetime:
        """Where the first day begins."""
        return self.end_time - self.days * DAY

    @property
    def end_time(self) -> datetime:
        """Where the last day ends."""
        return datetime.combine(self.end, time(), UTC) + DAY


@dataclass(eq=False)
class Song:
    """A track as the app plays it; only catalogue songs have ids and a file."""

    title: str
    artist_name: str
    duration: float
    artist: Artist
    place: Place = ("", None, None)
    year: int = 0
    song_id: str = ""
    track_id: str = ""


@dataclass(eq=False)
class Artist:
    artist_id: str
    name: str
    place: Place


@dataclass(eq=False)
class User:
    user_id: str
    first_name: str
    last_name: str
    gender: str
    level: str
    location: str
    registration: float
    user_agent: str
    # The days, counted from the first, on which this user submits a change of level.
    level_changes: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Session:
    user: User
    session_id: int
    start_ms: int
    songs: list[Song]


# An event, the hour's end since which the log file has it, and until when: with None, for good.
Entry = tuple[dict[str, Any], datetime, datetime | None]


@dataclass(frozen=True)
class Line:
    """An entry as it is written."""

    text: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class LogFile:
    """The log file of a UTC day in the course of time; `lines` are in the order of their events."""

    day: datetime
    lines: Sequence[Line]

    @property
    def key(self) -> str:
        return f"log_data/{self.day:%Y/%m/%Y-%m-%d}-events.json"

    def content(self, at: datetime) -> bytes:
        """What the file holds when the hours up to `at` are over."""
        return "\n".join(
            line.text for line in self.lines if line.since <= at and (line.until is None or at < line.until)
        ).encode()

    def versions(self, at: datetime) -> Iterator[bytes]:
        """What the file has held at the end of each hour up to `at`."""
        changes = {self.day + HOUR} | {moment for line in self.lines for moment in (line.since, line.until)}
        return (self.content(moment) for moment in changes if moment is not None and moment <= at)


class Sample:
    """The sample of a spec: the files of its catalogue, and its log files."""

    def __init__(self, spec: SampleSpec):
        self.spec = spec
        random = Random(spec.seed)
        self._catalogue = _catalogue(random, spec.songs)
        self._to_come = self._each_day(random)
        self._log_files: list[LogFile] = []

    def song_files(self) -> Iterator[tuple[str, bytes]]:
        """Key and content of each song: `song_data/A/B/C/TRABC….json`."""
        for song in self._catalogue:
            folders = "/".join(song.track_id[2:5])
            yield f"song_data/{folders}/{song.track_id}.json", _song_file(song)

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Key and content of every object: the songs, then the log files as they are at the sample's end."""
        end = self.spec.end_time
        yield from self.song_files()
        yield from ((file.key, file.content(end)) for file in self.log_files(end))

    def log_files(self, until: datetime) -> list[LogFile]:
        """The files of the days that begin before `until`, in order, also of those after the sample's end."""
        while self.spec.start_time + len(self._log_files) * DAY < until:
            self._log_files.append(next(self._to_come))
        return [file for file in self._log_files if file.day < until]

    def _each_day(self, random: Random) -> Iterator[LogFile]:
        spec = self.spec
        elsewhere = _songs_elsewhere(random, self._catalogue)
        users = _users(random, spec)
        planned = _events_a_day(random, spec)
        next_session = 1
        for number in count():
            day = spec.start_time + number * DAY
            events = planned[number] if number < spec.days else round(spec.events_per_day * _busyness(random))
            sessions = _sessions(random, users, self._catalogue, elsewhere, day, events, next_session)
            next_session += len(sessions)
            entries: list[Entry] = [
                (event, _end_of_hour(event["ts"]), None)
                for session in sessions
                for event in _session_events(random, session, _pages(random, session, number))
            ]
            since_last = number - (spec.days - 1)
            if since_last >= 0:
                if since_last % REWRITTEN_DAYS == 0:
                    entries = _corrected(entries, sessions, day + REWRITTEN_AFTER)
                late = _late_sessions(random, users, elsewhere, day, sessions, next_session)
                next_session += len(late)
                entries += [
                    (event, since, None)
                    for session, since in late
                    if since > spec.end_time
                    for event in _session_events(random, session, [PLAY] * len(session.songs))
                ]
            entries.sort(key=lambda entry: [entry[0][key] for key in ("ts", "sessionId", "itemInSession")])
            yield LogFile(
                day, [Line(_json(event, ascii_only=False), since, until) for event, since, until in entries]
            )


def _events_a_day(random: Random, spec: SampleSpec) -> list[int]:
    """Split the exact total over the days."""
    weights = [_busyness(random) for _ in range(spec.days)]
    total = spec.days * spec.events_per_day
    bounds = [round(total * part / sum(weights)) for part in accumulate(weights)]
    return [high - low for low, high in zip([0, *bounds[:-1]], bounds, strict=True)]


def _busyness(random: Random) -> float:
    """A day's events against those of an average day."""
    return 0.6 + 0.8 * random.random()


def _catalogue(random: Random, count: int) -> list[Song]:
    """Compose `count` songs, most popular first, and give a fixed share of them each oddity."""
    artists = _artists(random, max(1, round(count / 1.6)), taken=set())
    popularity = _zipf(len(artists))
    track_ids: set[str] = set()
    songs: list[Song] = []
    for number in range(count):
        # Every artist has one song, the popular ones more.
        artist = artists[number] if number < len(artists) else _pick(random, artists, popularity)
        songs.append(
            Song(
                title=_title(random),
                artist_name=artist.name,
                duration=_duration(random),
                artist=artist,
                place=artist.place,
                year=0 if random.random() < 0.35 else 1965 + int(random.random() * 53),
                song_id=f"SO{_code(random, LETTERS, 5)}12A{_code(random, HEX, 8)}",
                track_id=_unique(
                    lambda: f"TR{_code(random, LETTERS, 5)}128F{_code(random, HEX, 7)}", track_ids
                ),
            )
        )
    _sprinkle_oddities(random, songs)
    _shuffle(random, songs)
    return _plain_names_first(songs)


def _sprinkle_oddities(random: Random, songs: list[Song]) -> None:
    """Give one song in fifty or so each oddity, and at least one where there are songs enough."""
    several = [song for song in songs if any(o.artist is song.artist for o in songs if o is not song)]
    for song in _some(random, several, 0.08):
        other = songs[int(random.random() * len(songs))].artist.name
        song.artist_name = f"{song.artist.name} feat. {other}"
    for song in _some(random, several, 0.02):
        song.artist_name = song.artist.name.removeprefix("The ").upper()
    for song in _some(random, several, 0.02):
        song.place = ("Reykjavík, Iceland", 64.14548, -21.94231)
    # Two or three recordings of one title by one artist: other durations, and once the very same.
    for index, song in enumerate(_some(random, several, 0.04)):
        twins = [o for o in songs if o.artist is song.artist and o is not song]
        for step, twin in enumerate(twins[:2], 1):
            twin.title, twin.artist_name = song.title, song.artist_name
            twin.duration = song.duration if index == 0 else round(song.duration + 7.5 * step, 5)
    numbered = _some(random, songs, 0.015)
    for index, song in enumerate(numbered):
        song.title = "4.6" if index == 0 else str(1 + int(random.random() * 2000))
    single = [song for song in songs if song not in several]
    for index, song in enumerate(_some(random, single, 0.01)):
        song.artist.name = song.artist_name = str(79 + index)
    for index, song in enumerate(_some(random, single, 0.02)):
        song.place = (None if index == 0 else 100 + index, None, None)


def _artists(random: Random, count: int, taken: set[str]) -> list[Artist]:
    ids: set[str] = set()
    artists = []
    for number in range(count):
        name = _unique(lambda: _artist_name(random), taken)
        if number % 25 == 7:
            name = _accented(name)
        artists.append(
            Artist(
                artist_id=_unique(lambda: f"AR{_code(random, ALNUM, 5)}1187B{_code(random, HEX, 6)}", ids),
                name=name,
                place=_place(random),
            )
        )
    return artists


def _place(random: Random) -> Place:
    if random.random() < 0.45:
        return "", None, None
    name, latitude, longitude = ARTIST_PLACES[int(random.random() * len(ARTIST_PLACES))]
    return (name, latitude, longitude) if random.random() < 0.6 else (name, None, None)


def _songs_elsewhere(random: Random, catalogue: list[Song]) -> list[Song]:
    """Songs that the app plays and the catalogue lacks: three for each that it holds, most popular first."""
    known = list({song.artist.artist_id: song.artist for song in catalogue}.values())
    unknown = _artists(random, 2 * len(known), taken={artist.name for artist in known})
    artists = known + unknown
    return _plain_names_first(
        [
            Song(_title(random), artist.name, _duration(random), artist)
            for artist in (artists[int(random.random() * len(artists))] for _ in range(3 * len(catalogue)))
        ]
    )


def _plain_names_first(songs: list[Song]) -> list[Song]:
    """Keep the names that the logs garble out of the hit list; they stay further down."""
    return sorted(songs, key=lambda song: not song.artist_name.isascii())


def _users(random: Random, spec: SampleSpec) -> list[User]:
    """Compose the users, most active first. One in twelve changes level; the first of them changes back."""
    users = []
    for number in range(spec.users):
        gender = "F" if random.random() < 0.6 else "M"
        days_before = 1 + random.random() * 120
        users.append(
            User(
                user_id=str(2 + number),
                first_name=FIRST_NAMES[gender][int(random.random() * len(FIRST_NAMES[gender]))],
                last_name=LAST_NAMES[int(random.random() * len(LAST_NAMES))],
                gender=gender,
                level="paid" if random.random() < 0.25 else "free",
                location=LOCATIONS[int(random.random() * len(LOCATIONS))],
                registration=float(_milliseconds(spec.start_time) - int(days_before * DAY_MS)),
                user_agent=USER_AGENTS[int(random.random() * len(USER_AGENTS))],
            )
        )
    active = users[: max(1, len(users) // 3)]
    for index, user in enumerate(_some(random, active, 0.25)):
        user.level_changes = [int(random.random() * spec.days * 0.7)]
        user.level = "paid" if index == 1 else "free"
        if index == 0:
            user.level_changes.append(user.level_changes[0] + 1)
    shuffled = list(users)
    _shuffle(random, shuffled)
    for number, user in enumerate(shuffled):
        user.user_id = str(2 + number)
    return users


def _sessions(
    random: Random,
    users: list[User],
    catalogue: list[Song],
    elsewhere: list[Song],
    day: datetime,
    events: int,
    first_id: int,
) -> list[Session]:
    """Plan a day's sessions, in order of their start: none crosses midnight, none overlaps its user's others.

    Every event is planned as a song; the ones that become another page last no longer than it.
    """
    activity, in_catalogue, not_in_catalogue = _zipf(len(users)), _zipf(len(catalogue)), _zipf(len(elsewhere))
    hours = list(accumulate(HOURS))
    day_ms = _milliseconds(day)
    spans: dict[str, list[tuple[int, int]]] = {}
    planned = []
    while events:
        length = min(events, 1 + int(random.expovariate(1 / 9)), 90)
        user = _pick(random, users, activity)
        songs = [
            _pick(random, catalogue, in_catalogue)
            if random.random() < 0.4
            else _pick(random, elsewhere, not_in_catalogue)
            for _ in range(length)
        ]
        duration = sum(_gap_ms(song) for song in songs)
        latest = DAY_MS - duration - 1
        hour = _pick(random, range(24), hours)
        start = min(hour * HOUR_MS + int(random.random() * HOUR_MS), latest)
        end = start + duration
        taken = spans.setdefault(user.user_id, [])
        if any(start <= other_end and other_start <= end for other_start, other_end in taken):
            # A busy user: let a shorter session find its place, or another user have it.
            if random.random() < 0.5 or length == 1:
                continue
            songs, length = songs[:1], 1
            end = start + _gap_ms(songs[0])
            if any(start <= other_end and other_start <= end for other_start, other_end in taken):
                continue
        taken.append((start, end))
        planned.append((day_ms + start, user, songs))
        events -= length
    planned.sort(key=lambda plan: (plan[0], int(plan[1].user_id)))
    return [
        Session(user, first_id + index, start, songs) for index, (start, user, songs) in enumerate(planned)
    ]


def _late_sessions(
    random: Random,
    users: list[User],
    songs: list[Song],
    day: datetime,
    sessions: list[Session],
    first_id: int,
) -> list[tuple[Session, datetime]]:
    """Plays of phones that were offline, and when they are written; their users did nothing else that day."""
    active = {session.user.user_id for session in sessions}
    idle = [user for user in users if user.user_id not in active]
    popularity = _zipf(len(songs))
    early, noon, evening = (
        first + int(random.random() * span) for first, span in ((0, 20), (4, 16), (18, 5))
    )
    # In hours of the day: some come the same day, some in the first hour of the next one, some later in it.
    times = ((early, early + 3), (evening, 25), (noon, 26 + int(random.random() * 21)))
    late: list[tuple[Session, datetime]] = []
    for start, since in times[: len(idle)]:
        user = idle.pop(int(random.random() * len(idle)))
        start_ms = _milliseconds(day + start * HOUR) + int(random.random() * HOUR_MS)
        plays = [_pick(random, songs, popularity) for _ in range(1 + int(random.random() * 3))]
        late.append((Session(user, first_id + len(late), start_ms, plays), day + since * HOUR))
    return late


def _corrected(entries: list[Entry], sessions: list[Session], at: datetime) -> list[Entry]:
    """The entries, of which those of the longest session have no location before `at`."""
    longest = max(sessions, key=lambda session: len(session.songs), default=None)
    result: list[Entry] = []
    for event, since, until in entries:
        if longest and event["sessionId"] == longest.session_id and event["location"]:
            result.append(({**event, "location": None}, since, at))
            since = at
        result.append((event, since, until))
    return result


def _session_events(random: Random, session: Session, pages: list[Page]) -> Iterator[dict[str, Any]]:
    """Write one session out, following the level of its user from page to page."""
    user = session.user
    now = session.start_ms
    for item, (song, (page, method, status, logged_in)) in enumerate(zip(session.songs, pages, strict=True)):
        yield _event(random, session, item, now, song, page, method, status, logged_in)
        if page == "Submit Upgrade":
            user.level = "paid"
        elif page == "Submit Downgrade":
            user.level = "free"
        now += _gap_ms(song) if page == "NextSong" else 1_000 + int(random.random() * 40_000)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _end_of_hour(ts: int) -> datetime:
    return datetime.fromtimestamp(ts // HOUR_MS * 3600, UTC) + HOUR


def _pages(random: Random, session: Session, day: int) -> list[Page]:
    """Choose what the user does with the session's events."""
    user, count = session.user, len(session.songs)
    home = ("Home", "GET", 200, True)
    pages: list[Page] = []
    if count > 2 and random.random() < 0.12:
        pages += [("Home", "GET", 200, False)] if random.random() < 0.5 else []
        pages += [("Login", "PUT", 307, False), home]
    elif random.random() < 0.25:
        pages += [home] if random.random() < 0.8 else [("Home", "GET", 200, False)]
    if user.level_changes and user.level_changes[0] <= day and count >= len(pages) + 4:
        user.level_changes.pop(0)
        change = "Upgrade" if user.level == "free" else "Downgrade"
        pages += [PLAY, (change, "GET", 200, True), (f"Submit {change}", "PUT", 307, True), home]
    while len(pages) < count:
        chance = random.random()
        if chance < 0.07:
            page, method, status, _ = _pick(random, BROWSING, list(accumulate(b[3] for b in BROWSING)))
            pages.append((page, method, status, True))
        elif chance < 0.085:
            pages.append(("Downgrade" if user.level == "paid" else "Upgrade", "GET", 200, True))
        else:
            pages.append(PLAY)
    if count > 4 and random.random() < 0.15 and all(page[0] == "NextSong" for page in pages[-2:]):
        page = "Help" if random.random() < 0.2 else "Home"
        pages[-2:] = [("Logout", "PUT", 307, True), (page, "GET", 200, False)]
    return pages[:count]


def _event(
    random: Random,
    session: Session,
    item: int,
    now: int,
    song: Song,
    page: str,
    method: str,
    status: int,
    logged_in: bool,
) -> dict[str, Any]:
    user = session.user
    plays = page == "NextSong"
    length = song.duration
    if plays and random.random() < 0.02:
        length = round(length + random.random() - 0.5, 5)  # another pressing of the same recording
    return {
        "artist": _misdecoded(song.artist_name) if plays else None,
        "auth": "Logged In" if logged_in else "Logged Out",
        "firstName": user.first_name if logged_in else None,
        "gender": user.gender if logged_in else None,
        "itemInSession": item,
        "lastName": user.last_name if logged_in else None,
        "length": length if plays else None,
        "level": user.level,
        "location": user.location if logged_in else None,
        "method": method,
        "page": page,
        "registration": user.registration if logged_in else None,
        "sessionId": session.session_id,
        "song": _misdecoded(song.title) if plays else None,
        "status": status,
        "ts": now,
        "userAgent": user.user_agent if logged_in else None,
        "userId": user.user_id if logged_in else "",
    }


def _song_file(song: Song) -> bytes:
    place, latitude, longitude = song.place
    return _json(
        {
            "artist_id": song.artist.artist_id,
            "artist_latitude": latitude,
            "artist_location": place,
            "artist_longitude": longitude,
            "artist_name": _number_if_numeric(song.artist_name),
            "duration": song.duration,
            "num_songs": 1,
            "song_id": song.song_id,
            "title": _number_if_numeric(song.title),
            "year": song.year,
        },
        ascii_only=True,
    ).encode()


def _json(record: dict[str, Any], *, ascii_only: bool) -> str:
    text = json.dumps(record, ensure_ascii=ascii_only, separators=(",", ":"))
    return text.replace("/", "\\/")  # as the app's encoder writes it; a slash stands in strings only


def _number_if_numeric(text: str) -> str | int | float:
    try:
        return int(text)
    except ValueError:
        return float(text) if text.replace(".", "", 1).isdecimal() else text


def _misdecoded(text: str) -> str:
    """What the app logs for accented text: UTF-8 read as Latin-1, twice."""
    return text.encode().decode("latin-1").encode().decode("latin-1")


def _accented(name: str) -> str:
    return name.translate(str.maketrans("oea", "öéå"))


def _artist_name(random: Random) -> str:
    adjective, noun = _word(random, ADJECTIVES), _word(random, NOUNS)
    style = int(random.random() * 5)
    if style == 0:
        return f"The {adjective} {noun}s"
    if style == 1:
        gender = "F" if random.random() < 0.5 else "M"
        return f"{_word(random, FIRST_NAMES[gender])} {_word(random, LAST_NAMES)}"
    if style == 2:
        return f"{noun} & {_word(random, NOUNS)}"
    if style == 3:
        return f"{adjective} {noun}"
    return f"{_word(random, LAST_NAMES)}'s {adjective} {noun}"


def _title(random: Random) -> str:
    adjective, noun = _word(random, ADJECTIVES), _word(random, NOUNS)
    style = int(random.random() * 6)
    if style == 0:
        return f"Letters to a {adjective} {noun}"
    if style == 1:
        return f"{adjective} {noun} (Album Version)"
    if style == 2:
        return f"The {noun} Song"
    if style == 3:
        return f"My {noun}, Your {_word(random, NOUNS)}"
    if style == 4:
        return f"{adjective} in the {noun}"
    return f"{adjective} {noun} Blues"


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = "0123456789ABCDEF"
ALNUM = LETTERS + "0123456789"


def _code(random: Random, alphabet: str, length: int) -> str:
    return "".join(alphabet[int(random.random() * len(alphabet))] for _ in range(length))


def _word(random: Random, words: Sequence[str]) -> str:
    return words[int(random.random() * len(words))]


def _duration(random: Random) -> float:
    """Seconds with five decimals: four minutes, give or take."""
    return round(60 + random.betavariate(4, 8) * 540, 5)


def _gap_ms(song: Song) -> int:
    """A song plays to its end; no other page is looked at for longer than the shortest song."""
    return max(60_000, int(song.duration * 1000))


def _zipf(count: int) -> list[float]:
    """Cumulative weights in which the nth of `count` comes up 1/n as often, softened at the top."""
    return list(accumulate(1 / (rank + 3) for rank in range(count)))


def _pick(random: Random, items: Sequence[Item], cumulative: Sequence[float]) -> Item:
    return random.choices(items, cum_weights=cumulative)[0]


def _some(random: Random, items: Sequence[Item], share: float) -> list[Item]:
    """Choose a share of the items at random, at least two where there are as many."""
    chosen = list(items)
    _shuffle(random, chosen)
    return chosen[: min(len(chosen), max(2, round(len(items) * share)))]


def _shuffle(random: Random, items: list[Item]) -> None:
    """Fisher-Yates on `random()`: `Random.shuffle` may differ between versions of Python."""
    for last in range(len(items) - 1, 0, -1):
        other = int(random.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


def _unique(make: Callable[[], str], taken: set[str]) -> str:
    """Make values until one is new; with a number at its end where the words have run out."""
    for _ in range(50):
        value = make()
        if value not in taken:
            taken.add(value)
            return value
    value = f"{value} {len(taken)}"
    taken.add(value)
    return value
