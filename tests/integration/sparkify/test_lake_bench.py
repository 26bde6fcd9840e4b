"""The benchmarks of the lake: their pasts are such as runs leave, and runs go on behind them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.benchmarks import busy_hour, catalogue, history, lake

pytestmark = pytest.mark.integration


@pytest.fixture
def servers(empty_pipeline, redshift_cluster):
    """What the benchmark has of its own: here, those of the session, without a schema."""
    return redshift_cluster


def test_parts_of_days_between_have_landed(servers):
    service = lake.Service(servers, events=240, parts=48)
    first = service.load(lake.DAY)
    later = lake.DAY + timedelta(days=2)
    service.fill(lake.DAY + timedelta(days=1), later)
    assert [hour.files for hour in (first, service.load(later))] == [2, 2]
    assert service.pipeline.query("SELECT COUNT(*) FROM staging.landed_files") == [(2 + 48 + 2,)]
    prefix = lake.key_of(later - lake.HOUR, 0).rpartition("/")[0]
    listed = service.pipeline.s3.list_objects_v2(Bucket=service.pipeline.bucket, Prefix=prefix)["Contents"]
    ledger = service.pipeline.query(
        f"SELECT object_key, etag FROM staging.landed_files WHERE object_key LIKE '{prefix}%' ORDER BY 1"
    )
    assert ledger == [(entry["Key"], entry["ETag"].strip('"')) for entry in listed]


def test_new_songs_join_those_that_are_known(servers):
    with catalogue.sqs_queue(servers) as url, servers.new_database() as database:
        known = catalogue.Catalogue(servers, database, url, 40)
        known.run_hour()
        [(seconds, spent)] = known.runs
        assert seconds > spent.sql.total() > 0
        for table in ("sparkify.songs", "staging.source_files"):
            assert known.pipeline.query(f"SELECT COUNT(*) FROM {table}") == [(40 + catalogue.NEW_SONGS,)]
        assert known.pipeline.query("SELECT COUNT(*) FROM staging.song_changes") == [(0,)]


def test_a_sweep_of_many_pages_is_measured(servers, airflow_connections, capsys):
    catalogue.report_sweep(servers, 2500)
    told = capsys.readouterr().out
    assert "250 files listed" in told
    assert "2,500 files listed" in told


def test_a_busy_hour_runs_behind_a_history(servers):
    past = history.History(servers, history.Service(240, 300))
    past.fill(1)
    past.pipeline.variables |= busy_hour.VARIABLES
    before = past.plays
    events, tasks = busy_hour.run_busy_hour(past, 500)
    assert events == 500
    assert len(tasks) == 9
    assert all(task.seconds > 0 and task.peak_bytes > 2**20 for task in tasks.values())
    assert past.pipeline.query("SELECT COUNT(*) FROM sparkify.songplays") == [(before + 400,)]
    assert past.plays == before + 400
