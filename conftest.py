"""What every test of this repository may use: the fixtures of the local Redshift."""

from __future__ import annotations

from typing import Any

import pytest

pytest_plugins = ["local_redshift.pytest_plugin"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several processes share the tests by file; all that need Airflow's own processes go to one."""
    from xdist.scheduler import LoadScopeScheduling
    from xdist.workermanage import NodeManager

    # Interrupted, a process ends its servers before it ends itself.
    NodeManager.EXIT_TIMEOUT = 60

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]

    return ByFile(config, log)
