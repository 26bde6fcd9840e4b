"""What the pipeline writes about data never fails, whatever the data's keys, texts and files are called."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.api.datamodels._generated import TaskInstanceState

from sparkify.warehouse import Warehouse
from tests.support.corpus import line
from tests.support.source import song
from tests.support.task_runner import run_task

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
KEY = "log_data/2018/11/2018-11-01-events.json"


@pytest.fixture(params=["provisioned", "serverless"])
def either(request, pipeline):
    """The pipeline on a cluster and on Serverless, whose load errors lack the text."""
    if request.param == "provisioned":
        yield pipeline
    else:
        with pipeline.without_stl_tables():
            yield pipeline


def keys(run, pipeline, source="events"):
    table = run.work_table(f"{source}_keys")
    return pipeline.query(f"SELECT problem, key_name, row_count, key_count, first_file FROM {table}")


def staged(pipeline, *lines, **options):
    pipeline.put({KEY: b"\n".join(lines)})
    run = pipeline.new_run(*DAY, **options)
    run.run(before="run_quality_checks")
    return run


def warned(run):
    """Check to its sentence."""
    sentences = run.xcoms["run_quality_checks", "quality"]["sentences"]
    return {sentence.partition(" ")[0]: sentence for sentence in sentences}


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a\0b", r"a\u0000b"),
        ("k" * 600, "… (600 bytes)"),
        ("é" * 300, "… (600 bytes)"),
        ("\ufeffmood\r\n\x1b[31m", "\\ufeffmood\\u000d\n\\u001b[31m"),
        ("", ""),
    ],
)
def test_an_unknown_key_is_written_down_whatever_it_is(pipeline, key, shown):
    run = staged(pipeline, line(**{key: 1}))
    [(problem, name, rows, count, file)] = keys(run, pipeline)
    assert (problem, rows, count, file) == ("unknown", 1, 1, f"s3://{pipeline.bucket}/{KEY}")
    assert name.endswith(shown)
    assert len(name.encode()) <= 512
    run.run(since="run_quality_checks")
    assert shown in warned(run)["staging/events.keys_are_known"]


def test_a_key_of_half_a_character_is_written_down(pipeline):
    """COPY refuses such a row; its key is seen nevertheless."""
    run = staged(pipeline, line(**{"mood\ud800": 1}), max_rejected_rows=1)
    assert [(problem, name) for problem, name, *_ in keys(run, pipeline)] == [("unknown", r"mood\ud800")]


def test_a_list_of_keys_that_ends_says_so(pipeline):
    row = {f"key{number:03}": number for number in range(120)}
    bare = json.loads(line(**row))
    del bare["song"]
    run = staged(pipeline, json.dumps(bare).encode(), line(**row), line(**row))
    found = keys(run, pipeline)
    assert sum(count for problem, *_, count, _ in found if problem == "unknown") == 120
    assert len(found) == 102
    assert ("missing", "song", 1, 1) in [row[:4] for row in found]
    run.run(since="run_quality_checks")
    assert "observed 120 of" in warned(run)["staging/events.keys_are_known"]
    assert "20 further keys are not listed" in warned(run)["staging/events.keys_are_known"]
    assert "song missing in 1 row(s)" in warned(run)["staging/events.known_keys_are_there"]


def test_a_key_that_stands_twice_in_an_object_is_told(pipeline):
    double = line().replace(b'"song": ', b'"song": "Other", "song": ')
    nested = line(mood={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 2')
    run = staged(pipeline, double, double, nested)
    assert sorted((problem, name, rows) for problem, name, rows, *_ in keys(run, pipeline)) == [
        ("twice", "song", 2),
        ("unknown", "mood", 1),
    ]
    run.run(since="run_quality_checks")
    assert "song twice in 2 row(s)" in warned(run)["staging/events.keys_are_known"]


def long_key(size: int, name: str = "TR1.json") -> str:
    """A key of the catalogue of so many bytes, in folders, as file systems do not take longer names."""
    path = "song_data/é/"
    while size - len(path.encode()) - len(name) > 250:
        path += "d" * 200 + "/"
    return path + "x" * (size - len(path.encode()) - len(name)) + name


def songs_rejected(pipeline):
    return pipeline.query(
        "SELECT file_name, line_number, column_name, raw_line FROM sparkify.rejected_rows "
        "WHERE source = 'songs' ORDER BY file_name"
    )


@pytest.mark.parametrize("size", [300, 952, 1019, 1024])
def test_a_song_file_with_a_long_key_is_loaded_once(pipeline, size):
    key = long_key(size)
    pipeline.put({KEY: line(), key: json.dumps(song(mood=1)).encode()})
    run = pipeline.load(*DAY)
    assert len(key.encode()) == size
    assert len(pipeline.table("songs")) == 1
    assert "mood in 1 row(s), first in s3://" in warned(run)["staging/songs.keys_are_known"]
    assert pipeline.new_run(*DAY).run_task("stage_songs")["files"] == 0


@pytest.mark.parametrize("size", [300, 952, 1019, 1024])
def test_a_rejected_row_of_a_file_with_a_long_key_is_kept_until_it_is_mended(either, size):
    """Redshift's load errors cut the name of a file at 256 characters."""
    pipeline, key = either, long_key(size)
    text = json.dumps(song(title=None)).encode()
    pipeline.put({KEY: line(), key: text, "song_data/A/TR2.json": json.dumps(song("SO2")).encode()})
    for _ in range(2):
        pipeline.load(*DAY, max_rejected_rows=1)
        [(file, number, column, raw)] = songs_rejected(pipeline)
        uri = f"s3://{pipeline.bucket}/{key}"
        assert file == uri or (file.startswith(uri[:500]) and file.endswith("bytes)"))
        assert (number, column, raw) == (1, "title", text.decode())
    pipeline.put({key: json.dumps(song()).encode()})
    pipeline.load(*DAY)
    assert songs_rejected(pipeline) == []
    assert len(pipeline.table("songs")) == 2


def test_of_files_whose_names_are_cut_alike_none_is_taken_for_loaded(either):
    pipeline = either
    bad, good = long_key(300, "TR1.json"), long_key(300, "TR2.json")
    pipeline.put({bad: json.dumps(song(title=None)).encode(), good: json.dumps(song("SO2")).encode()})
    pipeline.put({"song_data/A/TR3.json": json.dumps(song("SO3")).encode()})
    for files in (3, 2):
        run = pipeline.load(*DAY, max_rejected_rows=1)
        assert run.xcoms["stage_songs", "return_value"]["files"] == files
        [(file, *_)] = songs_rejected(pipeline)
        assert file.endswith("…")
        assert len(pipeline.table("songs")) == 2
    pipeline.put({bad: json.dumps(song()).encode()})
    pipeline.load(*DAY)
    assert len(pipeline.table("songs")) == 3


HOSTILE_NAMES = [
    "a b", "é", "😀", "a'b", 'a"b', "a\\b", "a%20b", "%s", "a+b", "a&b=c", "a#b", "a?b", "a;b--", "{{ 1 }}",
    "$(id)", "a|b", "a<b>", "(1)", "~a", "*", "a@b:c", "[a]", "^", "`",
]  # fmt: skip


def test_files_with_hostile_names_are_loaded_and_their_rejected_rows_kept(pipeline):
    songs = {f"song_data/{name}/{name}.json": song(f"SO{n}") for n, name in enumerate(HOSTILE_NAMES)}
    bad = {f"song_data/{name}/{name}-.json": song(title=None) for name in HOSTILE_NAMES}
    pipeline.put({key: json.dumps(one).encode() for key, one in {**songs, **bad}.items()})
    pipeline.load(*DAY, max_rejected_rows=len(bad))
    assert len(pipeline.table("songs")) == len(songs)
    assert {file for file, *_ in songs_rejected(pipeline)} == {f"s3://{pipeline.bucket}/{key}" for key in bad}
    assert pipeline.new_run(*DAY, max_rejected_rows=99).run_task("stage_songs")["files"] == len(bad)


@pytest.mark.parametrize(
    ("bad", "raw"),
    [
        (b'{"ts": \0 1}', r'{"ts": \u0000 1}'),
        (b"\xff\xfe" + b'{"ts": }', '\ufffd\ufffd{"ts": }'),
        (b'{"ts": "\x1b[31m"}', r'{"ts": "\u001b[31m"}'),
    ],
)
def test_the_text_of_a_rejected_row_is_kept_whatever_it_is(pipeline, bad, raw):
    with pipeline.without_stl_tables():
        staged(pipeline, line(), bad, max_rejected_rows=2).run(since="run_quality_checks")
    assert raw in {text for (text,) in pipeline.query("SELECT raw_line FROM sparkify.rejected_rows")}


@pytest.mark.parametrize("key", ["ts", "length", "sessionId", "song"])
def test_a_reason_that_quotes_a_value_is_kept_whatever_it_is(either, key):
    staged(either, line(**{key: "no\0on\x1b"}), max_rejected_rows=1).run(since="run_quality_checks")
    [(reason,)] = either.query("SELECT reason FROM sparkify.rejected_rows")
    assert "\x1b" not in reason


def test_a_long_rejected_row_says_how_long_it_is(pipeline):
    bad = line(ts="noon", userAgent="é" * 500_000)
    with pipeline.without_stl_tables():
        staged(pipeline, line(), bad, max_rejected_rows=1).run(since="run_quality_checks")
    [(raw,)] = pipeline.query("SELECT raw_line FROM sparkify.rejected_rows")
    assert raw.endswith(f"… ({len(bad):,} bytes)")
    assert len(raw.encode()) <= 1024


def test_lines_are_counted_as_copy_counts_them(either):
    """By newlines alone; a carriage return within a line ends none, one before a newline is not shown."""
    rows = [line(mood="a\rb").replace(b"\\r", b"\r"), line(sessionId=3) + b"\r", line(ts="noon")]
    staged(either, *rows, max_rejected_rows=2).run(since="run_quality_checks")
    found = either.query("SELECT line_number, raw_line FROM sparkify.rejected_rows WHERE column_name = 'ts'")
    assert found == [(3, rows[-1].decode())]


def test_a_byte_order_mark_is_called_one(either, caplog):
    run = staged(either, b"\xef\xbb\xbf" + line(), line(sessionId=3), max_rejected_rows=2)
    run.run(since="run_quality_checks")
    rows = either.query("SELECT line_number, reason, raw_line FROM sparkify.rejected_rows")
    [(number, reason, raw)] = rows
    assert number == 1
    assert "byte order mark (BOM)" in reason
    assert raw.startswith(r"\ufeff")
    assert "byte order mark (BOM)" in caplog.text


def test_a_text_that_cannot_be_read_does_not_hide_what_was_rejected(pipeline, monkeypatch, caplog):
    from sparkify.lake import Lake, LakeError

    def fail(*_):
        raise LakeError("Cannot read s3://…")

    monkeypatch.setattr(Lake, "lines", fail)
    with pipeline.without_stl_tables():
        staged(pipeline, line(), line(ts="noon"), max_rejected_rows=1).run(since="run_quality_checks")
    assert pipeline.query("SELECT column_name, raw_line FROM sparkify.rejected_rows") == [("ts", None)]
    assert "Cannot read s3://…" in caplog.text


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("INSERT INTO staging.publish_lock VALUES (%s)", ["x" * 65]),
        ("INSERT INTO staging.publish_lock VALUES (%s)", ["a\0b"]),
        ("INSERT INTO staging.publish_lock VALUES (%s)", ["\ud800"]),
        ("SELECT CAST('noon' AS INTEGER)", []),
        ("SELECT 1 / 0", []),
        ("SELEC 1", []),
        ("SELECT no_such_function(1)", []),
    ],
)
def test_an_error_that_no_retry_can_heal_fails_at_once(pipeline, monkeypatch, statement, parameters, capsys):
    from sparkify.operators import StageLogsToRedshiftOperator

    def stage(self, context):
        with Warehouse().transaction() as transaction:
            transaction.execute(statement, parameters, name="insert into staging.publish_lock")

    monkeypatch.setattr(StageLogsToRedshiftOperator, "execute", stage)
    assert run_task(pipeline.new_run(*DAY), "stage_events", may_retry=True) == TaskInstanceState.FAILED
    assert (
        "insert into staging.publish_lock failed on connection 'redshift_default'" in capsys.readouterr().out
    )


def test_an_error_that_may_pass_is_retried(pipeline, monkeypatch):
    from sparkify.operators import StageLogsToRedshiftOperator

    def stage(self, context):
        with Warehouse().transaction() as transaction:
            transaction.execute("SET statement_timeout TO 1")
            transaction.execute(
                "SELECT COUNT(*) FROM stl_load_errors AS a, stl_load_errors AS b, pg_class, pg_class AS d"
            )

    monkeypatch.setattr(StageLogsToRedshiftOperator, "execute", stage)
    assert run_task(pipeline.new_run(*DAY), "stage_events", may_retry=True) == TaskInstanceState.UP_FOR_RETRY
