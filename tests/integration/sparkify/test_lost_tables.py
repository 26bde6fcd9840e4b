"""Tables that were lost, emptied or changed by other hands: noticed, refused, and brought back whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.bookkeeping import differences
from sparkify.fingerprint import fingerprint
from sparkify.warehouse import Warehouse, WarehouseError
from tests.support.pipeline import PipelineRun
from tests.support.source import event, page, song
from tests.support.warehouse import Pipeline, dag_read_once, new_buckets

pytestmark = pytest.mark.integration

NOW = datetime(2018, 11, 4, 2, 30, tzinfo=UTC)
HOURS = [("2018-11-01 10:00", "2018-11-01 12:00"), ("2018-11-02 09:00", "2018-11-02 11:00")]
NEXT = ("2018-11-02 11:00", "2018-11-02 12:00")
#: An hour of which reconciling loads nothing.
NEXT_DAY = ("2018-11-03 00:00", "2018-11-03 01:00")
EVENTS = [
    event("2018-11-01 10:10", itemInSession=0),
    event("2018-11-01 11:20", itemInSession=1, level="paid"),
    event("2018-11-01 11:40", 9, itemInSession=0),
    event("2018-11-02 09:10", itemInSession=2, level="free"),
    page("2018-11-02 10:10", itemInSession=3, level="paid"),
    event("2018-11-02 10:30", 9, itemInSession=1, song="Other", artist="Nobody"),
    event("2018-11-02 11:30", 10),
]
SONGS = [song(), song("SO2", "AR2", title="Other", artist_name="Nobody"), song("SO3", "AR2", title="Third")]

HALF = {
    "sparkify.songplays": "item_in_session = 0",
    "sparkify.users": "level = 'paid'",
    "sparkify.songs": "song_id = 'SO2'",
    "sparkify.artists": "artist_id = 'AR2'",
    "sparkify.time": "start_time < TIMESTAMP '2018-11-02 00:00:00'",
    "sparkify.load_history": "window_start < TIMESTAMP '2018-11-02 00:00:00'",
    "staging.user_observations": "level = 'free'",
    "staging.song_observations": "song_id = 'SO2'",
    "staging.artist_observations": "song_id = 'SO2'",
    "staging.played_titles": "song_title = 'Other'",
    "staging.published_hours": "hour_start < TIMESTAMP '2018-11-01 11:00:00'",
}
DAMAGES = {
    **{f"{table} lost": f"DROP TABLE {table} CASCADE" for table in HALF},
    **{f"{table} half": f"DELETE FROM {table} WHERE {where}" for table, where in HALF.items()},
    "schema sparkify lost": "DROP SCHEMA sparkify CASCADE",
    "schema staging lost": "DROP SCHEMA staging CASCADE",
}


def load(pipeline):
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*SONGS)
    for window in HOURS:
        pipeline.load(*window)
    return pipeline


@pytest.fixture
def loaded(made_by):
    return made_by(load)


@pytest.fixture(scope="module")
def standing():
    """What `healed` hands on from test to test: the pipeline and the fingerprint of its tables."""
    return {}


def is_as_left(standing):
    try:
        return fingerprint(Warehouse()) == standing.get("fingerprint") and not found(standing["pipeline"])
    except WarehouseError:
        return False


@pytest.fixture
def healed(standing, redshift, s3_client, airflow_connections, fresh_schema):
    """As `loaded`; where the last test healed its tables, those: loaded anew only where one did not."""
    if not is_as_left(standing):
        pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
        fresh_schema.give(pipeline)
        load(pipeline).load(*NEXT)
        standing.update(pipeline=pipeline, fingerprint=fingerprint(Warehouse()))
    return standing["pipeline"]


def found(pipeline):
    with Warehouse().transaction() as transaction:
        return differences(transaction)


def reconcile(pipeline) -> PipelineRun:
    """The DAG sparkify_reconcile, as its tasks follow each other."""
    run = PipelineRun(
        dag_read_once("sparkify_reconcile"), variables=pipeline.variables, run_id="reconcile", run_after=NOW
    )
    run.run_task("rebuild_tables")
    for task_id in ("find_changed_days", "find_hours_left"):
        pipeline.reload(run.run_task(task_id))
    run.run_task("report_changes")
    return run


def test_tables_as_published_differ_in_nothing(loaded):
    assert not found(loaded), str(found(loaded))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_was_lost_is_noticed_refused_and_brought_back(healed, damage):
    before = fingerprint(Warehouse())
    healed.execute(damage)

    if damage.startswith("DROP"):
        with pytest.raises(
            AirflowFailException, match=r"(?s)held rows.*\nRun the DAG sparkify_reconcile"
        ) as refused:
            healed.create_schema()
        if damage.startswith("DROP TABLE"):
            assert damage.split()[2] in str(refused.value)
    else:
        assert found(healed)
    reconcile(healed)
    assert fingerprint(Warehouse()) == before
    assert not found(healed), str(found(healed))


@pytest.mark.parametrize("table", HALF)
def test_an_emptied_table_is_noticed(healed, table):
    """It is brought back as one that is lost, once that is made again."""
    with Warehouse().transaction() as transaction:
        transaction.execute(f"DELETE FROM {table}")
        assert differences(transaction)
        transaction.give_up()


def test_a_run_does_not_publish_beside_lost_rows(loaded):
    for table, check in {
        "songplays": "songplays.published_hours_keep_their_rows",
        "time": "songplays.published_hours_keep_their_rows",
        "users": "users.published_observations_have_their_span",
        "songs": "songs.published_songs_are_those_observed",
        "artists": "artists.published_artists_are_those_observed",
    }.items():
        loaded.execute(f"DELETE FROM sparkify.{table}")
        with pytest.raises(AirflowFailException, match=f"{check} observed.*sparkify_reconcile"):
            loaded.load(*NEXT_DAY)
        reconcile(loaded)
    loaded.load(*NEXT_DAY)


#: What is noticed of a catalogue whose songs are counted and not compared, and by which check.
COUNTED = {
    "DELETE FROM sparkify.songs WHERE song_id = 'SO2'": "songs.published_songs_are_those_observed",
    "INSERT INTO sparkify.songs SELECT * FROM sparkify.songs": "songs.published_songs_are_those_observed",
    "DELETE FROM sparkify.artists": "artists.published_artists_are_those_observed",
    "DELETE FROM staging.song_observations WHERE song_id = 'SO2'": "songs.observations_of_songs_are_kept",
    "DELETE FROM staging.artist_observations WHERE song_id = 'SO2'": "songs.observations_of_songs_are_kept",
}


@pytest.fixture
def counted(monkeypatch):
    """Three songs are too many to be compared by each run."""
    monkeypatch.setattr("sparkify.operators.quality.MOST_SONGS_COMPARED", 2)


@pytest.mark.parametrize(("damage", "check"), COUNTED.items())
def test_a_run_counts_songs_that_are_too_many_to_compare(counted, loaded, damage, check):
    loaded.execute(damage)
    with pytest.raises(AirflowFailException, match=f"{check} observed"):
        loaded.load(*NEXT_DAY)
    reconcile(loaded)
    assert not found(loaded), str(found(loaded))
    loaded.load(*NEXT_DAY)


def test_songs_that_are_not_compared_are_skipped_and_reconciled(counted, loaded):
    loaded.execute("UPDATE sparkify.songs SET title = 'Changed' WHERE song_id = 'SO2'")
    loaded.load(*NEXT_DAY)
    results = loaded.query(
        "SELECT check_name, status, detail FROM sparkify.quality_results "
        f"WHERE window_start = '{NEXT_DAY[0]}' AND detail LIKE '%songs (%'"
    )
    unseen = "only 0 of 3 songs (0 %) were looked at"
    assert {name: (status, detail) for name, status, detail in results} == dict.fromkeys(
        (
            "published_songs_are_those_observed",
            "published_artists_are_those_observed",
            "observations_of_songs_are_kept",
        ),
        ("skipped", unseen),
    )
    assert "songs" in str(found(loaded))
    reconcile(loaded)
    assert not found(loaded), str(found(loaded))
    assert loaded.query("SELECT title FROM sparkify.songs WHERE song_id = 'SO2'") == [("Other",)]


def test_a_counted_song_that_the_run_loads_is_brought_back(counted, loaded):
    loaded.execute("DELETE FROM sparkify.songs WHERE song_id = 'SO2'")
    loaded.put_songs(song("SO2", "AR2", title="Other", artist_name="Nobody", year=1999))
    loaded.load(*NEXT_DAY)
    assert not found(loaded), str(found(loaded))


def test_a_run_over_lost_hours_is_not_stopped_by_others_that_are_lost_too(loaded):
    before = fingerprint(Warehouse())
    loaded.execute("DELETE FROM sparkify.songplays", "DELETE FROM sparkify.time")
    for window in reversed(HOURS):
        loaded.load(*window)
    assert fingerprint(Warehouse()) == before
    assert not found(loaded)


def test_what_truncate_derives_again_is_not_said_to_be_compared(loaded):
    loaded.load(*NEXT, mode="truncate")
    statuses = loaded.query(
        "SELECT table_name, status FROM sparkify.quality_results WHERE check_name IN "
        "('published_observations_have_their_span', 'published_songs_are_those_observed', "
        f"'published_artists_are_those_observed') AND window_start = '{NEXT[0]}'"
    )
    assert dict(map(tuple, statuses)) == dict.fromkeys(("users", "songs", "artists"), "skipped")


def test_rejected_rows_of_a_window_of_days_come_back_by_days(pipeline):
    pipeline.put_events(*EVENTS, event("2018-11-01 10:50", 11, level="gold"))
    pipeline.put_songs(*SONGS)
    pipeline.load("2018-11-01 00:00", "2018-11-03 00:00", max_rejected_rows=1)
    pipeline.execute("DELETE FROM sparkify.rejected_rows")
    assert "1 batch(es) of log files are not as they landed" in str(found(pipeline))
    reconcile(pipeline)
    assert not found(pipeline), str(found(pipeline))


def test_rejected_rows_that_a_failed_run_over_more_hours_replaced_are_not_lost(pipeline):
    pipeline.put_events(*EVENTS, event("2018-11-01 10:50", 11, level="gold"))
    pipeline.put_songs(*SONGS)
    pipeline.load("2018-11-01 10:00", "2018-11-01 11:00", max_rejected_rows=1)
    pipeline.put_events(*EVENTS, *(event("2018-11-01 10:50", user, level="gold") for user in (11, 12)))
    with pytest.raises(AirflowFailException, match="cannot be loaded"):
        pipeline.load("2018-11-01 00:00", "2018-11-02 00:00")
    assert not found(pipeline), str(found(pipeline))


def test_lost_plays_whose_file_is_gone_are_never_published_as_none(loaded):
    loaded.execute("DELETE FROM sparkify.songplays")
    loaded.s3.delete_object(Bucket=loaded.bucket, Key="log_data/2018/11/2018-11-01-events.json")
    with pytest.raises(AirflowFailException, match="published_events_keep_their_file"):
        loaded.load(*HOURS[0])
    with pytest.raises(AirflowFailException, match="published_hours_keep_their_rows"):
        loaded.load(*NEXT)
