"""A child process that outlives its parent, found again through a pid file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil


class StartupError(RuntimeError):
    """A stand-in did not come up; the message says which, why, and what to do."""


class DetachedProcess:
    """Start a command in a session of its own, and recognise it later by pid and start time."""

    def __init__(self, name: str, pid_file: Path, log_file: Path | None = None):
        self.name = name
        self.pid_file = pid_file
        self.log_file = log_file

    def find(self) -> psutil.Process | None:
        """The running process, or None. A pid that another program has taken over does not count."""
        try:
            pid, started = self.pid_file.read_text().split()
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(started)) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            pass
        return None

    def start(
        self,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        timeout: float = 30,
        remedy: str = "",
    ) -> None:
        """Run `command` until `ready()` holds; raise StartupError with the log's end when it does not."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        log_path = self.log_file or self.pid_file.with_suffix(".log")
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_start = log_path.stat().st_size if log_path.exists() else 0
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                start_new_session=True,
            )
        self.pid_file.write_text(f"{child.pid} {psutil.Process(child.pid).create_time()}\n")
        deadline = time.monotonic() + timeout
        while child.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.05)
        exited = child.poll()
        self.stop()
        with log_path.open("rb") as log:
            log.seek(log_start)
            tail = log.read()[-2000:].decode(errors="replace").strip()
        outcome = (
            f"ended with code {exited}" if exited is not None else f"was not ready after {timeout:.0f} s"
        )
        raise StartupError(
            f"{self.name} {outcome}.{' ' + remedy if remedy else ''}\nEnd of {log_path}:\n{tail}"
        )

    def stop(self, timeout: float = 10) -> None:
        """SIGTERM, and SIGKILL after `timeout` seconds; nothing when it does not run."""
        process = self.find()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
                try:
                    process.wait(timeout)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(timeout)
            reap(process.pid)
        self.pid_file.unlink(missing_ok=True)


def reap(pid: int) -> None:
    """Collect a child's exit status, when it is a child of ours, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
