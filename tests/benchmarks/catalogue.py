"""What new songs cost, the more are known: a figure of `tests.benchmarks.lake`.

Two warehouses know few and many song files, which SQL fills in; only the files of new songs are there. Hours
of the same log are run in both in turn, each with new songs that a queue tells of. Then a sweep lists few and
many files, each time in a process of its own; the listing is made up.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import boto3
import psycopg

from local_redshift import LocalRedshift
from local_redshift.cluster import LocalCluster
from tests.benchmarks.history import BEGINNING, Cost, Service, Spent, grown, spending, verdict
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.servers import aws_connection, redshift_connection
from tests.support.task_process import TaskProcess
from tests.support.warehouse import RUN_NUMBERS, Pipeline, new_buckets

FEW = 300
NEW_SONGS = 50
TARGET = 1.2
#: Of the peak memory of a sweep, against one of few files.
SWEEP_TARGET = 1.2
KEYS_A_PAGE = 1000
SWEEP_DEADLINE_S = 3600
#: As AWS calls it; the connection leads elsewhere.
QUEUE_URL = "https://sqs.us-west-2.amazonaws.com/123456789012/songs"

#: What runs have published that staged these files, a song each.
KNOWN = """
    INSERT INTO staging.source_files
    SELECT
        'songs', '{bucket}', CONCAT('song_data/', LPAD(CAST(n AS TEXT), 9, '0'), '.json'),
        MD5(CAST(n AS TEXT)), 300, '{day:%F}', '{day:%F}', 'past', '{day:%F}', 1, 0
    FROM generate_series(0, {songs} - 1) AS n;
    INSERT INTO staging.song_observations
    SELECT CONCAT('SO', n), CONCAT('Song ', n), CONCAT('AR', n / 5), 2000, 200
    FROM generate_series(0, {songs} - 1) AS n;
    INSERT INTO staging.artist_observations
    SELECT CONCAT('SO', n), CONCAT('AR', n / 5), CONCAT('Artist ', n / 5)
    FROM generate_series(0, {songs} - 1) AS n;
    INSERT INTO sparkify.songs SELECT * FROM staging.song_observations;
    INSERT INTO sparkify.artists
    SELECT CONCAT('AR', n), CONCAT('Artist ', n)
    FROM generate_series(0, ({songs} - 1) / 5) AS n;
    INSERT INTO staging.published_catalogue VALUES ('{day:%F}', 1, {songs}, 'past')
"""
FILLED = (
    *("staging.source_files", "staging.song_observations", "staging.artist_observations"),
    *("sparkify.songs", "sparkify.artists"),
)
SERVICE = Service(plays_an_hour=1000, users=1000)


class Catalogue:
    """A warehouse that knows so many song files, and hourly runs that find new ones."""

    def __init__(self, servers: LocalCluster, redshift: LocalRedshift, sqs_url: str, songs: int):
        self.songs = songs
        self.hours = 0
        self.runs: list[tuple[float, Spent]] = []
        self.environment = {"AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(redshift_connection(redshift))}
        self.sqs = boto3.client(
            "sqs", endpoint_url=sqs_url, region_name=servers.s3.region,
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        self.pipeline = Pipeline(redshift, servers.s3.client(), new_buckets(servers.s3.client()))
        with self.connected():
            self.pipeline.create_schema()
        with psycopg.connect(servers.postgres.dsn(redshift.database), autocommit=True) as connection:
            connection.execute(KNOWN.format(bucket=self.pipeline.bucket, songs=songs, day=BEGINNING))
            for table in FILLED:
                connection.execute(f"VACUUM (ANALYZE) {table}")

    def connected(self) -> mock._patch_dict:
        """Airflow's connection leads to this warehouse."""
        return mock.patch.dict(os.environ, self.environment)

    def run_hour(self) -> None:
        """Load the next hour, with new songs."""
        h = 24 + self.hours
        start = BEGINNING + timedelta(hours=h)
        first = 10**8 + self.hours * NEW_SONGS
        for one in map(SERVICE.song, range(first, first + NEW_SONGS)):
            self._tell_of(one)
        self.pipeline.put_events(*SERVICE.hour(h))
        run = self.pipeline.new_run(
            f"{start:%F %H:%M}",
            f"{start + timedelta(hours=1):%F %H:%M}",
            sweep=False,
            sparkify_song_queue_url=QUEUE_URL,
        )
        began = time.perf_counter()
        with self.connected(), spending() as spent:
            run.run()
        self.runs.append((time.perf_counter() - began, spent))
        self.hours += 24

    def _tell_of(self, song: dict) -> None:
        """Put the file of a song, and S3's message."""
        key = f"song_data/new/{song['song_id']}.json"
        self.pipeline.put({key: json.dumps(song).encode()})
        etag = self.pipeline.s3.head_object(Bucket=self.pipeline.bucket, Key=key)["ETag"].strip('"')
        told = {"bucket": {"name": self.pipeline.bucket}, "object": {"key": key, "eTag": etag}}
        body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": told}]})
        self.sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=body)

    @property
    def seconds(self) -> float:
        return statistics.median(seconds for seconds, _ in self.runs)


def report_hours(servers: LocalCluster, songs: int, rounds: int) -> bool:
    """Print what an hour with new songs costs where many are known; whether that is hardly more."""
    with sqs_queue(servers) as url, servers.new_database() as few, servers.new_database() as many:
        catalogues = [Catalogue(servers, few, url, FEW), Catalogue(servers, many, url, songs)]
        for number in range(rounds + 1):
            for catalogue in catalogues:
                catalogue.run_hour()
                if not number:
                    catalogue.runs.clear()  # The first of all is slower.
    print(f"\nAn hourly run with {NEW_SONGS} new songs that a queue tells of, {rounds} of each, median:")
    for catalogue in catalogues:
        sql = statistics.median(spent.sql.total() for _, spent in catalogue.runs)
        print(f"  {catalogue.songs:9,} songs known: {catalogue.seconds:6.2f} s, of which SQL {sql:6.2f} s")
    print("The statements that grew most, seconds with few and with many songs:")
    print(*grown(*(Cost([spent for _, spent in one.runs]) for one in catalogues)), sep="\n")
    ratio = catalogues[1].seconds / catalogues[0].seconds
    print(f"with many songs: {ratio:.2f} times, at most {TARGET}: {verdict(ratio <= TARGET)}", flush=True)
    return ratio <= TARGET


@contextmanager
def sqs_queue(servers: LocalCluster) -> Iterator[str]:
    """A queue at `QUEUE_URL` by Airflow's connection; where its server is."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        connection = aws_connection(servers.s3)
        connection["extra"]["service_config"] = {"sqs": {"endpoint_url": url}}
        boto3.client(
            "sqs", endpoint_url=url, region_name=servers.s3.region,
            aws_access_key_id="a", aws_secret_access_key="b",
        ).create_queue(QueueName="songs")  # fmt: skip
        with mock.patch.dict(os.environ, {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}):
            yield url
    finally:
        server.stop()


class Listing(ThreadingHTTPServer):
    """An S3 that lists so many song files in whatever bucket, and hands all else to another S3."""

    daemon_threads = True

    def __init__(self, songs: int, port: int):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.songs = songs
        self.target_port = port

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def page(self, first: int) -> bytes:
        """The answer to ListObjectsV2 from that key on."""
        last = min(first + KEYS_A_PAGE, self.songs)
        entries = "".join(
            f"<Contents><Key>song_data/{n:09}.json</Key><LastModified>2000-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{n:032x}"</ETag><Size>300</Size><StorageClass>STANDARD</StorageClass></Contents>'
            for n in range(first, last)
        )
        more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < self.songs else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{entries}</ListBucketResult>"
        ).encode()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listing

    def answer(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if asked.get("prefix", [""])[0].startswith("song_data/"):
            first = int(asked.get("continuation-token", ["0"])[0])
            status, kind, body = 200, "application/xml", self.server.page(first)
        else:
            status, kind, body = self._handed_on()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def _handed_on(self) -> tuple[int, str, bytes]:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection("127.0.0.1", self.server.target_port)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answered = connection.getresponse()
            return answered.status, answered.getheader("Content-Type", ""), answered.read()
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def report_sweep(servers: LocalCluster, songs: int) -> bool:
    """Print how much memory a sweep of many files takes; whether that is hardly more than for few."""
    print("\nA sweep of the song files, in a process of its own:")
    pipeline = Pipeline(servers.redshift, servers.s3.client(), new_buckets(servers.s3.client()))
    pipeline.create_schema()
    peaks = []
    for listed in (songs // 10, songs):
        seconds, peak = _sweep(servers, pipeline, listed)
        peaks.append(peak)
        print(
            f"  {listed:9,} files listed: {seconds:6.1f} s, at most {peak / 1e6:4.0f} MB of memory",
            flush=True,
        )
    ratio = peaks[1] / peaks[0]
    print(f"memory of a sweep of many files: {ratio:.2f} times, at most {SWEEP_TARGET}: "
          f"{verdict(ratio <= SWEEP_TARGET)}", flush=True)  # fmt: skip
    return ratio <= SWEEP_TARGET


def _sweep(servers: LocalCluster, pipeline: Pipeline, songs: int) -> tuple[float, int]:
    """The seconds and the peak memory of a sweep that lists so many files, none of which is known."""
    run = PipelineRun(
        load_dag("sparkify_sweep"), variables=pipeline.variables, run_id=f"sweep__{next(RUN_NUMBERS)}"
    )
    server = Listing(songs, servers.s3.port)
    with server.running():
        connection = json.dumps(aws_connection(servers.s3, server.server_port))
        began = time.perf_counter()
        task = TaskProcess(run, "sweep_songs", {"AIRFLOW_CONN_AWS_DEFAULT": connection})
        counts = task.result(SWEEP_DEADLINE_S)
        seconds = time.perf_counter() - began
    if counts["listed"] != songs:
        raise AssertionError(f"{counts['listed']} of {songs} files were listed")
    return seconds, task.peak_bytes
