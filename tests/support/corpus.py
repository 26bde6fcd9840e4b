"""Bad input: one case a kind, each a line of bytes between good rows of a daily log file.

docs/quality.md is tested against it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.support.source import event, page

DAY = date(2018, 11, 1)
MILLISECOND = timedelta(milliseconds=1)
PLAY = event(f"{DAY} 10:00", sessionId=1)
HOME = page(f"{DAY} 11:00", sessionId=1, itemInSession=1)
NOON = event(f"{DAY} 12:00")["ts"]


def line(**fields: Any) -> bytes:
    """A play at noon with other fields."""
    return json.dumps(event(f"{DAY} 12:00", sessionId=2) | fields).encode()


def without(*keys: str) -> bytes:
    row = event(f"{DAY} 12:00", sessionId=2)
    return json.dumps({key: value for key, value in row.items() if key not in keys}).encode()


@dataclass(frozen=True)
class BadInput:
    """What stands between a play and a Home event, and what has to come of it beside these two.

    :param rule: what the documentation says of it.
    :param bad: the bytes.
    :param column: of each rejected row, as in `sparkify.rejected_rows`; its error code and reason too.
    :param torn: COPY takes what follows for a part of the bad row: the window is not published.
    :param alone: the bytes are the whole file.
    :param of_no_day: the row is too far from its file's time, so its file is known only where there is one.
    """

    name: str
    rule: str
    bad: bytes
    plays: int = 0
    duplicates: int = 0
    other_pages: int = 0
    rejected: int = 0
    column: str = ""
    code: int | None = None
    reason: str = ""
    torn: bool = False
    alone: bool = False
    of_no_day: bool = False

    def body(self, day: date = DAY) -> bytes:
        """The file of that day."""
        body = self.bad
        if not self.alone:
            body = b"\n".join([json.dumps(PLAY).encode(), self.bad, json.dumps(HOME).encode()])
        for ts in (PLAY["ts"], HOME["ts"], NOON):
            body = body.replace(b"%d" % ts, b"%d" % (ts + (day - DAY) // MILLISECOND))
        return body

    @property
    def good(self) -> tuple[int, int]:
        """The plays and the other pages that are good rows of the file."""
        return (0, 0) if self.alone else (1, 1)

    @property
    def bad_line(self) -> int:
        return (1 if self.alone else 2) + self.bad.count(b"\n")


def refused(name: str, rule: str, bad: bytes, column: str, code: int, reason: str) -> BadInput:
    """A row that COPY refuses."""
    return BadInput(name, rule, bad, rejected=1, column=column, code=code, reason=reason)


def taken_out(name: str, rule: str, bad: bytes, column: str, reason: str) -> BadInput:
    """A row that COPY takes and reject.sql takes out again."""
    of_no_day = reason == "too far"
    return BadInput(name, rule, bad, rejected=1, column=column, reason=reason, of_no_day=of_no_day)


REFUSED = "rejected by COPY"
TAKEN_OUT = "rejected by the model"
LOADED_WITHOUT = "loaded without it; warns keys_are_known"
WRONG_TYPES = [
    refused("wrong type: " + key, REFUSED, line(**{key: value}), column, code, "")
    for key, value, column, code in [
        ("itemInSession", "many", "item_in_session", 1207),
        ("length", "long", "length", 1208),
        ("registration", "yesterday", "registration", 1208),
        ("sessionId", "many", "session_id", 1207),
        ("status", "OK", "status", 1207),
        ("ts", "noon", "ts", 1206),
        ("userId", "Ava", "user_id", 1207),
    ]
]

CASES = [
    BadInput(
        "truncated JSON in the middle of a file",
        "COPY reads the rest of the file as part of the torn row: the window is not published",
        line()[:200],
        torn=True,
    ),
    BadInput(
        "truncated JSON at the end of a file",
        REFUSED,
        json.dumps(PLAY).encode() + b"\n" + line()[:200],
        plays=1,
        rejected=1,
        code=1216,
        reason="Invalid value",
        alone=True,
    ),
    BadInput(
        "a JSON array of rows, or an object around them",
        "COPY sees none of the rows in it: the window is not published",
        b'{"Records": [' + line() + b"]}",
        torn=True,
    ),
    refused("a JSON array of other values", REFUSED, b"[1, 2]", "", 1216, "Member is not an object"),
    refused("text that is not JSON", REFUSED, b"12:00 play", "", 1216, "Invalid value"),
    BadInput("two objects on one line", "both are loaded", line() + line(sessionId=3), plays=2),
    BadInput(
        "an object over several lines", "loaded", json.dumps(json.loads(line()), indent=1).encode(), plays=1
    ),
    refused(
        "an object over 4 MB", REFUSED, line(extra="x" * 4 * 1024 * 1024), "", 1216, "exceeds the maximum"
    ),
    refused("invalid UTF-8", REFUSED, line(song="SONG").replace(b"SONG", b"\xa4ong"), "song", 1220, "UTF-8"),
    refused("a NUL character", REFUSED, line(song="a\0b"), "song", 1220, ""),
    refused("a NUL byte", REFUSED, line(song="SONG").replace(b"SONG", b"a\0b"), "", 1216, ""),
    BadInput(
        "a byte order mark at the file's head",
        "rejected by COPY as a row of its own; the reason names the BOM",
        b"\xef\xbb\xbf" + line(),
        plays=1,
        rejected=1,
        code=1216,
        reason="byte order mark \\(BOM\\)",
        alone=True,
    ),
    BadInput(
        "a carriage return within a line",
        "loaded; does not end the line",
        line().replace(b", ", b",\r", 1),
        plays=1,
    ),
    BadInput(
        "lines that end with CR and LF", "loaded", line() + b"\r\n" + line(sessionId=3) + b"\r", plays=2
    ),
    refused(
        "a value longer than its column in bytes",
        REFUSED,
        json.dumps(json.loads(line(song="é" * 513)), ensure_ascii=False).encode(),
        "song",
        1204,
        "String length exceeds DDL length",
    ),
    *WRONG_TYPES,
    BadInput("a missing key", "loaded as NULL; warns known_keys_are_there", without("song"), plays=1),
    BadInput("an unknown key", LOADED_WITHOUT, line(mood="happy"), plays=1),
    BadInput(
        "an unknown key with a number of 10,000 digits",
        LOADED_WITHOUT,
        line(mood="MOOD").replace(b'"MOOD"', b"9" * 10_000),
        plays=1,
    ),
    *[
        BadInput("an unknown key " + name, LOADED_WITHOUT + how, line(**{key: "happy"}), plays=1)
        for name, key, how in [
            ("with a NUL", "mood\0", ", which writes it as `\\u0000`"),
            ("with a byte order mark", "\ufeffmood", ", which writes it as `\\ufeff`"),
            ("of 600 bytes", "é" * 300, ", which shows its beginning and its length"),
        ]
    ],
    refused(
        "an unknown key with half a surrogate pair",
        REFUSED,
        line(**{"mood\ud800": "happy"}),
        "",
        1220,
        "UTF-8",
    ),
    BadInput(
        "more than 100 unknown keys",
        "loaded without them; warns keys_are_known, which lists 100 and counts the others",
        line(**{f"mood{number}": "happy" for number in range(120)}),
        plays=1,
    ),
    BadInput(
        "a key that occurs twice in an object",
        "loaded with one of its values; warns keys_are_known",
        line().replace(b'"song": ', b'"song": "Another", "song": '),
        plays=1,
    ),
    BadInput("a null value", "loaded as NULL", line(song=None), plays=1),
    refused("ts is null", REFUSED, line(ts=None), "ts", 1213, "Missing data for not-null field"),
    refused("page is missing", REFUSED, without("page"), "page", 1213, "Missing data for not-null field"),
    BadInput(
        "an empty file",
        "nothing to load; warns logs_hold_events if the window has no other events, unless that is usual",
        b"",
        alone=True,
    ),
    BadInput("a file of blank lines", "nothing to load, like an empty file", b"\n \n\n", alone=True),
    BadInput(
        "the same play twice", "counts once; warns plays_stand_once", json.dumps(PLAY).encode(), duplicates=1
    ),
    BadInput(
        "two plays with the same key that differ",
        "one of them is loaded, by a fixed rule; warns events_of_a_play_agree",
        json.dumps(PLAY | {"song": "Another"}).encode(),
        duplicates=1,
    ),
    BadInput("a text that is empty or blank", "loaded as NULL", line(song="", artist=" "), plays=1),
    taken_out("an event long before its file", TAKEN_OUT, line(ts=NOON - 40 * 86_400_000), "ts", "too far"),
    taken_out("an event after its file", TAKEN_OUT, line(ts=NOON + 2 * 86_400_000), "ts", "too far"),
    taken_out("ts is 0", TAKEN_OUT, line(ts=0), "ts", "too far"),
    taken_out("ts is negative", TAKEN_OUT, line(ts=-1), "ts", "too far"),
    taken_out("a play without userId", TAKEN_OUT, line(userId=""), "userId", "without userId"),
    taken_out("a play without sessionId", TAKEN_OUT, line(sessionId=None), "sessionId", "without sessionId"),
    taken_out(
        "a play without itemInSession", TAKEN_OUT, line(itemInSession=None), "itemInSession", "without item"
    ),
    BadInput(
        "a logged-in event of another page without userId",
        "counts as another page, without a user; warns users_of_logged_in_events_are_known",
        line(page="Settings", userId=""),
        other_pages=1,
    ),
    *[
        taken_out("NextSong " + how, TAKEN_OUT, line(page=value), "page", "but for case or blanks")
        for how, value in [("in another case", "nextSong"), ("with blanks around it", "NextSong ")]
    ],
    BadInput(
        "an unknown page",
        "counts as another page; warns pages_are_known",
        line(page="Thumbs Up"),
        other_pages=1,
    ),
    BadInput("an unknown auth", "loaded; warns auths_are_known", line(auth="Guest"), plays=1),
    BadInput("an unknown gender", "loaded; warns genders_are_known", line(gender="X"), plays=1),
    BadInput("an unknown method", "loaded; warns methods_are_known", line(method="POST"), plays=1),
    BadInput(
        "an event of another page without level",
        "counts as another page, and says nothing about its user; warns known_users_have_a_level",
        line(page="Settings", level=None),
        other_pages=1,
    ),
    BadInput(
        "a logged-out event with a userId",
        "counts as another page, and says nothing about its user",
        line(page="Home", auth="Logged Out"),
        other_pages=1,
    ),
    taken_out("an unknown level", TAKEN_OUT, line(level="gold"), "level", "neither free nor paid"),
    taken_out("a play without level", TAKEN_OUT, line(level=None), "level", "neither free nor paid"),
]
