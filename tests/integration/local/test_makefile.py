"""What a newcomer meets before there is a virtual environment."""

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make(tmp_path):
    """Run make in a folder that holds nothing but the Makefile and the lock."""
    for name in ("Makefile", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*arguments):
        return subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def python(tmp_path):
    """A stand-in for python3 that fails at the checks whose code holds `word`."""

    def write(word):
        script = tmp_path / "python-stub"
        script.write_text(
            f'#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\ncase "$2" in *{word}*) exit 1;; esac\n'
        )
        script.chmod(0o755)
        return f"PYTHON={script}"

    return write


def test_without_a_target_make_lists_them(make):
    listed = make()
    assert listed.returncode == 0
    for target in (
        "demo",
        "stop",
        "clean",
        "test",
        "test-unit",
        "test-integration",
        "test-e2e",
        "lint",
        "lock",
        "docker-env",
        "picture",
    ):
        assert f"make {target} " in listed.stdout


def test_a_missing_python_is_named_with_the_remedy(make):
    result = make("demo", "PYTHON=python-that-is-not-there")
    assert result.returncode != 0
    assert "python-that-is-not-there was not found. Install Python 3.11 or newer" in result.stderr


def test_an_old_python_is_named_with_the_remedy(make, python):
    result = make("demo", python("version_info"))
    assert result.returncode != 0
    assert "is Python 3.9.2. Python 3.11 or newer is needed: make PYTHON=" in result.stderr


def test_a_missing_venv_module_is_named_with_the_remedy(make, python):
    result = make("demo", python("ensurepip"))
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr


@pytest.mark.parametrize("target", ["stop", "clean"])
def test_ending_what_never_ran_installs_nothing(make, target, tmp_path, monkeypatch):
    monkeypatch.delenv("SPARKIFY_STATE", raising=False)
    result = make(target)
    assert result.returncode == 0
    assert "Nothing was started here" in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_docker_env_makes_private_settings_with_new_secrets_and_keeps_them(make, tmp_path):
    shutil.copy(ROOT / ".env.example", tmp_path)
    made = make("docker-env")
    assert made.returncode == 0, made.stderr
    first = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in first.splitlines() if line and not line.startswith("#"))
    assert [name for name, value in values.items() if not value] == []
    assert len(base64.urlsafe_b64decode(values["AIRFLOW__CORE__FERNET_KEY"])) == 32
    assert len(values["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    make("docker-env")
    assert (tmp_path / ".env").read_text() == first
    (tmp_path / ".env").unlink()
    make("docker-env")
    assert (tmp_path / ".env").read_text() != first
