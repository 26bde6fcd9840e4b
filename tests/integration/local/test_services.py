import os
import subprocess
import sys
import time

import psutil
import pytest

from local.processes import Service, listener, port_is_free, stop_all, wait_until
from local_redshift.embedded.detached import StartupError

pytestmark = pytest.mark.integration

FOREVER = "import signal; signal.pause()"
# A parent with a child that ignores SIGTERM, and says so once both are there.
STUBBORN_CHILD = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN);"
    "print('child', flush=True); signal.pause()"])
signal.pause()
"""


@pytest.fixture
def service(tmp_path):
    made = []

    def make(code, name="sleeper"):
        made.append(
            Service(
                name,
                [sys.executable, "-c", code],
                os.environ,
                pid_file=tmp_path / "pids" / f"{name}.pid",
                log_file=tmp_path / "logs" / f"{name}.log",
                cwd=tmp_path,
            )
        )
        return made[-1]

    yield make
    stop_all(made, deadline=0)


def wait_for_log(service, text, deadline=10):
    end = time.monotonic() + deadline
    while text not in service.log_file.read_text():
        assert time.monotonic() < end, f"{text!r} never came"
        time.sleep(0.02)


def test_a_service_is_found_again_and_ends(service):
    first = service(FOREVER)
    first.launch()
    again = service(FOREVER)
    assert again.find().pid == first.find().pid
    again.launch()
    assert again.find().pid == first.find().pid, "a second launch started a second process"
    again.stop()
    assert first.find() is None
    assert not first.pid_file.exists()


def test_children_end_with_their_parent_even_when_they_ignore_sigterm(service):
    parent = service(STUBBORN_CHILD)
    parent.launch()
    wait_for_log(parent, "child")
    members = parent.members()
    assert len(members) == 2
    stop_all([parent], deadline=0.5)
    assert not [member for member in members if member.is_running() and member.status() != "zombie"]


def test_orphans_of_a_parent_that_died_are_ended_too(service):
    parent = service(STUBBORN_CHILD)
    parent.launch()
    wait_for_log(parent, "child")
    (orphan,) = parent.members() - {parent.find()}
    parent.find().kill()
    end = time.monotonic() + 10
    while parent.find() is not None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert parent.members() == {orphan}
    stop_all([parent], deadline=0)
    assert parent.members() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="moves the clock as Linux shows it to psutil")
@pytest.mark.parametrize("seconds", [22, -22])
def test_a_step_of_the_wall_clock_leaves_nobody_behind(service, monkeypatch, seconds):
    parent = service(STUBBORN_CHILD)
    parent.launch()
    wait_for_log(parent, "child")
    members = parent.members()
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + seconds)
    assert parent.find() is not None
    assert parent.members() == members
    # Its leader gone, too.
    (orphan,) = members - {parent.find()}
    parent.find().kill()
    end = time.monotonic() + 10
    while parent.find() is not None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert parent.members() == {orphan}
    stop_all([parent], deadline=0)
    assert not orphan.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems note no boot")
def test_a_session_of_this_boot_is_not_that_of_a_service_of_an_earlier_one(service):
    parent = service(STUBBORN_CHILD)
    parent.launch()
    wait_for_log(parent, "child")
    leader = parent.find()
    leader.kill()
    leader.wait(10)
    ours = parent.pid_file.read_text()
    parent.pid_file.write_text(f"{leader.pid} 00000000-0000-0000-0000-000000000000/{ours.rpartition('/')[2]}")
    assert parent.members() == set()
    for known in (ours, f"{leader.pid} {time.time()}"):
        parent.pid_file.write_text(known)
        assert len(parent.members()) == 1


@pytest.mark.parametrize("began", ["earlier-boot/1", "1543000000.5"], ids=["today's form", "the former one"])
def test_a_pid_that_another_program_has_now_is_left_alone(service, began):
    stale = service(FOREVER)
    stale.pid_file.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", FOREVER], start_new_session=True) as bystander:
        stale.pid_file.write_text(f"{bystander.pid} {began}\n")
        assert stale.find() is None
        stop_all([stale], deadline=0)
        assert bystander.poll() is None
        bystander.kill()


def test_a_service_that_dies_shows_the_end_of_its_log(service):
    broken = service("print('no such module'); raise SystemExit(1)")
    broken.launch()
    with pytest.raises(
        StartupError, match=r"sleeper exited while starting(.|\n)*no such module(.|\n)*sleeper.log"
    ):
        wait_until(lambda: False, [broken], deadline=10, what="It was not healthy")


def test_a_service_that_never_gets_ready_names_its_log(service):
    slow = service(FOREVER)
    slow.launch()
    with pytest.raises(StartupError, match=r"It was not healthy after 0 s(.|\n)*sleeper.log"):
        wait_until(lambda: False, [slow], deadline=0.3, what="It was not healthy")


def test_a_taken_port_is_seen_with_its_listener():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        assert f"pid {os.getpid()}" in listener(port)
    assert port_is_free(port)
