"""The grammar of COPY: text in, the command or the refusal out."""

from __future__ import annotations

import pytest

from local_redshift.errors import RedshiftError
from local_redshift.sql.copy_grammar import CopyCommand, Credentials, parse_copy
from local_redshift.sql.lexer import tokenize

pytestmark = pytest.mark.unit

SOURCE = "s3://b/p"
ROLE = "IAM_ROLE default"
KEYS = "ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY 's'"
ARN = "arn:aws:iam::123456789012:role/load"


def parsed(text, case_sensitive=False):
    return parse_copy(tokenize(text), case_sensitive)


def command(table=("t",), columns=None, source=SOURCE, **options):
    return CopyCommand(table, columns, source, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("JSON 'auto' IAM_ROLE default", {}),
        ("iam_role DEFAULT json 'auto'", {}),
        ("FORMAT AS JSON 'auto' IAM_ROLE default", {}),
        ("format json as 'auto' IAM_ROLE default", {}),
        ("AS JSON 'auto' IAM_ROLE default", {}),
        ("IAM_ROLE default FORMAT JSON", {}),
        (f"{ROLE} JSON 'auto ignorecase'", {"json": "auto ignorecase"}),
        (f"JSON AS 's3://b/paths.json' {ROLE}", {"json": "s3://b/paths.json"}),
        (
            f"GZIP MANIFEST REGION AS 'eu-west-1' {ROLE} MAXERROR AS 5 JSON 'auto'",
            {"compression": "GZIP", "manifest": True, "region": "eu-west-1", "max_error": 5},
        ),
        (
            f"JSON 'auto' maxerror 100000 {ROLE} region 'x' gzip",
            {"compression": "GZIP", "region": "x", "max_error": 100000},
        ),
        (
            f"{ROLE} JSON 'auto' TRUNCATECOLUMNS BLANKSASNULL EMPTYASNULL NOLOAD",
            {"truncate_columns": True, "blanks_as_null": True, "empty_as_null": True, "no_load": True},
        ),
        (f"TIMEFORMAT 'auto' {ROLE} JSON 'auto'", {"time_format": "auto"}),
        (f"TIMEFORMAT AS 'epochsecs' {ROLE} JSON 'auto'", {"time_format": "epochsecs"}),
        (f"timeformat as 'epochmillisecs' {ROLE} JSON 'auto'", {"time_format": "epochmillisecs"}),
        (f"ACCEPTINVCHARS {ROLE} JSON 'auto'", {"accept_invalid_chars": "?"}),
        (f"ACCEPTINVCHARS AS '^' {ROLE} JSON 'auto'", {"accept_invalid_chars": "^"}),
        (f"COMPUPDATE PRESET STATUPDATE OFF {ROLE} JSON 'auto'", {"stat_update": False}),
        (f"COMPUPDATE STATUPDATE {ROLE} JSON 'auto'", {"stat_update": True}),
        (f"/* why */ {ROLE} -- how\n JSON 'auto'", {}),
    ],
)
def test_options_come_in_any_order_and_case(options, expected):
    assert parsed(f"COPY t FROM '{SOURCE}' {options}") == command(**expected)


@pytest.mark.parametrize(
    ("authorization", "credentials"),
    [
        ("IAM_ROLE default", Credentials()),
        (f"IAM_ROLE '{ARN}'", Credentials()),
        (f"IAM_ROLE '{ARN},{ARN}2'", Credentials()),
        ("ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY 's'", Credentials("k", "s")),
        ("SECRET_ACCESS_KEY 's' GZIP ACCESS_KEY_ID 'k'", Credentials("k", "s")),
        ("ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY 's' SESSION_TOKEN 't'", Credentials("k", "s", "t")),
        ("token 't' access_key_id 'k' secret_access_key 's'", Credentials("k", "s", "t")),
        (f"CREDENTIALS 'aws_iam_role={ARN}'", Credentials()),
        (f"WITH CREDENTIALS AS 'aws_iam_role={ARN}'", Credentials()),
        ("CREDENTIALS AS 'aws_access_key_id=k;aws_secret_access_key=s'", Credentials("k", "s")),
        (
            "with credentials 'aws_access_key_id=k;aws_secret_access_key=s=/+;token=t'",
            Credentials("k", "s=/+", "t"),
        ),
    ],
)
def test_forms_of_authorization(authorization, credentials):
    told = parsed(f"COPY t FROM '{SOURCE}' {authorization} JSON 'auto'").credentials
    assert told == credentials
    assert "s=/+" not in repr(told)


@pytest.mark.parametrize(
    ("authorization", "role"),
    [
        ("IAM_ROLE default", "default"),
        (f"IAM_ROLE '{ARN}'", ARN),
        (f"IAM_ROLE '{ARN},{ARN}2'", f"{ARN},{ARN}2"),
        (f"CREDENTIALS 'aws_iam_role={ARN}'", ARN),
    ],
)
def test_the_role_is_the_one_that_is_named(authorization, role):
    assert parsed(f"COPY t FROM '{SOURCE}' {authorization} JSON 'auto'").iam_role == role


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY T", command()),
        ('COPY "T"', command()),
        ("COPY S.T", command(("s", "t"))),
        ("COPY dev.s.t", command(("dev", "s", "t"))),
        ("COPY #T", command(("#t",))),
        ('COPY t (A, "firstName")', command(columns=["a", "firstname"])),
    ],
)
def test_names_fold_to_lower_case(text, expected):
    assert parsed(f"{text} FROM '{SOURCE}' {ROLE} JSON 'auto'") == expected


def test_quoted_names_keep_their_case_when_the_session_says_so():
    text = f"""COPY "S".T ("firstName", B) FROM '{SOURCE}' {ROLE} JSON 'auto'"""
    assert parsed(text, case_sensitive=True) == command(("S", "t"), ["firstName", "b"])


SYNTAX, UNSUPPORTED, RANGE, INTERNAL = "42601", "0A000", "22023", "XX000"
END = "syntax error at end of input"


@pytest.mark.parametrize(
    ("options", "sqlstate", "message"),
    [
        ("JSON 'auto'", SYNTAX, "COPY requires authorization to read from S3"),
        ("SESSION_TOKEN 't' JSON 'auto'", SYNTAX, "COPY requires authorization to read from S3"),
        ("IAM_ROLE JSON 'auto'", SYNTAX, 'syntax error at or near "JSON"'),
        ("IAM_ROLE", SYNTAX, END),
        ("IAM_ROLE 'default' JSON 'auto'", INTERNAL, "Invalid IAM role 'default'"),
        (f"IAM_ROLE '{ARN}, {ARN}' JSON 'auto'", INTERNAL, f"Invalid IAM role '{ARN}, {ARN}'"),
        ("CREDENTIALS 'aws_iam_role=x' JSON 'auto'", INTERNAL, "Invalid IAM role 'x'"),
        (
            "CREDENTIALS 'aws_access_key_id=k' JSON 'auto'",
            INTERNAL,
            "Invalid credentials. Must be of the format",
        ),
        (
            "CREDENTIALS 'AWS_ACCESS_KEY_ID=k;AWS_SECRET_ACCESS_KEY=s' JSON 'auto'",
            INTERNAL,
            "Invalid credentials. Must be of the format",
        ),
        (
            "CREDENTIALS 'aws_access_key_id=k; aws_secret_access_key=s' JSON 'auto'",
            INTERNAL,
            "Invalid credentials. Must be of the format",
        ),
        (
            "ACCESS_KEY_ID 'k' JSON 'auto'",
            SYNTAX,
            "ACCESS_KEY_ID and SECRET_ACCESS_KEY must be given together",
        ),
        (
            "SECRET_ACCESS_KEY 's' JSON 'auto'",
            SYNTAX,
            "ACCESS_KEY_ID and SECRET_ACCESS_KEY must be given together",
        ),
        (
            f"{ROLE} {KEYS} JSON 'auto'",
            SYNTAX,
            "conflicting or redundant options: IAM_ROLE and ACCESS_KEY_ID",
        ),
        (
            f"{KEYS} CREDENTIALS 'aws_iam_role={ARN}' JSON 'auto'",
            SYNTAX,
            "conflicting or redundant options: ACCESS_KEY_ID and CREDENTIALS",
        ),
        (f"{ROLE} SESSION_TOKEN 't' JSON 'auto'", SYNTAX, "SESSION_TOKEN cannot be used with IAM_ROLE"),
        (
            "CREDENTIALS 'aws_access_key_id=k;aws_secret_access_key=s' SESSION_TOKEN 't' JSON 'auto'",
            SYNTAX,
            "SESSION_TOKEN cannot be used with CREDENTIALS",
        ),
        (
            "TOKEN 't' CREDENTIALS 'aws_access_key_id=k;aws_secret_access_key=s' JSON 'auto'",
            SYNTAX,
            "SESSION_TOKEN cannot be used with CREDENTIALS",
        ),
        (f"{ROLE} WITH JSON 'auto'", SYNTAX, 'syntax error at or near "JSON"'),
        (f"{ROLE} {ROLE} JSON 'auto'", SYNTAX, "conflicting or redundant options: IAM_ROLE"),
        (f"{ROLE} JSON 'auto' GZIP gzip", SYNTAX, "conflicting or redundant options: GZIP"),
        (f"{ROLE} JSON 'auto' JSON 'auto'", SYNTAX, "conflicting or redundant options: JSON"),
        (f"{ROLE}", UNSUPPORTED, "COPY without a data format is not supported"),
        (f"{ROLE} JSON 'AUTO'", SYNTAX, "Invalid JSON option 'AUTO'"),
        (f"{ROLE} JSON 'noshred'", UNSUPPORTED, "JSON 'noshred' is not supported"),
        (f"{ROLE} JSON 'auto' CSV", UNSUPPORTED, "CSV is not supported for COPY from JSON"),
        (f"CSV {ROLE} JSON 'auto'", UNSUPPORTED, "CSV is not supported for COPY from JSON"),
        (f"{ROLE} JSON 'auto' DELIMITER ','", UNSUPPORTED, "DELIMITER is not supported for COPY from JSON"),
        (f"{ROLE} JSON 'auto' NULL AS 'x'", UNSUPPORTED, "NULL is not supported for COPY from JSON"),
        (f"{ROLE} JSON 'auto' FILLRECORD", UNSUPPORTED, "FILLRECORD is not supported for COPY from JSON"),
        (f"{ROLE} CSV", UNSUPPORTED, "COPY option CSV is not supported"),
        (f"{ROLE} FORMAT AS PARQUET", UNSUPPORTED, "COPY option PARQUET is not supported"),
        (f"{ROLE} JSON 'auto' IGNOREHEADER 1", UNSUPPORTED, "COPY option IGNOREHEADER is not supported"),
        (f"{ROLE} JSON 'auto' LZOP", UNSUPPORTED, "COPY option LZOP is not supported"),
        (f"{ROLE} FORMAT XML", SYNTAX, 'syntax error at or near "XML"'),
        (f"{ROLE} JSON 'auto' LIMIT 5", SYNTAX, 'syntax error at or near "LIMIT"'),
        (f"{ROLE} JSON 'auto', GZIP", SYNTAX, 'syntax error at or near ","'),
        (f"{ROLE} JSON 'auto' MAXERROR", SYNTAX, END),
        (f"{ROLE} JSON 'auto' MAXERROR 'x'", SYNTAX, "syntax error at or near \"'x'\""),
        (f"{ROLE} JSON 'auto' MAXERROR -1", SYNTAX, 'syntax error at or near "-"'),
        (f"{ROLE} JSON 'auto' MAXERROR 1.5", SYNTAX, 'syntax error at or near "1.5"'),
        (f"{ROLE} JSON 'auto' MAXERROR 100001", RANGE, "MAXERROR must be between 0 and 100000"),
        (f"{ROLE} JSON 'auto' ACCEPTINVCHARS 'xy'", RANGE, "ACCEPTINVCHARS takes one ASCII character"),
        (f"{ROLE} JSON 'auto' ACCEPTINVCHARS 'é'", RANGE, "ACCEPTINVCHARS takes one ASCII character"),
        (f"{ROLE} JSON 'auto' TIMEFORMAT auto", SYNTAX, 'syntax error at or near "auto"'),
        (f"{ROLE} JSON 'auto' TIMEFORMAT 'YYYY'", UNSUPPORTED, "TIMEFORMAT 'YYYY' is not supported"),
        (f"{ROLE} JSON 'auto' REGION us_west_2", SYNTAX, 'syntax error at or near "us_west_2"'),
    ],
)
def test_unknown_and_conflicting_options_are_refused(options, sqlstate, message):
    with pytest.raises(RedshiftError) as error:
        parsed(f"COPY t FROM '{SOURCE}' {options}")
    assert error.value.sqlstate == sqlstate
    assert error.value.text.startswith(message)


@pytest.mark.parametrize(
    ("text", "sqlstate", "message"),
    [
        ("COPY", SYNTAX, END),
        ("COPY t", SYNTAX, END),
        ("COPY 't' FROM", SYNTAX, "syntax error at or near \"'t'\""),
        ("COPY t TO 's3://b/p'", SYNTAX, 'syntax error at or near "TO"'),
        ("COPY t FROM STDIN", SYNTAX, 'syntax error at or near "STDIN"'),
        ("COPY t FROM $1", SYNTAX, 'syntax error at or near "$1"'),
        ("COPY t FROM 'dynamodb://t'", UNSUPPORTED, "invalid COPY source 'dynamodb://t'"),
        (f"COPY t () FROM '{SOURCE}'", SYNTAX, 'syntax error at or near ")"'),
        (f"COPY t (a b) FROM '{SOURCE}'", SYNTAX, 'syntax error at or near "b"'),
        (f"COPY t (a, A) FROM '{SOURCE}'", "42701", 'column "a" specified more than once'),
        (f"COPY t '{SOURCE}'", SYNTAX, f"syntax error at or near \"'{SOURCE}'\""),
    ],
)
def test_what_is_no_copy_from_s3_is_refused(text, sqlstate, message):
    with pytest.raises(RedshiftError) as error:
        parsed(text)
    assert error.value.sqlstate == sqlstate
    assert error.value.text.startswith(message)
