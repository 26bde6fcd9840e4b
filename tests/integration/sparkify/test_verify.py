"""The checks of an installation: what they pass, and what each failure says."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sparkify.lake import LakeError
from sparkify.layout import LayoutError
from sparkify.operators import verify
from sparkify.schedules import SCHEDULES
from sparkify.warehouse import SchemaMissingError, WarehouseError
from sparkify.work import WorkAmongSourcesError
from tests.support.pipeline import Airflow, PipelineRun, load_dag
from tests.support.source import event, song
from tests.support.supervisor import supervised

pytestmark = pytest.mark.integration


def run(pipeline, run_after=datetime(2018, 12, 1, 0, 30, tzinfo=UTC), **variables) -> PipelineRun:
    return PipelineRun(
        load_dag("sparkify_verify"), variables={**pipeline.variables, **variables}, run_after=run_after
    )


def fails(pipeline, task_id: str, expected: str, error: type = AirflowFailException, **variables) -> None:
    with pytest.raises(error, match=expected):
        run(pipeline, **variables).run_task(task_id)


def test_a_good_installation_passes_and_nothing_is_left(pipeline):
    pipeline.put_songs(song())
    pipeline.put_events(event("2018-11-01 10:00"))
    verified = run(pipeline)
    with supervised(verified):
        verified.run()
    assert verified.xcoms["copy", "return_value"].startswith("song_data/")
    assert verified.xcoms["connections", "return_value"] == pipeline.redshift.user
    assert pipeline.work_objects() == []
    assert pipeline.table("songs") == []


def test_a_missing_connection_is_to_be_created(pipeline, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_REDSHIFT_DEFAULT")
    fails(pipeline, "connections", r"no Airflow connection 'redshift_default'.*docs/aws.md")


def test_a_page_without_a_login_of_its_own_is_told(pipeline, caplog):
    run(pipeline).run_task("connections")
    assert "no Airflow connection sparkify_page" in caplog.text


def test_a_page_with_the_pipelines_login_is_refused(pipeline, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SPARKIFY_PAGE", os.environ["AIRFLOW_CONN_REDSHIFT_DEFAULT"])
    fails(pipeline, "connections", r"'sparkify_page'.*own user awsuser.*\n.*docs/configuration.md")


def test_a_page_that_redshift_does_not_let_in_is_named(pipeline, monkeypatch):
    connection = json.loads(os.environ["AIRFLOW_CONN_REDSHIFT_DEFAULT"]) | {"login": "nobody"}
    monkeypatch.setenv("AIRFLOW_CONN_SPARKIFY_PAGE", json.dumps(connection))
    fails(pipeline, "connections", "sparkify_page", WarehouseError)


def test_a_connection_of_another_type_is_named(pipeline, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "http"}))
    fails(pipeline, "connections", r"'aws_default' has the type 'http'.*type 'aws'")


def test_without_credentials_the_worker_needs_a_role(pipeline, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_CONFIG_FILE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    fails(pipeline, "connections", r"provides no AWS credentials.*Give the worker a role")


def test_an_extra_field_that_the_driver_does_not_know_is_named(pipeline, monkeypatch):
    connection = {"conn_type": "redshift", "host": "127.0.0.1", "extra": {"sslmoode": "disable"}}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
    fails(pipeline, "connections", r"sslmoode.*\n.*extra", WarehouseError)


@pytest.mark.parametrize("variable", ["sparkify_bucket", "sparkify_work_bucket"])
def test_a_missing_bucket_is_named(pipeline, variable):
    fails(
        pipeline,
        "buckets",
        r"s3://no-such-bucket.*\n.*Airflow Variables",
        LakeError,
        **{variable: "no-such-bucket"},
    )


def test_a_bucket_of_another_region_is_named(pipeline, monkeypatch):
    monkeypatch.setattr(verify, "_headers", lambda lake, bucket: {"x-amz-bucket-region": "eu-west-1"})
    fails(pipeline, "buckets", r"region eu-west-1.*sparkify_region to eu-west-1")


def test_an_empty_prefix_is_reported_and_copy_needs_a_file(pipeline, caplog):
    run(pipeline).run_task("buckets")
    assert "holds no file" in caplog.text
    fails(pipeline, "copy", r"no file below song_data/ or log_data/.*upload a first file")


def test_the_layout_shows_what_the_last_hour_has(pipeline, caplog):
    hour = datetime.now(UTC) - timedelta(hours=1)
    layout = {"sparkify_log_keys": "{year}/{month}/{day}/{hour}/*", "sparkify_log_suffixes": "*"}
    pipeline.variables |= layout
    pipeline.put({f"log_data/{hour:%Y/%m/%d/%H}/a-{number}.gz": b"x" for number in range(3)})
    pipeline.put({f"log_data/{hour:%Y/%m/%d/%H}/b.json": b"x"})
    assert run(pipeline).run_task("layout") == 4
    assert "4 file(s), 4 byte(s)" in caplog.text
    assert "compression: GZIP 3, none 1" in caplog.text


def test_a_layout_that_no_file_has_is_named(pipeline, caplog):
    assert run(pipeline).run_task("layout") == 0
    pipeline.put_events(event("2018-11-01 10:00"))
    assert run(pipeline).run_task("layout") == 0
    assert "No file of the last hour is there yet" in caplog.text
    pipeline.variables["sparkify_log_keys"] = "dt={year}-{month}-{day}/*"
    with pytest.raises(AirflowFailException, match=r"first is log_data/2018/11.*\nChange.*sparkify_log_keys"):
        run(pipeline).run_task("layout")
    pipeline.variables["sparkify_log_keys"] = "{year}/{day}/*"
    with pytest.raises(LayoutError, match=r"has no \{month\}.*\nEnter"):
        run(pipeline).run_task("layout")


@pytest.mark.parametrize(("dag_id", "task_id"), [
    ("sparkify", "stage_events"), ("sparkify", "stage_songs"), ("sparkify_verify", "buckets"),
])  # fmt: skip
def test_work_objects_among_the_source_files_are_refused(pipeline, dag_id, task_id):
    prefix = "song_data/work" if task_id == "stage_songs" else "log_data"
    variables = {
        **pipeline.variables, "sparkify_work_bucket": pipeline.bucket, "sparkify_work_prefix": prefix,
    }  # fmt: skip
    refused = PipelineRun(load_dag(dag_id), variables=variables)
    with pytest.raises(WorkAmongSourcesError, match=rf"{prefix}/runs/.*\nChange.*sparkify_work_prefix"):
        refused.run_task(task_id)
    assert "Contents" not in pipeline.s3.list_objects_v2(Bucket=pipeline.bucket)


def test_a_role_that_may_not_read_is_explained(pipeline, monkeypatch):
    """The manifest names a file that is not there: to the role, any failure of S3 looks the same."""
    pipeline.put_songs(song())
    monkeypatch.setattr(verify, "manifest", lambda bucket, files: json.dumps({"entries": [
        {"url": f"s3://{bucket}/gone", "mandatory": True}]}).encode())  # fmt: skip
    fails(
        pipeline,
        "copy",
        r"(?s)S3ServiceException.*trusts redshift.amazonaws.com.*copy-role-policy",
        WarehouseError,
    )
    assert pipeline.work_objects() == []


def test_without_a_schema_the_dag_to_run_is_named(empty_pipeline):
    fails(empty_pipeline, "schema", "sparkify_schema", SchemaMissingError)


@pytest.mark.parametrize(
    ("versions", "expected"), [("0001_a", "Run the DAG sparkify_schema"), ("", "Deploy")]
)
def test_another_version_of_the_schema_is_told(pipeline, tmp_path, versions, expected):
    code = [f"{n:04}_x" for n in range(1, 99)] if versions else []
    for name in code:
        (tmp_path / f"{name}.sql").write_text("SELECT 1;")
    if not code:
        pipeline.execute("INSERT INTO staging.schema_migrations VALUES (99, '0099_later', GETDATE())")
    task = verify.VerifySchemaOperator(task_id="schema", migrations=tmp_path)
    with pytest.raises(AirflowFailException, match=rf"needs {len(code)}\. {expected}"):
        task.execute({})


def test_hours_inside_published_days_that_were_never_loaded_are_named(pipeline):
    pipeline.load("2018-10-01 00:00", "2018-10-01 23:00")
    pipeline.load("2018-11-29 00:00", "2018-11-29 05:00")
    pipeline.load("2018-11-29 06:00", "2018-11-30 00:00")
    fails(
        pipeline,
        "tables",
        r"(?s)^2 hour\(s\) were never loaded \(2018-10-01 23:00, 2018-11-29 05:00; UTC\) of published days\."
        r'\nRun the DAG sparkify_reconcile with \{"lookback_days": 61\}',
    )
    pipeline.load("2018-10-01 23:00", "2018-10-02 00:00")
    pipeline.load("2018-11-29 05:00", "2018-11-29 06:00")
    run(pipeline).run_task("tables")


def test_lost_rows_and_hours_never_loaded_are_told_together(pipeline):
    pipeline.put_events(event("2018-11-29 10:00"))
    pipeline.load("2018-11-29 00:00", "2018-11-29 23:00")
    pipeline.execute("DELETE FROM sparkify.songplays")
    fails(
        pipeline,
        "tables",
        r"Tables differ .*\n1 hour\(s\) were never loaded .*\nRun the DAG sparkify_reconcile: .*lookback",
    )


def test_hours_of_today_that_were_never_loaded_are_a_warning(pipeline, caplog):
    pipeline.load("2018-12-01 00:00", "2018-12-01 03:00")
    pipeline.load("2018-12-01 05:00", "2018-12-01 06:00")
    run(pipeline, run_after=datetime(2018, 12, 1, 9, 30, tzinfo=UTC)).run_task("tables")
    [warning] = [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelname) == (verify.__name__, "WARNING")
    ]
    assert warning.startswith(
        "2 hour(s) were never loaded (2018-12-01 03:00, 2018-12-01 04:00; UTC) of today, between"
    )


@pytest.mark.parametrize(
    ("ahead", "expected"), [(-20, r"\+(20|19) s"), (20, "-2[01] s"), (7200, "-720[01] s")]
)
def test_a_clock_that_is_wrong_is_told(pipeline, monkeypatch, ahead, expected):
    monkeypatch.setattr(verify, "now", lambda: datetime.now(UTC) + timedelta(seconds=ahead))
    fails(
        pipeline,
        "clocks",
        rf"Redshift's clock is {expected}.*S3's clock is {expected}.*\n.*chrony",
        AirflowException,
    )


def schedules(pipeline, **airflow) -> dict[str, str]:
    """What the task says of each, which never fails."""
    verified = run(pipeline)
    verified.airflow = Airflow(**airflow)
    return verified.run_task("schedules")


def test_a_paused_schedule_is_told_and_does_not_fail(pipeline, caplog):
    paused = {
        "sparkify": True,
        "sparkify_reconcile": False,
        "sparkify_sweep": False,
        "sparkify_maintenance": True,
    }
    assert schedules(pipeline, paused=paused) == {
        "sparkify": "paused",
        "sparkify_reconcile": "not paused",
        "sparkify_sweep": "not paused",
        "sparkify_maintenance": "paused",
    }
    hourly, upkeep = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert hourly == (
        "The hourly schedule is paused: no new hours are loaded until someone unpauses the DAG sparkify.\n"
        "Once the installation is ready: airflow dags unpause sparkify"
    )
    assert upkeep.endswith("airflow dags unpause sparkify_maintenance")


@pytest.mark.parametrize("airflow", [{"is_answering": False}, {"paused": {}}], ids=["silent", "no such DAG"])
def test_a_schedule_of_which_airflow_does_not_say_whether_it_is_paused_is_skipped(pipeline, caplog, airflow):
    found = schedules(pipeline, **airflow)
    assert set(found) == {schedule.dag_id for schedule in SCHEDULES}
    assert all(state.startswith("skipped: Airflow does not say (API_SERVER") for state in found.values())
    assert "It is not known whether the hourly schedule (DAG sparkify) is paused" in caplog.text
