"""What docker-compose.yaml runs of this package, one container a part: `python -m local.containers PART`.

The connections that Airflow has in its environment say where the parts are and what their passwords are: a
container serves what Airflow will ask for. A part listens on every interface of its container; of those, the
compose file publishes ports on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from redshift_connector.error import InterfaceError
from rich.console import Console

from local.airflow import RunFailedError
from local.demo import SampleMonth
from local.generator import run_until_interrupted
from local.seed import SeedError
from local.settings import (
    BUCKET,
    HOST,
    ROOT,
    UI_USER,
    WORK_BUCKET,
    Credentials,
    Hosts,
    Ports,
    Settings,
    SettingsError,
    state_folder,
)
from local.steps import Steps
from local.warehouse import ensure_page_login
from local_redshift.__main__ import main as serve_redshift
from local_redshift.embedded.detached import StartupError
from local_redshift.embedded.s3 import LocalS3

EVERY_INTERFACE = "0.0.0.0"
#: The first start makes a PostgreSQL first.
LOGIN_DEADLINE = 180
USER_ERRORS = (SettingsError, StartupError, SeedError, RunFailedError)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.containers", description=__doc__)
    parts = {"s3": s3, "redshift": redshift, "demo": demo, "generator": generator}
    parser.add_argument("part", choices=parts)
    part = parts[parser.parse_args(arguments).part]
    try:
        return part(read_settings(os.environ, part in (s3, generator))) or 0
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def s3(settings: Settings) -> None:
    """Become the S3 endpoint."""
    secret = settings.credentials
    lake = LocalS3(
        state_folder() / "s3", settings.ports.s3, secret.aws_access_key_id, secret.aws_secret_access_key
    )
    for bucket in (BUCKET, WORK_BUCKET):
        (lake.root / bucket).mkdir(parents=True, exist_ok=True)
    command = lake.command(EVERY_INTERFACE)
    os.execve(command[0], command, {**os.environ, **lake.secrets()})


def redshift(settings: Settings) -> int:
    """Serve Redshift, with a PostgreSQL of its own that only this container reaches."""
    secret = settings.credentials
    os.environ |= {
        "REDSHIFT_PASSWORD": secret.redshift_password,
        "PGPASSWORD": secret.redshift_password,
        "AWS_ACCESS_KEY_ID": secret.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret.aws_secret_access_key,
    }
    if secret.page_password:
        Thread(target=_make_page_login, args=[settings], daemon=True).start()
    return serve_redshift(
        [
            *("--host", EVERY_INTERFACE),
            *("--port", str(settings.ports.redshift)),
            *("--data-dir", str(state_folder() / "redshift")),
            *("--s3-endpoint", settings.s3_url),
        ]
    )


def _make_page_login(settings: Settings) -> None:
    """As soon as this container serves."""
    here = replace(settings, hosts=replace(settings.hosts, redshift=HOST))
    end = time.monotonic() + LOGIN_DEADLINE
    while True:
        try:
            return ensure_page_login(here)
        except InterfaceError as error:
            if time.monotonic() > end:
                raise StartupError(f"The login of the page Sparkify could not be made: {error}") from error
            time.sleep(0.2)


def demo(settings: Settings) -> None:
    """Do in the running containers what `make demo` does: seed the sample month, load it, ask."""
    console = Console()
    with Steps(console) as steps:
        month = SampleMonth(settings, steps)
        month.fill_lake()
        summary = month.load()
        took = steps.elapsed
    summary.print(console)
    month.print_what_follows(console)
    for line in (
        f"Time taken: {took:.0f} s",
        f"Airflow's UI  {os.environ['AIRFLOW__API__BASE_URL']}   user {UI_USER}, password in .env",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def generator(settings: Settings) -> None:
    """Add the events of each hour once the demo has seeded the sample; the health check looks at the file."""
    run_until_interrupted(settings, alive=state_folder() / "generator")


def read_settings(environ: Mapping[str, str], lake_alone: bool = False) -> Settings:
    """What the local package needs to know, taken from Airflow's own connections.

    :param lake_alone: the part does not talk to the warehouse, and its container has no connection to it.
    """
    aws = _connection(environ, "AIRFLOW_CONN_AWS_DEFAULT")
    endpoint = urlsplit(aws.get("extra", {}).get("endpoint_url", ""))
    if not endpoint.hostname or not endpoint.port:
        raise SettingsError(
            "AIRFLOW_CONN_AWS_DEFAULT has no endpoint_url with a port, so it points to AWS. The stand-ins "
            "and the demo do not work with AWS.\nSet COMPOSE_PROFILES=aws in .env."
        )
    lake = Credentials(aws_access_key_id=aws["login"], aws_secret_access_key=aws["password"])
    settings = Settings(
        # Airflow's home in the image is the project's folder, and Settings puts it into the state folder.
        state=ROOT.parent,
        hosts=Hosts(ui="api-server", s3=endpoint.hostname),
        ports=Ports(s3=endpoint.port),
        credentials=lake,
    )
    if lake_alone:
        return settings
    warehouse = _connection(environ, "AIRFLOW_CONN_REDSHIFT_DEFAULT")
    has_page = environ.get("AIRFLOW_CONN_SPARKIFY_PAGE")
    page = _connection(environ, "AIRFLOW_CONN_SPARKIFY_PAGE") if has_page else {"password": ""}
    return replace(
        settings,
        hosts=replace(settings.hosts, redshift=warehouse["host"]),
        ports=replace(settings.ports, redshift=warehouse["port"]),
        credentials=replace(
            lake,
            redshift_password=warehouse["password"],
            page_password=page["password"],
            ui_password=environ.get("UI_PASSWORD", ""),
        ),
    )


def _connection(environ: Mapping[str, str], variable: str) -> dict[str, Any]:
    try:
        connection: dict[str, Any] = json.loads(environ.get(variable, ""))
        missing = [part for part in ("login", "password") if not connection.get(part)]
    except (ValueError, AttributeError):
        raise SettingsError(f"{variable} is not a connection in JSON. See .env.example.") from None
    if missing:
        raise SettingsError(
            f"{variable} has no {' and no '.join(missing)}, which the stand-in requires.\n"
            "`make docker-env` creates a .env with new passwords."
        )
    return connection


if __name__ == "__main__":
    sys.exit(main())
