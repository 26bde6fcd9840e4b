import json

import pytest

from local.airflow import log_tail

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


def test_only_the_end_of_a_long_log_is_shown(tmp_path):
    log = tmp_path / "attempt=1.log"
    log.write_text("\n".join(json.dumps({"level": "info", "event": f"line {n}"}) for n in range(100)))
    assert log_tail(log, lines=2) == ["INFO    line 98", "INFO    line 99"]


def test_a_task_without_a_log_says_where_else_to_look(tmp_path):
    assert "airflow-scheduler.log" in log_tail(tmp_path / "attempt=1.log")[0]
