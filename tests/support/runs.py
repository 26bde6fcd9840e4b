"""Waiting for Airflow's runs."""

from __future__ import annotations

from local.airflow import Api
from tests.support.waiting import eventually

ENDED = {"success", "failed"}
#: How long to wait before Airflow is asked again: its answers cost as much as its work.
PAUSE_S = 1.0


def wait_for_all_runs(api: Api, dag_id: str, timeout_s: float = 400) -> dict[str, str]:
    """The states of a DAG's runs, once each has ended and no backfill makes more."""
    eventually(
        lambda: not api.has_active_backfill(dag_id) and ENDED.issuperset(api.run_states(dag_id).values()),
        lambda: f"the end of {api.run_states(dag_id)}",
        timeout_s,
        PAUSE_S,
    )
    return api.run_states(dag_id)
