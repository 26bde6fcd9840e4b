"""COPY from S3, through the real driver: what is loaded, what is refused, and what the system tables tell."""

from __future__ import annotations

import bz2
import datetime
import gzip
import json
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from redshift_connector.error import ProgrammingError

from local_redshift.copy.source import zstd
from wire import BUCKET

pytestmark = pytest.mark.integration

ROLE = "IAM_ROLE default"
PATHS = json.dumps({"jsonpaths": ["$['a']", "$['b']"]})


@dataclass
class Case:
    """Files in, rows out; `{p}` in the options is the prefix's address."""

    name: str
    columns: str
    files: dict[str, str | bytes]
    expected: list[tuple]
    options: str = "JSON 'auto'"
    source: str = "data/"
    into: str = ""
    marks: list = field(default_factory=list)


AB = "a INT, b VARCHAR(10)"

LOADS = [
    Case(
        "auto_matches_lower_case_keys",
        AB,
        {"data/1": '{"a": 1, "b": "x"}\n{"b": "y", "A": 2}'},
        [(1, "x"), (None, "y")],
    ),
    Case(
        "auto_ignorecase_matches_any_case",
        AB,
        {"data/1": '{"A": 1, "B": "x"}{"a":2}'},
        [(1, "x"), (2, None)],
        "JSON 'auto ignorecase'",
    ),
    Case("json_alone_is_auto", AB, {"data/1": '{"a":1}'}, [(1, None)], "FORMAT AS JSON"),
    Case(
        "jsonpaths_map_by_position",
        AB,
        {"data/1": '{"A1": 1, "B": {"c": ["x", "y"]}}', "paths": '{"jsonpaths": ["$.A1", "$.B.c[1]"]}'},
        [(1, "y")],
        "JSON '{p}/paths'",
    ),
    Case(
        "jsonpaths_of_root_arrays",
        AB,
        {"data/1": '[1, "x"]\n[2, "y"]', "paths": '{"jsonpaths": ["$[0]", "$[1]"]}'},
        [(1, "x"), (2, "y")],
        "JSON '{p}/paths'",
    ),
    Case(
        "another_key_than_jsonpaths_falls_back_to_auto",
        AB,
        {"data/1": '{"a": 1, "X": 2}', "paths": '{"jsonPaths": ["$.X", "$.X"]}'},
        [(1, None)],
        "JSON '{p}/paths'",
    ),
    Case(
        "column_list_leaves_the_others_to_their_defaults",
        "a INT DEFAULT 7, b VARCHAR(10), c INT DEFAULT 8",
        {"data/1": '{"a": 1, "b": "x", "c": 2}\n{"b": "y"}'},
        [(7, "x", 2), (7, "y", None)],
        into="(b, c)",
    ),
    Case(
        "identity_is_generated_and_not_counted",
        "id INT IDENTITY(0,1), a INT, b VARCHAR(10)",
        {"data/1": '{"a": 1}\n{"id": 9, "a": 2}', "paths": PATHS},
        [(0, 1, None), (1, 2, None)],
        "JSON '{p}/paths'",
    ),
    Case(
        "prefix_matches_byte_by_byte",
        AB,
        {
            "data/1": '{"a":1}',
            "data/10": '{"a":10}',
            "data/1/2": '{"a":12}',
            "data/2": '{"a":2}',
            "data1": '{"a":0}',
        },
        [(1, None), (10, None)],
        source="data/1",
        marks=[
            pytest.mark.xfail(strict=True, reason="rclone keeps no key under another key", raises=Exception)
        ],
    ),
    Case(
        "prefix_is_no_folder",
        AB,
        {
            "data/1": '{"a":1}',
            "data/10/x": '{"a":10}',
            "data/2": '{"a":2}',
            "dat": '{"a":0}',
            "data.json": '{"a":5}',
        },
        [(1, None), (2, None), (5, None), (10, None)],
        source="data",
    ),
    Case(
        "objects_may_be_glued_or_span_lines",
        AB,
        {"data/1": '{"a":1}{"a":2}\n\n {"a":\n3,\n"b":"}{"}\r\n\t{"a":4}'},
        [(1, None), (2, None), (3, "}{"), (4, None)],
    ),
    Case(
        "files_without_a_last_newline_do_not_run_together",
        AB,
        {"data/1": '{"a":1}', "data/2": '{"a":2}\n', "data/3": '{"a":3}', "data/4": ""},
        [(1, None), (2, None), (3, None)],
    ),
    Case(
        "values_keep_their_text_in_varchar",
        "b VARCHAR(40)",
        {
            "data/1": '{"b": 4.60}\n{"b": 1e3}\n{"b": true}\n{"b": {"x": [1, "\\u00e9"]}}\n{"b": ""}\n{"b": "  "}\n'  # noqa: E501
            '{"b": "a\\tb\\nc\\\\d\\"e\\/f"}\n{"b": "\\\\N"}\n{"b": null}\n{}'
        },
        [
            ("4.60",),
            ("1e3",),
            ("true",),
            ('{"x": [1, "\\u00e9"]}',),
            ("",),
            ("  ",),
            ('a\tb\nc\\d"e/f',),
            ("\\N",),
            (None,),
            (None,),
        ],
    ),
    Case(
        "strings_become_numbers_and_blank_ones_null",
        "a INT, d DECIMAL(8,2), f FLOAT8, o BOOLEAN, t DATE",
        {
            "data/1": '{"a":"12","d":"3.999","f":"1.5","o":"true","t":"2018-11-01"}\n'
            '{"a":"","d":" ","f":"","o":"","t":""}\n{"a":-7,"d":-3.999,"f":2,"o":false,"t":null}'
        },
        [
            (12, Decimal("3.99"), 1.5, True, datetime.date(2018, 11, 1)),
            (None, None, None, None, None),
            (-7, Decimal("-3.99"), 2.0, False, None),
        ],
    ),
    Case(
        "numeric_without_scale_drops_fractions",
        "d NUMERIC",
        {"data/1": '{"d": 12.99}'},
        [(Decimal(12),)],
    ),
    Case(
        "emptyasnull_and_blanksasnull",
        "a VARCHAR(5), b CHAR(3)",
        {"data/1": '{"a":"","b":""}\n{"a":"  ","b":"x"}'},
        [(None, None), (None, "x  ")],
        "JSON 'auto' EMPTYASNULL BLANKSASNULL",
    ),
    Case(
        "truncatecolumns_cuts_bytes_between_characters",
        "a VARCHAR(4), b CHAR(2)",
        {"data/1": '{"a":"abcdef","b":"xyz"}\n{"a":"aéüé","b":"x"}'},
        [("abcd", "xy"), ("aé", "x ")],
        "JSON 'auto' TRUNCATECOLUMNS",
    ),
    Case(
        "acceptinvchars_replaces_byte_for_byte",
        "a VARCHAR(9)",
        {"data/1": b'{"a":"x\xa4\xffy"}\n{"a":"\xc3\xa9"}'},
        [("x^^y",), ("é",)],
        "JSON 'auto' ACCEPTINVCHARS '^'",
    ),
    Case(
        "default_timestamps",
        "a TIMESTAMP, b BIGINT",
        {"data/1": '{"a":"2018-11-01 20:57:10.796","b":1541105830796}'},
        [(datetime.datetime(2018, 11, 1, 20, 57, 10, 796000), 1541105830796)],
    ),
    Case(
        "timeformat_auto_reads_iso",
        "a TIMESTAMP",
        {"data/1": '{"a":"2018-11-01T20:57:10.796Z"}{"a":"2018-11-01"}{"a":"20181101 205710"}{"a":null}'},
        [
            (datetime.datetime(2018, 11, 1, 20, 57, 10, 796000),),
            (datetime.datetime(2018, 11, 1),),
            (datetime.datetime(2018, 11, 1, 20, 57, 10),),
            (None,),
        ],
        "JSON 'auto' TIMEFORMAT 'auto'",
    ),
    Case(
        "timeformat_epochmillisecs_leaves_bigint_alone",
        "a TIMESTAMP, b BIGINT",
        {"data/1": '{"a":1541105830796,"b":1541105830796}\n{"a":"-1","b":2}'},
        [
            (datetime.datetime(2018, 11, 1, 20, 57, 10, 796000), 1541105830796),
            (datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), 2),
        ],
        "JSON AS 'auto' TIMEFORMAT AS 'epochmillisecs'",
    ),
    Case(
        "timeformat_epochsecs",
        "a TIMESTAMP",
        {"data/1": '{"a":1541105830}'},
        [(datetime.datetime(2018, 11, 1, 20, 57, 10),)],
        "JSON 'auto' TIMEFORMAT 'epochsecs'",
    ),
    Case(
        "gzip_with_several_members",
        AB,
        {"data/1.gz": gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"a":2}')},
        [(1, None), (2, None)],
        "GZIP JSON 'auto'",
    ),
    Case(
        "bzip2_with_several_members",
        AB,
        {"data/1.bz2": bz2.compress(b'{"a":1}\n') + bz2.compress(b'{"a":2}')},
        [(1, None), (2, None)],
        "BZIP2 JSON 'auto'",
    ),
    Case(
        "zstd_with_several_frames",
        AB,
        {"data/1.zst": zstd.compress(b'{"a":1}\n') + zstd.compress(b'{"a":2}')},
        [(1, None), (2, None)],
        "ZSTD JSON 'auto'",
    ),
    Case(
        "manifest_names_exact_keys_and_may_repeat_them",
        AB,
        {
            "data/1": '{"a":1}',
            "data/10": '{"a":10}',
            "manifest": json.dumps(
                {
                    "entries": [
                        {
                            "url": f"s3://{BUCKET}/{{name}}/data/1",
                            "mandatory": True,
                            "meta": {"content_length": 7},
                        },
                        {"url": f"s3://{BUCKET}/{{name}}/data/1"},
                        {"url": f"s3://{BUCKET}/{{name}}/data/absent", "mandatory": False},
                    ]
                }
            ),
        },
        [(1, None), (1, None)],
        "MANIFEST JSON 'auto'",
        "manifest",
    ),
    Case(
        "options_without_effect",
        AB,
        {"data/1": '{"a":1}'},
        [(1, None)],
        "COMPUPDATE OFF STATUPDATE ON JSON AS 'auto' REGION AS 'us-west-2' MAXERROR AS 5",
    ),
    Case(
        "maxerror_skips_bad_rows",
        AB,
        {"data/1": '{"a":1}\n{"a":"x"}\n{"a":3}'},
        [(1, None), (3, None)],
        "JSON 'auto' MAXERROR 2",
    ),
    Case("noload_loads_nothing", AB, {"data/1": '{"a":1}'}, [], "JSON 'auto' NOLOAD"),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=case.marks) for case in LOADS])
def test_loads(case, run, table, prefix):
    prefix.put(
        {k: v.replace("{name}", prefix.name) if isinstance(v, str) else v for k, v in case.files.items()}
    )
    run(f"CREATE TABLE {table} ({case.columns})")
    run(
        f"COPY {table} {case.into} FROM '{prefix.address}/{case.source}' {ROLE} {case.options.format(p=prefix.address)}"  # noqa: E501
    )
    rows = run(f"SELECT * FROM {table}")
    key = lambda row: [(value is None, str(value)) for value in row]  # noqa: E731
    assert sorted(rows, key=key) == sorted(case.expected, key=key)


@dataclass
class BadRow:
    """A line that one column cannot take, and what stl_load_errors says of it."""

    name: str
    columns: str
    line: str | bytes
    code: int
    reason: str
    column: str = "a"
    options: str = "JSON 'auto'"


BAD_ROWS = [
    BadRow(
        "float_into_bigint",
        "a BIGINT",
        '{"a":1541105830796.0}',
        1207,
        "Invalid digit, Value '.', Pos 13, Type: Long",
    ),
    BadRow("float_into_int", "a INT", '{"a":12.5}', 1207, "Invalid digit, Value '.', Pos 2, Type: Integer"),
    BadRow("word_into_int", "a INT", '{"a":"x1"}', 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer"),
    BadRow("too_big_for_int", "a INT", '{"a":2147483648}', 1222, "Integer overflow"),
    BadRow("too_long", "a VARCHAR(3)", '{"a":"éé"}', 1204, "String length exceeds DDL length"),
    BadRow("too_long_char", "a CHAR(1)", '{"a":"xy"}', 1204, "Char length exceeds DDL length"),
    BadRow(
        "multibyte_char",
        "a CHAR(4)",
        '{"a":"é"}',
        1220,
        "Multibyte character not supported for CHAR (Hint: Try us",
    ),
    BadRow(
        "invalid_utf8",
        "a VARCHAR(9)",
        b'{"a":"x\xa4"}',
        1220,
        "String contains invalid or unsupported UTF-8 codepoints. Bad UTF-8 hex sequence: a4 (error 3)",
    ),
    BadRow("null_into_not_null", "a INT NOT NULL", '{"b":1}', 1213, "Missing data for not-null field"),
    BadRow("blank_into_not_null", "a INT NOT NULL", '{"a":""}', 1213, "Missing data for not-null field"),
    BadRow(
        "iso_without_auto",
        "a TIMESTAMP",
        '{"a":"2018-11-01T20:57:10Z"}',
        1206,
        "Invalid timestamp format or value [YYYY",
    ),
    BadRow(
        "epoch_without_format",
        "a TIMESTAMP",
        '{"a":1541105830796}',
        1206,
        "Invalid timestamp format or value",
    ),
    BadRow(
        "epoch_under_auto",
        "a TIMESTAMP",
        '{"a":1541105830796}',
        1206,
        "Invalid timestamp format or value [auto]",
        options="JSON 'auto' TIMEFORMAT 'auto'",
    ),
    BadRow("no_such_day", "a DATE", '{"a":"2018-02-30"}', 1205, "Invalid date format or value"),
    BadRow("boolean", "a BOOLEAN", '{"a":"maybe"}', 1210, "Unknown boolean format"),
    BadRow("float", "a FLOAT8", '{"a":"1_0"}', 1208, "Invalid value '1_0'"),
    BadRow("decimal_overflow", "a DECIMAL(4,2)", '{"a":100}', 1209, "Numeric overflow"),
    BadRow("not_json", "a INT", '{"a" 1}', 1216, "Invalid value.", column=""),
    BadRow(
        "root_array", "a INT", "[1]", 1216, "Invalid JSONPath format: Member is not an object.", column=""
    ),
]


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.name) for bad in BAD_ROWS])
def test_bad_row_fails_the_load_and_is_told(bad, run, table, prefix):
    line = bad.line if isinstance(bad.line, bytes) else bad.line.encode()
    prefix.put(
        {"data/1": b'{"a":null,"b":\n1}\n' + line if "NOT NULL" not in bad.columns else b"\n\n" + line}
    )
    run(f"CREATE TABLE {table} ({bad.columns})")
    with pytest.raises(ProgrammingError) as error:
        run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} {bad.options}")
    assert error.value.args[0]["C"] == "XX000"
    assert error.value.args[0]["M"] == (
        f"Load into table '{table}' failed.  Check 'stl_load_errors' system table for details."
    )
    told = run(
        f"""SELECT err_code, btrim(err_reason), btrim(colname), btrim(filename), line_number, btrim(raw_line)
        FROM stl_load_errors WHERE filename LIKE '%{prefix.name}/%'"""
    )
    assert len(told) == 1
    code, reason, column, filename, line_number, raw_line = told[0]
    assert (code, column) == (bad.code, bad.column)
    assert reason.startswith(bad.reason[:100])
    assert (filename, line_number) == (f"{prefix.address}/data/1", 3)
    assert raw_line == line.decode(errors="replace")
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


@dataclass
class Refusal:
    """A COPY that ends before it loads."""

    name: str
    message: str
    options: str = "JSON 'auto'"
    source: str = "data/"
    authorization: str = ROLE
    files: dict = field(default_factory=dict)
    detail: str = ""
    columns: str = AB


REFUSALS = [
    Refusal(
        "empty_prefix",
        "The specified S3 prefix '{name}/absent' does not exist",
        source="absent",
        detail="code:      8001",
    ),
    Refusal(
        "missing_manifest",
        "Problem reading manifest file - S3ServiceException:The specified key does not exist.,Status 404",
        "MANIFEST JSON 'auto'",
        "absent",
    ),
    Refusal(
        "manifest_is_no_json",
        "Manifest file is not in correct json format",
        "MANIFEST JSON 'auto'",
        "manifest",
        files={"manifest": "{}"},
    ),
    Refusal(
        "manifest_is_a_folder",
        "COPY with MANIFEST parameter requires full path of an S3 object",
        "MANIFEST JSON 'auto'",
    ),
    Refusal(
        "mandatory_file_is_missing",
        "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey",
        "MANIFEST JSON 'auto'",
        "manifest",
        files={
            "manifest": '{"entries":[{"url":"s3://sparkify-test/{name}/data/1"},'
            '{"url":"s3://sparkify-test/{name}/absent","mandatory":true}]}'
        },
        detail="s3://sparkify-test/{name}/absent",
    ),
    Refusal(
        "manifest_without_any_file",
        "No files found in manifest",
        "MANIFEST JSON 'auto'",
        "manifest",
        files={"manifest": '{"entries":[{"url":"s3://sparkify-test/{name}/absent"}]}'},
    ),
    Refusal("missing_jsonpaths", "S3ServiceException:The specified key does not exist.", "JSON '{p}/absent'"),
    Refusal(
        "jsonpaths_count",
        "Number of jsonpaths and the number of columns should match. JSONPath size: 1, "
        "Number of columns in table or column list: 2",
        "JSON '{p}/paths'",
        files={"paths": '{"jsonpaths":["$.a"]}'},
    ),
    Refusal(
        "jsonpaths_with_wildcard",
        "Invalid JSONPath format: '$.*'",
        "JSON '{p}/paths' MAXERROR 9",
        files={"paths": '{"jsonpaths":["$.*", "$.b"]}'},
    ),
    Refusal(
        "jsonpaths_is_no_json",
        "Invalid JSONPath file '{p}/paths'",
        "JSON '{p}/paths'",
        files={"paths": '{"jsonpaths":['},
    ),
    Refusal("not_gzip", "zlib error code: -3", "GZIP JSON 'auto'"),
    Refusal(
        "unknown_access_key",
        "S3ServiceException:The AWS Access Key Id you provided does not exist in our records.",
        authorization="ACCESS_KEY_ID 'nobody' SECRET_ACCESS_KEY 'hidden-secret'",
    ),
    Refusal(
        "wrong_secret",
        "S3ServiceException:The request signature we calculated does not match",
        authorization="CREDENTIALS 'aws_access_key_id=LOCAL;aws_secret_access_key=hidden-secret'",
    ),
    Refusal(
        "other_region",
        "S3ServiceException:The bucket you are attempting to access must be addressed using the specified endpoint.",  # noqa: E501
        "JSON 'auto' REGION 'eu-west-1'",
    ),
    Refusal("no_such_column", 'column "z" of relation "{table}" does not exist', source="data/", columns="z"),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in REFUSALS])
def test_refusals(case, run, table, prefix):
    prefix.put({"data/1": '{"a":1}', **{k: v.replace("{name}", prefix.name) for k, v in case.files.items()}})
    run(f"CREATE TABLE {table} ({AB})")
    into = "(z)" if case.columns == "z" else ""
    with pytest.raises(ProgrammingError) as error:
        run(
            f"COPY {table} {into} FROM '{prefix.address}/{case.source}' {case.authorization} "
            + case.options.replace("{p}", prefix.address)
        )
    told = error.value.args[0]
    expected = case.message.replace("{p}", prefix.address).replace("{table}", table)
    assert told["M"].startswith(expected.replace("{name}", prefix.name))
    assert case.detail.replace("{name}", prefix.name) in told.get("D", "")
    assert "hidden-secret" not in str(told)
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


def test_access_key_forms_load(run, table, prefix, s3):
    prefix.put({"data/1": '{"a":1}'})
    run(f"CREATE TABLE {table} ({AB})")
    for authorization in (
        f"ACCESS_KEY_ID '{s3.access_key}' SECRET_ACCESS_KEY '{s3.secret_key}'",
        f"WITH CREDENTIALS AS 'aws_access_key_id={s3.access_key};aws_secret_access_key={s3.secret_key}'",
        "CREDENTIALS 'aws_iam_role=arn:aws:iam::123456789012:role/load'",
        "IAM_ROLE 'arn:aws:iam::123456789012:role/load,arn:aws:iam::123456789013:role/other'",
    ):
        run(f"COPY {table} FROM '{prefix.address}/data/' {authorization} JSON 'auto'")
    assert run(f"SELECT count(*) FROM {table}") == [(4,)]


def test_copy_is_part_of_the_clients_transaction(redshift, run, table, prefix):
    prefix.put({"data/1": '{"a":1}\n{"a":2}'})
    connection = redshift.connect()
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE {table} ({AB})")
    cursor.execute(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto'")
    assert connection.notices[-1][b"M"].decode() == (
        f"Load into table '{table}' completed, 2 record(s) loaded successfully."
    )
    cursor.execute(f"SELECT count(*), pg_last_copy_count() FROM {table}")
    assert list(cursor.fetchall()[0]) == [2, 2]
    with pytest.raises(ProgrammingError, match="does not exist"):
        run(f"SELECT * FROM {table}")
    connection.rollback()
    cursor.execute("SELECT to_regclass(%s) IS NULL", (table,))
    assert cursor.fetchall()[0][0]
    connection.close()


def test_load_errors_survive_the_rollback_and_a_failed_block_stays_failed(redshift, run, table, prefix):
    prefix.put({"data/1": '{"a":1}\n{"a":"x"}'})
    run(f"CREATE TABLE {table} ({AB})")
    connection = redshift.connect()
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    with pytest.raises(ProgrammingError, match=r"failed.  Check 'stl_load_errors'"):
        cursor.execute(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto'")
    with pytest.raises(ProgrammingError, match="current transaction is aborted"):
        cursor.execute("SELECT 1")
    connection.rollback()
    cursor.execute("SELECT pg_last_copy_count()")
    assert cursor.fetchall()[0][0] == 0
    cursor.execute(
        f"""SELECT d.error_code, btrim(d.column_name), btrim(d.column_type), h.status, h.error_count
        FROM sys_load_error_detail d JOIN sys_load_history h USING (query_id)
        WHERE h.data_source = '{prefix.address}/data/'"""
    )
    assert [tuple(row) for row in cursor.fetchall()] == [(1207, "a", "int4", "aborted", 1)]
    connection.close()


def test_skipped_rows_are_seen_in_the_same_transaction(redshift, run, table, prefix):
    prefix.put({"data/1": '{"a":1}\n{"a":"x"}', "data/2": '{"a":"y"}\n{"a":2}'})
    run(f"CREATE TABLE {table} ({AB})")
    connection = redshift.connect()
    cursor = connection.cursor()
    cursor.execute(f"SELECT count(*) FROM {table}")
    cursor.execute(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' MAXERROR 3")
    assert "2 record(s) could not be loaded.  Check" in connection.notices[-1][b"M"].decode()
    cursor.execute(
        """SELECT btrim(filename), line_number, btrim(raw_field_value) FROM stl_load_errors
        WHERE query = pg_last_copy_id() ORDER BY 1"""
    )
    assert [tuple(row) for row in cursor.fetchall()] == [
        (f"{prefix.address}/data/1", 2, "x"),
        (f"{prefix.address}/data/2", 1, "y"),
    ]
    cursor.execute(
        "SELECT btrim(filename), lines_scanned FROM stl_load_commits WHERE query = pg_last_copy_id() ORDER BY 1"  # noqa: E501
    )
    assert [tuple(row) for row in cursor.fetchall()] == [
        (f"{prefix.address}/data/1", 2),
        (f"{prefix.address}/data/2", 2),
    ]
    connection.close()


@pytest.mark.parametrize(
    ("limit", "fails"), [("", True), ("MAXERROR 0", True), ("MAXERROR 1", True), ("MAXERROR 2", False)]
)
def test_maxerror_fails_once_so_many_errors_are_reached(run, table, prefix, limit, fails):
    prefix.put({"data/1": '{"a":"x"}\n{"a":1}'})
    run(f"CREATE TABLE {table} ({AB})")
    copy = f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' {limit}"
    if fails:
        with pytest.raises(ProgrammingError, match="failed"):
            run(copy)
    else:
        run(copy)
    assert run(f"SELECT count(*) FROM {table}") == [(0 if fails else 1,)]


def test_maxerror_over_many_files_tells_the_first_errors_and_no_more(run, table, prefix):
    prefix.put({f"data/{number:03}": f'{{"a":{number}}}\n{{"a":"x{number}"}}' for number in range(40)})
    run(f"CREATE TABLE {table} ({AB})")
    with pytest.raises(ProgrammingError, match="failed"):
        run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' MAXERROR 7")
    assert run(
        f"""SELECT btrim(filename), line_number, btrim(colname), err_code, btrim(raw_field_value)
        FROM stl_load_errors WHERE filename LIKE '%{prefix.name}/%' ORDER BY 1"""
    ) == [(f"{prefix.address}/data/{number:03}", 2, "a", 1207, f"x{number}") for number in range(7)]
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


def padded(size):
    """A JSON object of that many bytes, with what could be taken for a row inside."""
    head, tail = b'{"a": 2, "pad": [{"a": 9}, "', b'", {"a": 9}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


@pytest.mark.parametrize(
    ("size", "loaded"), [(4 << 20, True), ((4 << 20) + 1, False), (9 << 20, False)], ids=["4M", "over", "9M"]
)
def test_an_object_over_4_mb_is_one_load_error(run, table, prefix, size, loaded):
    prefix.put({"data/1": b'{"a":1}\n' + padded(size) + b'\n{"a":3}'})
    run(f"CREATE TABLE {table} ({AB})")
    run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' MAXERROR 9")
    assert run(f"SELECT a FROM {table} ORDER BY a") == ([(1,), (2,), (3,)] if loaded else [(1,), (3,)])
    assert run(
        f"""SELECT line_number, err_code, btrim(err_reason) FROM stl_load_errors
        WHERE filename LIKE '%{prefix.name}/%'"""
    ) == ([] if loaded else [(2, 1216, "JSON object exceeds the maximum size of 4194304 bytes")])


def test_noload_reports_the_errors_it_finds(run, table, prefix):
    prefix.put({"data/1": '{"a":"x"}'})
    run(f"CREATE TABLE {table} ({AB})")
    with pytest.raises(ProgrammingError, match="failed"):
        run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto' NOLOAD")
    assert run(f"SELECT count(*) FROM stl_load_errors WHERE filename LIKE '%{prefix.name}%'") == [(1,)]


def test_last_copy_count_stays_when_copy_fails_before_loading(run, table, prefix):
    prefix.put({"data/1": '{"a":1}'})
    run(f"CREATE TABLE {table} ({AB})")
    assert run("SELECT pg_last_copy_count(), pg_last_copy_id()") == [(0, -1)]
    run(f"COPY {table} FROM '{prefix.address}/data/' {ROLE} JSON 'auto'")
    with pytest.raises(ProgrammingError, match="does not exist"):
        run(f"COPY {table} FROM '{prefix.address}/absent/' {ROLE} JSON 'auto'")
    assert run("SELECT pg_last_copy_count()") == [(1,)]


def test_secrets_of_a_copy_are_written_nowhere(run, table, prefix, redshift, postgres):
    secret = "very-hidden-key-material"
    run(f"CREATE TABLE {table} ({AB})")
    with pytest.raises(ProgrammingError):
        run(
            f"COPY {table} FROM '{prefix.address}/x' ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY '{secret}' JSON 'auto'"  # noqa: E501
        )
    with pytest.raises(ProgrammingError):
        run(f"COPY {table} FROM '{prefix.address}/x' ACCESS_KEY_ID 'k' SECRET_ACCESS_KEY '{secret}' NONSENSE")
    for log in (redshift.log_file, postgres.log_file):
        assert secret not in log.read_text()
    assert run(f"SELECT count(*) FROM sys_load_history WHERE error_message LIKE '%{secret}%'") == [(0,)]
