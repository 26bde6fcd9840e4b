"""Conf and Variables that would load something else than was meant: refused before anything is staged."""

from __future__ import annotations

import pytest
from airflow.sdk.api.datamodels._generated import TaskInstanceState

from sparkify.settings import VARIABLES, ConfError, VariableError
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.source import event, song
from tests.support.supervisor import supervised
from tests.support.task_runner import run_task

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
MISSPELT = {"windowstart": "2018-11-01T00:00:00Z", "windowend": "2018-11-02T00:00:00Z"}


def test_a_misspelt_key_of_conf_fails_every_task_at_once_and_stages_nothing(pipeline, capsys):
    run = PipelineRun(load_dag("sparkify"), MISSPELT, variables=pipeline.variables)
    for task_id in ("stage_events", "stage_songs"):
        assert run_task(run, task_id, may_retry=True) == TaskInstanceState.FAILED
    assert pipeline.work_tables() == pipeline.work_objects() == []
    assert "use window_start instead of 'windowstart'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dag_id", "task_id", "conf", "near"),
    [
        ("sparkify_reconcile", "find_changed_days", {"lookback-days": 400}, "lookback_days"),
        ("sparkify_maintenance", "drop_old_work", {"keepDays": 1}, "keep_days"),
        ("sparkify_schema", "create_schema", {"drop_exist": True}, "drop_existing"),
        ("sparkify_report", "write_report", {"day": 7}, "days"),
    ],
)
def test_a_misspelt_key_of_any_dag_is_refused_with_the_nearest_one(pipeline, dag_id, task_id, conf, near):
    run = PipelineRun(load_dag(dag_id), conf, variables=pipeline.variables)
    with pytest.raises(ConfError, match=rf"{dag_id}.*\n.*{near} instead of"):
        run.run_task(task_id)


def test_the_remedy_of_a_misspelt_key_loads_what_was_meant(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    meant = dict(zip(("window_start", "window_end"), MISSPELT.values(), strict=True))
    PipelineRun(load_dag("sparkify"), meant, variables=pipeline.variables).run()
    assert len(pipeline.table("songplays")) == 1


def test_a_conf_that_airflow_passes_over_is_refused(pipeline, monkeypatch):
    """With dag_run_conf_overrides_params off, the params are the defaults whatever the conf says."""
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")
    meant = dict(zip(("window_start", "window_end"), MISSPELT.values(), strict=True))
    run = PipelineRun(load_dag("sparkify"), meant, variables=pipeline.variables)
    assert run_task(run, "stage_events", may_retry=True) == TaskInstanceState.FAILED
    assert pipeline.work_tables() == []
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "True")
    assert run_task(run, "stage_events", may_retry=True) == TaskInstanceState.SUCCESS


def test_what_airflow_adds_to_the_conf_of_a_triggered_run_is_no_mistake(pipeline):
    """TriggerDagRunOperator tells the run's parent, once OpenLineage is on."""
    from airflow.providers.standard.utils.openlineage import _inject_openlineage_parent_info_to_dagrun_conf

    conf = dict(zip(("window_start", "window_end"), MISSPELT.values(), strict=True))
    conf = _inject_openlineage_parent_info_to_dagrun_conf(conf, {"parentRunId": "1"})
    assert set(conf) > {"window_start", "window_end"}
    PipelineRun(load_dag("sparkify"), conf, variables=pipeline.variables).run(upto="stage_events")


WRONG = {
    "sparkify_bucket": ["", " ", "s3://lake", "lake/log_data", "Lake_1", "lake ", "arn:aws:s3:::lake"],
    "sparkify_log_prefix": [
        "", " ", "/log_data", "s3://lake/log_data", "s3:/lake", " log_data", "log_data\n", "log_data//2018",
        "/", "a/../b", "./log_data", "log_data/*", "log'data", "log\\data", "x" * 201,
    ],
    "sparkify_region": ["", "us-west-2a", "US-WEST-2", "Oregon", "us-west-2 "],
    "sparkify_iam_role": ["", " default", "Default", "sparkify-copy", "arn:aws:iam::1:role/x"],
    "sparkify_log_json_path": [" ", "log_json_path.json", "s3://lake", "https://lake/x.json", "s3://lake/ "],
    "sparkify_song_queue_url": [
        " ", "sparkify-songs", "arn:aws:sqs:us-west-2:123456789012:sparkify-songs",
        "https://sqs.us-west-2.amazonaws.com/123456789012/sparkify-songs\n",
        "https://sqs.us-west-2.amazonaws.com/123456789012/songs.fifo", "http://sqs/123456789012/songs",
    ],
    "sparkify_max_removed_percent": ["", "-1", "101", "10 %", "1e1"],
    "sparkify_max_window_days": ["", "0", "-1", "1e3", "400 days", "100000", "400\n", "\u0664\u0660\u0660"],
    "sparkify_max_truncate_rows": ["", "-1", "1e8", "100,000", "1\n", "9" * 16],
    "sparkify_max_rejected_events": ["", "-1", "100000", "1e2", "5%", "50ppm", "50 PPM", "1000001 ppm"],
    "sparkify_copy_options_events": [
        " ", "GZIP", "TRUNCATECOLUMNS MAXERROR 9", "ROUNDEC,EMPTYASNULL", "ACCEPTINVCHARS AS ''", "ROUNDEC;",
        "ACCEPTINVCHARS AS '^^'", "ACCEPTINVCHARS AS '^", "ROUNDEC\n", "NOLOAD",
    ],
    "sparkify_log_keys": ["", " ", "{year}/*/{day}", "{year} {month}", "s3://a/{year}*x"],
    "sparkify_log_suffixes": ["", " .json", ".json,.gz", ".json *", "*.gz"],
    "sparkify_log_late_hours": ["", "-1", "72 h", "99999"],
    "sparkify_log_closing_minutes": ["", "-1", "1.5"],
    "sparkify_log_silence": ["", "quiet", "Awaited"],
    "sparkify_log_late_days": ["", "-1", "30 days"],
    "sparkify_log_deletions": ["", "accept", "take  back"],
    "sparkify_log_retention_days": [" ", "0", "-1", "30 days"],
    "sparkify_landed_days": ["", "0", "-1", "35 days"],
    "sparkify_readers": [" ", "PUBLIC", "analysts", "GROUP a, GROUP b"],
}  # fmt: skip
WRONG["sparkify_work_bucket"] = WRONG["sparkify_bucket"]
WRONG["sparkify_song_prefix"] = WRONG["sparkify_log_prefix"]
WRONG["sparkify_max_rejected_songs"] = WRONG["sparkify_max_rejected_events"]
WRONG["sparkify_copy_options_songs"] = WRONG["sparkify_copy_options_events"]
#: Empty is what it is without the Variable.
WRONG["sparkify_work_prefix"] = [value for value in WRONG["sparkify_log_prefix"] if value]
CASES = [(name, value) for name in sorted(WRONG) for value in WRONG[name]]


def test_there_is_a_wrong_value_for_every_variable():
    assert WRONG.keys() == VARIABLES.keys()


@pytest.mark.parametrize(("name", "value"), CASES)
def test_verify_names_a_wrong_variable_its_value_and_what_to_enter(name, value):
    run = PipelineRun(load_dag("sparkify_verify"), variables={name: value})
    with pytest.raises(VariableError) as caught:
        run.run_task("variables")
    first, remedy = str(caught.value).split("\n")
    assert name in first
    assert repr(value) in first
    assert remedy.startswith("Enter ")


@pytest.mark.parametrize(
    ("dag_id", "task_id", "names"),
    [
        ("sparkify", "stage_events", ["sparkify_bucket", "sparkify_log_prefix", "sparkify_work_bucket",
                                      "sparkify_work_prefix", "sparkify_iam_role", "sparkify_region",
                                      "sparkify_log_json_path", "sparkify_max_window_days",
                                      "sparkify_max_rejected_events", "sparkify_copy_options_events"]),
        ("sparkify", "stage_songs", ["sparkify_song_prefix", "sparkify_song_queue_url",
                                     "sparkify_max_window_days",
                                     "sparkify_max_rejected_songs", "sparkify_copy_options_songs"]),
        ("sparkify", "load_users", ["sparkify_max_truncate_rows"]),
        ("sparkify", "run_quality_checks", ["sparkify_max_removed_percent"]),
        ("sparkify", "publish", ["sparkify_bucket", "sparkify_work_bucket", "sparkify_work_prefix"]),
        ("sparkify_sweep", "sweep_songs", ["sparkify_bucket", "sparkify_song_prefix", "sparkify_work_bucket",
                                           "sparkify_work_prefix", "sparkify_iam_role", "sparkify_region"]),
        ("sparkify_reconcile", "find_changed_days", ["sparkify_bucket", "sparkify_log_prefix"]),
        ("sparkify_maintenance", "drop_old_work", ["sparkify_work_bucket", "sparkify_work_prefix"]),
        ("sparkify_report", "write_report", ["sparkify_work_bucket", "sparkify_work_prefix"]),
        ("sparkify_schema", "create_schema", ["sparkify_readers"]),
        ("sparkify_verify", "buckets", ["sparkify_bucket", "sparkify_song_prefix", "sparkify_log_prefix"]),
        ("sparkify_verify", "copy", ["sparkify_iam_role", "sparkify_region"]),
        ("sparkify_verify", "clocks", ["sparkify_bucket"]),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_refused_by_each_task_that_uses_it(dag_id, task_id, names):
    for name in names:
        run = PipelineRun(load_dag(dag_id), variables={name: WRONG[name][0]})
        with pytest.raises(VariableError, match=name):
            run.rendered(task_id)


def test_a_wrong_variable_fails_at_once_and_stages_nothing(pipeline):
    for name in ("sparkify_log_prefix", "sparkify_work_prefix"):
        run = pipeline.new_run(*DAY, **{name: "s3://lake/log_data"})
        assert run_task(run, "stage_events", may_retry=True) == TaskInstanceState.FAILED
    assert pipeline.work_tables() == pipeline.work_objects() == []


def test_what_a_good_variable_may_be(pipeline):
    good = {
        "sparkify_log_prefix": "team/log data/é=1/",
        "sparkify_song_prefix": "songs.v2",
        "sparkify_work_prefix": "scratch",
    }
    pipeline.put({"team/log data/é=1/2018/11/2018-11-01-events.json": b""})
    pipeline.put({"songs.v2/TR1.json": b"\n"})
    run = pipeline.load(*DAY, **good)
    assert run.xcoms["publish", "return_value"]["log_files"] == 1
    pipeline.put_songs(song())
    verified = PipelineRun(load_dag("sparkify_verify"), variables={**pipeline.variables, **good})
    for task_id in ("buckets", "copy"):
        verified.run_task(task_id)


def test_verify_names_a_variable_that_nothing_reads(monkeypatch):
    run = PipelineRun(load_dag("sparkify_verify"), variables={"sparkify_log_prefx": "logs"})
    with supervised(run), pytest.raises(VariableError, match=r"sparkify_log_prefx.*\n.*sparkify_log_prefix"):
        run.run_task("variables")
    run = PipelineRun(load_dag("sparkify_verify"))
    monkeypatch.setenv("AIRFLOW_VAR_SPARKIFY_BUKET", "lake")
    with supervised(run), pytest.raises(VariableError, match=r"sparkify_buket.*\n.*sparkify_bucket"):
        run.run_task("variables")
