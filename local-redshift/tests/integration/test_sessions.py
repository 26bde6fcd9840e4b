"""Sessions that are cancelled, vanish or go on beside others: statements end, and leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import pytest
from redshift_connector.error import Error, ProgrammingError

from local_redshift import protocol
from wire import WireClient, backend_pid, cancel, eventually, reset, startup

pytestmark = pytest.mark.integration

SLEEPS = "SELECT pg_catalog.pg_sleep(60)"
COMPUTES = "SELECT COUNT(*) FROM pg_class a, pg_class b, pg_class c, pg_class d, pg_class e"


#: Connections that stay as they are for so long are not about to end.
SETTLED_S = 0.5


@pytest.fixture
def backend(postgres, redshift):
    """The superuser's connection to the PostgreSQL behind, past the proxy."""
    with psycopg.connect(postgres.dsn(redshift.database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def activity(backend):
    """Tells the state of a backend by its pid, or None once it is gone."""

    def activity(pid):
        return backend.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()

    return activity


@pytest.fixture
def in_background(redshift, backend, table):
    """Starts a statement on a driver's connection of its own: that connection, and its outcome to come."""
    connections = []
    with ThreadPoolExecutor() as threads:

        def start(sql):
            connection = redshift.connect()
            connection.autocommit = True
            connections.append(connection)
            return connection, threads.submit(connection.cursor().execute, sql)

        yield start
        for connection in connections:
            backend.execute("SELECT pg_terminate_backend(%s)", [backend_pid(connection._backend_key_data)])
    for connection in connections:
        with contextlib.suppress(Error):
            connection.close()


@pytest.fixture
def wire(redshift, backend, table):
    """Opens clients on bare sockets; their backends end with the test."""
    clients = []

    def wire():
        clients.append(WireClient(redshift))
        return clients[-1]

    yield wire
    for client in clients:
        backend.execute("SELECT pg_terminate_backend(%s)", [client.pid])
        client.socket.close()


@pytest.fixture
def endless(prefix, table):
    """A COPY into `table` that goes on for minutes: its manifest names one file again and again."""
    prefix.put({"data/1": '{"a": 1, "b": "x"}\n' * 40_000})
    entries = [{"url": f"{prefix.address}/data/1"}] * 20_000
    prefix.put({"manifest": json.dumps({"entries": entries})})
    return f"COPY {table} FROM '{prefix.address}/manifest' IAM_ROLE default MANIFEST JSON 'auto'"


@pytest.fixture
def copied(backend):
    """Tells how many rows a COPY that runs has passed on to the table."""

    def copied(table):
        row = backend.execute(
            "SELECT tuples_processed FROM pg_stat_progress_copy WHERE relid = to_regclass(%s)", [table]
        ).fetchone()
        return row[0] if row else 0

    return copied


@pytest.fixture
def loads(backend):
    """Tells the status of each COPY into a table."""

    def loads(table):
        sql = "SELECT status FROM redshift.load_history WHERE table_name = %s ORDER BY query"
        return [status for (status,) in backend.execute(sql, [table])]

    return loads


@pytest.fixture
def waits(backend):
    """Tells whether the backend with this pid waits for a lock."""

    def waits(pid):
        sql = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        return backend.execute(sql, [pid]).fetchone()[0] > 0

    return waits


@pytest.fixture
def stalled_s3(s3):
    """Lets the local S3 hang until the test is over."""
    process = s3._process.find()
    yield process.suspend
    process.resume()


@pytest.fixture
def sockets(postgres, redshift):
    """Tells how many connections Local Redshift has with clients and with its backend."""
    process = redshift._process.find()
    ports = {postgres.port, redshift.port}

    def sockets():
        return sum(
            connection.status != psutil.CONN_LISTEN
            and bool(ports & {connection.laddr.port, getattr(connection.raddr, "port", None)})
            for connection in process.net_connections("tcp")
        )

    found, since = sockets(), time.monotonic()

    def are_settled():
        nonlocal found, since
        if (now := sockets()) != found:
            found, since = now, time.monotonic()
        return time.monotonic() - since > SETTLED_S

    eventually(are_settled, "the connections of the test before are closed")
    return sockets


@pytest.fixture(params=[WireClient.send, WireClient.send_extended], ids=["simple", "extended"])
def send(request):
    """Both ways of sending a statement."""
    return request.param


def assert_cancelled(outcome):
    with pytest.raises(ProgrammingError) as error:
        outcome.result(5)
    assert error.value.args[0]["C"] == "57014"


def answers(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    return list(cursor.fetchall()[0]) == [1]


def test_a_cancel_request_ends_a_statement(redshift, in_background, activity):
    connection, outcome = in_background(SLEEPS)
    key = connection._backend_key_data
    eventually(lambda: activity(backend_pid(key)) == ("active",), "the statement runs")
    cancel(redshift, key)
    assert_cancelled(outcome)
    assert answers(connection)


def test_a_cancel_request_ends_a_copy_that_loads(redshift, in_background, run, table, endless, copied):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    connection, outcome = in_background(endless)
    eventually(lambda: copied(table) > 0, "the COPY loads")
    cancel(redshift, connection._backend_key_data)
    assert_cancelled(outcome)
    assert answers(connection)
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_cancel_request_ends_a_copy_that_waits_for_its_table(
    redshift, in_background, run, table, endless, waits
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    with contextlib.closing(redshift.connect()) as holder:
        holder.cursor().execute(f"LOCK {table}")
        connection, outcome = in_background(endless)
        key = connection._backend_key_data
        eventually(lambda: waits(backend_pid(key)), "the COPY waits")
        cancel(redshift, key)
        assert_cancelled(outcome)
    assert answers(connection)
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("stalls", ["before it loads", "while it loads"])
def test_a_cancel_request_ends_a_copy_that_waits_for_s3(
    redshift, in_background, run, table, endless, copied, loads, stalled_s3, stalls
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    if stalls == "before it loads":
        stalled_s3()
    connection, outcome = in_background(endless)
    eventually(lambda: loads(table) == ["running"], "the COPY begins")
    if stalls == "while it loads":
        eventually(lambda: copied(table) > 0, "the COPY loads")
        stalled_s3()
        seen = deque(maxlen=15)
        eventually(lambda: seen.append(copied(table)) or seen.count(seen[0]) == seen.maxlen, "it stalls")
    cancel(redshift, connection._backend_key_data)
    assert_cancelled(outcome)
    assert answers(connection)
    assert run(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_cancel_request_with_a_wrong_key_ends_nothing(redshift, in_background, activity):
    connection, outcome = in_background("SELECT pg_catalog.pg_sleep(1)")
    key = connection._backend_key_data
    eventually(lambda: activity(backend_pid(key)) == ("active",), "the statement runs")
    cancel(redshift, key[:4] + bytes(byte ^ 0xFF for byte in key[4:]))
    outcome.result(5)


def assert_gone(client, redshift, activity, sockets, before, table):
    """The client's backend has ended, its rows and its locks with it."""
    eventually(lambda: activity(client.pid) is None, "the backend ends")
    eventually(lambda: sockets() == before, "the connections are closed")
    with contextlib.closing(redshift.connect()) as connection:
        connection.cursor().execute(f"LOCK {table}")
        cursor = connection.cursor()
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert list(cursor.fetchall()[0]) == [0]


def test_a_client_that_vanishes_during_a_statement_leaves_nothing(
    redshift, wire, run, table, activity, sockets
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    before = sockets()
    client = wire()
    client.query(f"BEGIN; LOCK {table}; INSERT INTO {table} VALUES (1, 'x')")
    client.send(COMPUTES)
    eventually(lambda: activity(client.pid) == ("active",), "the statement runs")
    client.vanish()
    assert_gone(client, redshift, activity, sockets, before, table)


def test_a_client_that_vanishes_before_it_reads_its_rows_leaves_nothing(
    redshift, wire, run, table, activity, sockets
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    before = sockets()
    client = wire()
    client.query(f"BEGIN; LOCK {table}; INSERT INTO {table} VALUES (1, 'x')")
    client.send(f"SELECT REPEAT('x', 50000) FROM pg_attribute LIMIT 120; {COMPUTES}")
    eventually(lambda: activity(client.pid) == ("active",), "the statement runs")
    client.vanish()
    assert_gone(client, redshift, activity, sockets, before, table)


def test_a_client_that_vanishes_while_its_copy_loads_leaves_nothing(
    redshift, wire, send, run, table, endless, copied, loads, activity, sockets
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    before = sockets()
    client = wire()
    client.query(f"BEGIN; LOCK {table}; INSERT INTO {table} VALUES (1, 'x')")
    send(client, endless)
    eventually(lambda: copied(table) > 0, "the COPY loads")
    client.vanish()
    assert_gone(client, redshift, activity, sockets, before, table)
    assert loads(table) == ["aborted"]


def test_a_client_that_vanishes_while_its_copy_waits_leaves_nothing(
    redshift, wire, send, run, table, endless, waits, activity, sockets
):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    before = sockets()
    with contextlib.closing(redshift.connect()) as holder:
        holder.cursor().execute(f"LOCK {table}")
        client = wire()
        send(client, endless)
        eventually(lambda: waits(client.pid), "the COPY waits")
        client.vanish()
        eventually(lambda: activity(client.pid) is None, "the backend ends")
    assert_gone(client, redshift, activity, sockets, before, table)


def test_a_client_that_vanishes_while_it_logs_in_leaves_nothing(redshift, postgres, sockets):
    before = sockets()
    postmaster = postgres._postmaster()
    postmaster.suspend()
    try:
        client = socket.create_connection(("127.0.0.1", redshift.port), timeout=10)
        client.sendall(startup(redshift))
        eventually(lambda: sockets() == before + 2, "the client and its backend are connected")
        reset(client)
    finally:
        postmaster.resume()
    eventually(lambda: sockets() == before, "the connections are closed")


def test_other_sessions_answer_while_a_copy_runs(in_background, run, table, endless, copied):
    run(f"CREATE TABLE {table} (a INT, b VARCHAR(10))")
    _, outcome = in_background(endless)
    eventually(lambda: copied(table) > 0, "the COPY loads")
    loaded = copied(table)
    with ThreadPoolExecutor() as threads:
        assert threads.submit(run, "SELECT 1").result(5) == [(1,)]
    eventually(lambda: copied(table) > loaded, "the COPY goes on")
    assert not outcome.done()


def test_of_two_clients_that_wait_for_each_other_one_is_told_soon(redshift, run, table):
    run(f"CREATE TABLE {table} (a INT)")
    run(f"INSERT INTO {table} VALUES (1), (2)")
    with (
        contextlib.closing(redshift.connect()) as one,
        contextlib.closing(redshift.connect()) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        update = f"UPDATE {table} SET a = a + 10 WHERE a = %s"
        for row, connection in enumerate((one, other), start=1):
            connection.cursor().execute("SET statement_timeout TO 20000")
            connection.cursor().execute(update, [row])
        waiting = thread.submit(one.cursor().execute, update, [2])
        failures = []
        for attempt in (lambda: other.cursor().execute(update, [1]), waiting.result):
            try:
                attempt()
            except ProgrammingError as error:
                failures.append(error.args[0])
                other.rollback()
    assert [failure["M"] for failure in failures] == ["1023"]
    assert failures[0]["D"].endswith("deadlock detected")


def test_processes_of_the_server_wait_for_each_other(backend):
    """An autovacuum that cancelled another one could leave a placeholder in a BRIN index, for good."""
    assert backend.execute("SHOW deadlock_timeout").fetchone() == ("1h",)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux acknowledges at once")
def test_a_statement_longer_than_the_drivers_buffer_does_not_wait_for_an_acknowledgement(redshift):
    """The driver holds the rest of it until then (Nagle); Linux puts that off, for 40 ms each time."""
    seconds = []
    with redshift.connect() as connection, connection.cursor() as cursor:
        # The first packets of a connection are acknowledged at once in any case.
        for number in range(40):
            began = time.monotonic()
            cursor.execute(f"SELECT {number} -- {'-' * 20_000}")
            seconds.append(time.monotonic() - began)
    assert min(seconds[20:]) < 0.04


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux acknowledges at once")
@pytest.mark.parametrize("before", [b"", protocol.FLUSH, protocol.SYNC])
def test_nor_does_a_statement_that_is_cut_behind_another_message(redshift, before):
    text = protocol.parse(b"", f"SELECT 1 -- {'-' * 20_000}")
    rest = protocol.bind(b"", b"") + protocol.execute(b"") + protocol.SYNC
    seconds = []
    client = WireClient(redshift)
    for _ in range(40):
        began = time.monotonic()
        client.socket.sendall(before + text[:8_000])
        client.socket.sendall(text[8_000:] + rest)
        answers = client.until_ready() + (client.until_ready() if before == protocol.SYNC else [])
        seconds.append(time.monotonic() - began)
        assert b"D" in dict(answers)
    client.socket.close()
    assert min(seconds[20:]) < 0.04
