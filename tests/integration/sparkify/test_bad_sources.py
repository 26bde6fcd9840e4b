"""Files and servers that fail as a whole: what the task's error names, and that nothing is lost."""

from __future__ import annotations

import gzip
import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.lake import LakeError
from sparkify.paths import JSONPATHS
from sparkify.warehouse import WarehouseError
from tests.support.corpus import line
from tests.support.relay import S3Relay
from tests.support.servers import aws_connection, new_redshift, redshift_connection

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
KEY = "log_data/2018/11/2018-11-01-events.json"


def stage(pipeline, copy_options=(), **variables):
    """The stage task of the events, with further COPY options."""
    run = pipeline.new_run(*DAY, **variables)
    task, context = run.rendered("stage_events")
    task.copy_options = ["TIMEFORMAT 'epochmillisecs'", *copy_options]
    return task.execute(context)


def test_gzip_files_load_with_gzip(pipeline):
    pipeline.put({KEY: gzip.compress(line())})
    assert stage(pipeline, ["GZIP"])["rows"] == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(line(), id="a plain file with GZIP"),
        pytest.param(gzip.compress(line())[:-20], id="a gzip file that is cut"),
        pytest.param(gzip.compress(line())[:40] + b"\0" * 40, id="a damaged gzip file"),
    ],
)
def test_a_file_that_is_no_gzip_is_named(pipeline, body):
    pipeline.put({KEY: body})
    with pytest.raises(WarehouseError, match=rf"(?s)staging/copy\.sql.*{KEY}"):
        stage(pipeline, ["GZIP"])


def test_a_missing_jsonpaths_file_is_named(pipeline):
    pipeline.put({KEY: line()})
    with pytest.raises((WarehouseError, LakeError), match=r"conf/none\.json"):
        stage(pipeline, sparkify_log_json_path=f"s3://{pipeline.bucket}/conf/none.json")


def test_a_jsonpaths_file_of_another_length_is_refused(pipeline):
    paths = json.loads((JSONPATHS / "log_json_path.json").read_bytes())["jsonpaths"]
    pipeline.put({KEY: line(), "conf/17.json": json.dumps({"jsonpaths": paths[:-1]}).encode()})
    with pytest.raises(
        WarehouseError, match="JSONPath size: 17, Number of columns in table or column list: 18"
    ):
        stage(pipeline, sparkify_log_json_path=f"s3://{pipeline.bucket}/conf/17.json")


def test_a_file_that_goes_between_listing_and_copy_fails_the_task_and_its_retry_goes_on(
    pipeline, monkeypatch
):
    from sparkify.operators.land import Landing

    pipeline.put({KEY: line()})
    copy = Landing._copy

    def delete_then_copy(self, *args):
        pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=KEY)
        return copy(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "_copy", delete_then_copy)
        with pytest.raises(WarehouseError, match=rf"(?s)The specified key does not exist.*{KEY}"):
            stage(pipeline)
    assert stage(pipeline)["files"] == 0


def test_denied_access_names_the_connection_and_the_place(pipeline, s3, monkeypatch):
    pipeline.put({KEY: line()})
    stranger = aws_connection(s3) | {"login": "stranger", "password": "wrong-secret-key"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(stranger))
    with pytest.raises(
        LakeError, match=rf"s3://{pipeline.bucket}/.*'aws_default'.*(Denied|AccessKey|Signature)"
    ):
        stage(pipeline)


@pytest.fixture
def relayed(pipeline, postgres, s3, tmp_path, monkeypatch):
    """The pipeline with a relay between everything and the S3, and a short patience of boto3."""
    with S3Relay(s3.port) as relay:
        redshift = new_redshift(tmp_path, postgres, s3, relay.port)
        redshift.start()
        aws = aws_connection(s3, relay.port)
        aws["extra"]["config_kwargs"] |= {"read_timeout": 1, "retries": {"max_attempts": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(redshift_connection(redshift)))
        pipeline.put({KEY: line()})
        yield pipeline, relay
        redshift.stop()


def test_s3_errors_while_listing_fail_the_task_and_its_retry_goes_on(relayed):
    pipeline, relay = relayed
    relay.failing = r"\?list-type"
    with pytest.raises(LakeError, match=rf"list s3://{pipeline.bucket}/{KEY}.*(500|Internal)"):
        stage(pipeline)
    relay.failing = ""
    assert stage(pipeline)["rows"] == 1


def test_s3_errors_while_reading_fail_the_task_and_its_retry_goes_on(relayed):
    pipeline, relay = relayed
    relay.failing = KEY + "$"
    with pytest.raises(LakeError, match=rf"read s3://{pipeline.bucket}/{KEY}.*(500|Internal)"):
        stage(pipeline)
    relay.failing = ""
    assert stage(pipeline)["rows"] == 1


def test_s3_errors_inside_copy_fail_the_task_and_leave_no_row(relayed):
    pipeline, relay = relayed
    relay.failing = r"part-0\.manifest"
    with pytest.raises(WarehouseError, match=r"copy\.sql.*(S3ServiceException|manifest)"):
        stage(pipeline)
    relay.failing = ""
    assert stage(pipeline)["rows"] == 1


def test_an_s3_that_does_not_answer_fails_the_task_in_time(relayed):
    pipeline, relay = relayed
    relay.hold(KEY)
    with pytest.raises(LakeError, match=rf"read s3://{pipeline.bucket}/{KEY}.*[Tt]imed? ?out"):
        stage(pipeline)
    relay.release()
    assert stage(pipeline)["rows"] == 1


def test_on_serverless_the_rows_come_from_its_own_table(pipeline, caplog):
    """Without STL tables, as on Redshift Serverless, whose own table does not hold the line itself."""
    pipeline.put({KEY: line(sessionId="many")})
    with (
        pipeline.without_stl_tables(),
        pytest.raises(
            AirflowFailException, match=rf"{KEY}, line 1, column session_id: .*\(error 1207\): .*many"
        ),
    ):
        stage(pipeline)
    assert "stl_load_errors.sql cannot be read here" in caplog.text
    [(number, raw)] = pipeline.query("SELECT line_number, raw_line FROM sparkify.rejected_rows")
    assert (number, raw) == (1, line(sessionId="many").decode())


def test_of_a_large_file_the_end_is_looked_at_from_its_first_whole_line_on(pipeline):
    rows = [line(sessionId=number, userAgent="x" * 1000) for number in range(7000)]
    pipeline.put({KEY: b"\n".join([*rows, line(mood="happy")])})
    run = pipeline.new_run(*DAY)
    row = run.run_task("stage_events")
    assert row["rows"] == 7001
    assert 0 < row["objects"] == row["values"] < 7001
    assert row["bytes"] // 2 < row["bytes_looked_at"] <= row["bytes"]
    assert pipeline.query(f"SELECT problem, key_name, row_count FROM {run.work_table('events_keys')}") == [
        ("unknown", "mood", 1)
    ]
