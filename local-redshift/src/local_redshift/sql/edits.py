"""Edits on a statement's text, token by token; what is not edited stays as it was written."""

from __future__ import annotations

from collections.abc import Container, Iterator

from local_redshift.sql.lexer import Token

OPENING = {"(": ")", "[": "]"}


class Edits:
    """The tokens of one statement with a replacement text for each."""

    def __init__(self, sql: str, tokens: list[Token]):
        self.sql = sql
        self.tokens = tokens
        self.texts = [token.text for token in tokens]
        self._keys = [token.key for token in tokens]
        self.partner = _partners(self._keys)

    def __len__(self) -> int:
        return len(self.tokens)

    def key(self, index: int) -> str:
        """The token's key, or '' beyond the ends."""
        return self._keys[index] if 0 <= index < len(self._keys) else ""

    def keys(self, start: int, *expected: str) -> bool:
        return all(self.key(start + offset) == key for offset, key in enumerate(expected))

    def places(self, keys: Container[str]) -> list[int]:
        """The indexes of the tokens with one of these keys."""
        return [index for index, key in enumerate(self._keys) if key in keys]

    def render(self, start: int = 0, end: int | None = None) -> str:
        """The edited text of the tokens from `start` to before `end`."""
        tokens, texts = self.tokens, self.texts
        end = len(tokens) if end is None else end
        if start >= end:
            return ""
        parts: list[str] = []
        done = tokens[start].start
        for index in range(start, end):
            token = tokens[index]
            if texts[index] is not token.text:
                parts += self.sql[done : token.start], texts[index]
                done = token.end
        return "".join([*parts, self.sql[done : tokens[end - 1].end]])

    def remove(self, start: int, end: int) -> None:
        for index in range(start, end):
            self.texts[index] = ""

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """The token ranges between the commas of the parenthesis at `opening`."""
        closing = self.partner[opening]
        ranges = []
        start = index = opening + 1
        while index < closing:
            if self.tokens[index].key == ",":
                ranges.append((start, index))
                start = index + 1
            index = self.partner.get(index, index) + 1
        if start < closing or ranges:
            ranges.append((start, closing))
        return ranges

    def top_level(self, start: int, end: int) -> Iterator[int]:
        """The indexes from `start` to before `end` that lie in no parenthesis."""
        index = start
        while index < end:
            yield index
            index = self.partner.get(index, index) + 1

    def fold_quoted_identifiers(self) -> None:
        if '"' not in self.sql:
            return
        for index, token in enumerate(self.tokens):
            if token.kind == "quoted":
                self.texts[index] = token.text.lower()

    def identifier(self, index: int) -> str:
        """The name that the token stands for, folded as PostgreSQL will see it."""
        text = self.texts[index]
        return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def _partners(keys: list[str]) -> dict[int, int]:
    """For each opening bracket the index of its closing one."""
    partners = {}
    stack: list[int] = []
    for index, key in enumerate(keys):
        if key in OPENING:
            stack.append(index)
        elif key in (")", "]") and stack:
            partners[stack.pop()] = index
    for index in stack:
        partners[index] = len(keys)
    return partners
