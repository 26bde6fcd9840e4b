"""Tokens of Redshift SQL with their places in the text, so that a rewriter can cut and paste.

String literals know backslash escapes, as on Redshift ('it\\'s'), and doubled quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_redshift.errors import RedshiftError

#: White space and comments, and the token behind them.
TOKEN = re.compile(
    r"""
    (?:\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*+
    (?:
      (?P<string>[eE]?'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    | (?P<parameter>\$\d+)
    | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*)
    | (?P<hash>\#[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<operator>::|\|\||<>|!=|<=|>=|->>|->|@>|<@|!~\*|!~|~\*|:=|=>)
    | (?P<symbol>.)
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    #: The upper-cased text of a word, the text of a symbol or operator, '' for strings and the like.
    key: str

    @property
    def value(self) -> str:
        """What a string literal or an identifier stands for."""
        if self.kind == "string":
            return unescape(self.text)
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        return self.text


ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def unescape(literal: str) -> str:
    body = literal[literal.index("'") + 1 : -1]
    if "\\" not in body:
        return body.replace("''", "'")
    return re.sub(
        r"\\(.)|''", lambda m: "'" if m[1] is None else ESCAPES.get(m[1], m[1]), body, flags=re.DOTALL
    )


def tokenize(sql: str) -> list[Token]:
    """The tokens of the text, without white space and comments."""
    tokens = []
    for match in TOKEN.finditer(sql):
        kind = match.lastgroup
        if kind is None:
            break
        text = match[kind]
        end = match.end()
        start = end - len(text)
        if kind == "word":
            key = text.upper()
        elif kind in ("symbol", "operator"):
            key = text
            if text in "'\"":
                what = "quoted string" if text == "'" else "quoted identifier"
                raise RedshiftError(
                    f'unterminated {what} at or near "{sql[start : start + 20]}"', sqlstate="42601"
                )
        else:
            key = ""
        tokens.append(Token(kind, text, start, end, key))
    return tokens


def split(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each statement; empty statements are left out."""
    statements: list[list[Token]] = [[]]
    for token in tokens:
        if token.key == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    return [statement for statement in statements if statement]
