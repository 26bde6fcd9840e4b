"""One JSON value into one column, as COPY converts it: the text of the field, or the load error.

Source: Amazon Redshift Database Developer Guide, "Data conversion parameters", "COPY from JSON format" and
"Load error reference".
"""

from __future__ import annotations

import datetime
import math
import re
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation

import msgspec

from local_redshift.catalog.columns import Column
from local_redshift.sql.copy_grammar import CopyCommand

NULL = b"null"

#: COPY's text format writes these characters as escapes.
ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
SPECIAL = re.compile(r"[\\\n\r\t\x00]")


class FieldError(Exception):
    """A value that its column cannot take."""

    def __init__(self, code: int, reason: str, value: str = ""):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.value = value


INTEGERS = {
    "int2": ("Short", -(2**15), 2**15 - 1),
    "int4": ("Integer", -(2**31), 2**31 - 1),
    "int8": ("Long", -(2**63), 2**63 - 1),
}
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
BOOLEANS = {
    **dict.fromkeys(("t", "true", "y", "yes", "1"), "t"),
    **dict.fromkeys(("f", "false", "n", "no", "0"), "f"),
}
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?", re.ASCII)
ZONE = r"(?:\s*(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?"
TIMESTAMP_AUTO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?" + ZONE + r")?",
    re.ASCII | re.IGNORECASE,
)
AUTO_FORMATS = (
    "%Y%m%d",
    "%Y%m%d %H%M%S",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%b %d, %Y %H:%M:%S",
)
EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_LIMIT = 253402300800  # the year 10000, in seconds

_decode_string = msgspec.json.Decoder(str).decode


def invalid_bytes(error: UnicodeDecodeError) -> str:
    return error.object[error.start : error.end].hex()


class Field:
    """Converts the raw JSON token of one column's value; `None` and `null` are NULL."""

    def __init__(self, column: Column, command: CopyCommand):
        self.column = column
        self.kind = column.kind
        self.command = command
        self.time_format = command.time_format
        method = f"_{self.kind}"
        if self.kind in INTEGERS:
            method = "_integer"
        elif self.kind in ("float4", "float8"):
            method = "_float"
        elif self.kind == "timestamptz":
            method = "_timestamp"
        #: The conversion of a value's text, neither blank nor NULL.
        self.convert_text = getattr(self, method, self._other)

    @property
    def is_text(self) -> bool:
        return self.kind in ("varchar", "char")

    def convert(self, token: bytes | None) -> str | None:
        """The field's text, not yet escaped, or None for NULL. Raises FieldError."""
        if token is None or token == NULL:
            return self.null()
        if self.is_text:
            return self.text(self._characters(token))
        value = self._characters(token).strip()
        return self.convert_text(value) if value else self.null()

    def null(self) -> str | None:
        if self.column.not_null:
            raise FieldError(1213, "Missing data for not-null field")
        return None

    def _characters(self, token: bytes) -> str:
        """What the token stands for: a string's characters, the text of anything else."""
        try:
            return _decode_string(token) if token[:1] == b'"' else token.decode()
        except UnicodeDecodeError as error:
            mark = self.command.accept_invalid_chars
            if mark is None or self.kind != "varchar":
                raise FieldError(
                    1220,
                    "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: "
                    f"{invalid_bytes(error)} (error 3)",
                    token.decode(errors="replace"),
                ) from error
            clean = replace_invalid(token, mark)
            return _decode_string(clean) if token[:1] == b'"' else clean.decode()

    def text(self, value: str) -> str | None:
        """A value of a VARCHAR or CHAR column."""
        if not value:
            return self.null() if self.command.empty_as_null else value
        if self.command.blanks_as_null and value.isspace():
            return self.null()
        if "\x00" in value:
            raise FieldError(
                1220,
                "String contains invalid or unsupported UTF-8 codepoints. "
                "Bad UTF-8 hex sequence: 00 (error 1)",
            )
        ascii_only = value.isascii()
        if self.kind == "char" and not ascii_only:
            character = next(c for c in value if not c.isascii())
            raise FieldError(
                1220,
                "Multibyte character not supported for CHAR (Hint: Try using  VARCHAR). Invalid char: "
                + character.encode().hex(" ").upper(),
                value,
            )
        length = self.column.length
        if (len(value) if ascii_only else len(value.encode())) > length:
            if not self.command.truncate_columns:
                kind = "String" if self.kind == "varchar" else "Char"
                raise FieldError(1204, f"{kind} length exceeds DDL length", value)
            value = value.encode()[:length].decode(errors="ignore")
        return value

    def _integer(self, value: str) -> str:
        name, low, high = INTEGERS[self.kind]
        if not INTEGER.fullmatch(value):
            raise self._invalid_digit(value, name)
        if len(value) > 20 or not low <= int(value) <= high:
            raise FieldError(1222, f"Integer overflow, Value '{value}', Type: {name}", value)
        return value

    def _invalid_digit(self, value: str, type_name: str) -> FieldError:
        allowed = "+-0123456789." if type_name == "Decimal" else "+-0123456789"
        position = next(
            (i for i, c in enumerate(value) if c not in allowed or (c in "+-" and i)), len(value) - 1
        )
        return FieldError(
            1207, f"Invalid digit, Value '{value[position]}', Pos {position}, Type: {type_name}", value
        )

    def _numeric(self, value: str) -> str:
        if not NUMBER.fullmatch(value):
            raise self._invalid_digit(value, "Decimal")
        precision, scale = self.column.precision
        try:
            number = Decimal(value)
            if number.adjusted() >= precision - scale and number:
                raise FieldError(1209, f"Numeric overflow, Value '{value[:40]}'", value)
            # COPY cuts the digits that do not fit (ROUNDEC would round); INSERT rounds.
            return format(number.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_DOWN, context=WIDE), "f")
        except InvalidOperation as error:
            raise FieldError(1209, f"Invalid numeric value '{value[:40]}'", value) from error

    def _float(self, value: str) -> str:
        if not NUMBER.fullmatch(value):
            raise FieldError(1208, f"Invalid value '{value[:40]}' for a floating point column", value)
        number = float(value)
        limit = 3.4028235e38 if self.kind == "float4" else math.inf
        tiny = 1.4e-45 if self.kind == "float4" else 0.0
        mantissa = value.lower().partition("e")[0]
        zero = not mantissa.strip("+-0.")
        if not abs(number) < limit * (1 + 1e-8) or (not zero and abs(number) <= tiny):
            raise FieldError(1208, f"Value '{value[:40]}' out of range for a floating point column", value)
        return value

    def _bool(self, value: str) -> str:
        try:
            return BOOLEANS[value.lower()]
        except KeyError:
            raise FieldError(1210, "Unknown boolean format", value) from None

    def _date(self, value: str) -> str:
        if len(value) < 10:
            raise FieldError(1205, "Invalid Date Format - length must be 10 or more", value)
        match = DATE.match(value)
        if match is None or not _valid_time(*match.groups()):
            raise FieldError(1205, "Invalid date format or value [YYYY-MM-DD]", value)
        return value[:10]

    def _timestamp(self, value: str) -> str:
        if self.time_format in ("epochsecs", "epochmillisecs"):
            return self._epoch(value, self.time_format)
        if self.time_format == "auto":
            match = TIMESTAMP_AUTO.fullmatch(value)
            if match is not None and _valid_time(*match.groups(default="0")):
                return value
            for layout in AUTO_FORMATS:
                try:
                    return datetime.datetime.strptime(value, layout).isoformat(" ")
                except ValueError:
                    continue
            raise self._invalid_timestamp("auto", value)
        match = TIMESTAMP.match(value)
        if match is None or not _valid_time(*match.groups()):
            raise self._invalid_timestamp("YYYY-MM-DD HH24:MI:SS", value)
        rest = value[match.end() :]
        if rest and not (self.kind == "timestamptz" and re.fullmatch(ZONE, rest)):
            raise self._invalid_timestamp("YYYY-MM-DD HH24:MI:SS", value)
        return value

    def _epoch(self, value: str, layout: str) -> str:
        unit = 1000 if layout == "epochmillisecs" else 1
        if not INTEGER.fullmatch(value) or len(value) > 17:
            raise self._invalid_timestamp(layout, value)
        number = int(value)
        if not -62135596800 <= number / unit < EPOCH_LIMIT:
            raise self._invalid_timestamp(layout, value)
        moment = EPOCH + datetime.timedelta(milliseconds=number * (1000 // unit))
        text = f"{moment:%Y-%m-%d %H:%M:%S}.{number % 1000:03d}" if unit == 1000 else moment.isoformat(" ")
        return f"{text}+00" if self.kind == "timestamptz" else text

    def _invalid_timestamp(self, layout: str, value: str) -> FieldError:
        return FieldError(1206, f"Invalid timestamp format or value [{layout}]", value)

    def _time(self, value: str) -> str:
        if not re.fullmatch(r"\d\d:\d\d:\d\d(\.\d{1,6})?", value):
            raise FieldError(1206, "Invalid time format or value [HH24:MI:SS]", value)
        return value

    _timetz = _time

    def _other(self, value: str) -> str:
        raise FieldError(1223, f"Data type {self.column.type_name} is not supported by COPY", value)


WIDE = Context(prec=80)


def _valid_time(
    year: str, month: str, day: str, hour: str = "0", minute: str = "0", second: str = "0"
) -> bool:
    try:
        datetime.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
    except ValueError:
        return False
    return True


def replace_invalid(data: bytes, mark: str) -> bytes:
    """Each byte that is not valid UTF-8 replaced by the mark (ACCEPTINVCHARS)."""
    parts = []
    while True:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            parts.append(data[: error.start])
            parts.append(mark.encode() * (error.end - error.start))
            data = data[error.end :]
        else:
            return b"".join([*parts, data])


def escape(value: str) -> str:
    """The value in COPY's text format."""
    return value.translate(ESCAPES) if SPECIAL.search(value) else value
