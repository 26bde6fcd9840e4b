"""Files that came late or were rewritten, and what failed runs have left."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.fingerprint import fingerprint, overall
from sparkify.warehouse import Warehouse
from sparkify.xcoms import Candidate
from tests.support import reference
from tests.support.pipeline import Airflow, PipelineRun
from tests.support.source import event, log_files, page, song
from tests.support.warehouse import dag_read_once

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
FIRST = event("2018-11-01 03:10:00.000")
LATE = event("2018-11-01 03:59:59.000", itemInSession=1, level="paid")
NEXT = page("2018-11-01 04:30:00.000", itemInSession=2, level="paid")


def task(
    pipeline,
    dag_id: str,
    task_id: str,
    now: datetime = datetime(2018, 11, 3, 2, 30, tzinfo=UTC),
    airflow: Airflow | None = None,
    **params,
):
    """Run one task of a DAG; the run and the task's result."""
    run = PipelineRun(
        dag_read_once(dag_id),
        params,
        variables=pipeline.variables,
        run_id=f"{dag_id}_1",
        run_after=now,
        airflow=airflow or Airflow(),
    )
    return run, run.run_task(task_id)


def reconcile(pipeline, **when) -> list[dict]:
    """The DAG sparkify_reconcile: find the changed days, load them again, then the hours left, report."""
    run, found = task(pipeline, "sparkify_reconcile", "find_changed_days", **when)
    pipeline.reload(found)
    pipeline.reload(run.run_task("find_hours_left"))
    return run.run_task("report_changes")


def test_a_late_event_that_goes_with_the_file_of_another_day_goes_at_once(pipeline):
    """The first day is loaded again before the second, whose run takes the event back."""
    pipeline.variables |= {
        "sparkify_log_keys": "{year}/{month}/{day}/{hour}/*",
        "sparkify_log_deletions": "take back",
    }
    late, second = event("2018-11-01 23:30", itemInSession=5), event("2018-11-02 00:10", itemInSession=6)
    files = {
        "01/03/own.json": [FIRST],
        "01/23/own.json": [event("2018-11-01 23:10", itemInSession=4)],
        "02/00/late.json": [late],
        "02/00/own.json": [second],
    }

    def put(name):
        body = "\n".join(map(json.dumps, files[name])).encode()
        pipeline.put({f"log_data/2018/11/{name}": body})

    for name in files:
        put(name)
    pipeline.load("2018-11-01 00:00", "2018-11-03 00:00")
    del files["02/00/late.json"]
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="log_data/2018/11/02/00/late.json")
    files["01/03/own.json"].append(LATE)
    put("01/03/own.json")

    changes = reconcile(pipeline, now=datetime(2018, 11, 4, 2, 30, tzinfo=UTC))
    assert pipeline.tables() == reference.tables([one for rows in files.values() for one in rows], [])
    assert [change["day"] for change in changes] == ["2018-11-01", "2018-11-02", "2018-11-01"]
    assert changes[2]["files"] == "23:00 to 00:00: rows came or went with another day"
    assert reconcile(pipeline, now=datetime(2018, 11, 4, 2, 30, tzinfo=UTC)) == []


def test_an_event_that_came_after_its_hour_is_healed_once(pipeline):
    pipeline.put_events(FIRST)
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    pipeline.put_events(FIRST, LATE, NEXT)
    pipeline.load("2018-11-01 04:00", "2018-11-01 05:00")
    # The run that finds the file brings what came late for the hour before.
    assert pipeline.tables() == reference.tables([FIRST, LATE, NEXT], [])

    pipeline.put_events(FIRST, NEXT)
    [change] = reconcile(pipeline)
    assert change["day"] == "2018-11-01"
    assert "2018-11-01-events.json has changed" in change["files"]
    assert (change["songplays_before"], change["songplays_after"]) == (2, 1)
    pipeline.put_events(FIRST, LATE, NEXT)
    [change] = reconcile(pipeline)
    assert (change["songplays_before"], change["songplays_after"]) == (1, 2)
    assert pipeline.tables() == reference.tables([FIRST, LATE, NEXT], [])
    assert reconcile(pipeline) == []


def test_a_file_that_came_after_its_hours_and_one_that_went_are_changes(pipeline):
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    pipeline.put_events(FIRST)
    [change] = reconcile(pipeline)
    assert "2018-11-01-events.json is new" in change["files"]
    assert change["songplays_after"] == 1

    [key] = log_files([FIRST])
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=key)
    with pytest.raises(AirflowFailException, match="published_events_keep_their_file"):
        reconcile(pipeline)
    assert len(pipeline.table("songplays")) == 1
    pipeline.put({key: b""})
    [change] = reconcile(pipeline)
    assert change["files"].endswith("has changed")
    assert change["songplays_after"] == 0


def test_an_hour_that_was_never_loaded_is_loaded_with_its_day(pipeline):
    """A run by REST and a backfill, and a hole that they leave: the file is the same all the time."""
    events = [event(f"2018-11-01 {hour:02}:10:00.000", itemInSession=hour) for hour in range(24)]
    pipeline.put_events(*events)
    pipeline.load("2018-11-01 00:00", "2018-11-01 05:00")
    pipeline.load("2018-11-01 06:00", "2018-11-02 00:00")
    [change] = reconcile(pipeline)
    assert change == {
        "day": "2018-11-01",
        "files": "1 hour(s) were never loaded, the first 05:00 UTC",
        "songplays_before": 23,
        "songplays_after": 24,
    }
    assert pipeline.tables() == reference.tables(events, [])
    assert reconcile(pipeline) == []


def test_hours_that_were_never_loaded_are_told_beside_a_file_that_changed(pipeline):
    pipeline.put_events(FIRST)
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    pipeline.put_events(FIRST, LATE)
    [change] = reconcile(pipeline)
    assert change["files"].endswith(
        "-events.json has changed, 23 hour(s) were never loaded, the first 00:00 UTC"
    )


def test_hours_of_today_and_of_days_beyond_the_lookback_wait(pipeline):
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    for now in (datetime(2018, 11, 1, 23, tzinfo=UTC), datetime(2018, 12, 7, 2, 30, tzinfo=UTC)):
        assert reconcile(pipeline, now=now) == []
    [change] = reconcile(pipeline, now=datetime(2018, 12, 7, 2, 30, tzinfo=UTC), lookback_days=36)
    assert change["day"] == "2018-11-01"


def test_today_and_what_was_never_published_are_left_alone(pipeline):
    pipeline.put_events(FIRST, event("2018-11-02 01:00:00.000"))
    pipeline.load("2018-11-02 01:00", "2018-11-02 02:00")
    pipeline.put_events(
        FIRST, event("2018-11-02 01:00:00.000"), event("2018-11-02 01:30:00.000", itemInSession=1)
    )
    assert reconcile(pipeline, now=datetime(2018, 11, 2, 2, 30, tzinfo=UTC)) == []
    [change] = reconcile(pipeline, now=datetime(2018, 11, 3, 2, 30, tzinfo=UTC))
    assert change["day"] == "2018-11-02"


def test_the_run_that_loads_a_day_again_is_named_after_the_files(pipeline):
    pipeline.load(*DAY)
    pipeline.put_events(FIRST)
    _, [first] = task(pipeline, "sparkify_reconcile", "find_changed_days")
    _, [again] = task(pipeline, "sparkify_reconcile", "find_changed_days")
    assert again == first
    pipeline.put_events(FIRST, LATE)
    _, [other] = task(pipeline, "sparkify_reconcile", "find_changed_days")
    assert other["trigger_run_id"] != first["trigger_run_id"]
    assert other["conf"] == {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-11-02T00:00:00Z"}


def test_a_copy_beside_a_days_file_is_not_its_file(pipeline):
    pipeline.put_events(FIRST)
    [(key, body)] = log_files([LATE]).items()
    pipeline.put({f"{key}.bak": body, "song_data/_SUCCESS": b""})
    pipeline.load(*DAY)
    assert pipeline.tables() == reference.tables([FIRST], [])


def test_older_bytes_are_not_published_over_newer_ones(pipeline):
    pipeline.put_events(FIRST)
    older = pipeline.new_run(*DAY)
    older.run(upto="run_quality_checks")
    pipeline.put_events(FIRST, LATE, NEXT)
    pipeline.load(*DAY)
    older.run_task("publish")
    assert pipeline.tables() == reference.tables([FIRST, LATE, NEXT], [])
    assert pipeline.work_tables() == []


def test_older_bytes_stay_out_when_a_run_of_the_newest_ones_comes_late(pipeline):
    """Listed: new, old, new. Published: the last, the first, and then the old ones."""
    old, new = [FIRST], [FIRST, LATE, NEXT]
    old_song, new_song = song(year=1999), song(year=2001)
    runs = []
    for events, one in ((new, new_song), (old, old_song)):
        pipeline.put_events(*events)
        pipeline.put_songs(one)
        runs.append(pipeline.new_run(*DAY))
        runs[-1].run(upto="run_quality_checks")
    pipeline.put_events(*new)
    pipeline.put_songs(new_song)
    pipeline.load(*DAY)
    for run in runs:
        run.run_task("publish")
    assert pipeline.tables() == reference.tables(new, [new_song])


def test_hours_that_others_published_since_from_newer_files_stay(pipeline):
    pipeline.put_events(FIRST)
    older = pipeline.new_run(*DAY)
    older.run(upto="run_quality_checks")
    pipeline.put_events(FIRST, LATE, NEXT)
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    older.run_task("publish")
    assert pipeline.tables() == reference.tables([FIRST, LATE], [])
    # Of the hours that it published, the next run brings what came since.
    pipeline.load("2018-11-02 00:00", "2018-11-02 01:00")
    assert pipeline.tables() == reference.tables([FIRST, LATE, NEXT], [])


def test_older_songs_are_left_to_the_next_run(pipeline):
    pipeline.put_songs(song(year=1999), song("SO2", title="Another"))
    older = pipeline.new_run(*DAY)
    older.run(upto="run_quality_checks")
    pipeline.put_songs(song(year=2001))
    pipeline.load("2018-11-02 00:00", "2018-11-02 01:00")
    older.run_task("publish")
    final = [song(year=2001), song("SO2", title="Another")]
    assert pipeline.tables() == reference.tables([], final)


def test_a_window_among_published_ones_takes_the_place_of_their_rows_in_the_history(pipeline):
    pipeline.put_events(FIRST, NEXT)
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    pipeline.load("2018-11-01 04:00", "2018-11-01 06:00")
    pipeline.load("2018-11-01 02:00", "2018-11-01 05:00")
    windows = pipeline.query("SELECT window_start, window_end FROM sparkify.load_history ORDER BY 1")
    assert [(start.hour, end.hour) for start, end in windows] == [(2, 5), (4, 6)]


def test_the_fingerprint_follows_the_contents_alone(pipeline):
    warehouse = Warehouse()
    pipeline.put_events(FIRST, NEXT)
    pipeline.put_songs(song())
    pipeline.load("2018-11-01 03:00", "2018-11-01 04:00")
    pipeline.load("2018-11-01 04:00", "2018-11-01 05:00")
    by_hours = fingerprint(warehouse)
    assert {table: one.rows for table, one in by_hours.items()} == {
        table: len(rows) for table, rows in reference.tables([FIRST, NEXT], [song()]).items()
    }
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    empty = fingerprint(warehouse)
    assert all(by_hours[table] != empty[table] for table in empty)
    pipeline.load(*DAY)
    assert fingerprint(warehouse) == by_hours
    assert overall(fingerprint(warehouse)) == overall(by_hours) != overall(empty)


@pytest.mark.parametrize("change", [
    "UPDATE sparkify.songplays SET location = NULL",
    "UPDATE sparkify.songplays SET location = '', level = 'freeLansing, MI'",
    "UPDATE sparkify.songplays SET song_length = song_length + 0.00001",
    "UPDATE sparkify.users SET is_current = NOT is_current",
    "UPDATE sparkify.time SET start_time = DATEADD(ms, 1, start_time)",
    "INSERT INTO sparkify.artists SELECT * FROM sparkify.artists",
])  # fmt: skip
def test_the_fingerprint_changes_with_any_value(pipeline, change):
    pipeline.put_events(FIRST)
    pipeline.put_songs(song())
    pipeline.load(*DAY)
    before = fingerprint(Warehouse())
    pipeline.execute(change)
    assert sum(one != before[table] for table, one in fingerprint(Warehouse()).items()) == 1


def test_work_that_a_failed_run_left_is_dropped_when_it_is_old(pipeline):
    pipeline.put_events(FIRST)
    failed = pipeline.new_run(*DAY)
    failed.run(upto="load_songplays")
    tables, now = pipeline.work_tables(), datetime.now(UTC)
    assert "events_files" in str(tables)
    _, dropped = task(pipeline, "sparkify_maintenance", "drop_old_work", now=now + timedelta(days=6.9))
    assert (dropped, pipeline.work_tables()) == ([], tables)
    _, dropped = task(pipeline, "sparkify_maintenance", "drop_old_work", now=now + timedelta(days=7.1))
    assert dropped == [f"staging.{table}" for table in tables]
    assert (pipeline.work_tables(), pipeline.work_objects()) == ([], [])
    tables = failed.dag.get_task("publish").tables
    passed = [Candidate(table, "append", 0).xcom() for table in tables]
    failed.xcoms["run_quality_checks", "return_value"] = passed
    with pytest.raises(AirflowFailException, match="\nClear run_quality_checks of this run"):
        failed.run_task("publish")
    failed.run(since="load_users", try_number=2)
    assert pipeline.tables() == reference.tables([FIRST], [])


def drop_old_work(pipeline, *, days: float, **airflow) -> list[str]:
    """The DAG sparkify_maintenance, so many days from now: what it drops."""
    now = datetime.now(UTC) + timedelta(days=days)
    _, dropped = task(pipeline, "sparkify_maintenance", "drop_old_work", now=now, airflow=Airflow(**airflow))
    return dropped


def test_a_run_that_found_no_new_song_finds_its_tables_in_its_retry(pipeline):
    """Its task stage_events waits for its retry while maintenance comes by."""
    pipeline.put_events(FIRST)
    waiting = pipeline.new_run(*DAY)
    waiting.run_task("stage_songs")
    tables = pipeline.work_tables()
    live = {("sparkify", waiting.run_id): "running"}
    assert drop_old_work(pipeline, days=0, states=live) == []
    assert pipeline.work_tables() == tables
    assert drop_old_work(pipeline, days=0) == []
    waiting.run(since="stage_events", try_number=2)
    assert pipeline.tables() == reference.tables([FIRST], [])


@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("run_id", ["scheduled__2018-11-01T03:00:00+00:00", "manual__.~:+-" + "x" * 200])
def test_work_of_a_live_run_stays_whatever_its_age(pipeline, caplog, state, run_id):
    pipeline.put_events(FIRST)
    live, ended = pipeline.new_run(*DAY), pipeline.new_run(*DAY)
    live.run_id = run_id
    for run in (live, ended):
        run.run(upto="load_songplays")
    tables = pipeline.work_tables()
    states = {("sparkify", run_id): state, ("sparkify", ended.run_id): "failed"}
    dropped = drop_old_work(pipeline, days=30, states=states)
    assert len(dropped) == len(pipeline.work_tables()) == len(tables) / 2
    assert f"kept: run {run_id} of DAG sparkify is live" in caplog.text
    live.run(since="load_users")
    assert pipeline.tables() == reference.tables([FIRST], [])
    assert (pipeline.work_tables(), pipeline.work_objects()) == ([], [])


def test_where_airflow_does_not_say_whether_a_run_is_live_its_work_stays(pipeline, caplog):
    pipeline.new_run(*DAY).run(upto="stage_events")
    tables, objects = pipeline.work_tables(), pipeline.work_objects()
    assert drop_old_work(pipeline, days=30, is_answering=False) == []
    assert (pipeline.work_tables(), pipeline.work_objects()) == (tables, objects)
    assert "kept: Airflow does not say whether its run is live (API_SERVER_ERROR" in caplog.text
    assert drop_old_work(pipeline, days=30) == [f"staging.{table}" for table in tables]


def test_work_tables_whose_objects_are_gone_are_dropped_once_no_run_is_live(pipeline, caplog):
    """Nothing tells their run: it may be any."""
    pipeline.new_run(*DAY).run(upto="stage_events")
    for key in pipeline.work_objects():
        pipeline.s3.delete_object(Bucket=pipeline.work_bucket, Key=key)
    tables = pipeline.work_tables()
    assert drop_old_work(pipeline, days=0, states={("sparkify", "another"): "queued"}) == []
    assert "kept: nothing tells which run it is of, and 1 run(s) of DAG sparkify are live" in caplog.text
    others = {("sparkify", "another"): "success", ("else", "r"): "running"}
    assert drop_old_work(pipeline, days=0, states=others) == [f"staging.{table}" for table in tables]
    assert pipeline.work_tables() == []
