"""The local stack as a whole: its parts, the order in which they start and end, what they leave on disk."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property

import psycopg

from local.airflow import Airflow
from local.generator import growing_since
from local.processes import Service, listener, port_is_free
from local.settings import (
    BUCKET,
    HOST,
    METADATA,
    REGION,
    ROOT,
    WAREHOUSE,
    WAREHOUSE_USER,
    WORK_BUCKET,
    Ports,
    Settings,
)
from local.steps import Steps
from local.warehouse import ensure_page_login
from local_redshift import LocalRedshift
from local_redshift.embedded.detached import StartupError
from local_redshift.embedded.postgres import EmbeddedPostgres
from local_redshift.embedded.s3 import LocalS3

PURPOSES = {
    "ui": "Airflow's web UI",
    "s3": "local S3",
    "redshift": "local Redshift",
    "postgres": "the embedded PostgreSQL",
}


LOCK_FILE = "lock"


class Stack:
    """The parts of one state folder: PostgreSQL, S3, Redshift, Airflow, a generator, and their data."""

    def __init__(self, settings: Settings):
        self.settings = settings
        secret = settings.credentials
        self.postgres = EmbeddedPostgres(
            settings.postgres_data,
            settings.ports.postgres,
            secret.postgres_password,
            settings.logs / "postgres.log",
        )
        self.s3 = LocalS3(
            settings.lake,
            settings.ports.s3,
            secret.aws_access_key_id,
            secret.aws_secret_access_key,
            settings.logs / "s3.log",
            region=REGION,
        )
        self.redshift = LocalRedshift(
            port=settings.ports.redshift,
            user=WAREHOUSE_USER,
            password=secret.redshift_password,
            database=WAREHOUSE,
            backend_port=settings.ports.postgres,
            backend_password=secret.postgres_password,
            s3_endpoint=settings.s3_url,
            access_key=secret.aws_access_key_id,
            secret_key=secret.aws_secret_access_key,
            region=REGION,
            pid_file=settings.pids / "redshift.pid",
            log_file=settings.logs / "redshift.log",
        )

    @cached_property
    def airflow(self) -> Airflow:
        return Airflow(self.settings)

    @cached_property
    def generator(self) -> Service:
        """Runs where the lake holds a sample that goes on."""
        return Service(
            "sample generator",
            [sys.executable, "-m", "local.generator"],
            self.settings.process_environment(),
            pid_file=self.settings.pids / "generator.pid",
            log_file=self.settings.logs / "generator.log",
            cwd=ROOT,
        )

    def parts(self) -> dict[str, tuple[bool, str]]:
        """Name to (runs, address) of every process, in order of start."""
        settings = self.settings
        generates = self.generator.find() is not None
        expected = generates or (self.s3.is_running() and growing_since(settings) is not None)
        return {
            "PostgreSQL": (self.postgres.is_running(), f"{HOST}:{settings.ports.postgres}"),
            "local S3": (self.s3.is_running(), settings.s3_url),
            "local Redshift": (self.redshift.is_running(), f"{HOST}:{settings.ports.redshift}/{WAREHOUSE}"),
            **{
                service.name: (
                    service.find() is not None,
                    settings.ui_url if service.name.endswith("api-server") else "",
                )
                for service in self.airflow.services
            },
            **({self.generator.name: (generates, settings.s3_url)} if expected else {}),
        }

    def up(self, steps: Steps, fill_lake: Callable[[], None] | None = None) -> None:
        """Start what does not run; `fill_lake` is called as soon as S3 serves, beside the rest."""
        self._check_ports()
        self.settings.ports_file.parent.mkdir(parents=True, exist_ok=True)
        self.settings.ports_file.write_text(json.dumps(asdict(self.settings.ports)))
        with ThreadPoolExecutor() as pool:
            lake = pool.submit(self._start_lake, steps, fill_lake)
            with steps("Start PostgreSQL"):
                self._start_postgres()
            warehouse = pool.submit(self._start_redshift, steps)
            with steps("Prepare Airflow's database"):
                self.airflow.migrate()
            warehouse.result()
            with steps("Start Airflow") as step:
                self.airflow.launch()
                self.airflow.wait_healthy()
                step.result = "API server, scheduler, DAG processor, triggerer"
            lake.result()

    def down(self, steps: Steps) -> None:
        """End every process, the ones that others lean on last."""
        with steps("Stop Airflow"):
            self.airflow.stop()
        with steps("Stop the stand-ins for AWS"):
            self.generator.stop()
            self.redshift.stop()
            self.s3.stop()
            self.postgres.stop()

    def clean(self, steps: Steps) -> None:
        """End every process and delete what the stack put on disk, and nothing else."""
        self.down(steps)
        settings = self.settings
        had_data = settings.lake.exists() or settings.postgres_data.exists()
        with steps(f"Delete the local data in {settings.state}") as step:
            self.postgres.remove()
            folders = (settings.lake, settings.airflow_home, settings.logs, settings.pids)
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            files = (
                settings.ports_file,
                settings.passwords_file,
                settings.credentials_file,
                settings.state / LOCK_FILE,
            )
            for file in files:
                file.unlink(missing_ok=True)
            # Not ours alone, perhaps: what someone else put there keeps the folder.
            with suppress(OSError):
                settings.state.rmdir()
            step.result = (
                "the lake (sample data or yours), the warehouse and the history of runs are gone"
                if had_data
                else "there was none"
            )

    @contextmanager
    def locked(self, *, required: bool = True) -> Iterator[None]:
        """Keep a second command from changing the same stack at the same time.

        :param required: fail where another command has the lock; otherwise go on.
        """
        self.settings.state.mkdir(parents=True, exist_ok=True)
        with (self.settings.state / LOCK_FILE).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if required:
                    raise StartupError(
                        f"Another command is working on {self.settings.state}.\nWait until it ends, then try "
                        f"again."
                    ) from None
            yield

    def _check_ports(self) -> None:
        running = {
            "ui": self.airflow.services[0].find() is not None,
            "s3": self.s3.is_running(),
            "redshift": self.redshift.is_running(),
            "postgres": self.postgres.is_running(),
        }
        for name, port in asdict(self.settings.ports).items():
            if running[name] or port_is_free(port):
                continue
            who = listener(port) or "another program"
            free = next(p for p in range(port + 1, 65536) if port_is_free(p))
            raise StartupError(
                f"Port {port} is taken by {who}; {PURPOSES[name]} needs it.\n"
                f"End that program, or choose another port: {Ports.variable(name)}={free}"
            )

    def _start_postgres(self) -> None:
        self.postgres.start()
        secret = self.settings.credentials
        try:
            self.postgres.ensure_role(METADATA, secret.metadata_password)
            self.postgres.ensure_database(METADATA, METADATA)
        except psycopg.OperationalError as error:
            raise StartupError(
                f"PostgreSQL refused the password in {self.settings.credentials_file} ({error}): its data "
                "was created with another one.\nRun `make clean`, which deletes the local data, then start "
                "again."
            ) from error

    def _start_lake(self, steps: Steps, fill_lake: Callable[[], None] | None) -> None:
        with steps("Start local S3"):
            for bucket in (BUCKET, WORK_BUCKET):
                (self.settings.lake / bucket).mkdir(parents=True, exist_ok=True)
            self.s3.start()
        if growing_since(self.settings):
            self.generator.launch()
        if fill_lake is not None:
            fill_lake()

    def _start_redshift(self, steps: Steps) -> None:
        with steps("Start local Redshift"):
            self.redshift.start()
            ensure_page_login(self.settings)
