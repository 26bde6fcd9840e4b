"""An hourly run asks S3 for its own day's log file and for the songs that changed, and for nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from botocore.client import BaseClient

from sparkify.warehouse import Warehouse
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.relay import S3Relay
from tests.support.servers import aws_connection, new_redshift, redshift_connection
from tests.support.source import event, song

pytestmark = pytest.mark.integration

CATALOGUE = [song(f"SO{number:02}", f"AR{number % 7}", title=f"Title {number}") for number in range(40)]
EVENTS = [event(f"2018-11-{day:02} 10:00:00.000", sessionId=day) for day in range(1, 8)]


@pytest.fixture
def counted(pipeline, postgres, s3, tmp_path, monkeypatch):
    """The pipeline with a relay between everything and the S3."""
    with S3Relay(s3.port) as relay:
        redshift = new_redshift(tmp_path, postgres, s3, relay.port)
        redshift.start()
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws_connection(s3, relay.port)))
        yield pipeline, relay
        redshift.stop()


def objects_read(pipeline, relay: S3Relay) -> Counter[str]:
    """The source objects that were asked for by GET, and how often."""
    prefix = f"/{pipeline.bucket}/"
    return Counter(
        {
            path.removeprefix(prefix): count
            for (method, path), count in relay.requests.items()
            if method == "GET" and path.startswith(prefix) and "?" not in path
        }
    )


def prefixes_listed(pipeline, relay: S3Relay) -> set[str]:
    listings = [path for method, path in relay.requests if method == "GET" and f"/{pipeline.bucket}?" in path]
    return {re.search(r"[?&]prefix=([^&]*)", path)[1].replace("%2F", "/") for path in listings}


def test_an_hour_reads_its_day_and_the_new_songs(counted):
    pipeline, relay = counted
    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*CATALOGUE)
    pipeline.load("2018-11-01 00:00", "2018-11-07 00:00")
    assert len(objects_read(pipeline, relay)) == 46

    relay.requests.clear()
    pipeline.load("2018-11-07 10:00", "2018-11-07 11:00", sweep=False)
    day = "log_data/2018/11/2018-11-07-events.json"
    # Once to look at the keys of its objects, once by COPY.
    assert objects_read(pipeline, relay) == {day: 2}
    assert prefixes_listed(pipeline, relay) == {day}

    pipeline.put_songs(song("SO98", "AR5"), song("SO99"))
    relay.requests.clear()
    pipeline.sweep()
    assert objects_read(pipeline, relay) == {}
    assert prefixes_listed(pipeline, relay) == {"song_data/"}
    relay.requests.clear()
    pipeline.load("2018-11-07 11:00", "2018-11-07 12:00", sweep=False)
    songs = {f"song_data/A/B/C/TR{song_id}.json": 2 for song_id in ("SO98", "SO99")}
    # The day's file has landed.
    assert objects_read(pipeline, relay) == songs
    assert prefixes_listed(pipeline, relay) == {day}
    # Listings, work objects and all.
    assert relay.requests.total() < 30

    pipeline.put_songs(song("SO98", "AR5", title="Renamed"))
    pipeline.sweep()
    relay.requests.clear()
    pipeline.load("2018-11-07 12:00", "2018-11-07 13:00", sweep=False)
    # A changed file: what the catalogue's other files say is needed too.
    assert len(objects_read(pipeline, relay)) == len(CATALOGUE) + 2


def test_no_transaction_is_open_while_s3_is_asked(pipeline, monkeypatch):
    """Redshift Serverless bills an open transaction."""
    opened: list[Warehouse] = []
    asked: list[tuple[str, int]] = []
    connection, call = Warehouse._connection, BaseClient._make_api_call

    @contextmanager
    def counting(self, connect):
        with connection(self, connect) as made:
            opened.append(self)
            yield made
            opened.remove(self)

    def recording(self, operation, parameters):
        asked.append((operation, len(opened)))
        return call(self, operation, parameters)

    pipeline.put_events(*EVENTS)
    pipeline.put_songs(*CATALOGUE)
    monkeypatch.setattr(Warehouse, "_connection", counting)
    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    pipeline.load("2018-11-01 00:00", "2018-11-07 00:00")
    pipeline.put_events(*EVENTS[:1], event("2018-11-01 10:30", sessionId=8))
    reconcile = PipelineRun(
        load_dag("sparkify_reconcile"),
        variables=pipeline.variables,
        run_after=datetime(2018, 11, 9, tzinfo=UTC),
    )
    assert len(reconcile.run_task("find_changed_days")) == 1
    assert {operation for operation, _ in asked} >= {"GetObject", "PutObject", "DeleteObjects"}
    assert [one for one in asked if one[1]] == []
