import json

import httpx
import pytest

from local.airflow import Api, RunFailedError, log_error, log_tail
from local.settings import Settings
from local_redshift.embedded.detached import StartupError

pytestmark = pytest.mark.unit


def test_a_tasks_log_is_shown_as_readable_lines(tmp_path):
    log = tmp_path / "attempt=1.log"
    records = [
        {"level": "info", "event": "Window [2018-11-01, 2018-12-01)"},
        {
            "level": "error",
            "event": "Task failed with exception",
            "error_detail": [{"exc_type": "ProgrammingError", "exc_value": "relation is missing"}],
        },
    ]
    log.write_text("\n".join(json.dumps(record) for record in records) + "\nplain text\n")
    assert log_tail(log) == [
        "INFO    Window [2018-11-01, 2018-12-01)",
        "ERROR   Task failed with exception",
        "ProgrammingError: relation is missing",
        "plain text",
    ]
    assert log_error(log) == "ProgrammingError: relation is missing"


def test_only_the_end_of_a_long_log_is_shown(tmp_path):
    log = tmp_path / "attempt=1.log"
    log.write_text("\n".join(json.dumps({"level": "info", "event": f"line {n}"}) for n in range(100)))
    assert log_tail(log, lines=2) == ["INFO    line 98", "INFO    line 99"]


def test_a_task_without_a_log_says_where_else_to_look(tmp_path):
    assert "airflow-scheduler.log" in log_tail(tmp_path / "attempt=1.log")[0]


@pytest.fixture
def api(tmp_path):
    """A client whose server is a table: path to (status, body)."""
    settings = Settings.load({"SPARKIFY_STATE": str(tmp_path)})
    answers: dict[str, tuple[int, dict]] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        status, body = answers.get(request.url.path, (404, {"detail": "Not Found"}))
        return httpx.Response(status, json=body)

    client = Api(settings, httpx.Client(transport=httpx.MockTransport(answer), base_url=settings.ui_url))
    client.answers = answers
    return client


def test_a_dag_file_that_does_not_import_is_shown_with_its_traceback(api):
    error = {"filename": "dags/broken.py", "stack_trace": "NameError: name 'DAG' is not defined"}
    api.answers["/api/v2/importErrors"] = (200, {"import_errors": [error]})
    with pytest.raises(
        StartupError, match=r"cannot import 1 DAG file(.|\n)*broken.py\nNameError(.|\n)*Correct"
    ):
        api.wait_for_dags("sparkify")


def test_a_dag_that_never_appears_names_the_folder_and_the_log(api):
    api.answers["/api/v2/importErrors"] = (200, {"import_errors": []})
    with pytest.raises(
        StartupError, match=r"did not find the DAG sparkify in .*dags within(.|\n)*dag-processor.log"
    ):
        api.wait_for_dags("sparkify", deadline=0)


def test_a_failed_run_names_the_task_the_end_of_its_log_and_where_to_read_on(api, tmp_path):
    log = tmp_path / "airflow/logs/dag_id=sparkify/run_id=r1/task_id=publish/attempt=2.log"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"level": "error", "event": "Run the DAG sparkify_schema once"}))
    run = "/api/v2/dags/sparkify/dagRuns/r1"
    publish = {"id": "1", "task_id": "publish", "state": "failed", "try_number": 2, "duration": 0.5}
    skipped = {"id": "2", "task_id": "after", "state": None, "try_number": 0, "duration": None}
    api.answers[run] = (200, {"state": "failed"})
    api.answers[f"{run}/taskInstances"] = (200, {"task_instances": [publish, skipped]})
    with pytest.raises(RunFailedError) as failure:
        api.wait_for_run("sparkify", "r1", deadline=10)
    message = str(failure.value)
    assert "Task publish failed (try 2)" in message
    assert "Run the DAG sparkify_schema once" in message
    assert str(log) in message
    assert f"{api.settings.ui_url}/dags/sparkify/runs/r1/tasks/publish" in message


def test_a_run_that_takes_too_long_shows_where_it_stands(api):
    run = "/api/v2/dags/sparkify/dagRuns/r1"
    stuck = {"id": "3", "task_id": "stage_songs", "state": "queued", "try_number": 0, "duration": None}
    api.answers[run] = (200, {"state": "running"})
    api.answers[f"{run}/taskInstances"] = (200, {"task_instances": [stuck]})
    with pytest.raises(RunFailedError, match=r"is running after 0 s: stage_songs queued"):
        api.wait_for_run("sparkify", "r1", deadline=0)


def test_a_refused_request_shows_airflows_reason(api):
    api.answers["/api/v2/dags/sparkify/dagRuns"] = (400, {"detail": "window_end is required"})
    with pytest.raises(StartupError, match=r"Airflow answered 400 to POST .*: window_end is required"):
        api.trigger("sparkify", {})


def test_an_airflow_that_does_not_answer_says_how_to_start_it(tmp_path):
    def refuse(request):
        raise httpx.ConnectError("Connection refused")

    settings = Settings.load({"SPARKIFY_STATE": str(tmp_path)})
    client = Api(settings, httpx.Client(transport=httpx.MockTransport(refuse), base_url=settings.ui_url))
    with pytest.raises(StartupError, match=r"does not answer(.|\n)*make up"):
        client.run_state("sparkify", "r1")
