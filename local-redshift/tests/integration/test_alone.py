"""Installed alone, in a fresh environment: the command, and the fixtures for a project of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "test_orders.py"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """The Python of a virtual environment that holds this distribution and what it declares."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    # From a copy: a build leaves folders behind.
    source = folder / "local-redshift"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    # uv where there is one: it fetches and unpacks side by side.
    uv = Path(sys.executable).with_name("uv")
    installer = (
        [uv, "pip", "install", "--python", python] if uv.exists() else [python, "-m", "pip", "install"]
    )
    installed = subprocess.run([*installer, f"{source}[pytest]"], capture_output=True, text=True)
    if installed.returncode:
        told = installed.stdout + installed.stderr
        if any(word in told for word in ("onnect", "resolve host", "Network", "timed out")):
            pytest.skip(f"NOT TESTED, as no package index answers: {told[-500:]}")
        pytest.fail(told)
    return python


@pytest.fixture
def alone(environment, tmp_path):
    """Runs Python there, in an empty folder, without this checkout on its path."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment, *arguments],
            cwd=tmp_path,
            env={**kept, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=180,
        )

    return run


def test_the_fixtures_serve_a_project_that_has_nothing_else(alone, tmp_path):
    shutil.copy(EXAMPLE, tmp_path)
    before = {process.pid for process in psutil.process_iter()}
    result = alone("-m", "pytest", "-q", EXAMPLE.name)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
    # What ends meanwhile, as those of tests beside this one may, has neither name nor command.
    described = ("pid", "name", "cmdline")
    left = [
        process.info["name"]
        for process in psutil.process_iter(described, ad_value="")
        if process.info["pid"] not in before
        and process.info["name"] in ("postgres", "rclone")
        and str(tmp_path) in " ".join(process.info["cmdline"] or ())
    ]
    assert left == []


def test_the_command_is_there_with_all_that_it_imports(alone):
    told = alone("-m", "local_redshift", "--help")
    assert told.returncode == 0, told.stderr
    assert "--s3-endpoint" in told.stdout
    modules = "import local_redshift.server, local_redshift.catalog.install, local_redshift.pytest_plugin"
    assert alone("-c", modules).stderr == ""
