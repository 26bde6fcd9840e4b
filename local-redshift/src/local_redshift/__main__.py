"""Run Local Redshift in the foreground: `python -m local_redshift --help`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from urllib.parse import quote

from local_redshift.embedded.detached import StartupError
from local_redshift.embedded.interruption import Interruption
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import SUPERUSER, EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3

SECRETS = {
    "REDSHIFT_PASSWORD": "the password of --user",
    "PGPASSWORD": f'the password of PostgreSQL\'s superuser "{SUPERUSER}"',
    "AWS_ACCESS_KEY_ID": "the access key of S3, which COPY uses for IAM_ROLE",
    "AWS_SECRET_ACCESS_KEY": "its secret",
}
EPILOG = """
Without options it starts its own PostgreSQL and S3, and stops and deletes them when it ends.

secrets, from the environment only; for its own servers, those that are not set are generated:
""" + "\n".join(f"  {name:23}{purpose}" for name, purpose in SECRETS.items())


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local_redshift",
        description="A stand-in for an Amazon Redshift cluster, over PostgreSQL.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address for clients (default %(default)s); passwords are sent in clear text, so use nothing "
        "wider than a container network",
    )
    parser.add_argument("--port", type=int, default=5439, help="port for clients (default %(default)s)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="keep data and secrets of its own servers here (otherwise they are deleted)",
    )
    parser.add_argument(
        "--backend", metavar="HOST:PORT", help="a running PostgreSQL (otherwise one is started)"
    )
    parser.add_argument(
        "--s3-endpoint", metavar="URL", help="a running S3 (otherwise a local one is started)"
    )
    parser.add_argument("--s3-port", type=int, help="port of its own S3 (default: a free one)")
    parser.add_argument(
        "--database", default="dev", help="the database, created if missing (default %(default)s)"
    )
    parser.add_argument("--user", default="awsuser", help="the cluster's admin user (default %(default)s)")
    parser.add_argument(
        "--region",
        default="us-west-2",
        help="the region of the cluster and the buckets (default %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="log sessions; statements are never logged")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # The event loop must not wait 5 ms, the default, for a thread that converts rows.
    sys.setswitchinterval(0.0005)
    interruption = Interruption()
    try:
        with ExitStack() as running:
            found = given_or_made(options)

            @cache
            def folder() -> Path:
                """Made only where a server of this process needs one."""
                return Path(
                    options.data_dir
                    or running.enter_context(tempfile.TemporaryDirectory(prefix="local-redshift-"))
                )

            backend = start_postgres(options, folder, found["PGPASSWORD"], running)
            s3 = start_s3(options, folder, found, running)
            asyncio.run(serve(options, backend, s3, found, interruption))
    except StartupError as error:
        print(f"Local Redshift: {error}", file=sys.stderr)
        return 1
    return 0


def given_or_made(options: argparse.Namespace) -> dict[str, str]:
    """The secrets: from the environment, else kept with the data, else new."""
    file = options.data_dir / "secrets.json" if options.data_dir else None
    kept = json.loads(file.read_text()) if file and file.exists() else {}
    given = {name: os.environ[name] for name in SECRETS if os.environ.get(name)}
    if options.backend:
        for name in ("REDSHIFT_PASSWORD", "PGPASSWORD"):
            if name not in given:
                raise StartupError(f"{name} is not set in the environment: it is {SECRETS[name]}.")
    if options.s3_endpoint:
        given = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **given}
    found = {name: secrets.token_hex(16) for name in SECRETS} | kept | given
    made = {name: found[name] for name in SECRETS if name not in given}
    if made and file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(kept | made))
    return found


def start_postgres(
    options: argparse.Namespace, folder: Callable[[], Path], password: str, running: ExitStack
) -> tuple[str, int]:
    """The PostgreSQL to use: the given one, or an embedded one that ends with this process."""
    if options.backend:
        host, _, port = options.backend.rpartition(":")
        if not port.isdigit():
            raise StartupError(f"--backend takes HOST:PORT, not {options.backend!r}.")
        return host or "127.0.0.1", int(port)
    server = EmbeddedPostgres(folder(), free_port(), password, is_throwaway=not options.data_dir)
    running.callback(server.stop if options.data_dir else server.remove)
    server.start()
    return "127.0.0.1", server.port


def start_s3(
    options: argparse.Namespace, folder: Callable[[], Path], found: dict[str, str], running: ExitStack
) -> LocalS3 | None:
    """An S3 that ends with this process, or None when one is given."""
    if options.s3_endpoint:
        return None
    keys = (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])
    server = LocalS3(
        folder() / "s3", options.s3_port or free_port(), *keys, folder() / "s3.log", region=options.region
    )
    running.callback(server.stop)
    server.start()
    return server


async def serve(
    options: argparse.Namespace,
    backend: tuple[str, int],
    s3: LocalS3 | None,
    found: dict[str, str],
    interruption: Interruption,
) -> None:
    import psycopg

    from local_redshift.catalog.install import prepare
    from local_redshift.catalog.journal import Journal
    from local_redshift.copy.source import S3Endpoint
    from local_redshift.server import RedshiftServer

    # What is imported stays: no need to search it for garbage with each collection.
    gc.freeze()
    dsn = "postgresql://{}:{}@{}:{}".format(SUPERUSER, quote(found["PGPASSWORD"], safe=""), *backend)
    try:
        await prepare(dsn, options.user, found["REDSHIFT_PASSWORD"], options.database)
    except psycopg.OperationalError as error:
        raise StartupError(f"the PostgreSQL backend cannot be reached: {error}") from error
    journal = await Journal.open(f"{dsn}/{quote(options.database, safe='')}")
    endpoint = S3Endpoint(
        s3.endpoint_url if s3 else options.s3_endpoint,
        options.region,
        found["AWS_ACCESS_KEY_ID"],
        found["AWS_SECRET_ACCESS_KEY"],
    )
    server = RedshiftServer(backend=backend, database=options.database, s3=endpoint, journal=journal)
    try:
        await server.listen(options.host, options.port)
    except OSError as error:
        raise StartupError(
            f"port {options.port} on {options.host} cannot be used ({error.strerror}).\n"
            "Choose another with --port."
        ) from error
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with interruption.let_through(lambda _: loop.call_soon_threadsafe(stopped.set)):
        tell(options, s3, found)
        await stopped.wait()
    await server.close()
    await journal.close()


def tell(options: argparse.Namespace, s3: LocalS3 | None, found: dict[str, str]) -> None:
    """How to connect. A secret that was given is not printed."""

    def shown(name: str) -> str:
        return f"as in {name}" if os.environ.get(name) else found[name]

    lines = [f"Local Redshift is ready on {options.host}:{options.port}"]
    if not options.backend:
        password = shown("REDSHIFT_PASSWORD")
        lines.append(f"  database {options.database}, user {options.user}, password {password}, no TLS")
    if s3:
        lines += [
            f"S3 is ready on {s3.endpoint_url}, region {s3.region}",
            f"  access key {shown('AWS_ACCESS_KEY_ID')}, secret {shown('AWS_SECRET_ACCESS_KEY')}",
            f"  each folder of {s3.root} is a bucket",
        ]
    if not (options.backend and options.s3_endpoint):
        after = f"stays in {options.data_dir}" if options.data_dir else "is then deleted"
        lines.append(f"Ctrl-C stops it; the data {after}.")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
