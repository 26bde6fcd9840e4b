"""Airflow's API server alone, with the project's plugins and users of several roles."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import httpx

from local.airflow import Airflow
from local.processes import stop_all, wait_until
from local.settings import METADATA, READERS, Credentials, Ports, Settings, write_private
from local.warehouse import ensure_page_login
from local_redshift import LocalRedshift
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.postgres import EmbeddedPostgres
from tests.support.pipeline import PipelineRun, load_dag

#: A user without a role may log in and see nothing.
ROLES = {"anne": "admin", "vera": "viewer", "noah": ""}
PASSWORD = "test-password"
TIMEOUT = 30


class ApiServer:
    """One process on a free port; its metadata are in a database of `postgres`.

    `redshift_port` is that of a relay in front of `redshift`, which has the schema.
    """

    def __init__(
        self, folder: Path, postgres: EmbeddedPostgres, redshift: LocalRedshift, redshift_port: int = 0
    ):
        credentials = Credentials(redshift_password=redshift.password)
        ports = Ports(ui=free_port(), postgres=postgres.port, redshift=redshift_port or redshift.port)
        self.settings = Settings(folder, ports, credentials)
        postgres.ensure_role(METADATA, credentials.metadata_password)
        postgres.ensure_database(METADATA, METADATA)
        self._airflow = Airflow(self.settings)
        self._service = self._airflow.services[0]
        users = ",".join(f"{name}:{role}" for name, role in ROLES.items())
        self._service.environment = {
            **self._service.environment,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
        }
        self.url = self.settings.ui_url
        self._direct = replace(self.settings, ports=replace(ports, redshift=redshift.port))

    def let_the_page_read(self) -> None:
        """As the local stack does it: a login in the group that sparkify_schema grants the tables to."""
        ensure_page_login(self._direct)
        variables = {"sparkify_readers": f"GROUP {READERS}"}
        PipelineRun(load_dag("sparkify_schema"), variables=variables).run_task("create_schema")

    def start(self) -> None:
        self._airflow.migrate()
        write_private(self.settings.passwords_file, json.dumps(dict.fromkeys(ROLES, PASSWORD)))
        self._service.launch()
        wait_until(self._answers, [self._service], 120, "Airflow's API server did not answer")

    def stop(self) -> None:
        stop_all([self._service])

    def client(self, user: str = "") -> httpx.Client:
        """A client with the cookie of one of ROLES, as a browser has it, or of nobody."""
        cookies = {}
        if user:
            login = {"username": user, "password": PASSWORD}
            answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=TIMEOUT, trust_env=False)
            assert answer.status_code == 201, answer.text
            cookies = {"_token": answer.json()["access_token"]}
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=TIMEOUT, trust_env=False)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/api/v2/version").status_code == 200
        except httpx.HTTPError:
            return False


class Readers:
    """Clients that ask for a page and do not read the answer."""

    def __init__(self, port: int, token: str):
        self._address = ("127.0.0.1", port)
        self._token = token
        self._sockets: list[socket.socket] = []

    def ask(self, path: str, number: int) -> None:
        for _ in range(number):
            self._sockets.append(socket.create_connection(self._address))
            self._sockets[-1].sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: _token={self._token}\r\n\r\n".encode()
            )

    def leave(self) -> None:
        while self._sockets:
            self._sockets.pop().close()
