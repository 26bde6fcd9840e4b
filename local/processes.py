"""Airflow's processes as a set: started together, watched together, ended with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from local_redshift.embedded.detached import DetachedProcess, StartupError, of_this_boot, reap


class Service(DetachedProcess):
    """A detached process that forks children of its own, launched without waiting for it.

    Unlike its base class it knows its command, so that several can be launched at once and waited for
    together, and it ends with all its children.
    """

    log_file: Path

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        pid_file: Path,
        log_file: Path,
        cwd: Path,
    ):
        super().__init__(name, pid_file, log_file)
        #: Whether it ran before its launch was asked for: it may be on its way out.
        self.was_running = False
        self.command = command
        self.environment = environment
        self.cwd = cwd

    def launch(self) -> None:
        """Start the process unless it runs; leftovers of one that died are ended first."""
        self.was_running = self.find() is not None
        if self.was_running:
            return
        stop_all([self], deadline=5)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            child = subprocess.Popen(
                self.command,
                env=dict(self.environment),
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.record(child.pid)

    def members(self) -> set[psutil.Process]:
        """The process and everything it started, also when it is itself gone already.

        Children keep the session of their leader whatever becomes of it, and the system does not give a
        session's number to a new process while the session has members.
        """
        recorded = self.recorded()
        if recorded is None:
            return set()
        pid, born = recorded
        reap(pid)
        leader = self.find()
        if leader is None and (_is_alive(pid) or not of_this_boot(born)):
            return set()  # the number belongs to another program now, or did in an earlier boot
        found = set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if os.getsid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.add(process)
        if leader is not None:
            with contextlib.suppress(psutil.Error):
                # A child that made a session of its own is still a child.
                found.update(leader.children(recursive=True))
        return found

    def log_excerpt(self, lines: int = 15) -> str:
        """The last lines of the log, indented, and where the rest is."""
        try:
            tail = self.log_file.read_text(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            tail = []
        body = "\n".join(f"    {line}" for line in tail) or "    (the log is empty)"
        return f"Its last lines:\n{body}\nFull log: {self.log_file}"


def wait_until(ready: Callable[[], bool], services: Iterable[Service], deadline: float, what: str) -> None:
    """Poll `ready` until it holds; fail at once when a service dies, or after `deadline` seconds.

    One that ran before its launch was going down when it ends: it is launched anew.
    """
    services = list(services)
    end = time.monotonic() + deadline
    while not ready():
        for service in services:
            if service.find() is not None:
                continue
            if service.was_running:
                service.launch()
            else:
                raise StartupError(f"{service.name} exited while starting.\n{service.log_excerpt()}")
        if time.monotonic() > end:
            logs = "\n".join(f"    {service.log_file}" for service in services)
            raise StartupError(f"{what} after {deadline:.0f} s. The logs may show why:\n{logs}")
        time.sleep(0.2)


def stop_all(services: Iterable[Service], deadline: float = 20) -> None:
    """End the services and their children: SIGTERM to all at once, SIGKILL to those left at the deadline."""
    services = list(services)
    remaining = set().union(*(service.members() for service in services))
    _signal(remaining, signal.SIGTERM)
    end = time.monotonic() + deadline
    while remaining and time.monotonic() < end:
        time.sleep(0.1)
        # Asked anew: a parent may have started another child before the signal reached it.
        remaining = set().union(*(service.members() for service in services))
    _signal(remaining, signal.SIGKILL)
    psutil.wait_procs(remaining, timeout=5)
    for service in services:
        service.members()  # reaps a leader that is this command's own child
        service.pid_file.unlink(missing_ok=True)


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free, one with a listener is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def listener(port: int) -> str | None:
    """Who listens on the port, as far as this user may see: `name (pid 123)`."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None
