"""The DAGs' structure and the policies that every DAG keeps."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from sparkify import alerts
from sparkify.operators.base import rendered
from sparkify.paths import CREATE_SQL
from sparkify.settings import ConfError, VariableError
from sparkify.window import resolve_window
from tests.support.pipeline import DAGS, PipelineRun, load_dag

pytestmark = pytest.mark.unit

DAG_FILES = sorted(DAGS.glob("*.py"))
CLUSTER_DAG_IDS = tuple(
    f"sparkify_cluster_{action}" for action in ("create", "pause", "resume", "snapshot", "delete")
)
DAG_IDS = (
    "sparkify",
    "sparkify_schema",
    "sparkify_reconcile",
    "sparkify_maintenance",
    "sparkify_sweep",
    "sparkify_report",
    "sparkify_verify",
    *CLUSTER_DAG_IDS,
    "sparkify_serverless_create",
    "sparkify_serverless_delete",
)
HEAVY = ("airflow.providers", "boto3", "redshift_connector", "pandas", "yaml", "sqlparse", "requests")
#: These are the Amazon provider's operators, which a DAG file cannot declare without importing them. The DAG
#: processor imports them once, before it forks; nothing of the hourly pipeline does.
ARE_THE_PROVIDERS = [path for path in DAG_FILES if path.stem in CLUSTER_DAG_IDS]
#: Airflow's own operators, and what they are compatible with.
LIGHT = ("airflow.providers.standard", "airflow.providers.common.compat")


@pytest.fixture(scope="module")
def sparkify():
    return load_dag("sparkify")


def test_there_is_a_test_for_every_dag():
    assert len(DAG_FILES) == len(DAG_IDS)


def test_the_pipelines_graph(sparkify):
    dimensions = {"load_users", "load_songs", "load_artists", "load_time"}
    assert {task.task_id: task.downstream_task_ids for task in sparkify.tasks} == {
        "stage_events": {"load_songplays"},
        "stage_songs": {"load_songplays"},
        "load_songplays": dimensions,
        **{dimension: {"run_quality_checks"} for dimension in dimensions},
        "run_quality_checks": {"publish"},
        "publish": set(),
    }


def test_reconciling_loads_the_changed_days_by_the_pipeline_and_then_reports():
    dag = load_dag("sparkify_reconcile")
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "rebuild_tables": {"find_changed_days"},
        "find_changed_days": {"reload_days"},
        "reload_days": {"find_hours_left"},
        "find_hours_left": {"reload_hours_left", "report_changes"},
        "reload_hours_left": {"report_changes"},
        "report_changes": set(),
    }
    for task_id in ("reload_days", "reload_hours_left"):
        assert dag.get_task(task_id).partial_kwargs["trigger_dag_id"] == "sparkify"
    assert dag.timetable.expression == "30 2 * * *"


def test_the_pipeline_runs_hourly_on_data_intervals_and_does_not_catch_up(sparkify):
    assert isinstance(sparkify.timetable, CronDataIntervalTimetable)
    assert sparkify.timetable.expression == "0 * * * *"
    assert sparkify.catchup is False


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_dag_says_what_it_is_whose_it_is_and_what_to_do_when_it_fails(dag_id):
    dag = load_dag(dag_id)
    assert dag.doc_md.strip().startswith(f"# {dag_id}")
    assert "sparkify" in dag.tags
    assert dag.max_active_runs <= 4
    for task in dag.tasks:
        assert task.owner == "data-engineering"
        assert task.retries >= 2
        assert task.retry_exponential_backoff
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=6)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_tells_when_it_failed(dag_id):
    for task in load_dag(dag_id).tasks:
        assert alerts.failed in task.on_failure_callback, task.task_id


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_refuses_a_conf_that_its_dag_does_not_know(dag_id):
    dag = load_dag(dag_id)
    for task in dag.tasks:
        hook = task.partial_kwargs["pre_execute"] if task.is_mapped else task._pre_execute_hook
        for misspelt, remedy in [*((f"{name[:-1]}_", name) for name in dag.params), ("zzz", "remove 'zzz'")]:
            run = PipelineRun(dag, {misspelt: 1})
            with pytest.raises(ConfError, match=rf"'{misspelt}', which DAG {dag_id} does not.*\n.*{remedy}"):
                hook(run.context(task))
        hook(PipelineRun(dag).context(task))


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_dag_can_be_stored(dag_id):
    """What the DAG processor does with it: hooks and filters are functions, which JSON cannot hold."""
    assert json.dumps(DagSerialization.to_dict(load_dag(dag_id)))


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_is_short_wiring(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 120
    assert not [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]


@pytest.fixture(scope="module")
def imported(run_python):
    """What each DAG file adds to the modules that Airflow itself imports for a DAG.

    Each file is read in a process of its own, which is forked once Airflow is imported.
    """
    printed = run_python(
        f"""
        import os, runpy, sys
        from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable, Param
        DAG("d", schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"), params={{"p": Param(1)}})
        before = set(sys.modules)
        added = {{}}
        for path in {[str(path) for path in DAG_FILES]!r}:
            reading, writing = os.pipe()
            if os.fork() == 0:
                runpy.run_path(path)
                os.write(writing, " ".join(set(sys.modules) - before).encode())
                os._exit(0)
            os.close(writing)
            with open(reading) as names:
                added[path] = names.read().split()
            _, status = os.wait()
            assert status == 0, path
        print(added)
        """
    )
    return ast.literal_eval(printed)


@pytest.mark.parametrize(
    "path", [path for path in DAG_FILES if path not in ARE_THE_PROVIDERS], ids=lambda path: path.name
)
def test_parsing_a_dag_file_imports_nothing_heavy(path, imported):
    added = imported[str(path)]
    assert any(name.startswith("sparkify") for name in added)
    assert {name for name in added if name.startswith(HEAVY) and not name.startswith(LIGHT)} <= {
        "airflow.providers",
        "airflow.providers.common",
    }


def interval(day, hour):
    start = datetime(2018, 11, day, hour, tzinfo=UTC)
    return start, start + timedelta(hours=1)


@pytest.mark.parametrize(
    ("params", "data_interval", "start", "end"),
    [
        pytest.param({}, interval(15, 13), "2018-11-15 13:00:00", "2018-11-15 14:00:00", id="scheduled"),
        pytest.param(
            {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-12-01T00:00:00Z"},
            None,
            "2018-11-01 00:00:00",
            "2018-12-01 00:00:00",
            id="manual with a window",
        ),
        pytest.param({}, None, "2018-11-30 23:00:00", "2018-12-01 00:00:00", id="manual without anything"),
    ],
)
def test_every_task_of_a_run_works_on_the_runs_window(sparkify, params, data_interval, start, end):
    run = PipelineRun(sparkify, params, data_interval)
    for task in sparkify.tasks:
        window = resolve_window(run.context(task))
        assert (window.start_sql, window.end_sql) == (start, end)
    task, context = run.rendered("stage_events")
    derived = rendered(
        task, "staging/events/reach_rows.sql", {**task.sql_context(context), "late": 0, "keeps": False}
    )
    assert f"ts >= TIMESTAMP '{start}'" in derived
    assert f"ts < TIMESTAMP '{end}'" in derived


@pytest.mark.parametrize(
    "conf",
    [
        {"window_start": "noon"},
        {"window_start": "2018-11-01T00:30:00Z"},
        {"window_end": 5},
        {"dimension_mode": "upsert"},
    ],
)
def test_the_trigger_form_refuses_what_the_pipeline_cannot_use(conf):
    with pytest.raises(ParamValidationError):
        load_dag("sparkify").params.update(conf)


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("sparkify_reconcile", {"lookback_days": 10**9}),
        ("sparkify_maintenance", {"keep_days": 10**6}),
        ("sparkify_report", {"days": 10**9}),
    ],
)
def test_the_trigger_form_refuses_more_days_than_the_calendar_has(dag_id, conf):
    with pytest.raises(ParamValidationError):
        load_dag(dag_id).params.update(conf)


@pytest.mark.parametrize(
    "moment",
    [
        None,
        "2018-11-01T00:00:00Z",
        "2018-11-01T00:00:00.000+00:00",
        "2018-11-01T00:00",
        "2018-11-01 00:00:00",
    ],
)
def test_the_trigger_form_takes_whole_hours(moment):
    load_dag("sparkify").params.update({"window_start": moment})


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_param_is_described(dag_id):
    for param in (load_dag(dag_id).params.get_param(name) for name in load_dag(dag_id).params):
        assert param.description
        assert param.schema["title"]


def test_the_sql_may_be_rendered_by_variables_of_the_deployment(sparkify):
    variables = {
        "sparkify_bucket": "lake",
        "sparkify_work_bucket": "scratch",
        "sparkify_work_prefix": "team",
        "sparkify_iam_role": "arn:aws:iam::123456789012:role/copy",
        "sparkify_region": "eu-west-1",
        "sparkify_log_json_path": "s3://lake/log_json_path.json",
    }
    run = PipelineRun(sparkify, variables=variables)
    task, context = run.rendered("stage_events")
    copy = task._copy_script(context, "staging.events", "a.manifest", "GZIP")
    assert "IAM_ROLE 'arn:aws:iam::123456789012:role/copy'" in copy
    assert "REGION 'eu-west-1'" in copy
    assert "FROM 's3://scratch/team/runs/" in copy
    assert "JSON 's3://lake/log_json_path.json'" in copy
    assert task.s3_bucket == "lake"


def test_a_variable_cannot_leave_its_literal(sparkify):
    run = PipelineRun(sparkify, variables={"sparkify_iam_role": "x' MAXERROR 100000 --"})
    with pytest.raises(VariableError, match="sparkify_iam_role"):
        run.rendered("stage_events")
    stage_events = sparkify.get_task("stage_events").prepare_for_execution()
    stage_events.iam_role = "x' MAXERROR 100000 --"
    with pytest.raises(ValueError, match="cannot be written into SQL"):
        stage_events._copy_script(run.context(stage_events), "staging.events", "a.manifest", "")


HOSTILE = ["Sparkify", "a'b", 'a"b', "a;b", "a--b", "a b", "-a", "{{ 1 }}", "a/../b", "", "a" * 64]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("dag_id", "param"),
    [
        *((dag_id, "cluster_identifier") for dag_id in CLUSTER_DAG_IDS),
        ("sparkify_serverless_create", "name"),
        ("sparkify_serverless_delete", "name"),
    ],
)
def test_the_trigger_form_refuses_what_is_no_name_to_aws(dag_id, param, value):
    with pytest.raises(ParamValidationError):
        load_dag(dag_id).params.update({param: value})


@pytest.mark.parametrize(
    "dag_id", [dag_id for dag_id in DAG_IDS if "_cluster_" in dag_id or "_serverless_" in dag_id]
)
def test_no_password_is_a_param(dag_id):
    assert "password" not in str(load_dag(dag_id).params.dump()).lower()


def test_waiting_for_a_cluster_takes_no_worker():
    for dag_id, task_id in (("create", "wait"), ("pause", "wait"), ("resume", "wait")):
        assert load_dag(f"sparkify_cluster_{dag_id}").get_task(task_id).deferrable
    for action in ("snapshot", "delete"):
        assert load_dag(f"sparkify_cluster_{action}").get_task(action).deferrable


def test_airflow_changes_no_list_of_the_project_when_it_reads_template_files():
    """It puts a file's text in the place of its path, in the operator's own list."""
    for dag_id in ("sparkify_schema", "sparkify_reconcile"):
        for task in load_dag(dag_id).tasks:
            task.resolve_template_files()
    assert all(path.endswith("/create.sql") for path in CREATE_SQL)
