"""PostgreSQL goes away behind Local Redshift and comes back: clients are told, and none of them hangs."""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import psycopg
import pytest
from redshift_connector.error import Error

from local_redshift import LocalRedshift
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from wire import eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """A PostgreSQL that these tests may kill."""
    folder = tmp_path_factory.mktemp("killed-postgres")
    server = EmbeddedPostgres(folder / "data", free_port(), "superuser-password", folder / "postgres.log")
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def redshift(postgres, s3, tmp_path_factory):
    """Local Redshift over it."""
    folder = tmp_path_factory.mktemp("killed-redshift")
    server = LocalRedshift.over(postgres, s3, folder)
    server.start()
    # The server commits asynchronously: what it installed has to outlast a kill.
    with psycopg.connect(postgres.dsn("dev"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def up(postgres, redshift):
    """PostgreSQL runs when a test begins."""
    postgres.start()


def kill(postgres):
    """The end without a word, of the server and all its backends."""
    postmaster = postgres._postmaster()
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    eventually(lambda: not postgres.is_running(), "PostgreSQL ends")
    psutil.wait_procs(processes, timeout=10)


def execute(redshift, *statements):
    with contextlib.closing(redshift.connect()) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else None


def test_a_connection_names_the_backend_that_is_down(redshift, postgres):
    kill(postgres)
    with pytest.raises(Error) as error:
        redshift.connect()
    told = error.value.args[0]
    assert told["C"] == "08001"
    assert told["M"].startswith(
        f"Local Redshift cannot reach its PostgreSQL backend at 127.0.0.1:{postgres.port}: "
    )
    assert told["H"]


@pytest.mark.parametrize("statement", ["SELECT pg_catalog.pg_sleep(60)", "COPY"])
def test_a_statement_ends_with_an_error_when_the_backend_is_killed(redshift, postgres, prefix, statement):
    execute(redshift, "DROP TABLE IF EXISTS t", "CREATE TABLE t (a INT)")
    prefix.put({"data/1": '{"a": 1}\n'})
    if statement == "COPY":
        statement = f"COPY t FROM '{prefix.address}/data/' IAM_ROLE default JSON 'auto'"
    # Should the proxy hang, the thread still ends.
    connection = redshift.connect(timeout=20)
    with contextlib.closing(psycopg.connect(postgres.dsn("dev"))) as holder, ThreadPoolExecutor() as threads:
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        outcome = threads.submit(connection.cursor().execute, statement)
        with psycopg.connect(postgres.dsn("dev"), autocommit=True) as backend:
            busy = "SELECT 1 FROM pg_stat_activity WHERE wait_event IN ('PgSleep', 'relation')"
            eventually(lambda: backend.execute(busy).fetchone(), "the statement runs")
        kill(postgres)
        with pytest.raises(Error):
            outcome.result(10)
    with contextlib.suppress(Error):
        connection.close()


def test_connections_and_loads_work_after_a_restart(redshift, postgres, prefix):
    prefix.put({"data/1": '{"a": 1}\n{"a": 2}'})
    copy = f"COPY t FROM '{prefix.address}/data/' IAM_ROLE default JSON 'auto'"
    execute(redshift, "DROP TABLE IF EXISTS t", "CREATE TABLE t (a INT)", copy)
    postgres.stop()
    with pytest.raises(Error):
        redshift.connect()
    postgres.start()
    assert execute(redshift, copy, "SELECT count(*), pg_last_copy_count() FROM t") == [(4, 2)]
    assert execute(
        redshift,
        f"SELECT status FROM sys_load_history WHERE data_source = '{prefix.address}/data/'",
    ) == [("completed",), ("completed",)]
