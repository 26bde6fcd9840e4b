"""Fixtures of the DAG tests."""

import subprocess
import sys
import textwrap

import pytest

from tests.support.pipeline import DAGS


@pytest.fixture(scope="session")
def run_python():
    """Run a snippet in a fresh interpreter; returns what it printed last."""

    def run(snippet: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(snippet)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(DAGS.parent / "plugins"), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        )
        return done.stdout.splitlines()[-1]

    return run
