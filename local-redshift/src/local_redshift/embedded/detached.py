"""A child process that outlives its parent, found again through a pid file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil


class StartupError(RuntimeError):
    """A stand-in did not come up; the message says which, why, and what to do."""


class DetachedProcess:
    """Start a command in a session of its own, and recognise it later by its pid and its birth."""

    def __init__(self, name: str, pid_file: Path, log_file: Path | None = None):
        self.name = name
        self.pid_file = pid_file
        self.log_file = log_file

    def find(self) -> psutil.Process | None:
        """The running process, or None. A pid that another program has taken over does not count."""
        recorded = self.recorded()
        if recorded is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(recorded[0])
                if _was_born(process, recorded[1]) and process.status() != psutil.STATUS_ZOMBIE:
                    return process
        return None

    def record(self, pid: int) -> None:
        """Keep which process it is."""
        self.pid_file.write_text(f"{pid} {birth(pid)}\n")

    def recorded(self) -> tuple[int, str] | None:
        """The pid and the birth of the process that was started last, or None."""
        try:
            pid, born = self.pid_file.read_text().split()
            return int(pid), born
        except (FileNotFoundError, ValueError):
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
        self.record(child.pid)
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
                if not ends_within(timeout, process):
                    process.kill()
                    ends_within(timeout, process)
        self.pid_file.unlink(missing_ok=True)


def ends_within(seconds: float, process: psutil.Process) -> bool:
    """Wait for a process to end, and collect it if it is a child of ours.

    Another's that has ended counts without being collected: whose parent is gone, the first process of the
    system or of the container collects when it likes, if ever.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running():
            if process.status() == psutil.STATUS_ZOMBIE:
                if process.ppid() != os.getpid():
                    break
                # Not at once, where other threads of it are still ending.
                reap(process.pid)
            if time.monotonic() > deadline:
                return False
            # The system tells a parent alone of the end, and psutil waits for a zombie to be collected.
            time.sleep(0.02)
    return True


def reap(pid: int) -> None:
    """Collect a child's exit status, when it is a child of ours, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def birth(pid: int) -> str:
    """When the process began, in a form that stays as it is when the wall clock is set.

    On Linux the boot and the ticks since then: a time of day is reckoned from these and the present clock.
    Elsewhere the time that the kernel noted at the start, to the second, which it does not change later.
    Raises psutil.NoSuchProcess.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            raise psutil.NoSuchProcess(pid) from None
        # After the program's name in parentheses, which may hold anything, the third field and those behind.
        return f"{_boot()}/{stat.rpartition(')')[2].split()[22 - 3]}"
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
    )
    if not told.stdout.strip():
        raise psutil.NoSuchProcess(pid)
    return "/" + "-".join(told.stdout.split())


def of_this_boot(born: str) -> bool:
    """Whether a process of that birth may be running; True where the system has no id of its boots."""
    return "/" not in born or born.startswith(_boot())


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except FileNotFoundError:
        return ""


def _was_born(process: psutil.Process, born: str) -> bool:
    if "/" in born:
        return birth(process.pid) == born
    # A pid file of version 0.1.0: the time of day, which a step of the clock makes unrecognisable.
    try:
        return abs(process.create_time() - float(born)) < 1
    except ValueError:
        return False
