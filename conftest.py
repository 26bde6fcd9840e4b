"""What every test of this repository may use: the fixtures of the local Redshift."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import settings

# Where others use the machine too, an example that takes long is no fault.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

#: The files in tests/e2e that one process runs, while another runs the others.
FIRST_STACKS = ("test_scheduler.py",)

pytest_plugins = ["local_redshift.pytest_plugin"]


def pytest_collection_finish() -> None:
    """What is there by now, Airflow above all, stays: no need to search it for garbage again and again."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several processes share the tests by file; those that need Airflow's own processes, by two groups.

    These wait more than they compute: two stacks beside the other tests fill two cores, more would be slow.
    """
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import NodeManager

    # Interrupted, a process ends its servers before it ends itself.
    NodeManager.EXIT_TIMEOUT = 60

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not file.startswith("tests/e2e/"):
                return file
            return "e2e, first" if file.endswith(FIRST_STACKS) else "e2e, second"

    return ByFile(config, log)
