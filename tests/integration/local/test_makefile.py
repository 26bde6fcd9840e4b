"""What a newcomer meets before there is a virtual environment."""

import base64
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def make(tmp_path):
    """Run make in a folder that holds nothing but the Makefile and the lock."""
    for name in ("Makefile", "requirements-dev.txt", "requirements-uv.txt"):
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


DIGEST, OTHER_DIGEST = f"sha256:{'0123456789abcdef' * 4}", f"sha256:{'f' * 64}"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A stand-in for docker, whose answer is `says`, in a folder with the Docker files."""
    for name in ("Dockerfile", "docker-compose.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()

    def answers(says):
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho "{says}"\n')
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return answers


def base_images(folder):
    compose = yaml.safe_load((folder / "docker-compose.yaml").read_text())
    own = [service["image"] for service in compose["services"].values() if "build" not in service]
    dockerfile = (folder / "Dockerfile").read_text()
    return {*own, *re.findall(r"^ARG AIRFLOW_IMAGE=(.*)$", dockerfile, re.MULTILINE)}


def test_the_base_images_are_pinned_by_digest_and_again_once_a_tag_has_moved(make, registry, tmp_path):
    tags = base_images(ROOT)
    for digest in (DIGEST, OTHER_DIGEST):
        registry(digest)
        assert make("lock-images").returncode == 0
        assert base_images(tmp_path) == {f"{tag.partition('@')[0]}@{digest}" for tag in tags}
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2 * len(tags)
    assert not any("@" in line for line in asked)


def test_what_is_no_digest_pins_nothing(make, registry, tmp_path):
    registry("error: no such image")
    result = make("lock-images")
    assert result.returncode != 0
    assert "which is none" in result.stderr
    assert base_images(tmp_path) == base_images(ROOT)


def test_what_installs_everything_else_is_installed_with_its_hash():
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"pip install .*", makefile.replace("\\\n", "")) != []
    for command in re.findall(r"pip install .*", makefile.replace("\\\n", "")):
        assert "--require-hashes" in command
    pinned = (ROOT / "requirements-uv.txt").read_text()
    assert (ROOT / "requirements-uv.in").read_text().splitlines()[-1] + " " in pinned
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pinned)) > 10
