"""Where the local stack keeps its state, which ports it takes, and the environment that Airflow runs with."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HOST = "127.0.0.1"
REGION = "us-west-2"
BUCKET = "sparkify"
WORK_BUCKET = "sparkify-work"
LOG_PREFIX = "log_data"
SONG_PREFIX = "song_data"
WAREHOUSE = "dev"
WAREHOUSE_USER = "awsuser"
PAGE_USER, READERS = "sparkify_page", "analysts"
METADATA = "airflow"
UI_USER = "admin"
CREDENTIALS_FILE = "credentials.json"


class SettingsError(Exception):
    """A setting that the user has to correct; the message says how."""


@dataclass(frozen=True)
class Ports:
    """The TCP ports on 127.0.0.1; `SPARKIFY_<NAME>_PORT` overrides one."""

    ui: int = 8080
    s3: int = 9000
    redshift: int = 5439
    postgres: int = 5433

    @staticmethod
    def variable(name: str) -> str:
        return f"SPARKIFY_{name.upper()}_PORT"

    @classmethod
    def resolve(cls, environ: Mapping[str, str], saved: Mapping[str, int]) -> Ports:
        """Take each port from `environ`, else from the last `up`, else the default."""
        values = {}
        for name in (f.name for f in fields(cls)):
            text = environ.get(cls.variable(name), "")
            if not text:
                if name in saved:
                    values[name] = int(saved[name])
                continue
            if not text.isdecimal() or not 1 <= int(text) <= 65535:
                raise SettingsError(
                    f"{cls.variable(name)}={text!r} is not a port. Give a number between 1 and 65535."
                )
            values[name] = int(text)
        ports = cls(**values)
        taken: dict[int, str] = {}
        for name, port in asdict(ports).items():
            if port in taken:
                raise SettingsError(
                    f"{cls.variable(taken[port])} and {cls.variable(name)} are both {port}. "
                    "Give each service a port of its own."
                )
            taken[port] = name
        return ports


@dataclass(frozen=True)
class Hosts:
    """Where commands find the parts that they talk to: on this machine, unless containers say otherwise."""

    ui: str = HOST
    s3: str = HOST
    redshift: str = HOST


@dataclass(frozen=True)
class Credentials:
    """Secrets of this checkout's stack: made once, kept in a file that only its owner can read."""

    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    metadata_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    redshift_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    page_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    aws_access_key_id: str = field(default_factory=lambda: "LOCAL" + secrets.token_hex(8).upper(), repr=False)
    aws_secret_access_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    ui_password: str = field(default_factory=lambda: secrets.token_urlsafe(9), repr=False)
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)
    api_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    fernet_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), repr=False
    )

    @classmethod
    def load_or_create(cls, path: Path) -> Credentials:
        saved = json.loads(path.read_text()) if path.exists() else {}
        credentials = cls(**saved)
        if asdict(credentials) != saved:
            write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
        return credentials


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    partial.replace(path)


def make_private(state: Path) -> None:
    """Make the state folder, which only its owner can enter; take a former one from everyone else.

    :raises SettingsError: where others can enter it, and it is not, or not only, this stack's.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = state.stat()
    if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return
    is_ours = (state / CREDENTIALS_FILE).exists() or not any(state.iterdir())
    if found.st_uid != os.geteuid() or not is_ours:
        raise SettingsError(
            f"Other users can enter {state} (mode {found.st_mode & 0o7777:04o}, owner {found.st_uid}), and "
            "it is not this project's alone: they could read the passwords and the data.\n"
            f"Choose a folder of your own with SPARKIFY_STATE, or run: chmod 700 {state}"
        )
    state.chmod(0o700)


@dataclass(frozen=True)
class Settings:
    """What the local stack needs to know; `load()` reads it from the environment and the state folder."""

    state: Path
    ports: Ports
    credentials: Credentials
    dags_folder: Path = ROOT / "dags"
    hosts: Hosts = Hosts()
    #: The last day of a sample that stands still; one that ends yesterday goes on.
    sample_end: date | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        state = state_folder(environ)
        make_private(state)
        saved_file = state / "ports.json"
        saved = json.loads(saved_file.read_text()) if saved_file.exists() else {}
        ports = Ports.resolve(environ, saved)
        return cls(
            state=state,
            ports=ports,
            credentials=Credentials.load_or_create(state / CREDENTIALS_FILE),
            sample_end=_sample_end(environ),
        )

    @property
    def ports_file(self) -> Path:
        """Written by `up`, so that later commands find a stack that was started on other ports."""
        return self.state / "ports.json"

    @property
    def credentials_file(self) -> Path:
        return self.state / CREDENTIALS_FILE

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def postgres_data(self) -> Path:
        return self.state / "postgres"

    @property
    def lake(self) -> Path:
        return self.state / "s3"

    @property
    def airflow_home(self) -> Path:
        return self.state / "airflow"

    @property
    def task_logs(self) -> Path:
        return self.airflow_home / "logs"

    @property
    def passwords_file(self) -> Path:
        return self.state / "ui_passwords.json"

    @property
    def ui_url(self) -> str:
        return f"http://{self.hosts.ui}:{self.ports.ui}"

    @property
    def s3_url(self) -> str:
        return f"http://{self.hosts.s3}:{self.ports.s3}"

    def write_ui_passwords(self) -> None:
        """Hand the UI's login to SimpleAuthManager, which would otherwise make up one in a 0644 file."""
        write_private(self.passwords_file, json.dumps({UI_USER: self.credentials.ui_password}))

    def environment(self) -> dict[str, str]:
        """The variables that Airflow's processes, and any `airflow` command beside them, need."""
        secret = self.credentials
        metadata = (
            f"postgresql+psycopg2://{METADATA}:{secret.metadata_password}"
            f"@{HOST}:{self.ports.postgres}/{METADATA}"
        )
        values = {
            "AIRFLOW_HOME": str(self.airflow_home),
            # airflow_local_settings lives there; plugins/ gets on sys.path by itself.
            "PYTHONPATH": str(ROOT / "config"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": secret.fernet_key,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{UI_USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords_file),
            # The default asks DNS for this machine's full name, which a laptop may wait for.
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.ports.ui),
            "AIRFLOW__API__BASE_URL": self.ui_url,
            "AIRFLOW__API__SECRET_KEY": secret.api_secret_key,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret.jwt_secret,
            # The defaults wait 1 s between levels of a graph and notice a finished task up to 5 s late.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            # An edited or a new DAG file shows up after seconds instead of minutes. Files that did not change
            # need not be read every 30 s, which keeps a third of a core busy.
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
                {
                    "conn_type": "aws",
                    "login": secret.aws_access_key_id,
                    "password": secret.aws_secret_access_key,
                    "extra": {
                        "endpoint_url": self.s3_url,
                        "region_name": REGION,
                        # rclone answers a part of an object with the checksum of all of it.
                        "config_kwargs": {
                            "s3": {"addressing_style": "path"},
                            "response_checksum_validation": "when_required",
                        },
                    },
                }
            ),
            "AIRFLOW_CONN_REDSHIFT_DEFAULT": self._connection(WAREHOUSE_USER, secret.redshift_password),
            "AIRFLOW_CONN_SPARKIFY_PAGE": self._connection(PAGE_USER, secret.page_password),
            # What this stack is. The rest of the Variables keep the DAG's defaults and can be set in the UI,
            # which a variable of the environment would silently outrank.
            "AIRFLOW_VAR_SPARKIFY_BUCKET": BUCKET,
            "AIRFLOW_VAR_SPARKIFY_WORK_BUCKET": WORK_BUCKET,
            "AIRFLOW_VAR_SPARKIFY_IAM_ROLE": "default",
            "AIRFLOW_VAR_SPARKIFY_REGION": REGION,
            # The group of the page's login.
            "AIRFLOW_VAR_SPARKIFY_READERS": f"GROUP {READERS}",
            # Everything here talks to loopback: a proxy of the machine must not get in between.
            **{name: _with_loopback(os.environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")},
        }
        if sys.platform == "darwin":
            # macOS aborts a forked child that touches Objective-C; LocalExecutor forks its workers.
            values["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
        return values

    def _connection(self, login: str, password: str) -> str:
        """An Airflow connection to the local Redshift."""
        return json.dumps(
            {
                "conn_type": "redshift",
                "host": HOST,
                "port": self.ports.redshift,
                "login": login,
                "password": password,
                "schema": WAREHOUSE,
                "extra": {"ssl": False},
            }
        )

    def aws_environment(self) -> dict[str, str]:
        """The variables with which AWS's own tools talk to the local S3; Airflow uses its connection."""
        return {
            "AWS_ENDPOINT_URL_S3": self.s3_url,
            "AWS_ACCESS_KEY_ID": self.credentials.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.aws_secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
        }

    def process_environment(self) -> dict[str, str]:
        """The caller's environment with `environment()` on top, and nothing of another Airflow or of AWS."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))
        }
        return {**inherited, **self.environment()}


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("SPARKIFY_STATE") or ROOT / ".local").resolve()


def _sample_end(environ: Mapping[str, str]) -> date | None:
    text = environ.get("SPARKIFY_SAMPLE_END", "")
    if not text:
        return None
    try:
        end = date.fromisoformat(text)
    except ValueError:
        end = date.max
    if not date(1970, 12, 31) < end < datetime.now(UTC).date():
        raise SettingsError(
            f"SPARKIFY_SAMPLE_END={text!r} is not a day from 1971-01-01 to yesterday (UTC).\n"
            "Give one like 2018-11-30, or unset it: the sample then ends yesterday."
        )
    return end


def _with_loopback(no_proxy: str) -> str:
    hosts = [host for host in no_proxy.split(",") if host]
    return ",".join(hosts + [host for host in (HOST, "localhost") if host not in hosts])
