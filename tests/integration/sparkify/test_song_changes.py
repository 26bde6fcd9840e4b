"""A sweep finds new song files, and a run checks what it is told: nothing is lost, and errors do no harm."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowException
from botocore.client import BaseClient

from sparkify.lake import Lake, LakeError
from sparkify.operators import catalogue, sweep
from sparkify.warehouse import Transaction, TransientError, Warehouse
from tests.support import reference
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.source import event, song

pytestmark = pytest.mark.integration

HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")
NEXT = ("2018-11-01 11:00", "2018-11-01 12:00")
PLAYS = [event("2018-11-01 10:10"), event("2018-11-01 10:20", itemInSession=1, song="Other")]
FIRST, OTHER, THIRD = song(), song("SO2", "AR2", title="Other"), song("SO3", "AR3", title="Third")


def load(pipeline):
    """One song published; nothing is swept by itself."""
    pipeline.put_events(*PLAYS)
    pipeline.put_songs(FIRST)
    pipeline.load(*HOUR, sweep=False)


@pytest.fixture
def loaded(made_by):
    return made_by(load)


def key(of):
    return f"song_data/A/B/C/TR{of['song_id']}.json"


def delete(pipeline, one):
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=key(one))


def etag(pipeline, one):
    return pipeline.s3.head_object(Bucket=pipeline.bucket, Key=key(one))["ETag"].strip('"')


def tell(pipeline, kind, one, etag="", found_by="test"):
    """A hint, true or not."""
    pipeline.execute(
        "INSERT INTO staging.song_changes VALUES "
        f"('{found_by}', GETDATE(), '{kind}', '{pipeline.bucket}', '{key(one)}', NULLIF('{etag}', ''))"
    )


def changes(pipeline):
    rows = pipeline.query("SELECT kind, object_key FROM staging.song_changes")
    return sorted((kind, name.rpartition("TR")[2].removesuffix(".json")) for kind, name in rows)


def ledger(pipeline):
    """The keys of the published song files, each as often as it is there."""
    rows = pipeline.query("SELECT object_key FROM staging.source_files WHERE source = 'songs' ORDER BY 1")
    return [name for (name,) in rows]


def titles(pipeline):
    return dict(pipeline.query("SELECT song_id, title FROM sparkify.songs"))


def listings(pipeline, monkeypatch):
    """The prefixes that are listed from now on."""
    listed: list[str] = []
    call = BaseClient._make_api_call

    def recording(client, operation, parameters):
        if operation == "ListObjectsV2" and parameters["Bucket"] == pipeline.bucket:
            listed.append(parameters["Prefix"])
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    return listed


def test_a_sweep_finds_what_is_new_changed_and_gone_and_the_next_run_publishes_it(loaded, caplog):
    loaded.put_songs(OTHER)
    assert loaded.sweep() == {"listed": 2, "new": 1, "changed": 0, "gone": 0}
    assert "2 song file(s) listed" in caplog.text
    assert changes(loaded) == [("created", "SO2")]
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert changes(loaded) == []

    loaded.put_songs({**OTHER, "title": "Renamed"}, THIRD)
    delete(loaded, FIRST)
    assert loaded.sweep() == {"listed": 2, "new": 1, "changed": 1, "gone": 1}
    assert changes(loaded) == [("created", "SO2"), ("created", "SO3"), ("removed", "SO1")]
    loaded.load(*NEXT, sweep=False)
    assert loaded.tables() == reference.tables(PLAYS, [{**OTHER, "title": "Renamed"}, THIRD])
    assert changes(loaded) == []
    assert loaded.sweep() == {"listed": 2, "new": 0, "changed": 0, "gone": 0}
    assert changes(loaded) == []
    assert loaded.query("SELECT COUNT(*) FROM staging.song_sweeps") == [(3,)]
    assert loaded.work_tables() == loaded.work_objects() == []


def test_a_run_neither_lists_the_catalogue_nor_finds_what_nobody_told(loaded, monkeypatch):
    loaded.put_songs(OTHER)
    listed = listings(loaded, monkeypatch)
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1"}
    loaded.sweep()
    listed.clear()
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert "song_data/" not in listed


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("created", "0123"),
        ("created", "published"),
        ("created", ""),
        ("removed", ""),
    ],
    ids=["other bytes", "these bytes", "no ETag", "removed"],
)
def test_a_hint_that_is_not_true_any_more_changes_nothing(loaded, monkeypatch, kind, told):
    tell(loaded, kind, FIRST, etag(loaded, FIRST) if told == "published" else told)
    before = loaded.tables()
    listed = listings(loaded, monkeypatch)
    run = loaded.load(*NEXT, sweep=False)
    assert run.xcoms["stage_songs", "return_value"]["files"] == 0
    assert "song_data/" not in listed
    assert loaded.tables() == before
    assert changes(loaded) == []


@pytest.mark.parametrize("kind", ["created", "removed"])
def test_a_hint_about_a_file_that_is_not_there_is_dropped(loaded, kind):
    tell(loaded, kind, OTHER, "0123" if kind == "created" else "")
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1"}
    assert changes(loaded) == []


def test_what_is_told_in_the_wrong_order_ends_as_the_file_is(loaded):
    loaded.put_songs(OTHER)
    tell(loaded, "removed", OTHER, found_by="first")
    tell(loaded, "created", OTHER, etag(loaded, OTHER), found_by="second")
    tell(loaded, "created", OTHER, "0123", found_by="third")
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    # That it is gone agreed with the ledger until then; the next run looks.
    assert changes(loaded) == [("removed", "SO2")]
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert changes(loaded) == []


def test_a_change_that_is_told_while_a_run_is_under_way_is_left_to_the_next(loaded):
    loaded.put_songs(OTHER)
    loaded.sweep()
    run = loaded.new_run(*NEXT, sweep=False)
    run.run(upto="stage_songs")
    delete(loaded, OTHER)
    tell(loaded, "removed", OTHER)
    run.run(since="load_songplays")
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert changes(loaded) == [("removed", "SO2")]
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1"}
    assert changes(loaded) == []


def test_a_run_whose_songs_are_left_out_leaves_its_changes(loaded, monkeypatch):
    """Another run, which read fewer changes, but looked later, has published meanwhile."""
    loaded.put_songs(OTHER, THIRD)
    loaded.sweep()
    older = loaded.new_run(*NEXT, sweep=False)
    older.run(before="publish")
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "MOST_CHANGES", 1)
        loaded.load(*HOUR, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    older.run_task("publish")
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert changes(loaded) == [("created", "SO3")]
    loaded.load(*NEXT, sweep=False)
    assert titles(loaded).keys() == {"SO1", "SO2", "SO3"}


def test_two_runs_that_found_the_same_file_publish_it_once(loaded):
    loaded.put_songs(OTHER)
    loaded.sweep()
    runs = [loaded.new_run(*hour, sweep=False) for hour in (HOUR, NEXT)]
    for run in runs:
        run.run(before="publish")
    for run in runs:
        run.run_task("publish")
    assert loaded.tables() == reference.tables(PLAYS, [FIRST, OTHER])
    assert ledger(loaded) == [key(FIRST), key(OTHER)]
    assert changes(loaded) == []


def test_files_that_are_staged_again_take_their_own_place_in_the_ledger(loaded):
    loaded.put({"song_data/A/mixed.json": b'{"song_id": "SO9"}'})
    loaded.sweep()
    for _ in range(2):
        loaded.load(*NEXT, sweep=False, max_rejected_rows=1)
        assert ledger(loaded) == [key(FIRST), "song_data/A/mixed.json"]


def test_new_files_are_published_without_a_search_for_their_places_in_the_ledger(loaded, monkeypatch):
    """The ledger may have a million rows, and publish holds the lock."""
    loaded.put_songs(OTHER)
    loaded.sweep()
    run = loaded.new_run(*NEXT, sweep=False)
    run.run(before="publish")
    statements, execute = [], Transaction.execute

    def recording(transaction, statement, *arguments, **named):
        statements.append(statement)
        return execute(transaction, statement, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "execute", recording)
        run.run_task("publish")
    assert ledger(loaded) == [key(FIRST), key(OTHER)]
    reading = [one for one in statements if "staging.source_files" in one]
    assert len(reading) == 2, "the insertion, and the look which changes it answers"


def test_a_publish_that_is_rolled_back_leaves_the_changes(loaded, monkeypatch):
    loaded.put_songs(OTHER)
    loaded.sweep()
    run = loaded.new_run(*NEXT, sweep=False)
    run.run(before="publish")
    run_script = Transaction.run_script

    def failing(transaction, script, name):
        run_script(transaction, script, name)
        if name == "staging/songs/settle.sql":
            raise TransientError("lost")

    monkeypatch.setattr("sparkify.operators.publish.ATTEMPTS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "run_script", failing)
        with pytest.raises(TransientError):
            run.run_task("publish")
    assert changes(loaded) == [("created", "SO2")]
    run.run_task("publish", try_number=2)
    assert titles(loaded).keys() == {"SO1", "SO2"}
    assert changes(loaded) == []


def test_a_change_that_is_told_while_a_sweep_lists_stays(loaded, monkeypatch):
    """The listing may have passed its place already."""
    loaded.put_songs(OTHER)
    tell(loaded, "created", FIRST, "0123", found_by="before")
    list_files = Lake.list_files

    def telling(lake, bucket, prefixes):
        yield from list_files(lake, bucket, prefixes)
        if bucket == loaded.bucket:
            loaded.put_songs(THIRD)
            tell(loaded, "created", THIRD, etag(loaded, THIRD), found_by="meanwhile")

    monkeypatch.setattr(Lake, "list_files", telling)
    assert loaded.sweep()["new"] == 1
    assert changes(loaded) == [("created", "SO2"), ("created", "SO3")]


def test_a_sweep_that_ends_after_a_publish_enters_nothing_that_is_wrong(loaded, monkeypatch):
    loaded.put_songs(OTHER)
    loaded.sweep()
    loaded.put_songs(THIRD)
    list_files = Lake.list_files

    def publishing(lake, bucket, prefixes):
        yield from list_files(lake, bucket, prefixes)
        if bucket == loaded.bucket and prefixes == ["song_data/"]:
            with monkeypatch.context() as patch:
                patch.setattr(Lake, "list_files", list_files)
                loaded.load(*NEXT, sweep=False)

    monkeypatch.setattr(Lake, "list_files", publishing)
    assert loaded.sweep()["new"] == 1
    assert changes(loaded) == [("created", "SO3")]


def test_a_sweep_that_fails_is_made_good_by_its_retry(loaded, monkeypatch):
    """Its first try has left work objects, of more files than there are now."""
    monkeypatch.setattr(sweep, "FILES_PER_OBJECT", 1)
    loaded.put_songs(OTHER, THIRD)
    run = PipelineRun(load_dag("sparkify_sweep"), variables=loaded.variables, run_id="sweep")
    write = Lake.write

    def failing(lake, bucket, key, body):
        if key.endswith("songs.manifest"):
            raise LakeError("denied")
        return write(lake, bucket, key, body)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "write", failing)
        with pytest.raises(AirflowException, match="denied"):
            run.run_task("sweep_songs")
    assert len(loaded.work_objects()) == 4
    assert len(loaded.work_tables()) == 2
    assert changes(loaded) == []
    delete(loaded, THIRD)
    assert run.run_task("sweep_songs", try_number=2) == {"listed": 2, "new": 1, "changed": 0, "gone": 0}
    assert changes(loaded) == [("created", "SO2")]
    assert loaded.work_tables() == loaded.work_objects() == []


def test_what_a_failed_sweep_leaves_is_dropped_when_it_is_old(loaded, monkeypatch):
    run = PipelineRun(load_dag("sparkify_sweep"), variables=loaded.variables, run_id="sweep")
    monkeypatch.setattr(sweep, "manifest", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.run_task("sweep_songs")
    assert len(loaded.work_tables()) == len(loaded.work_objects()) == 2
    PipelineRun(
        load_dag("sparkify_maintenance"),
        variables=loaded.variables,
        run_after=datetime.now(UTC) + timedelta(days=8),
    ).run_task("drop_old_work")
    assert loaded.work_tables() == loaded.work_objects() == []


def test_an_empty_prefix_is_swept_too(loaded):
    delete(loaded, FIRST)
    assert loaded.sweep() == {"listed": 0, "new": 0, "changed": 0, "gone": 1}
    loaded.load(*NEXT, sweep=False, sparkify_max_removed_percent="100")
    assert titles(loaded) == {}
    assert changes(loaded) == []


def test_more_changes_than_a_run_reads_are_left_to_the_next(loaded, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST_CHANGES", 1)
    loaded.put_songs(OTHER, THIRD)
    loaded.sweep()
    loaded.load(*NEXT, sweep=False)
    assert len(titles(loaded)) == 2
    assert len(changes(loaded)) == 1
    loaded.load(*NEXT, sweep=False)
    assert len(titles(loaded)) == 3
    assert changes(loaded) == []


def test_a_file_with_a_rejected_row_that_is_gone_unnoticed_takes_its_rows_along(loaded):
    loaded.put({"song_data/A/mixed.json": b'{"song_id": "SO9"}'})
    loaded.sweep()
    loaded.load(*NEXT, sweep=False, max_rejected_rows=1)
    assert loaded.query("SELECT COUNT(*) FROM sparkify.rejected_rows") == [(1,)]
    loaded.s3.delete_object(Bucket=loaded.bucket, Key="song_data/A/mixed.json")
    loaded.load(*NEXT, sweep=False)
    assert loaded.query("SELECT COUNT(*) FROM sparkify.rejected_rows") == [(0,)]


def test_no_transaction_is_open_while_a_sweep_asks_s3(loaded, monkeypatch):
    """Redshift Serverless bills an open transaction."""
    opened: set[int] = set()
    asked: list[bool] = []
    connection, call = Warehouse._connection, BaseClient._make_api_call

    @contextmanager
    def counting(warehouse, connect):
        with connection(warehouse, connect) as made:
            opened.add(id(made))
            yield made
            opened.discard(id(made))

    def recording(client, operation, parameters):
        asked.append(bool(opened))
        return call(client, operation, parameters)

    monkeypatch.setattr(Warehouse, "_connection", counting)
    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    loaded.sweep()
    assert asked
    assert not any(asked)


def test_a_sweep_waits_for_the_publish_lock(loaded):
    """What a publish that is under way enters in the ledger is no change any more."""
    loaded.put_songs(OTHER)
    ended = threading.Event()
    with Warehouse().transaction() as transaction:
        transaction.lock()
        thread = threading.Thread(target=lambda: (loaded.sweep(), ended.set()))
        thread.start()
        transaction.execute(
            "INSERT INTO staging.source_files SELECT source, bucket, '" + key(OTHER) + "', '"
            + etag(loaded, OTHER) + "', size_bytes, last_modified, listed_at, run_id, published_at, "
            "catalogue_version, rejected_rows FROM staging.source_files WHERE source = 'songs'"
        )  # fmt: skip
        waiting = "SELECT COUNT(*) FROM svv_transactions WHERE NOT granted"
        while not transaction.execute(waiting)[0][0]:
            assert thread.is_alive()
        assert not ended.is_set()
    thread.join(60)
    assert ended.is_set()
    assert changes(loaded) == []
