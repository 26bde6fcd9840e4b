"""Rejected rows belong to the version of a file and to an hour, whichever run met them last."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.bookkeeping import differences
from sparkify.lake import Lake
from sparkify.warehouse import Warehouse, WarehouseError
from tests.support.source import event, page, song

pytestmark = pytest.mark.integration

KEY = "log_data/2018/11/2018-11-01-events.json"
DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
GOOD = event("2018-11-01 10:10")
GOLD = event("2018-11-01 10:20", itemInSession=1, level="gold")
TEXTS = ["It's", 'a "quote"', "\\", "\\N", "'); DROP TABLE staging.victim; --", "%s {{ ds }}", " \u3000 "]
BROKEN = [event("2018-11-01 11:00", ts=text, itemInSession=9) for text in ("noon", "one", "two")]


def hour(number):
    return f"2018-11-01 {number:02}:00", f"2018-11-01 {number + 1:02}:00"


def write(pipeline, *events):
    pipeline.put({KEY: "\n".join(map(json.dumps, events)).encode()})


def rejected(pipeline):
    return sorted(
        pipeline.query("SELECT COALESCE(line_number, 0), column_name FROM sparkify.rejected_rows"), key=str
    )


def found():
    with Warehouse().transaction() as transaction:
        return differences(transaction)


def test_a_row_that_each_hourly_run_meets_is_kept_once(pipeline):
    write(pipeline, GOOD, BROKEN[0])
    for number in (9, 10, 11):
        pipeline.load(*hour(number), max_rejected_rows=1)
    assert rejected(pipeline) == [(2, "ts")]
    [(etag, start)] = pipeline.query("SELECT etag, hour_start FROM sparkify.rejected_rows")
    assert [etag] == [tag for (tag,) in pipeline.query("SELECT etag FROM staging.landed_files")]
    assert start is None
    assert not found(), str(found())


@pytest.mark.parametrize("budget", [600, 10], ids=["within the budget", "over it"])
def test_many_rows_take_no_more_statements_than_one(pipeline, caplog, budget):
    caplog.set_level("INFO", "sparkify.warehouse")

    def statements(rows):
        write(pipeline, GOOD, *[{**BROKEN[0], "itemInSession": number} for number in range(rows)])
        caplog.clear()
        with suppress(AirflowFailException):
            pipeline.new_run(*DAY, max_rejected_rows=budget).run_task("stage_events")
        return len(caplog.records)

    # From the second version of the file on, its rows take others' place.
    statements(1)
    assert statements(11) == statements(500)
    [(kept,)] = pipeline.query("SELECT COUNT(DISTINCT raw_line) FROM sparkify.rejected_rows")
    assert kept >= min(500, budget)


@pytest.mark.parametrize(
    ("variable", "param", "most"),
    [
        ("2", None, 2),
        ("500000 ppm", None, 2),
        ("499999 ppm", None, 1),
        ("1000000 ppm", 1, 1),
        ("0", 2, 2),
        (None, None, 0),
    ],
)
def test_the_budget_of_a_source_is_its_variables_unless_the_run_has_one(pipeline, variable, param, most):
    """Of four rows, COPY refuses one and the model another."""
    write(pipeline, GOOD, event("2018-11-01 12:00"), GOLD, BROKEN[0])
    variables = {"sparkify_max_rejected_events": variable} if variable else {}
    run = pipeline.new_run(*DAY, max_rejected_rows=param, **variables)
    if most < 2:
        with pytest.raises(
            AirflowFailException, match=r"sparkify_max_rejected_events or param max_rejected_rows"
        ):
            run.run()
    else:
        run.run()
        [kept] = pipeline.query(
            "SELECT status, observed, error_if FROM sparkify.quality_results "
            "WHERE check_name = 'rejected_rows_are_within_the_budget'"
        )
        assert tuple(kept) == ("warned", 2.0, f"> {most}")
    assert len(pipeline.table("songplays")) == (2 if most >= 2 else 0)
    assert rejected(pipeline)


def test_each_source_has_a_budget_of_its_own(pipeline):
    write(pipeline, GOOD)
    pipeline.put({"song_data/A.json": b"no song"})
    for allowed, fails in (("sparkify_max_rejected_events", True), ("sparkify_max_rejected_songs", False)):
        run = pipeline.new_run(*DAY, **{allowed: "1"})
        if fails:
            with pytest.raises(AirflowFailException, match=r"1 or more rows of the songs files.*allows none"):
                run.run()
        else:
            run.run()


def test_a_rejected_row_keeps_its_text_whatever_that_is(pipeline):
    lines = [f'{{"ts": "noon", "song": {json.dumps(text, ensure_ascii=False)}}}' for text in TEXTS]
    lines += ["\\", r"\N", r"\u0041", "é\u2028ü \N{GRINNING FACE} \t}"]
    pipeline.put({KEY: "\n".join(lines).encode()})
    pipeline.load(*DAY, max_rejected_rows=len(lines))
    found = pipeline.query("SELECT line_number, raw_line FROM sparkify.rejected_rows ORDER BY 1")
    assert found == list(enumerate(lines, 1))


def test_an_hour_that_was_mended_clears_what_a_longer_window_rejected(pipeline):
    write(pipeline, GOOD, GOLD, BROKEN[0])
    pipeline.load(*DAY, max_rejected_rows=2)
    assert rejected(pipeline) == [(0, "level"), (3, "ts")]
    write(pipeline, GOOD, GOLD | {"level": "paid"})
    pipeline.load(*hour(10))
    assert rejected(pipeline) == []
    assert len(pipeline.table("songplays")) == 2
    assert not found(), str(found())


def test_a_row_of_another_hour_stays_when_one_hour_is_loaded_again(pipeline):
    write(pipeline, GOOD, GOLD)
    pipeline.load(*DAY, max_rejected_rows=1)
    pipeline.load(*hour(11))
    assert rejected(pipeline) == [(0, "level")]
    assert not found(), str(found())


def test_a_copy_that_fails_at_its_first_bad_row_replaces_that_one_alone(pipeline):
    write(pipeline, GOOD, *BROKEN)
    pipeline.load(*DAY, max_rejected_rows=3)
    write(pipeline, GOOD, *BROKEN, event("2018-11-01 12:00"))
    run = pipeline.new_run(*DAY)
    with pytest.raises(AirflowFailException, match="cannot be loaded"):
        run.run()
    # Of the version that landed, and of the one that did not.
    assert set(rejected(pipeline)) == {(2, "ts"), (3, "ts"), (4, "ts")}
    assert not found(), str(found())
    own = pipeline.query(f"SELECT COUNT(*) FROM sparkify.rejected_rows WHERE run_id = '{run.run_id}'")
    assert own[0][0] >= 1


def test_a_mended_song_file_leaves_no_row_behind_whichever_windows_met_it(pipeline):
    bad = song("SO1", title=None)
    pipeline.put({"song_data/one.json": json.dumps(bad).encode()})
    for number in (9, 10, 11):
        pipeline.load(*hour(number), max_rejected_rows=1)
    assert rejected(pipeline) == [(1, "title")]
    pipeline.put({"song_data/one.json": json.dumps(song()).encode()})
    pipeline.load(*hour(12))
    assert rejected(pipeline) == []
    assert not found(), str(found())


def test_lost_rows_of_a_file_and_of_an_hour_are_noticed(pipeline):
    write(pipeline, GOOD, GOLD, BROKEN[0])
    pipeline.load(*DAY, max_rejected_rows=2)
    pipeline.execute("DELETE FROM sparkify.rejected_rows WHERE hour_start IS NOT NULL")
    assert "1 batch(es) of log files are not as they landed" in str(found())
    pipeline.execute("DELETE FROM sparkify.rejected_rows")
    assert "1 batch(es) of log files are not as they landed" in str(found())


def test_loaded_hours_count_each_event_once_where_windows_overlap(pipeline):
    write(pipeline, GOOD, GOOD, GOLD, page("2018-11-01 11:10"), event("2018-11-01 11:20"))
    pipeline.load("2018-11-01 10:00", "2018-11-01 12:00", max_rejected_rows=1)
    pipeline.load("2018-11-01 11:00", "2018-11-01 13:00")
    assert pipeline.query("SELECT SUM(events_in_window) FROM sparkify.load_history") == [(6,)]
    assert pipeline.query(
        "SELECT SUM(events), SUM(songplays), SUM(duplicate_plays), SUM(other_pages), SUM(rejected_rows) "
        "FROM sparkify.loaded_hours"
    ) == [(5, 2, 1, 1, 1)]


TABLES = ("sys_load_error_detail", "stl_load_errors")
UNTOLD = "COPY left the row out; its details could not be read: permission denied for view "


def details(pipeline, columns="file_name, line_number, raw_line"):
    return pipeline.query(f"SELECT {columns} FROM sparkify.rejected_rows ORDER BY line_number")


@pytest.mark.parametrize("missing", [(), TABLES[:1], TABLES[1:]], ids=["both", "without SYS", "without STL"])
def test_a_row_is_told_by_the_tables_that_there_are(pipeline, monkeypatch, missing):
    """STL has the text, so it is read from S3 only where that is missing."""
    read = []
    lines = Lake.lines
    monkeypatch.setattr(Lake, "lines", lambda *args: read.append(args[2]) or lines(*args))
    write(pipeline, GOOD, *BROKEN)
    with pipeline.forbidden(*missing):
        pipeline.load(*DAY, max_rejected_rows=3)
    assert details(pipeline) == [
        (f"s3://{pipeline.bucket}/{KEY}", number, json.dumps(event)) for number, event in enumerate(BROKEN, 2)
    ]
    assert read == ([KEY] if missing == TABLES[1:] else [])


def test_a_cluster_without_sys_tables_is_asked_for_its_own(pipeline):
    write(pipeline, GOOD, *BROKEN)
    with pipeline.without_sys_tables():
        pipeline.load(*DAY, max_rejected_rows=3)
    assert rejected(pipeline) == [(2, "ts"), (3, "ts"), (4, "ts")]


def test_a_good_load_is_kept_though_nobody_may_read_what_it_left_out(pipeline, caplog):
    write(pipeline, GOOD, *BROKEN)
    with pipeline.forbidden(*TABLES):
        run = pipeline.load(*DAY, max_rejected_rows=3)
    assert len(pipeline.table("songplays")) == 1
    assert details(pipeline, "file_name, line_number, column_name, error_code, raw_line, etag") == (
        3 * [(None, None, "", 0, None, None)]
    )
    [(reason,)] = pipeline.query("SELECT DISTINCT reason FROM sparkify.rejected_rows")
    assert reason.startswith(UNTOLD)
    staged = run.xcoms["stage_events", "return_value"]
    assert (staged["copied"], staged["rejected"], staged["rows"]) == (1, 3, 1)
    assert pipeline.query("SELECT rejected_rows FROM staging.landed_files") == [(3,)]
    assert any("permission denied" in r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert not found(), str(found())


def test_rows_without_details_count_against_the_budget(pipeline):
    write(pipeline, GOOD, *BROKEN)
    with (
        pipeline.forbidden(*TABLES),
        pytest.raises(AirflowFailException, match=r"3 rows of the events files.*its details could not be"),
    ):
        pipeline.load(*DAY, max_rejected_rows=None, sparkify_max_rejected_events="500000 ppm")
    assert len(details(pipeline)) == 3
    assert pipeline.table("songplays") == []


def test_a_refused_load_says_so_though_nobody_may_read_why(pipeline):
    write(pipeline, GOOD, *BROKEN)
    with pipeline.forbidden(*TABLES), pytest.raises(WarehouseError, match=r"Load into table '.*' failed"):
        pipeline.load(*DAY, max_rejected_rows=1)
    assert details(pipeline) == []


def test_a_row_without_details_is_kept_once_until_its_file_changes(pipeline):
    write(pipeline, GOOD, BROKEN[0])
    other = {KEY.replace("-01-", "-02-"): b"no event"}
    pipeline.put(other)
    with pipeline.forbidden(*TABLES):
        for window in (hour(9), hour(10), ("2018-11-02 00:00", "2018-11-02 01:00")):
            pipeline.load(*window, max_rejected_rows=1)
            assert not found(), str(found())
    assert rejected(pipeline) == [(0, ""), (0, "")]
    # The file has landed without the row: nobody looks again.
    pipeline.load(*hour(11))
    assert rejected(pipeline) == [(0, ""), (0, "")]
    write(pipeline, GOOD)
    pipeline.load(*hour(12))
    assert rejected(pipeline) == [(0, "")]
    pipeline.put(dict.fromkeys(other, json.dumps(event("2018-11-02 00:10")).encode()))
    pipeline.load("2018-11-02 05:00", "2018-11-02 06:00")
    assert rejected(pipeline) == []
    assert not found(), str(found())


def test_song_files_are_staged_again_until_the_row_that_one_of_them_lacks_is_told(pipeline):
    pipeline.put_songs(song("SO1"), song("SO2"))
    pipeline.put({"song_data/bad.json": b"no song"})
    with pipeline.forbidden(*TABLES):
        pipeline.load(*hour(9), max_rejected_rows=1)
    assert pipeline.load(*hour(10), max_rejected_rows=1).xcoms["stage_songs", "return_value"]["files"] == 3
    assert details(pipeline, "file_name") == [(f"s3://{pipeline.bucket}/song_data/bad.json",)]
    assert pipeline.load(*hour(11), max_rejected_rows=1).xcoms["stage_songs", "return_value"]["files"] == 1
    assert not found(), str(found())
