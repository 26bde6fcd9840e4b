"""Rejected rows belong to the version of a file and to an hour, whichever run met them last."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.bookkeeping import differences
from sparkify.warehouse import Warehouse
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
    assert statements(500) == statements(11)
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
    assert rejected(pipeline) == [(2, "ts"), (3, "ts"), (4, "ts")]
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
