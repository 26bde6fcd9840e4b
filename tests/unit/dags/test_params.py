"""What somebody may enter as a param, or write into an XCom, is a value: no template of it is rendered."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from airflow.sdk.exceptions import ParamValidationError

from sparkify.window import WindowError
from sparkify.xcoms import XComError
from tests.support.pipeline import PipelineRun, load_dag
from tests.unit.dags.test_dags import DAG_IDS

pytestmark = pytest.mark.unit

#: What it becomes if it is rendered stands nowhere else.
MARKER, RENDERED = "{{ 6007 * 7001 }}", "42055007"
SAMPLES = {
    "window_start": "2018-11-01T00:00:00Z",
    "window_end": "2018-12-01T00:00:00Z",
    "cluster_identifier": "sparkify",
    "name": "sparkify",
    "node_type": "ra3.large",
    "subnet_group": "private",
    "security_group_ids": ["sg-0123456789abcdef0"],
    "subnet_ids": ["subnet-0123456789abcdef0"],
    "role_name": "sparkify-copy",
    "snapshot_identifier": "before-the-move",
    "database": "dev",
    "confirm_delete": "sparkify",
    "confirm_drop": "DROP sparkify",
}


def schemas(dag_id):
    """The schemas of a DAG's params, by name."""
    params = load_dag(dag_id).params
    return {name: params.get_param(name).schema for name in params}


def text_of(schema):
    """The schema of the text that somebody enters; None where nobody enters any."""
    of = schema["items"] if schema.get("type") == "array" else schema
    types = of.get("type")
    return of if "string" in ([types] if isinstance(types, str) else types or []) else None


FREE = [
    pytest.param(dag_id, name, id=f"{dag_id} {name}")
    for dag_id in DAG_IDS
    for name, schema in schemas(dag_id).items()
    if text_of(schema)
]


def entered(name, text):
    return [text] if isinstance(SAMPLES[name], list) else text


def text(name):
    sample = SAMPLES[name]
    return sample[0] if isinstance(sample, list) else sample


def test_every_other_param_is_a_number_a_truth_value_or_a_choice():
    numbers = ("integer", ["null", "integer"], "boolean")
    for dag_id in DAG_IDS:
        for name, schema in schemas(dag_id).items():
            assert text_of(schema) or schema.get("type") in numbers or schema["enum"], name


@pytest.mark.parametrize(("dag_id", "name"), FREE)
def test_a_param_takes_what_it_is_for_and_no_template_and_no_further_line(dag_id, name):
    params, sample = load_dag(dag_id).params, text(name)
    params.update({name: SAMPLES[name]})
    for value in (MARKER, sample + MARKER, MARKER + sample, "{% set a = 1 %}", "{# a #}", f"{sample}\n",
                  f"\n{sample}", f"{sample}\n{MARKER}", f"{sample}\n{sample}"):  # fmt: skip
        with pytest.raises(ParamValidationError):
            params.update({name: entered(name, value)})


@pytest.mark.skipif(not shutil.which("node"), reason="no JavaScript here")
@pytest.mark.parametrize(("dag_id", "name"), FREE)
def test_a_pattern_is_one_of_javascript_too(dag_id, name):
    pattern = text_of(schemas(dag_id)[name])["pattern"]
    script = "const [p, ...v] = process.argv.slice(1); console.log(v.map(x => RegExp(p, 'u').test(x)).join())"
    values = [text(name), f"{text(name)}\n", MARKER]
    done = subprocess.run(
        ["node", "-e", script, pattern, *values], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "true,false,false"


@pytest.mark.parametrize(("dag_id", "name"), FREE)
def test_no_task_renders_the_value_of_a_param(dag_id, name, monkeypatch):
    """Even one that no pattern has stopped."""
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", '{"conn_type": "redshift", "login": "awsuser"}')
    from airflow.sdk.execution_time.context import ConnectionAccessor

    run = PipelineRun(load_dag(dag_id), {name: entered(name, MARKER)})
    run.xcoms |= {("check_copy_role", "return_value"): "arn", ("plan", "target"): "available"}
    found = []
    for task in run.dag.tasks:
        if task.is_mapped:
            continue
        operator = task.prepare_for_execution()
        try:
            operator.render_template_fields({**run.context(operator), "conn": ConnectionAccessor()})
        except WindowError as error:
            found.append(str(error))
        found += [str(getattr(operator, field)) for field in operator.template_fields]
    assert RENDERED not in "".join(found)
    assert "6007" in "".join(found) or name in ("confirm_delete",)


ENTRY = {
    "trigger_run_id": "reconcile__2018-11-01__0123456789ab",
    "conf": {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-11-02T00:00:00Z"},
}


def test_the_only_mapped_tasks_are_those_that_reload_days_and_hours():
    mapped = [(dag_id, t.task_id) for dag_id in DAG_IDS for t in load_dag(dag_id).tasks if t.is_mapped]
    assert mapped == [("sparkify_reconcile", "reload_days"), ("sparkify_reconcile", "reload_hours_left")]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            {**ENTRY, "conf": {**ENTRY["conf"], "window_start": f"2018-11-01T00:00:00Z{MARKER}"}}, id="window"
        ),
        pytest.param({**ENTRY, "conf": {**ENTRY["conf"], "max_rejected_rows": MARKER}}, id="budget"),
        pytest.param({**ENTRY, "conf": {**ENTRY["conf"], "max_rejected_rows": True}}, id="no number"),
        pytest.param({**ENTRY, "conf": {**ENTRY["conf"], "dimension_mode": "truncate"}}, id="another param"),
        pytest.param({**ENTRY, "conf": MARKER}, id="conf"),
        pytest.param({**ENTRY, "trigger_run_id": MARKER}, id="run id"),
        pytest.param({**ENTRY, "trigger_run_id": "scheduled__2018-11-01T00:00:00+00:00"}, id="another run"),
        pytest.param({**ENTRY, "trigger_dag_id": "sparkify_schema"}, id="another DAG"),
        pytest.param({**ENTRY, "note": MARKER}, id="another argument"),
        pytest.param(MARKER, id="no mapping"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_run_that_reconciling_did_not_ask_for_is_refused(entry):
    task, context = unmapped(entry)
    with pytest.raises(XComError, match=r"find_changed_days .*\nClear find_changed_days") as raised:
        task.execute(context)
    rendered = [str(getattr(task, name, "")) for name in ("conf", "trigger_run_id", "reload", "note")]
    assert RENDERED not in f"{rendered}{raised.value}"


def test_a_run_that_reconciling_asked_for_is_triggered():
    from airflow.sdk.exceptions import DagRunTriggerException

    budget = {**ENTRY["conf"], "max_rejected_rows": 3}
    for entry in (ENTRY, {"trigger_run_id": "reconcile__2018-11-01T05__24h__3", "conf": budget}):
        task, context = unmapped(entry)
        with pytest.raises(DagRunTriggerException) as raised:
            task.execute(context)
        asked = raised.value
        assert (asked.trigger_dag_id, asked.dag_run_id) == ("sparkify", entry["trigger_run_id"])
        assert asked.conf == entry["conf"]
        template = task.map_index_template
        rendered = task.get_template_env().from_string(template).render(task=task)
        assert re.fullmatch(r"2018-11-01T00:00:00Z", rendered)


def unmapped(entry):
    """The task that reloads days, as Airflow makes it for the first entry of the XCom; and its context."""
    run = PipelineRun(load_dag("sparkify_reconcile"))
    run.airflow.paused["sparkify"] = False
    run.xcoms["find_changed_days", "return_value"] = [entry]
    mapped = run.dag.get_task("reload_days")
    context = run.context(mapped)
    context["ti"].map_index = 0
    mapped.render_template_fields(context)
    return context["task"], context
