"""Connections to the warehouse: what they are made with, and what they outlive."""

from __future__ import annotations

import json
import logging
import socket

import psycopg
import pytest
import redshift_connector

from sparkify.warehouse import (
    EXTRA,
    ConnectionLostError,
    Deadline,
    TransientError,
    Warehouse,
    WarehouseError,
)
from tests.support.relay import IdleRelay
from tests.support.servers import redshift_connection

pytestmark = pytest.mark.integration

#: How long the gateway of a test lets a connection be silent; keepalive counts in whole seconds.
SILENCE_S = 2.5
LONG_STATEMENT_S = 4


@pytest.fixture
def connect(redshift, airflow_connections, monkeypatch):
    """A warehouse whose Airflow connection has these extra fields."""

    def connect(port=None, **extra) -> Warehouse:
        connection = redshift_connection(redshift, port or redshift.port)
        connection["extra"] |= extra
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
        return Warehouse()

    return connect


def options(warehouse: Warehouse) -> tuple[int, ...]:
    with warehouse.reading() as transaction:
        one = transaction._connection._usock
        kept = one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        return kept, *(one.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names)


def test_a_connection_is_kept_alive_unless_the_airflow_connection_says_otherwise(connect):
    assert options(connect()) == (1, 60, 30, 5)
    assert options(connect(tcp_keepalive_idle=20)) == (1, 20, 30, 5)
    assert options(connect(tcp_keepalive=False))[0] == 0


def test_the_extra_fields_of_every_connection_are_arguments_of_the_driver(monkeypatch):
    monkeypatch.setattr(redshift_connector, "Connection", lambda **arguments: None)
    redshift_connector.connect(user="u", password="p", host="h", database="d", **EXTRA)


@pytest.mark.parametrize("name", ["sparkify", "another"])
def test_sessions_have_a_name(connect, postgres, redshift, name):
    warehouse = connect() if name == "sparkify" else connect(application_name=name)
    with (
        warehouse.reading(),
        psycopg.connect(postgres.dsn(redshift.database)) as other,
    ):
        names = {row[0] for row in other.execute("SELECT application_name FROM pg_stat_activity")}
    assert name in names


@pytest.fixture
def long_statement(postgres, redshift):
    """One that says nothing for `LONG_STATEMENT_S`; Redshift has no function that sleeps."""
    with psycopg.connect(postgres.dsn(redshift.database), autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.think() RETURNS INTEGER LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_sleep({LONG_STATEMENT_S}); RETURN 7; END $$"
        )
        yield "SELECT public.think()"
        connection.execute("DROP FUNCTION public.think")


def test_a_statement_outlives_a_gateway_that_drops_silent_connections(connect, redshift, long_statement):
    with IdleRelay(redshift.port, SILENCE_S) as relay:
        with connect(relay.port, tcp_keepalive_idle=1, tcp_keepalive_interval=1).reading() as transaction:
            assert transaction.execute(long_statement) == [[7]]
        with (
            pytest.raises(ConnectionLostError),
            connect(relay.port, tcp_keepalive=False).reading() as transaction,
        ):
            transaction.execute(long_statement)
    assert issubclass(ConnectionLostError, TransientError)


@pytest.fixture
def writing_query(postgres, redshift):
    """A plain query for which a READ ONLY transaction is refused, as Redshift refuses some."""
    with psycopg.connect(postgres.dsn(redshift.database), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.written (n INTEGER)")
        connection.execute(
            "CREATE FUNCTION public.keep(n INTEGER) RETURNS INTEGER LANGUAGE sql SECURITY DEFINER AS "
            "$$ INSERT INTO public.written VALUES (n) RETURNING n $$"
        )
        yield "-- Which number\nSELECT public.keep(7)"
        assert connection.execute("SELECT COUNT(*) FROM public.written").fetchone() == (0,)
        connection.execute("DROP FUNCTION public.keep; DROP TABLE public.written")


def test_a_query_that_read_only_refuses_is_asked_in_a_transaction_that_is_rolled_back(
    connect, writing_query, caplog
):
    caplog.set_level(logging.INFO)
    with connect().read_only_transaction(Deadline(20)) as transaction:
        assert transaction.execute(writing_query) == [[7]]
    assert "READ ONLY refuses it" in caplog.text


def test_what_is_no_query_is_refused_by_read_only(connect):
    with (
        pytest.raises(WarehouseError, match="read-only"),
        connect().read_only_transaction(Deadline(20)) as transaction,
    ):
        transaction.execute("CREATE TABLE public.never (n INTEGER)")
