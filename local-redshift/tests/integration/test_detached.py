"""A process is found again by its pid file whatever the wall clock does, and no other of the same pid."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from local_redshift.embedded.detached import DetachedProcess, birth

pytestmark = pytest.mark.integration

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def detached(tmp_path):
    process = DetachedProcess("sleeper", tmp_path / "sleeper.pid")
    process.start(FOREVER, ready=lambda: True)
    running = process.find()
    yield process
    if running.is_running():
        running.kill()
        os.waitpid(running.pid, 0)


@pytest.fixture
def bystander(detached):
    """Another process, which began some ticks after that one."""
    began = detached.find().create_time()
    while True:
        with subprocess.Popen(FOREVER, start_new_session=True) as process:
            if psutil.Process(process.pid).create_time() - began > 0.05:
                yield process
                process.kill()
                return
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="moves the clock as Linux shows it to psutil")
@pytest.mark.parametrize("seconds", [22, -22])
def test_a_step_of_the_wall_clock_loses_no_process(detached, monkeypatch, seconds):
    process = detached.find()
    created = process.create_time()
    # Linux keeps ticks since boot. The time of the boot, to which psutil adds them, is what a step moves.
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + seconds)
    assert psutil.Process(process.pid).create_time() == pytest.approx(created + seconds)
    assert detached.find() == process
    detached.stop()
    assert not process.is_running()


def test_a_pid_that_another_process_has_taken_over_does_not_count(detached, bystander):
    _, began = detached.pid_file.read_text().split()
    detached.pid_file.write_text(f"{bystander.pid} {began}\n")
    assert detached.find() is None
    detached.stop()
    assert bystander.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems note no boot")
def test_a_pid_file_of_an_earlier_boot_does_not_count(detached):
    pid, began = detached.pid_file.read_text().split()
    boot, _, ticks = began.rpartition("/")
    assert boot
    detached.pid_file.write_text(f"{pid} 00000000-0000-0000-0000-000000000000/{ticks}\n")
    assert detached.find() is None


def test_a_pid_file_of_an_earlier_version_is_still_read(detached, bystander):
    process = detached.find()
    detached.pid_file.write_text(f"{process.pid} {process.create_time()}\n")
    assert detached.find() == process
    detached.pid_file.write_text(f"{bystander.pid} {process.create_time() - 3600}\n")
    assert detached.find() is None


@pytest.mark.parametrize("text", ["", "12", "a b", "12 34 56"])
def test_a_torn_pid_file_names_no_process(tmp_path, text):
    process = DetachedProcess("sleeper", tmp_path / "sleeper.pid")
    process.pid_file.write_text(text)
    assert process.find() is None


@pytest.mark.skipif(shutil.which("ps") is None, reason="where there is no /proc, ps tells")
def test_without_proc_the_kernels_own_note_of_the_start_is_read(monkeypatch, detached):
    pid = detached.find().pid
    monkeypatch.setattr(sys, "platform", "darwin")
    assert re.fullmatch(r"/\w+-\w+-\d+-[\d:]+-\d{4}", birth(pid))
    with pytest.raises(psutil.NoSuchProcess):
        birth(2**22 + 1)


#: Starts a process in a session of its own, tells its pid, and never asks how it ended.
CARELESS = f"""
import signal, subprocess
print(subprocess.Popen({FOREVER!r}, start_new_session=True).pid, flush=True)
signal.pause()
"""


def test_a_process_that_nobody_collects_has_ended(tmp_path):
    sleeper = DetachedProcess("sleeper", tmp_path / "sleeper.pid")
    with subprocess.Popen([sys.executable, "-c", CARELESS], stdout=subprocess.PIPE, text=True) as parent:
        try:
            pid = int(parent.stdout.readline())
            sleeper.record(pid)
            began = time.monotonic()
            sleeper.stop()
            assert time.monotonic() - began < 5
            assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            assert sleeper.find() is None
        finally:
            parent.kill()
