"""Text that the pipeline writes about data, made fit for a table and for people, whatever is in it."""

from __future__ import annotations

import re

BOM = "\ufeff"
#: What no table holds (NUL, surrogates, noncharacters) and what nobody sees: control characters but tab and
#: newline, marks of byte order and of writing direction, blanks of no width.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    "\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """The text with its hidden characters written out, as `\\u0000`."""
    return HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def fit(text: str, size: int, length: int | None = None) -> str:
    """The text as a VARCHAR of a size in bytes takes it: visible, and cut at a character's edge.

    A text that is cut ends with how long it was: `… (600 bytes)`.

    :param size: bytes of UTF-8, at least 32.
    :param length: the bytes of which `text` is the beginning; by default it is whole.
    """
    # A character has at least one byte: more of them than this do not fit, whatever they are.
    shown = visible(text[: size + 1]).encode()
    length = len(text.encode(errors="surrogatepass")) if length is None else length
    if len(shown) <= size and length <= size:
        return shown.decode()
    note = f"… ({length:,} bytes)".encode()
    return shown[: size - len(note)].decode(errors="ignore") + note.decode()
