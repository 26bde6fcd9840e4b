"""What the benchmark of the hourly run compares, and what it takes of a run's seconds."""

from __future__ import annotations

import importlib.util
from datetime import timedelta

import pytest

from tests.benchmarks import run as bench
from tests.benchmarks.stack import DAGS
from tests.support.pipeline import load_dag

pytestmark = pytest.mark.unit


def test_the_dag_that_does_nothing_has_the_shape_of_the_pipeline():
    specification = importlib.util.spec_from_file_location("no_op", DAGS / "no_op.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def shape(dag):
        return {task.task_id: set(task.downstream_task_ids) for task in dag.tasks}

    assert shape(module.dag) == shape(load_dag("sparkify"))
    assert {task_id for step in bench.STEPS for task_id in step} == set(module.dag.task_ids)


@pytest.mark.parametrize(("sizes", "rounds"), [(1, 1), (2, 10), (2, 11), (3, 11)])
def test_every_hour_that_is_measured_is_one_of_the_sample(sizes, rounds):
    hours = (bench.SPEC.end_time - bench.first_hour(sizes, rounds)) / timedelta(hours=1)
    assert sizes * (rounds + 1) <= hours < sizes * (rounds + 1) + 24


def test_no_rounds_are_refused():
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--rounds", "0"])
