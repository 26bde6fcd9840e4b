"""The messages of notifications, and what sends none."""

from __future__ import annotations

import json
import logging
import re
import shlex

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.sdk.log import mask_secret

from sparkify import alerts
from sparkify.alerts import Alert
from tests.support.pipeline import DAGS, PipelineRun, load_dag

pytestmark = pytest.mark.unit

NOVEMBER = {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-12-01T00:00:00Z"}
LOG = "http://airflow.example/dags/sparkify/runs/manual__1/tasks/publish"


@pytest.fixture
def context():
    """Make the context of a task."""

    def make(dag_id="sparkify", task_id="publish", params=NOVEMBER):
        run = PipelineRun(load_dag(dag_id), params, run_id="manual__1")
        return run.context(run.dag.get_task(task_id))

    return make


def test_a_message_tells_task_run_window_error_and_log(context):
    alert = Alert.of(context(), "failed", "ValueError: no such table")
    assert alert.subject == "sparkify.publish failed"
    assert alert.slack.splitlines() == [
        "*sparkify.publish failed*",
        "DAG: sparkify",
        "Task: publish",
        "Run: manual__1",
        "Window: [2018-11-01 00:00, 2018-12-01 00:00) UTC",
        f"<{LOG}|Log>",
        "",
        "ValueError: no such table",
    ]
    assert alert.email.splitlines() == [
        "DAG: sparkify<br>",
        "Task: publish<br>",
        "Run: manual__1<br>",
        "Window: [2018-11-01 00:00, 2018-12-01 00:00) UTC<br>",
        f'<a href="{LOG}">Log</a><br>',
        "<br>",
        "ValueError: no such table",
    ]


def test_a_message_can_be_sent_whatever_the_error_quotes(context):
    alert = Alert.of(context(), "failed", "ValueError: \ud800\0\x1b[31m é")
    for body in (alert.slack, alert.email):
        assert r"ValueError: \ud800\u0000\u001b[31m é".encode() in body.encode()


@pytest.mark.parametrize("params", [{"window_start": NOVEMBER["window_start"]}, {"window_end": "noon"}])
def test_a_window_that_cannot_be_resolved_is_said_to_be_so(context, params):
    assert "Window: cannot be resolved" in Alert.of(context(params=params), "failed", "").facts


def test_a_window_is_not_resolved_without_the_run(context):
    given = context(params={})
    del given["dag_run"]
    assert "Window: cannot be resolved" in Alert.of(given, "failed", "").facts


def test_a_dag_without_windows_shows_none(context):
    facts = Alert.of(context("sparkify_schema", "create_schema", {}), "failed", "").facts
    assert facts == ["DAG: sparkify_schema", "Task: create_schema", "Run: manual__1"]


@pytest.mark.parametrize(("label", "shown"), [("2018-11-15", "publish[2018-11-15]"), (None, "publish[0]")])
def test_a_mapped_task_is_told_apart(context, label, shown):
    given = context()
    given["ti"].map_index, given["ti"].rendered_map_index = 0, label
    assert Alert.of(given, "failed", "").subject == f"sparkify.{shown} failed"


def test_what_a_message_quotes_has_no_meaning_in_it(context):
    alert = Alert.of(context(), "failed", "<!channel> & <b>")
    assert alert.slack.endswith("\n&lt;!channel&gt; &amp; &lt;b&gt;")
    assert alert.email.endswith("\n&lt;!channel&gt; &amp; &lt;b&gt;")


def test_a_long_error_is_cut(context):
    alert = Alert.of(context(), "failed", "x" * 50_000)
    assert alert.text == "x" * 3000 + " ... (the log has the rest)"


def test_secrets_that_airflow_knows_are_masked(context):
    mask_secret("unit-test-secret")
    alert = Alert.of(context(), "failed", "password unit-test-secret was refused")
    assert alert.text == "password *** was refused"


def test_a_task_whose_worker_was_lost_is_said_to_be_so(context, monkeypatch):
    sent = []
    monkeypatch.setattr(alerts, "_send", lambda *arguments: sent.append(arguments))
    alerts.failed(context())
    [(_, _, text)] = sent
    assert text == alerts.LOST


def test_without_the_connection_nothing_is_sent_and_one_debug_line_says_so(context, caplog):
    with caplog.at_level(logging.DEBUG):
        alerts.failed({**context(), "exception": ValueError("x")})
    ours = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "sparkify.alerts"]
    assert ours == [("DEBUG", "There is no connection sparkify_alerts, so no notification is sent")]
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    ("connection", "complaint"),
    [
        ({"conn_type": "http"}, "is of type 'http', not slackwebhook or smtp"),
        ({"conn_type": "smtp", "host": "mail.example"}, "has no to_email: enter the recipients there"),
        ({"conn_type": "slackwebhook"}, "does not contain password"),
    ],
)
def test_a_connection_that_cannot_work_is_an_error_that_names_it(
    context, monkeypatch, caplog, connection, complaint
):
    monkeypatch.setenv("AIRFLOW_CONN_SPARKIFY_ALERTS", json.dumps(connection))
    alerts.failed({**context(), "exception": ValueError("x")})
    [message] = [r.getMessage() for r in caplog.records if r.name == "sparkify.alerts"]
    assert complaint in message
    assert "Check the connection sparkify_alerts" in message


def test_the_documented_connections_are_understood(monkeypatch):
    document = (DAGS.parent / "docs" / "configuration.md").read_text().partition("\n## Notifications\n")[2]
    commands = re.findall(r"^\$ airflow ((?:.*\\\n)*.*)", document, re.MULTILINE)
    by_command = [get_parser().parse_args(shlex.split(command.replace("\\\n", ""))) for command in commands]
    by_environment = re.findall(r"^AIRFLOW_CONN_SPARKIFY_ALERTS='([^']*)'", document, re.MULTILINE)

    made = [json.loads(text) for text in by_environment]
    for arguments in by_command:
        assert arguments.conn_id == alerts.CONNECTION_ID
        extra = json.loads(arguments.conn_extra or "{}")
        made.append({"conn_type": arguments.conn_type, "password": arguments.conn_password, "extra": extra})
    notifiers = []
    for connection in made:
        monkeypatch.setenv("AIRFLOW_CONN_SPARKIFY_ALERTS", json.dumps(connection))
        notifiers.append(type(alerts._notifier(alerts._connection())).__name__)
    assert notifiers == ["SlackWebhookNotifier", "SmtpNotifier"] * 2
