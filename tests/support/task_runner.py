"""One task of a run through Airflow's own code around `execute`: what decides on retries and calls callbacks.

The supervisor that the task runner talks to is played (`tests.support.supervisor`).
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import structlog
from airflow.api_fastapi.execution_api.datamodels import taskinstance as server_models
from airflow.callbacks.callback_requests import TaskCallbackRequest
from airflow.dag_processing.processor import _execute_task_callbacks
from airflow.sdk.api.datamodels._generated import (
    DagRun,
    DagRunState,
    DagRunType,
    TaskInstanceState,
    TIRunContext,
)
from airflow.sdk.execution_time import task_runner

from tests.support.pipeline import PipelineRun
from tests.support.supervisor import supervised


def run_task(run: PipelineRun, task_id: str, *, may_retry: bool) -> TaskInstanceState:
    """Run one task to its end, callbacks included; its state.

    :param may_retry: what Airflow's API server would say: another try is left.
    """
    task = run.dag.get_task(task_id)
    server = TIRunContext(
        dag_run=DagRun(**_dag_run(run)),
        max_tries=task.retries,
        should_retry=may_retry,
    )
    instance = task_runner.RuntimeTaskInstance.model_construct(
        id=uuid4(),
        task_id=task_id,
        dag_id=run.dag.dag_id,
        run_id=run.run_id,
        try_number=1,
        dag_version_id=uuid4(),
        task=task,
        max_tries=task.retries,
        start_date=datetime.now(UTC),
        state=TaskInstanceState.RUNNING,
        _ti_context_from_server=server,
    )
    log = structlog.get_logger("task")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with supervised(run), patch.dict(os.environ):
            context = instance.get_template_context()
            state, _, error = task_runner.run(instance, context, log)
            context["exception"] = error
            task_runner.finalize(instance, state, context, log, error)
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
    return state


def lose_worker(run: PipelineRun, task_id: str) -> None:
    """What Airflow's DAG processor does for a task whose worker was lost in its last try."""
    task = run.dag.get_task(task_id)
    request = TaskCallbackRequest(
        filepath=run.dag.fileloc,
        bundle_name="dags-folder",
        bundle_version=None,
        ti=server_models.TaskInstance(
            id=uuid4(),
            task_id=task_id,
            dag_id=run.dag.dag_id,
            run_id=run.run_id,
            try_number=task.retries + 1,
            dag_version_id=uuid4(),
            hostname="lost",
        ),
        task_callback_type=TaskInstanceState.FAILED,
        context_from_server=server_models.TIRunContext(dag_run=_dag_run(run), max_tries=task.retries),
        msg="heartbeat timeout",
    )
    dags = SimpleNamespace(dags={run.dag.dag_id: run.dag})
    _execute_task_callbacks(dags, request, structlog.get_logger())


def _dag_run(run: PipelineRun) -> dict[str, Any]:
    """The run as Airflow's API server describes it."""
    start, end = run.interval or (None, None)
    return {
        "dag_id": run.dag.dag_id,
        "run_id": run.run_id,
        "logical_date": start,
        "data_interval_start": start,
        "data_interval_end": end,
        "run_after": run.run_after,
        "start_date": run.run_after,
        "end_date": None,
        "run_type": DagRunType.MANUAL,
        "state": DagRunState.RUNNING,
        "conf": dict(run.params),
        "consumed_asset_events": [],
        "partition_key": None,
    }
