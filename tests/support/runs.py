"""Waiting for Airflow's runs."""

from __future__ import annotations

import time

from local.airflow import Api

ENDED = {"success", "failed"}


def wait_for_all_runs(api: Api, dag_id: str, timeout_s: float = 400) -> dict[str, str]:
    """The states of a DAG's runs, once each has ended and no backfill makes more."""
    end = time.monotonic() + timeout_s
    while api.has_active_backfill(dag_id) or not ENDED.issuperset(api.run_states(dag_id).values()):
        assert time.monotonic() < end, f"not ended in {timeout_s:g} s: {api.run_states(dag_id)}"
        time.sleep(0.5)
    return api.run_states(dag_id)
