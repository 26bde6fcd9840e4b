"""The operators one by one: what they read and leave behind, and how they fail."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.lake import LakeError
from sparkify.operators.publish import HISTORY
from sparkify.operators.schema import CONFIRMATION
from sparkify.paths import JSONPATHS
from sparkify.warehouse import SchemaMissingError, Warehouse, WarehouseError
from tests.support.source import event, page, song

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
PUBLISHED = {
    "sparkify.artists",
    "sparkify.load_history",
    "sparkify.quality_results",
    "sparkify.rejected_rows",
    "sparkify.songplays",
    "sparkify.songs",
    "sparkify.time",
    "sparkify.users",
}


def test_schema_is_created_once_and_kept(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.load(*DAY)
    assert set(pipeline.create_schema()) >= PUBLISHED
    assert len(pipeline.table("songplays")) == 1


def test_schema_is_dropped_only_when_confirmed(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.load(*DAY)
    with pytest.raises(AirflowFailException, match=r"nothing was changed.*DROP sparkify"):
        pipeline.create_schema(drop_existing=True, confirm_drop="yes")
    assert len(pipeline.table("songplays")) == 1

    assert set(pipeline.create_schema(drop_existing=True, confirm_drop=CONFIRMATION)) >= PUBLISHED
    assert pipeline.table("songplays") == []
    pipeline.load(*DAY)
    assert len(pipeline.table("songplays")) == 1


@pytest.mark.parametrize("task_id", ["stage_songs", "publish"])
def test_without_a_schema_the_error_names_the_dag_to_run(empty_pipeline, task_id):
    run = empty_pipeline.new_run(*DAY)
    run.xcoms["run_quality_checks", "return_value"] = [
        {"table": table, "mode": "append", "rows": 0}
        for table in ("songs", "artists", "songplays", "users", "time")
    ]
    with pytest.raises(SchemaMissingError, match="Run the DAG sparkify_schema"):
        run.run_task(task_id)


def test_only_the_windows_days_are_staged(pipeline):
    pipeline.put_events(*[event(f"2018-11-0{day} 10:00") for day in (1, 2, 3)])
    pipeline.put({"log_data/2018/11/2018-11-02-events.json.bak": b"not json"})
    run = pipeline.new_run("2018-11-01 00:00", "2018-11-01 01:00")
    size = pipeline.s3.head_object(Bucket=pipeline.bucket, Key="log_data/2018/11/2018-11-01-events.json")[
        "ContentLength"
    ]
    assert run.run_task("stage_events") == {
        "source": "events",
        "rows": 1,
        "values": 1,
        "objects": 1,
        "copied": 1,
        "rejected": 0,
        "allowed": 0,
        "files": 1,
        "bytes": size,
        "bytes_looked_at": size,
        "bytes_of_keys": size,
    }


def test_an_hour_without_files_is_an_empty_load(pipeline):
    run = pipeline.load("2018-11-09 10:00", "2018-11-09 11:00")
    assert run.xcoms["publish", "return_value"] | {"songplays": 0} == dict.fromkeys(
        HISTORY,
        0,
    )


def test_only_new_songs_are_staged_unless_a_file_has_changed(pipeline):
    pipeline.put_songs(song("SO1"), song("SO2", title="Uprising"))
    assert pipeline.load(*DAY).xcoms["stage_songs", "return_value"]["files"] == 2
    assert pipeline.load(*DAY).xcoms["stage_songs", "return_value"]["files"] == 0
    pipeline.put_songs(song("SO3"))
    assert pipeline.load(*DAY).xcoms["stage_songs", "return_value"]["files"] == 1
    pipeline.put_songs(song("SO2", title="Hysteria"))
    assert pipeline.load(*DAY).xcoms["stage_songs", "return_value"]["files"] == 3


def test_a_retry_finds_what_has_landed(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run(*DAY)
    assert [run.run_task("stage_events", number)["rows"] for number in (1, 2)] == [1, 0]
    assert pipeline.query(f"SELECT COUNT(*) FROM {run.work_table('events')}") == [(1,)]


def test_counts_of_a_window_add_up(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00", user=1),
        event("2018-11-01 10:01", user=2),
        page("2018-11-01 10:02", user=2),
        page("2018-11-01 10:03", user=""),
        event("2018-11-01 12:00", user=3),
    )
    pipeline.put_songs(song())
    row = pipeline.load("2018-11-01 10:00", "2018-11-01 11:00").xcoms["publish", "return_value"]
    assert row == {
        "log_files": 1,
        "song_files": 1,
        "events_staged": 5,
        "events_in_window": 4,
        "events_outside": 1,
        "songplays": 2,
        "duplicate_plays": 0,
        "other_pages": 2,
        "rejected_events": 0,
        "rejected_songs": 0,
        "users": 2,
        "songs": 1,
        "artists": 1,
        "time_rows": 2,
    }


def test_publish_leaves_no_work_tables_or_objects_and_may_be_cleared(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run(*DAY)
    first = run.run()
    assert pipeline.work_tables() == []
    assert pipeline.work_objects() == []
    assert run.run_task("publish", try_number=2) == first


def test_a_failed_check_publishes_nothing_and_is_remembered(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.load(*DAY)
    published = pipeline.tables()
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="log_data/2018/11/2018-11-01-events.json")
    run = pipeline.new_run(*DAY)
    with pytest.raises(AirflowFailException, match=r"published_events_keep_their_file observed 1"):
        run.run()
    assert pipeline.tables() == published
    assert pipeline.query(
        "SELECT table_name, check_name, observed FROM sparkify.quality_results WHERE status = 'failed'"
    ) == [("staging/events", "published_events_keep_their_file", 1.0)]
    assert pipeline.query("SELECT COUNT(*) FROM sparkify.quality_results")[0][0] > 10
    assert pipeline.work_tables() != []

    pipeline.put({"log_data/2018/11/2018-11-01-events.json": b""})
    run.run()
    assert pipeline.table("songplays") == []
    assert pipeline.work_tables() == []


def test_a_missing_bucket_is_named_with_the_remedy(pipeline):
    run = pipeline.new_run(*DAY, sparkify_bucket="no-such-bucket")
    with pytest.raises(LakeError, match=r"s3://no-such-bucket/log_data.*\n.*Airflow Variables"):
        run.run_task("stage_events")


def test_jsonpaths_on_s3_may_take_the_place_of_the_projects_own(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put(
        {"conf/paths.json": (JSONPATHS / "log_json_path.json").read_bytes().replace(b"'artist'", b"'song'")}
    )
    pipeline.load(*DAY, sparkify_log_json_path=f"s3://{pipeline.bucket}/conf/paths.json")
    assert [row[10] for row in pipeline.table("songplays")] == ["Supermassive Black Hole"]


def test_copy_takes_the_options_that_a_variable_names(pipeline):
    key = "log_data/2018/11/2018-11-01-events.json"
    lines = [
        json.dumps(event("2018-11-01 10:00", song="s\xa4t"), ensure_ascii=False).encode("latin-1"),
        json.dumps(event("2018-11-01 10:01", song="x" * 2000)).encode(),
        json.dumps(event("2018-11-01 10:02", song="")).encode(),
    ]
    pipeline.put({key: b"\n".join(lines)})
    with pytest.raises(AirflowFailException, match="cannot be loaded"):
        pipeline.new_run(*DAY).run_task("stage_events")
    options = "acceptinvchars as '^' TRUNCATECOLUMNS BLANKSASNULL  EMPTYASNULL"
    run = pipeline.new_run(*DAY, sparkify_copy_options_events=options, sparkify_copy_options_songs="ROUNDEC")
    run.run_task("stage_events")
    songs = pipeline.query(f"SELECT song FROM {run.work_table('events')} ORDER BY ts")
    assert songs == [("s^t",), ("x" * 1024,), (None,)]
    task, context = run.rendered("stage_songs")
    assert "\nROUNDEC\nMAXERROR 1\n" in task._copy_script(context, "t", "a.manifest", "")


def test_the_dimension_mode_is_checked(pipeline):
    run = pipeline.new_run(*DAY, mode="upsert")
    run.run_task("stage_events")
    with pytest.raises(ValueError, match="append, truncate"):
        run.run_task("load_users")


def test_truncate_above_its_number_of_plays_is_refused_before_anything_is_written(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"), event("2018-11-01 11:00"))
    pipeline.load(*DAY)
    run = pipeline.new_run(*DAY, mode="truncate", sparkify_max_truncate_rows="1")
    run.run(upto="load_songplays")
    before = pipeline.work_tables(), pipeline.tables()
    for table in ("users", "songs", "artists", "time"):
        with pytest.raises(AirflowFailException, match=r"has 2 row.*truncate_rows allows 1\b.*\n.*append"):
            run.run_task(f"load_{table}")
    assert before == (pipeline.work_tables(), pipeline.tables())
    run.variables["sparkify_max_truncate_rows"] = "2"
    for table in ("users", "songs", "artists", "time"):
        run.run_task(f"load_{table}")
    run.run(since="run_quality_checks")
    pipeline.load(*DAY, sparkify_max_truncate_rows="0")


def test_a_warehouse_that_is_down_is_named_with_the_remedy(pipeline, monkeypatch):
    warehouse = Warehouse("redshift_default")

    def refuse():
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(warehouse.hook, "get_conn", refuse)
    with (
        pytest.raises(WarehouseError, match=r"'redshift_default'.*\nCheck host, port"),
        warehouse.transaction(),
    ):
        pass


def test_a_transaction_rolls_back_on_any_error(pipeline):
    def fail_half_way():
        with Warehouse("redshift_default").transaction() as transaction:
            transaction.execute("INSERT INTO sparkify.songs (song_id) VALUES ('SO1')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert pipeline.table("songs") == []
