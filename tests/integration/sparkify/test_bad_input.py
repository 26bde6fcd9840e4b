"""Every kind of bad input through the real COPY: what is loaded, what is rejected, and that it adds up."""

from __future__ import annotations

import bz2
import gzip
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.corpus import CASES, HOME, PLAY, line
from tests.support.source import event, song
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
KEY = "log_data/2018/11/2018-11-01-events.json"
HISTORY = (
    "events_staged, events_in_window, events_outside, songplays, duplicate_plays, other_pages, "
    "rejected_events"
)


def key(day: date) -> str:
    return f"log_data/{day:%Y/%m/%Y-%m-%d}-events.json"


def corpus_day(number: int) -> date:
    return date(2018, 11, 1) + timedelta(days=number)


#: A day for each case whose file a run over many days tells by itself.
DAYS = {
    case.name: (case, corpus_day(number))
    for number, case in enumerate(case for case in CASES if not case.torn and not case.of_no_day)
}
REJECTED = "file_name, line_number, column_name, error_code, reason, raw_line"


@dataclass
class Loaded:
    """The corpus after one run over it, a day a case."""

    bucket: str
    history: tuple
    plays: dict[date, int]
    rejected: dict[str, list[tuple]]


@pytest.fixture(scope="module")
def corpus(redshift, s3_client, airflow_connections) -> Loaded:
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.execute("DROP SCHEMA IF EXISTS sparkify CASCADE", "DROP SCHEMA IF EXISTS staging CASCADE")
    pipeline.create_schema()
    pipeline.put({key(day): case.body(day) for case, day in DAYS.values()})
    end = max(day for _, day in DAYS.values()) + timedelta(days=1)
    pipeline.load(f"{corpus_day(0)} 00:00", f"{end} 00:00", max_rejected_rows=len(DAYS))
    rejected = defaultdict(list)
    for file, *rest in pipeline.query(f"SELECT {REJECTED} FROM sparkify.rejected_rows"):
        rejected[file].append(tuple(rest))
    return Loaded(
        pipeline.bucket,
        pipeline.query(f"SELECT {HISTORY} FROM sparkify.load_history")[0],
        dict(pipeline.query("SELECT TRUNC(start_time), COUNT(*) FROM sparkify.songplays GROUP BY 1")),
        rejected,
    )


@pytest.mark.parametrize("name", DAYS)
def test_every_row_is_loaded_or_rejected_by_rule(corpus, name):
    case, day = DAYS[name]
    assert corpus.plays.get(day, 0) == case.good[0] + case.plays
    rejected = corpus.rejected[f"s3://{corpus.bucket}/{key(day)}"]
    assert len(rejected) == case.rejected
    for number, column, code, reason, raw in rejected:
        assert (column, code) == (case.column, case.code)
        assert number == (None if case.code is None else case.bad_line)
        assert re.search(case.reason, reason)
        assert raw


def test_the_counts_of_the_whole_corpus_add_up(corpus):
    cases = [case for case, _ in DAYS.values()]
    plays = sum(case.good[0] + case.plays for case in cases)
    others = sum(case.good[1] + case.other_pages for case in cases)
    duplicates = sum(case.duplicates for case in cases)
    rejected = sum(case.rejected for case in cases)
    in_window = plays + duplicates + others
    assert rejected > 15
    assert corpus.history == (in_window + rejected, in_window, 0, plays, duplicates, others, rejected)


@pytest.mark.parametrize("case", [case for case in CASES if case.of_no_day], ids=lambda case: case.name)
def test_an_event_too_far_from_the_time_of_its_file_is_rejected(pipeline, case):
    pipeline.put({KEY: case.body()})
    row = pipeline.load(*DAY, max_rejected_rows=1).xcoms["publish", "return_value"]
    assert (row["events_staged"], row["songplays"], row["rejected_events"]) == (3, 1, 1)
    [(file, column, reason)] = pipeline.query(
        "SELECT file_name, column_name, reason FROM sparkify.rejected_rows"
    )
    assert (file, column) == (f"s3://{pipeline.bucket}/{KEY}", case.column)
    assert case.reason in reason


def test_a_gzip_file_without_gzip_is_rejected_whole(pipeline):
    pipeline.put({KEY: gzip.compress(b"\n".join([line(), line(sessionId=3)]), mtime=0)})
    row = pipeline.load(*DAY, max_rejected_rows=99).xcoms["publish", "return_value"]
    assert row["songplays"] == 0
    assert row["events_staged"] == row["rejected_events"] > 0


def test_a_file_in_utf_16_is_rejected_whole(pipeline):
    pipeline.put({KEY: b"\n".join([line(), line(sessionId=3)]).decode().encode("utf-16")})
    row = pipeline.load(*DAY, max_rejected_rows=9_999).xcoms["publish", "return_value"]
    assert row["songplays"] == 0
    assert row["events_staged"] == row["rejected_events"] > 0


def test_a_torn_row_does_not_hide_what_follows_it(pipeline):
    for case in CASES:
        if case.torn:
            pipeline.put({KEY: case.body()})
            with pytest.raises(AirflowFailException, match=r"every_value_is_read observed 1 of [23] row"):
                pipeline.load(*DAY, max_rejected_rows=5)
            assert pipeline.table("songplays") == []


LARGE = 22_000
TORN = {
    "in a large file": (
        lambda: b"\n".join([line()[:200], *[line(sessionId=n, userAgent="x" * 250) for n in range(LARGE)]]),
        LARGE,
    ),
    "beside other errors": (
        lambda: b"\n".join([line(), line(sessionId=3), *[b"{x}{y}{z}"] * 2, line()[:200],
                            *[line(sessionId=n) for n in (4, 5, 6)]]),
        3,
    ),
    "before one last row": (lambda: line()[:200] + b"\n" + line(), 1),
    "on one line with the next": (lambda: line() + line()[:200] + line(sessionId=3) + line(sessionId=4), 2),
    "within a string": (lambda: line().partition(b"ag")[0] + b"\n" + line(sessionId=3), 1),
}  # fmt: skip


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", TORN)
def test_a_torn_row_hides_nothing_in_files_of_any_size_whatever_the_budget(pipeline, name, compress):
    make, hidden = TORN[name]
    body = make()
    pipeline.put({f"{KEY}.gz" if compress else KEY: gzip.compress(body, 1, mtime=0) if compress else body})
    run = pipeline.new_run(*DAY, max_rejected_rows=99_999, **COMPRESSED)
    with pytest.raises(AirflowFailException, match=f"every_value_is_read observed {hidden} of .*{KEY}"):
        run.run()
    assert pipeline.table("songplays") == []
    # The rejected rows that the message speaks of can be looked at.
    assert pipeline.query("SELECT COUNT(*) FROM sparkify.rejected_rows")[0][0] > 0


def test_a_refused_row_that_hides_nothing_stays_within_the_budget_of_a_large_file(pipeline):
    rows = [line(sessionId=n, userAgent="x" * 250) for n in range(LARGE)]
    rows[7] = line(sessionId="many", userAgent='a "}" {"ts": 1')
    pipeline.put({KEY: b"\n".join(rows)})
    run = pipeline.load(*DAY, max_rejected_rows=1)
    assert run.xcoms["publish", "return_value"]["songplays"] == LARGE - 1
    results = {
        name: (status, detail)
        for name, status, detail in pipeline.query(
            "SELECT check_name, status, detail FROM sparkify.quality_results "
            "WHERE table_name = 'staging/events'"
        )
    }
    for name in ("every_value_is_read", "keys_are_known", "known_keys_are_there"):
        status, detail = results[name]
        assert status == "skipped"
        assert re.fullmatch(r"only \d+ of \d+ bytes \([6-9]\d(\.\d)? %\) were looked at", detail)


#: Files of one day may be compressed in different ways.
COMPRESSED = {
    "sparkify_log_keys": "{year}/{month}/{year}-{month}-{day}-events*",
    "sparkify_log_suffixes": ".json .gz .bz2",
}
CHECKS_OF_FILES = ("every_value_is_read", "keys_are_known", "known_keys_are_there")


def results(pipeline, source: str = "staging/events") -> dict[str, tuple[str, str]]:
    """Of the checks that look at the files of a source: status and detail."""
    rows = pipeline.query(
        "SELECT check_name, status, NVL(detail, '') FROM sparkify.quality_results "
        f"WHERE table_name = '{source}'"
    )
    return {name: (status, detail) for name, status, detail in rows if name in CHECKS_OF_FILES}


@pytest.mark.parametrize("source", ["staging/events", "staging/songs"])
def test_when_there_is_no_time_to_look_at_files_no_check_of_them_passes(pipeline, monkeypatch, source):
    monkeypatch.setattr("sparkify.operators.stage.LOOK_SECONDS", -1)
    pipeline.put({KEY: line(), "song_data/A/TR1.json": json.dumps(song()).encode()})
    pipeline.load(*DAY)
    found = results(pipeline, source)
    assert set(found) == set(CHECKS_OF_FILES)
    for status, detail in found.values():
        assert status == "skipped"
        assert "looking at the files was given up after -1 s: 0 of " in detail


def test_when_there_is_no_time_to_search_for_hidden_rows_the_window_is_not_published(pipeline, monkeypatch):
    monkeypatch.setattr("sparkify.operators.stage.SEARCH_SECONDS", -1)
    pipeline.put({KEY: b"\n".join([line(), line(ts="noon")])})
    with pytest.raises(AirflowFailException, match="it could not be read to its end within -1 s"):
        pipeline.load(*DAY, max_rejected_rows=1)
    assert pipeline.table("songplays") == []


def test_keys_beyond_the_budget_are_not_called_known(pipeline, monkeypatch):
    monkeypatch.setattr("sparkify.drift.MOST_SHAPES", 1)
    pipeline.put({KEY: b"\n".join([line(), line(sessionId=3, mood=1), line(sessionId=4, tempo=1)])})
    pipeline.load(*DAY)
    found = results(pipeline)
    assert found["every_value_is_read"] == ("passed", "")
    for name in ("keys_are_known", "known_keys_are_there"):
        status, detail = found[name]
        assert status == "skipped"
        assert re.match(r"only 0 of \d+ bytes \(0 %\) were looked at; the keys of 2 object\(s\)", detail)


def test_a_row_that_is_nested_too_deeply_is_rejected(pipeline):
    deep = line(mood=0).replace(b'"mood": 0', b'"mood": ' + b'{"a":' * 100_000 + b"0" + b"}" * 100_000)
    pipeline.put({KEY: b"\n".join([line(), deep])})
    run = pipeline.new_run(*DAY, max_rejected_rows=1)
    # Whether it hides rows cannot be told either, where it is too deep to be read.
    with pytest.raises(AirflowFailException, match="every_value_is_read"):
        run.run()
    [(number, code)] = pipeline.query("SELECT line_number, error_code FROM sparkify.rejected_rows")
    assert (number, code) == (2, 1216)


def test_what_cannot_be_decompressed_here_does_not_pass(pipeline, monkeypatch):
    """The local Redshift takes no LZOP: COPY reads gzip, the worker is told another kind."""
    pipeline.put({f"{KEY}.gz": gzip.compress(line() + b"\n{x}", mtime=0)})
    run = pipeline.new_run(*DAY, max_rejected_rows=1, **COMPRESSED)
    monkeypatch.setattr("sparkify.operators.stage.compression", lambda key: "LZOP")
    with pytest.raises(
        AirflowFailException, match=r"every_value_is_read observed 1 .*cannot decompress LZOP"
    ):
        run.run()


def test_rejected_rows_are_kept_also_where_a_check_fails(pipeline):
    pipeline.put({KEY: line(level="gold"), KEY.replace("-01-e", "-02-e"): line()})
    pipeline.put({"song_data/A/TRX.json": b'{"song_id": "SO1"}'})
    with pytest.raises(AirflowFailException, match="rejected_rows_are_within_the_budget"):
        pipeline.load(*DAY, max_rejected_rows=1)
    assert sorted(pipeline.query("SELECT source, line_number FROM sparkify.rejected_rows")) == [
        ("events", None),
        ("songs", 1),
    ]


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (line(sessionId="many"), r", line 2, column session_id: .* \(error 1207\): \{.*many"),
        (
            line(level="gold"),
            r", column level: level is neither free nor paid: ts 2018-11-01 12:00:00.000, .*gold",
        ),
    ],
)
def test_over_budget_the_first_bad_row_is_shown_and_nothing_is_published(pipeline, bad, place):
    pipeline.put({KEY: b"\n".join([line(sessionId=5), bad])})
    run = pipeline.new_run(*DAY)
    with pytest.raises(AirflowFailException, match=f"s3://{pipeline.bucket}/{KEY}{place}"):
        run.run()
    assert pipeline.table("songplays") == []
    assert len(pipeline.query("SELECT * FROM sparkify.rejected_rows")) == 1

    with pytest.raises(AirflowFailException):
        run.run_task("stage_events", try_number=2)
    assert len(pipeline.query("SELECT * FROM sparkify.rejected_rows")) == 1


def test_a_mended_file_clears_its_rows(pipeline):
    pipeline.put({KEY: b"\n".join([line(sessionId=5), line(level="gold"), line(ts="noon")])})
    pipeline.load(*DAY, max_rejected_rows=2)
    assert len(pipeline.query("SELECT * FROM sparkify.rejected_rows")) == 2
    pipeline.put({KEY: line(sessionId=5)})
    pipeline.load("2018-11-01 00:00", "2018-11-03 00:00")
    assert pipeline.query("SELECT * FROM sparkify.rejected_rows") == []


def test_the_budget_is_of_the_run_and_not_of_each_source(pipeline):
    pipeline.put({KEY: line(level="gold")})
    pipeline.put({"song_data/A/TRX.json": b'{"song_id": "SO1"}'})
    with pytest.raises(AirflowFailException, match=r"rejected_rows_are_within_the_budget observed 2 of 1"):
        pipeline.load(*DAY, max_rejected_rows=1)
    pipeline.load(*DAY, max_rejected_rows=2)


def test_a_rejected_song_file_is_tried_again_by_every_run_until_it_is_mended(pipeline):
    pipeline.put({"song_data/A/TRX.json": b'{"song_id": "SO1", "title": null}'})
    for _ in range(2):
        pipeline.load(*DAY, max_rejected_rows=1)
        [(source, file, code)] = pipeline.query(
            "SELECT source, file_name, error_code FROM sparkify.rejected_rows"
        )
        assert (source, file) == ("songs", f"s3://{pipeline.bucket}/song_data/A/TRX.json")
        assert code == 1213
    pipeline.put_songs()
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="song_data/A/TRX.json")
    pipeline.load(*DAY)
    assert pipeline.query("SELECT * FROM sparkify.rejected_rows") == []


def test_a_play_of_a_later_hour_is_left_to_its_own_window(pipeline):
    pipeline.put_events(PLAY, HOME, event("2018-11-01 11:30", sessionId=9))
    row = pipeline.load("2018-11-01 10:00", "2018-11-01 11:00").xcoms["publish", "return_value"]
    assert (row["songplays"], row["events_outside"], row["rejected_events"]) == (1, 2, 0)
    pipeline.load("2018-11-01 11:00", "2018-11-01 12:00")
    assert len(pipeline.table("songplays")) == 2


def test_files_of_several_compressions_are_loaded_together(pipeline):
    pipeline.put(
        {
            KEY: line(),
            f"{KEY}.gz": gzip.compress(line(sessionId=3) + b"\n" + line(sessionId=4, mood="happy"), mtime=0),
            f"{KEY}.bz2": bz2.compress(line(sessionId=5, level="gold")),
        }
    )
    run = pipeline.load(*DAY, max_rejected_rows=1, **COMPRESSED)
    row = run.xcoms["publish", "return_value"]
    assert (row["log_files"], row["songplays"], row["rejected_events"]) == (3, 3, 1)
    assert pipeline.query("SELECT file_name FROM sparkify.rejected_rows") == [
        (f"s3://{pipeline.bucket}/{KEY}.bz2",)
    ]
    [sentence] = [
        one
        for one in run.xcoms["run_quality_checks", "quality"]["sentences"]
        if "events.keys_are_known" in one
    ]
    assert f"mood in 1 row(s), first in s3://{pipeline.bucket}/{KEY}.gz" in sentence


def test_the_same_play_in_two_files_counts_once(pipeline):
    pipeline.put({KEY: line(), KEY.replace("-01-events", "-02-events"): line()})
    row = pipeline.load("2018-11-01 00:00", "2018-11-03 00:00").xcoms["publish", "return_value"]
    assert (row["songplays"], row["duplicate_plays"]) == (1, 1)


def test_what_is_no_daily_file_is_not_read(pipeline):
    pipeline.put({KEY: line(), f"{KEY}.bak": b"not json", "song_data/readme.txt": b"not json"})
    assert pipeline.load(*DAY).xcoms["publish", "return_value"]["events_staged"] == 1


def test_unknown_and_missing_keys_are_reported_with_their_rows_and_first_file(pipeline):
    pipeline.put({KEY: b"\n".join([line(mood="happy"), line(mood="sad", sessionId=3)])})
    pipeline.put({"song_data/A/TRX.json": b'{"song_id": "SO1", "title": "T", "artist_id": "AR1", '
                  b'"artist_name": "A", "duration": 1.5, "num_songs": 1, "tempo": 120}'})  # fmt: skip
    run = pipeline.load(*DAY)
    quality = run.xcoms["run_quality_checks", "quality"]
    assert {sentence.split()[0] for sentence in quality["sentences"]} == {
        "staging/events.keys_are_known",
        "staging/events.logs_are_fresh",
        "staging/songs.keys_are_known",
        "staging/songs.known_keys_are_there",
    }
    assert any(f"mood in 2 row(s), first in s3://{pipeline.bucket}/{KEY}" in s for s in quality["sentences"])
    details = dict(
        pipeline.query(
            "SELECT table_name || '.' || check_name, detail FROM sparkify.quality_results "
            "WHERE status = 'warned'"
        )
    )
    assert details["staging/songs.keys_are_known"].startswith("tempo in 1 row(s)")
    assert details["staging/songs.known_keys_are_there"].startswith("artist_latitude missing in 1 row(s)")
