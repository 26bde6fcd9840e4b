"""Run Local Redshift in the foreground: `python -m local_redshift --help`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from local_redshift.embedded.detached import StartupError
from local_redshift.embedded.postgres import SUPERUSER, EmbeddedPostgres

SECRETS = """
secrets, from the environment only:
  REDSHIFT_PASSWORD                         the password of --user for clients
  PGPASSWORD                                the password of the backend's superuser "postgres"
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY  the credentials that IAM_ROLE in a COPY stands for

example:
  REDSHIFT_PASSWORD=… PGPASSWORD=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… \\
    python -m local_redshift --s3-endpoint http://127.0.0.1:9000
"""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local_redshift",
        description="A stand-in of an Amazon Redshift cluster, over PostgreSQL.",
        epilog=SECRETS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address for clients (default %(default)s); passwords travel in clear, so nothing wider than a "
        "network of containers",
    )
    parser.add_argument("--port", type=int, default=5439, help="port for clients (default %(default)s)")
    parser.add_argument(
        "--backend", metavar="HOST:PORT", help="a PostgreSQL that runs already (else one is started)"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".local/redshift"),
        help="data of the own PostgreSQL (%(default)s)",
    )
    parser.add_argument(
        "--database", default="dev", help="the database, created when absent (default %(default)s)"
    )
    parser.add_argument("--user", default="awsuser", help="the cluster's admin user (default %(default)s)")
    parser.add_argument("--s3-endpoint", metavar="URL", help="where COPY reads (default: COPY is refused)")
    parser.add_argument(
        "--region", default="us-west-2", help="the region of cluster and buckets (default %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="log sessions; statements are never logged")
    return parser.parse_args(argv)


def secret(name: str, purpose: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise StartupError(f"{name} is not set in the environment: it is {purpose}.")
    return value


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        with ExitStack() as stack:
            # The event loop must not wait 5 ms, the default, for a thread that converts rows.
            sys.setswitchinterval(0.0005)
            asyncio.run(serve(options, stack))
    except StartupError as error:
        print(f"Local Redshift: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(options: argparse.Namespace, stack: ExitStack) -> None:
    from local_redshift.catalog.journal import Journal
    from local_redshift.copy.source import S3Endpoint
    from local_redshift.server import RedshiftServer

    password = secret("REDSHIFT_PASSWORD", f"the password of {options.user}")
    superuser_password = secret("PGPASSWORD", 'the password of the backend\'s superuser "postgres"')
    host, port = backend(options, superuser_password, stack)
    dsn = f"postgresql://{SUPERUSER}:{quote(superuser_password, safe='')}@{host}:{port}"
    await prepare_database(dsn, options.user, password, options.database)
    journal = Journal(f"{dsn}/{quote(options.database, safe='')}")
    await journal.open()
    await journal.install()
    endpoint = S3Endpoint(
        options.s3_endpoint or "",
        options.region,
        os.environ.get("AWS_ACCESS_KEY_ID", ""),
        os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
    server = RedshiftServer(backend=(host, port), database=options.database, s3=endpoint, journal=journal)
    try:
        await server.listen(options.host, options.port)
    except OSError as error:
        raise StartupError(
            f"port {options.port} on {options.host} cannot be used ({error.strerror}). "
            "Choose another with --port."
        ) from error
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    print(
        f"Local Redshift is ready on {options.host}:{options.port}, "
        f"database {options.database}, user {options.user}",
        flush=True,
    )
    await stopped.wait()
    await server.close()
    await journal.close()


def backend(options: argparse.Namespace, password: str, stack: ExitStack) -> tuple[str, int]:
    """The PostgreSQL to use: the given one, or an embedded one that ends with this process."""
    if options.backend:
        host, _, port = options.backend.rpartition(":")
        if not port.isdigit():
            raise StartupError(f"--backend takes HOST:PORT, not {options.backend!r}.")
        return host or "127.0.0.1", int(port)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = EmbeddedPostgres(options.data_dir, port, password)
    server.start()
    stack.callback(server.stop)
    return "127.0.0.1", port


async def prepare_database(dsn: str, user: str, password: str, database: str) -> None:
    """The admin role and its database, created when absent."""
    import psycopg
    from psycopg import sql

    try:
        connection = await psycopg.AsyncConnection.connect(
            f"{dsn}/postgres", autocommit=True, connect_timeout=10
        )
    except psycopg.OperationalError as error:
        raise StartupError(f"the PostgreSQL backend cannot be reached: {error}") from error
    async with connection:
        found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [user])
        verb = "ALTER" if await found.fetchone() else "CREATE"
        await connection.execute(
            sql.SQL(f"{verb} ROLE {{}} LOGIN CREATEROLE CREATEDB PASSWORD {{}}").format(
                sql.Identifier(user), sql.Literal(password)
            )
        )
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if not await found.fetchone():
            await connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(user))
            )


if __name__ == "__main__":
    sys.exit(main())
