"""The grammar of COPY from Amazon S3: parsed into a CopyCommand, or refused as Redshift refuses it.

Source: Amazon Redshift Database Developer Guide, "COPY" and "COPY parameter reference".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from local_redshift.errors import RedshiftError, syntax_error
from local_redshift.sql.lexer import Token
from local_redshift.sql.names import dotted

#: Options of Redshift's that the stand-in knows and does not imitate.
NOT_IMITATED = frozenset(
    [
        "CSV",
        "DELIMITER",
        "FIXEDWIDTH",
        "AVRO",
        "PARQUET",
        "ORC",
        "SHAPEFILE",
        "LZOP",
        "ENCRYPTED",
        "MASTER_SYMMETRIC_KEY",
        "ACCEPTANYDATE",
        "DATEFORMAT",
        "ENCODING",
        "ESCAPE",
        "EXPLICIT_IDS",
        "FILLRECORD",
        "IGNOREBLANKLINES",
        "IGNOREHEADER",
        "NULL",
        "QUOTE",
        "REMOVEQUOTES",
        "ROUNDEC",
        "TRIMBLANKS",
        "COMPROWS",
        "IGNOREALLERRORS",
        "SSH",
        "READRATIO",
    ]
)
NOT_WITH_JSON = frozenset(
    [
        "CSV",
        "DELIMITER",
        "ESCAPE",
        "FILLRECORD",
        "FIXEDWIDTH",
        "IGNOREBLANKLINES",
        "NULL",
        "READRATIO",
        "REMOVEQUOTES",
        "AVRO",
        "PARQUET",
        "ORC",
        "SHAPEFILE",
    ]
)
TIME_FORMATS = ("auto", "epochsecs", "epochmillisecs")


@dataclass(frozen=True)
class Credentials:
    """Access keys of a COPY. `None` for the keys means the cluster's role (IAM_ROLE)."""

    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass
class CopyCommand:
    """A COPY … FROM 's3://…' … JSON statement."""

    table: tuple[str, ...]
    columns: list[str] | None
    source: str
    credentials: Credentials = field(default_factory=Credentials)
    #: `default`, an ARN or a chain of them: who reads S3 where there are no access keys.
    iam_role: str = "default"
    region: str | None = None
    #: 'auto', 'auto ignorecase', or the S3 address of a jsonpaths file.
    json: str = "auto"
    manifest: bool = False
    #: `GZIP`, `BZIP2`, `ZSTD`, or empty.
    compression: str = ""
    time_format: str | None = None
    max_error: int = 0
    truncate_columns: bool = False
    blanks_as_null: bool = False
    empty_as_null: bool = False
    accept_invalid_chars: str | None = None
    no_load: bool = False
    #: Whether statistics are made of the table afterwards; None for only where it was empty.
    stat_update: bool | None = None

    @property
    def table_sql(self) -> str:
        return dotted(self.table)

    @property
    def table_name(self) -> str:
        return self.table[-1]


def parse_copy(tokens: list[Token], case_sensitive: bool = False) -> CopyCommand:
    """The command that the tokens spell. Raises RedshiftError for anything else than COPY JSON from S3."""
    return _Parser(tokens, case_sensitive).parse()


class _Parser:
    def __init__(self, tokens: list[Token], case_sensitive: bool):
        self.tokens = tokens
        self.case_sensitive = case_sensitive
        self.position = 1
        self.seen: set[str] = set()
        self.authorization: str | None = None
        self.format: str | None = None

    # Reading tokens

    def peek(self) -> Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def key(self) -> str:
        token = self.peek()
        return token.key if token else ""

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise syntax_error("")
        self.position += 1
        return token

    def accept(self, *keys: str) -> bool:
        if self.key() in keys and self.key():
            self.position += 1
            return True
        return False

    def expect(self, key: str) -> None:
        token = self.peek()
        if token is None or token.key != key:
            raise syntax_error(token.text if token else "", hint=f"COPY expects {key} here.")
        self.position += 1

    def identifier(self) -> str:
        token = self.take()
        if token.kind not in ("word", "quoted", "hash"):
            raise syntax_error(token.text)
        keep = token.kind == "quoted" and self.case_sensitive
        return token.value if keep else token.value.lower()

    def string(self, what: str, hint: str = "") -> str:
        token = self.peek()
        if token is None or token.kind != "string":
            raise syntax_error(
                token.text if token else "", hint=hint or f"{what} takes a literal in single quotes."
            )
        self.position += 1
        return token.value

    # The statement

    def parse(self) -> CopyCommand:
        table = [self.identifier()]
        while self.accept("."):
            table.append(self.identifier())
        columns = self.columns() if self.key() == "(" else None
        if self.accept("TO"):
            raise syntax_error("TO", hint="Redshift has no COPY … TO; UNLOAD writes to S3.")
        self.expect("FROM")
        if self.key() in ("STDIN", "STDOUT"):
            raise syntax_error(self.take().text, hint="Redshift's COPY reads from S3, not from the client.")
        source = self.string("FROM")
        if not source.startswith("s3://"):
            raise RedshiftError(
                f"invalid COPY source '{source}'",
                sqlstate="0A000",
                hint="Local Redshift copies from 's3://bucket/prefix' only (not from EMR, DynamoDB or SSH).",
            )
        command = CopyCommand(tuple(table), columns, source)
        while self.peek() is not None:
            self.option(command)
        self.check(command)
        return command

    def columns(self) -> list[str]:
        self.expect("(")
        names = [self.identifier()]
        while self.accept(","):
            names.append(self.identifier())
        self.expect(")")
        for name in names:
            if names.count(name) > 1:
                raise RedshiftError(f'column "{name}" specified more than once', sqlstate="42701")
        return names

    def option(self, command: CopyCommand) -> None:
        token = self.take()
        name = token.key
        if name in ("FORMAT", "AS"):
            self.accept("AS")
            if self.key() not in (
                "JSON",
                "CSV",
                "AVRO",
                "PARQUET",
                "ORC",
                "FIXEDWIDTH",
                "SHAPEFILE",
                "DELIMITER",
            ):
                raise syntax_error(self.take().text)
            return
        if name == "WITH":
            if self.key() != "CREDENTIALS":
                raise syntax_error(self.take().text)
            return
        handler = OPTIONS.get(name)
        if handler is None:
            if name in NOT_IMITATED:
                if name in NOT_WITH_JSON and self.format == "JSON":
                    raise RedshiftError(f"{name} is not supported for COPY from JSON", sqlstate="0A000")
                if "JSON" in {t.key for t in self.tokens} and name in NOT_WITH_JSON:
                    raise RedshiftError(f"{name} is not supported for COPY from JSON", sqlstate="0A000")
                raise RedshiftError(
                    f"COPY option {name} is not supported",
                    sqlstate="0A000",
                    hint="Redshift has this option, but Local Redshift does not imitate it (see its README).",
                )
            raise syntax_error(token.text, hint="Redshift's COPY has no such option.")
        if name in self.seen:
            raise RedshiftError(f"conflicting or redundant options: {name}", sqlstate="42601")
        self.seen.add(name)
        handler(self, command)

    def check(self, command: CopyCommand) -> None:
        if self.authorization is None:
            raise RedshiftError(
                "COPY requires authorization to read from S3",
                sqlstate="42601",
                hint="Add IAM_ROLE default, IAM_ROLE 'arn:aws:iam::…:role/…', "
                "or ACCESS_KEY_ID … SECRET_ACCESS_KEY ….",
            )
        keys = command.credentials
        if self.authorization == "ACCESS_KEY_ID" and (keys.access_key is None or keys.secret_key is None):
            raise RedshiftError(
                "ACCESS_KEY_ID and SECRET_ACCESS_KEY must be given together", sqlstate="42601"
            )
        if self.authorization != "ACCESS_KEY_ID" and self.seen & {"SESSION_TOKEN", "TOKEN"}:
            raise RedshiftError(
                f"SESSION_TOKEN cannot be used with {self.authorization}",
                sqlstate="42601",
                hint="It goes with ACCESS_KEY_ID and SECRET_ACCESS_KEY; in CREDENTIALS, write token=….",
            )
        if self.format is None:
            raise RedshiftError(
                "COPY without a data format is not supported",
                sqlstate="0A000",
                hint="Redshift would read '|'-delimited text; Local Redshift reads JSON only: "
                "add JSON 'auto' or JSON 's3://bucket/jsonpaths.json'.",
            )

    def authorize(self, kind: str) -> None:
        if self.authorization not in (None, kind):
            raise RedshiftError(
                f"conflicting or redundant options: {self.authorization} and {kind}", sqlstate="42601"
            )
        self.authorization = kind


def _iam_role(parser: _Parser, command: CopyCommand) -> None:
    parser.authorize("IAM_ROLE")
    if parser.accept("DEFAULT"):
        return
    role = parser.string(
        "IAM_ROLE", hint="IAM_ROLE takes default (without quotes) or an ARN in single quotes."
    )
    check_role(role)
    command.iam_role = role


def check_role(role: str) -> None:
    """Raises RedshiftError for what is neither a role's ARN nor a chain of them."""
    arns = role.split(",")
    if not all(arn.startswith("arn:") and ":iam::" in arn and ":role/" in arn for arn in arns):
        raise RedshiftError(
            f"Invalid IAM role '{role}'",
            sqlstate="XX000",
            hint="Give the role's ARN, arn:aws:iam::<account>:role/<name>; "
            "several with commas and no spaces.",
        )


def _access_key(parser: _Parser, command: CopyCommand) -> None:
    parser.authorize("ACCESS_KEY_ID")
    command.credentials = _with(command.credentials, access_key=parser.string("ACCESS_KEY_ID"))


def _secret_key(parser: _Parser, command: CopyCommand) -> None:
    parser.authorize("ACCESS_KEY_ID")
    command.credentials = _with(command.credentials, secret_key=parser.string("SECRET_ACCESS_KEY"))


def _token(parser: _Parser, command: CopyCommand) -> None:
    command.credentials = _with(command.credentials, token=parser.string("SESSION_TOKEN"))


def _with(credentials: Credentials, **changes: str) -> Credentials:
    return Credentials(**{**vars(credentials), **changes})


def _credentials(parser: _Parser, command: CopyCommand) -> None:
    parser.authorize("CREDENTIALS")
    parser.accept("AS")
    text = parser.string("CREDENTIALS")
    pairs = dict(part.partition("=")[::2] for part in text.split(";"))
    if set(pairs) == {"aws_iam_role"}:
        check_role(pairs["aws_iam_role"])
        command.iam_role = pairs["aws_iam_role"]
        return
    if (
        not {"aws_access_key_id", "aws_secret_access_key"}
        <= set(pairs)
        <= {
            "aws_access_key_id",
            "aws_secret_access_key",
            "token",
        }
    ):
        raise RedshiftError(
            "Invalid credentials. Must be of the format: credentials 'aws_access_key_id=<access-key-id>;"
            "aws_secret_access_key=<secret-access-key>[;token=<temporary-session-token>]'",
        )
    command.credentials = Credentials(
        pairs["aws_access_key_id"], pairs["aws_secret_access_key"], pairs.get("token")
    )


def _region(parser: _Parser, command: CopyCommand) -> None:
    parser.accept("AS")
    command.region = parser.string("REGION")


def _json(parser: _Parser, command: CopyCommand) -> None:
    parser.format = "JSON"
    parser.accept("AS")
    token = parser.peek()
    if token is None or token.kind != "string":
        # The option may be left out: Redshift takes 'auto'.
        return
    value = parser.take().value
    if value == "noshred":
        raise RedshiftError(
            "JSON 'noshred' is not supported", sqlstate="0A000", hint="Local Redshift has no SUPER."
        )
    if value not in ("auto", "auto ignorecase") and not value.startswith("s3://"):
        raise RedshiftError(
            f"Invalid JSON option '{value}'",
            sqlstate="42601",
            hint="JSON takes 'auto', 'auto ignorecase' (in lower case) "
            "or the s3:// address of a jsonpaths file.",
        )
    command.json = value


def _time_format(parser: _Parser, command: CopyCommand) -> None:
    parser.accept("AS")
    value = parser.string(
        "TIMEFORMAT", hint="TIMEFORMAT takes 'auto', 'epochsecs' or 'epochmillisecs', in quotes."
    )
    if value not in TIME_FORMATS:
        raise RedshiftError(
            f"TIMEFORMAT '{value}' is not supported",
            sqlstate="0A000",
            hint="Local Redshift knows 'auto', 'epochsecs' and 'epochmillisecs' (in lower case), "
            "and the default 'YYYY-MM-DD HH:MI:SS'.",
        )
    command.time_format = value


def _max_error(parser: _Parser, command: CopyCommand) -> None:
    parser.accept("AS")
    token = parser.take()
    if token.kind != "number" or not token.text.isdigit():
        raise syntax_error(token.text, hint="MAXERROR takes a number from 0 to 100000.")
    command.max_error = int(token.text)
    if command.max_error > 100_000:
        raise RedshiftError("MAXERROR must be between 0 and 100000", sqlstate="22023")


def _accept_invalid_chars(parser: _Parser, command: CopyCommand) -> None:
    parser.accept("AS")
    token = parser.peek()
    value = "?"
    if token is not None and token.kind == "string":
        value = parser.take().value
    if len(value) != 1 or not value.isascii() or value == "\0":
        raise RedshiftError("ACCEPTINVCHARS takes one ASCII character", sqlstate="22023")
    command.accept_invalid_chars = value


def _switch(*words: str) -> Callable[[_Parser, CopyCommand], None]:
    """An option that is accepted and has no effect here."""

    def option(parser: _Parser, command: CopyCommand) -> None:
        parser.accept(*words)

    return option


def _stat_update(parser: _Parser, command: CopyCommand) -> None:
    command.stat_update = parser.key() not in ("OFF", "FALSE")
    parser.accept("ON", "OFF", "TRUE", "FALSE")


def _flag(name: str) -> Callable[[_Parser, CopyCommand], None]:
    def option(parser: _Parser, command: CopyCommand) -> None:
        setattr(command, name, True)

    return option


def _compression(name: str) -> Callable[[_Parser, CopyCommand], None]:
    def option(parser: _Parser, command: CopyCommand) -> None:
        if command.compression:
            raise RedshiftError("conflicting or redundant options: compression", sqlstate="42601")
        command.compression = name

    return option


OPTIONS: dict[str, Callable[[_Parser, CopyCommand], None]] = {
    "IAM_ROLE": _iam_role,
    "ACCESS_KEY_ID": _access_key,
    "SECRET_ACCESS_KEY": _secret_key,
    "SESSION_TOKEN": _token,
    "TOKEN": _token,
    "CREDENTIALS": _credentials,
    "REGION": _region,
    "JSON": _json,
    "MANIFEST": _flag("manifest"),
    "GZIP": _compression("GZIP"),
    "BZIP2": _compression("BZIP2"),
    "ZSTD": _compression("ZSTD"),
    "TIMEFORMAT": _time_format,
    "MAXERROR": _max_error,
    "TRUNCATECOLUMNS": _flag("truncate_columns"),
    "BLANKSASNULL": _flag("blanks_as_null"),
    "EMPTYASNULL": _flag("empty_as_null"),
    "ACCEPTINVCHARS": _accept_invalid_chars,
    "NOLOAD": _flag("no_load"),
    "COMPUPDATE": _switch("PRESET", "ON", "OFF", "TRUE", "FALSE"),
    "STATUPDATE": _stat_update,
}
