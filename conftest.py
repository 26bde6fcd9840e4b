"""What every test of this repository may use: the fixtures of the local Redshift."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings

# Where others use the machine too, an example that takes long is no fault.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

#: A file system in memory, and how many bytes of it have to be free, and of the memory itself.
MEMORY, AMPLE = Path("/dev/shm"), 12 << 30
#: What one process runs of tests/e2e, while another runs the rest.
FIRST_STACKS = ("test_scheduler.py",)
#: Files that one process runs because they share what takes long to start: Airflow's API server.
OF_THE_PAGE = ("sparkify/test_page.py", "sparkify/test_page_in_browser.py")

pytest_plugins = ["local_redshift.pytest_plugin"]


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files are kept in memory, where it is ample: thousands of them live for a second each."""
    if hasattr(config, "workerinput") or os.environ.get("TMPDIR") or not MEMORY.is_mount():
        return
    if min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) < AMPLE:
        return
    folder = Path(tempfile.mkdtemp(prefix="sparkify-tests-", dir=MEMORY))
    # PostgreSQL does not run as root: others are to get to its files.
    folder.chmod(0o755)
    os.environ["TMPDIR"], tempfile.tempdir = str(folder), None
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """What is there by now, Airflow above all, stays: no need to search it for garbage again and again."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several processes share the tests by file; those that need Airflow's own processes, by three groups.

    These wait more than they compute: two stacks beside the other tests fill two cores, more would be slow.
    """
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import NodeManager

    # Interrupted, a process ends its servers before it ends itself.
    NodeManager.EXIT_TIMEOUT = 60

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.endswith(OF_THE_PAGE):
                return "page"
            if not file.startswith("tests/e2e/"):
                return file
            return "e2e, first" if file.endswith(FIRST_STACKS) else "e2e, second"

    return ByFile(config, log)
