"""The catalogue is what the song files say that are there, whichever run saw which of them, and when."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.fingerprint import fingerprint
from sparkify.operators import StageToRedshiftOperator, stage
from sparkify.reach import MOST_RANGES
from sparkify.warehouse import Warehouse
from tests.support import reference
from tests.support.source import event, song

pytestmark = pytest.mark.integration

HOUR = ("2018-11-01 10:00", "2018-11-01 11:00")
NEXT = ("2018-11-01 11:00", "2018-11-01 12:00")
PLAYS = [event("2018-11-01 10:10"), event("2018-11-01 10:20", itemInSession=1, song="Other")]
OLD, NEW = song(year=1999), song(year=2001)
OTHER = song("SO2", "AR2", title="Other")


def put_song_file(pipeline, name, *songs):
    pipeline.put({f"song_data/{name}.json": "\n".join(map(json.dumps, songs)).encode()})


def delete_song_file(pipeline, name):
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=f"song_data/{name}.json")


def years(pipeline):
    return dict(pipeline.query("SELECT song_id, year FROM sparkify.songs"))


def statuses(pipeline, *checks):
    rows = pipeline.query(
        "SELECT check_name, status, checked_at FROM sparkify.quality_results ORDER BY checked_at"
    )
    return {name: status for name, status, _ in rows if name in checks}


@pytest.fixture
def loaded(pipeline):
    pipeline.put_events(*PLAYS)
    return pipeline


def test_a_song_that_moved_stays_as_its_file_says_whoever_publishes_last(loaded):
    put_song_file(loaded, "before", OLD)
    older = loaded.new_run(*HOUR)
    older.run(before="publish")
    put_song_file(loaded, "after", NEW)
    delete_song_file(loaded, "before")
    loaded.load(*HOUR)
    older.run_task("publish")
    assert years(loaded) == {"SO1": 2001}
    loaded.load(*NEXT)
    assert years(loaded) == {"SO1": 2001}
    assert [
        key for (key,) in loaded.query("SELECT object_key FROM staging.source_files WHERE source = 'songs'")
    ] == ["song_data/after.json"]


def test_a_file_that_was_deleted_meanwhile_is_not_published(loaded):
    put_song_file(loaded, "one", OTHER)
    put_song_file(loaded, "two", OLD)
    older = loaded.new_run(*HOUR)
    older.run(before="publish")
    delete_song_file(loaded, "two")
    loaded.load(*NEXT)
    older.run_task("publish")
    assert years(loaded).keys() == {"SO2"}


@pytest.mark.parametrize("first", [OLD, NEW])
def test_of_two_files_of_one_song_the_same_is_believed_in_any_order_and_a_warning_tells(loaded, first):
    second = NEW if first is OLD else OLD
    put_song_file(loaded, "one", first)
    loaded.load(*HOUR)
    put_song_file(loaded, "two", second)
    loaded.load(*NEXT)
    assert years(loaded) == {"SO1": 1999}
    assert statuses(loaded, "song_is_in_one_file") == {"song_is_in_one_file": "warned"}
    assert loaded.tables() == reference.tables(PLAYS, [OLD, NEW])


@pytest.mark.parametrize("mode", ["append", "truncate"])
@pytest.mark.parametrize("how", ["taken out", "emptied", "deleted"])
def test_a_song_goes_with_its_file_and_its_plays_lose_it(loaded, how, mode):
    put_song_file(loaded, "kept", OTHER)
    put_song_file(loaded, "changed", *([OLD, song("SO3", "AR3")] if how == "taken out" else [OLD]))
    loaded.load(*HOUR)
    assert "SO1" in years(loaded)
    left = [OTHER]
    if how == "taken out":
        left.append(song("SO3", "AR3"))
        put_song_file(loaded, "changed", left[-1])
    elif how == "emptied":
        put_song_file(loaded, "changed")
    else:
        delete_song_file(loaded, "changed")
    loaded.load(*NEXT, mode=mode)
    assert loaded.tables() == reference.tables(PLAYS, left)
    assert statuses(loaded, "published_songs_are_kept") == {"published_songs_are_kept": "warned"}


def test_a_file_with_a_rejected_song_that_changes_takes_its_other_song_along(loaded):
    put_song_file(loaded, "mixed", OLD, song("SO2", title=None))
    loaded.load(*HOUR, max_rejected_rows=1)
    put_song_file(loaded, "mixed", NEW, OTHER)
    loaded.load(*NEXT)
    assert years(loaded) == {"SO1": 2001, "SO2": None}
    assert loaded.query("SELECT * FROM sparkify.rejected_rows") == []


def test_a_run_that_did_not_see_what_an_older_listing_published_leaves_its_songs_to_the_next(loaded):
    """B lists after A, but compares its list with the catalogue before A publishes a file that is gone."""
    put_song_file(loaded, "kept", OTHER)
    loaded.load(*HOUR)
    put_song_file(loaded, "gone", OLD)
    a = loaded.new_run(*HOUR)
    a.run(before="publish")
    delete_song_file(loaded, "gone")
    put_song_file(loaded, "new", song("SO3", "AR3", title="Third"))
    b = loaded.new_run(*NEXT)
    b.run(before="publish")
    a.run_task("publish")
    b.run_task("publish")
    loaded.load(*NEXT)
    assert years(loaded).keys() == {"SO2", "SO3"}
    assert loaded.tables() == reference.tables(PLAYS, [OTHER, song("SO3", "AR3", title="Third")])


def test_an_empty_catalogue_is_told(loaded):
    run = loaded.load(*HOUR, sparkify_song_prefix="song_date")
    assert run.xcoms["publish", "return_value"]["songs"] == 0
    assert statuses(loaded, "catalogue_is_not_empty") == {"catalogue_is_not_empty": "warned"}


def test_a_prefix_without_the_published_songs_fails_before_they_go(loaded):
    put_song_file(loaded, "all", *[song(f"SO{number}", title=f"Title {number}") for number in range(20)])
    loaded.load(*HOUR)
    before = fingerprint(Warehouse())
    with pytest.raises(
        AirflowFailException, match=r"published_songs_are_kept observed 20 of 20 row.*song files"
    ):
        loaded.load(*NEXT, sparkify_song_prefix="song_date")
    assert fingerprint(Warehouse()) == before
    loaded.load(*NEXT, sparkify_song_prefix="song_date", sparkify_max_removed_percent="100")
    assert years(loaded) == {}


def test_a_prefix_to_which_all_files_moved_changes_nothing(loaded):
    put_song_file(loaded, "all", OLD, OTHER)
    loaded.load(*HOUR)
    before = fingerprint(Warehouse())
    loaded.put({"catalogue/all.json": "\n".join(map(json.dumps, [OLD, OTHER])).encode()})
    loaded.load(*NEXT, sparkify_song_prefix="catalogue")
    assert fingerprint(Warehouse()) == before


def test_plays_of_the_last_day_that_find_no_song_are_told_by_small_hours_too(pipeline):
    plays = [
        event(f"2018-11-01 {hour:02}:{minute:02}", itemInSession=60 * hour + minute, song="Unknown")
        for hour in range(5)
        for minute in range(60)
    ]
    pipeline.put_events(*plays)
    put_song_file(pipeline, "one", OLD)
    pipeline.load("2018-11-01 00:00", "2018-11-01 02:00")
    assert statuses(pipeline, "plays_find_their_song") == {"plays_find_their_song": "skipped"}
    pipeline.load("2018-11-01 02:00", "2018-11-01 04:00")
    assert statuses(pipeline, "plays_find_their_song") == {"plays_find_their_song": "warned"}


def test_truncate_mends_the_songs_of_plays_that_were_loaded_while_songs_were_lost(loaded):
    put_song_file(loaded, "all", OLD, OTHER)
    loaded.load(*HOUR)
    loaded.execute("DELETE FROM sparkify.songs WHERE song_id = 'SO1'")
    # The hour's own checks would stop a run that finds no song: here somebody has taken the plays' songs too.
    loaded.execute("UPDATE sparkify.songplays SET song_id = NULL, artist_id = NULL WHERE song_id = 'SO1'")
    assert (None,) in loaded.query("SELECT song_id FROM sparkify.songplays")
    loaded.load("2018-11-05 10:00", "2018-11-05 11:00", mode="truncate")
    assert loaded.tables() == reference.tables(PLAYS, [OLD, OTHER])


MONTHS_APART = [
    event("2018-09-30 23:10", song=" Supermassive Black Hole"),
    event("2018-10-01 00:10", song="Supermassive Black Hole "),
    event("2018-10-15 10:10", song="Other"),
    event("2018-12-31 23:59"),
    event("2019-01-01 00:01"),
    event("2019-01-01 00:02", artist="Nobody"),
]


@pytest.mark.parametrize("ranges", [1, MOST_RANGES], ids=["in one range", "in ranges"])
@pytest.mark.parametrize("is_stale", [False, True], ids=["alone", "beside another run's songs"])
def test_songs_find_the_plays_of_all_months_that_are_called_like_them(
    pipeline, is_stale, ranges, monkeypatch
):
    monkeypatch.setattr("sparkify.reach.MOST_RANGES", ranges)
    pipeline.put_events(*MONTHS_APART)
    last = ("2019-01-01 00:00", "2019-01-01 01:00")
    pipeline.load("2018-09-30 23:00", last[1])
    title = "Supermassive Black Hole"
    for year, songs in enumerate(([song(), OTHER], [song(title="Renamed")], [song(title=f"{title} ")], [])):
        run = pipeline.new_run(*last)
        put_song_file(pipeline, "late", *songs)
        if is_stale:
            beside = pipeline.new_run(*last)
            beside.run(before="publish")
            songs = [*songs, song("SO9", "AR9", title="Nothing", year=year)]
            put_song_file(pipeline, "beside", songs[-1])
        run.run()
        if is_stale:
            beside.run_task("publish")
            pipeline.load(*last)
        assert pipeline.tables() == reference.tables(MONTHS_APART, songs)


SONGS = [song(f"SO{number}", f"AR{number}", title=f"Title {number}") for number in range(5)]


@pytest.fixture
def in_parts(loaded, monkeypatch):
    """A catalogue of five files that comes in two at a time, and a first try that is cut short after two."""
    monkeypatch.setattr(stage, "FILES_AT_ONCE", 2)
    loaded.put_songs(*SONGS)
    run = loaded.new_run(*HOUR)
    copies = []
    copy = StageToRedshiftOperator._copy

    def cut_short(self, of_run, transaction, files, script):
        if self.source == "songs":
            copies.append([file.object_key for file in files])
            if len(copies) == 2:
                raise ConnectionError("killed")
        return copy(self, of_run, transaction, files, script)

    monkeypatch.setattr(StageToRedshiftOperator, "_copy", cut_short)
    with pytest.raises(ConnectionError):
        run.run_task("stage_songs")
    return run, copies


def test_a_large_catalogue_is_staged_in_parts_and_a_retry_goes_on(loaded, in_parts, caplog):
    run, copies = in_parts
    caplog.set_level(logging.INFO)
    assert run.run_task("stage_songs", try_number=2)["rows"] == 5
    assert [len(keys) for keys in copies] == [2, 2, 2, 1]
    assert copies[1] == copies[2]
    said = [record.getMessage() for record in caplog.records]
    assert "2 of 5 file(s) are staged already, by an earlier try" in said
    assert any("byte(s) are staged after" in line for line in said)
    run.run()
    assert loaded.tables() == reference.tables(PLAYS, SONGS)
    assert loaded.query("SELECT COUNT(*) FROM staging.source_files") == [(5,)]


def test_a_file_that_was_staged_and_has_changed_since_is_staged_anew(loaded, in_parts):
    run, copies = in_parts
    [first, _] = copies[0]
    changed = song("SO9", "AR9", title="Another")
    loaded.put({first: json.dumps(changed).encode()})
    run.run_task("stage_events")
    run.run(since="stage_songs", try_number=2)
    assert [len(keys) for keys in copies] == [2, 2, 2, 2, 1]
    songs = [one for one in SONGS if one["song_id"] not in first]
    assert loaded.tables() == reference.tables(PLAYS, [*songs, changed])


def beside(pipeline, first, state="running"):
    """A run of another window beside the first one, which is as Airflow says."""
    run = pipeline.new_run(*NEXT, sweep=False)
    run.airflow.states["sparkify", first.run_id] = state
    return run


def test_a_first_catalogue_is_left_to_the_run_that_stages_it(loaded, caplog):
    caplog.set_level(logging.INFO)
    loaded.put_songs(*SONGS)
    first = loaded.new_run(*HOUR)
    first.run_task("stage_songs")
    other = beside(loaded, first)
    other.run()
    assert other.xcoms["stage_songs", "return_value"]["files"] == 0
    assert any(f"are being staged by run {first.run_id}" in one.getMessage() for one in caplog.records)
    assert statuses(loaded, "catalogue_is_not_empty") == {"catalogue_is_not_empty": "skipped"}
    assert loaded.table("songs") == loaded.query("SELECT 1 FROM staging.published_catalogue") == []
    first.run()
    assert loaded.tables() == reference.tables(PLAYS, SONGS)
    assert loaded.query("SELECT 1 FROM staging.catalogue_claims") == []


def test_plays_that_await_their_songs_from_another_run_are_not_told_to_find_none(pipeline):
    pipeline.put_events(
        *(
            event(f"2018-11-01 11:{n // 60:02}:{n % 60:02}", itemInSession=n, song="Unknown")
            for n in range(200)
        )
    )
    put_song_file(pipeline, "one", OLD)
    first = pipeline.new_run(*HOUR)
    first.run_task("stage_songs")
    beside(pipeline, first).run()
    assert statuses(pipeline, "plays_find_their_song") == {"plays_find_their_song": "skipped"}
    first.run()
    pipeline.load(*NEXT)
    assert statuses(pipeline, "plays_find_their_song") == {"plays_find_their_song": "warned"}


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_is_over_leaves_the_catalogue_to_the_next(loaded, state):
    loaded.put_songs(*SONGS)
    first = loaded.new_run(*HOUR)
    first.run_task("stage_songs")
    other = beside(loaded, first, state)
    other.run()
    assert other.xcoms["stage_songs", "return_value"]["files"] == 5
    assert len(loaded.table("songs")) == 5


def test_where_airflow_does_not_answer_both_stage_the_catalogue(loaded):
    loaded.put_songs(*SONGS)
    first = loaded.new_run(*HOUR)
    first.run_task("stage_songs")
    other = beside(loaded, first)
    other.airflow.is_answering = False
    other.run()
    first.run()
    assert loaded.tables() == reference.tables(PLAYS, SONGS)


def test_files_that_changed_are_taken_back_by_one_run(loaded):
    put_song_file(loaded, "one", OLD)
    put_song_file(loaded, "two", OTHER)
    loaded.load(*HOUR)
    put_song_file(loaded, "one", NEW)
    first = loaded.new_run(*HOUR)
    first.run_task("stage_songs")
    other = beside(loaded, first)
    other.run()
    assert other.xcoms["stage_songs", "return_value"]["files"] == 0
    assert years(loaded)["SO1"] == 1999
    first.run()
    assert years(loaded)["SO1"] == 2001
    loaded.load(*NEXT)
    assert loaded.query("SELECT 1 FROM staging.song_changes") == []
