"""What CI runs, on a machine with and without Chromium."""

import shutil
import subprocess

import pytest

from local.settings import ROOT

pytestmark = pytest.mark.integration

WARNING = "WARNING: Chromium could not be installed"


@pytest.fixture
def run_ci(tmp_path):
    """Run .ci/run with programs that do nothing but what `programs` says, by name."""

    def run(**programs):
        (tmp_path / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "dirname").symlink_to(shutil.which("dirname"))
        for name, script in {"make": 'echo "made $*"', "id": "echo 0", **programs}.items():
            program = folder / name.replace("_", "-")
            program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
            program.chmod(0o755)
        return subprocess.run(
            [shutil.which("bash"), tmp_path / ".ci" / "run"],
            env={"PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("program", ["chromium", "chromium_browser", "google_chrome"])
def test_with_a_browser_nothing_is_installed_and_the_tests_come_last(run_ci, program):
    done = run_ci(**{program: "exit 0", "apt_get": "echo installing; exit 1"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "made lint\nmade test\n", "")


def test_chromium_is_installed_where_it_is_missing(run_ci):
    done = run_ci(apt_get="exit 0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "made lint\nmade test\n", "")


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"apt_get": "echo E: no such host >&2; exit 100"}, "E: no such host"),
        ({"apt_get": "exit 0", "id": "echo 1000"}, "Only root can install it"),
        ({}, "Only root can install it"),
    ],
    ids=["apt-get fails", "not root", "no apt-get"],
)
def test_no_chromium_is_said_with_the_reason_and_the_other_tests_run(run_ci, programs, reason):
    done = run_ci(**programs)
    assert done.stderr.startswith(reason)
    assert WARNING in done.stderr
    assert (done.returncode, done.stdout) == (0, "made lint\nmade test\n")


def test_what_lint_finds_fails_ci_before_the_tests(run_ci):
    done = run_ci(chromium="exit 0", make='echo "made $*"; [ "$1" != lint ]')
    assert done.returncode != 0
    assert done.stdout == "made lint\n"
