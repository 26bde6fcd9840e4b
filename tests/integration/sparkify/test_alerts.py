"""Notifications through the providers' notifiers, to a webhook and a mail server, and what sends them."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.sdk import TaskInstanceState

from local_redshift.embedded.ports import free_port
from sparkify import alerts
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.receivers import MailServer, SlackWebhook
from tests.support.source import event, song
from tests.support.task_runner import lose_worker, run_task

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

CONNECTION = "AIRFLOW_CONN_SPARKIFY_ALERTS"
DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
WINDOW = "Window: [2018-11-01 00:00, 2018-11-02 00:00) UTC"
ERROR = "{{ conn.redshift_default.password }} <!channel>\nsecond line, ü"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Slack's client would ask a proxy for 127.0.0.1 too."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slack(monkeypatch):
    with SlackWebhook() as webhook:
        monkeypatch.setenv(CONNECTION, json.dumps(webhook.connection))
        yield webhook


@pytest.fixture
def mail(monkeypatch):
    with MailServer() as server:
        monkeypatch.setenv(CONNECTION, json.dumps(server.connection))
        yield server


@pytest.fixture
def context():
    run = PipelineRun(load_dag("sparkify"), run_id="manual__1")
    return {**run.context(run.dag.get_task("publish")), "exception": ValueError(ERROR)}


def our_log(caplog, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "sparkify.alerts" and r.levelno == level]


def test_slack_gets_the_message_as_it_was_built(slack, context):
    alerts.failed(context)
    built = alerts.Alert.of(context, "failed", f"ValueError: {ERROR}")
    assert slack.messages == [{"text": built.slack, "unfurl_links": False}]
    assert "{{ conn.redshift_default.password }} &lt;!channel&gt;" in built.slack


def test_mail_gets_the_message_as_it_was_built(mail, context):
    alerts.failed(context)
    built = alerts.Alert.of(context, "failed", f"ValueError: {ERROR}")
    [message] = mail.mails
    assert message["Subject"] == built.subject == "sparkify.publish failed"
    assert message["From"] == "airflow@example.com"
    assert mail.recipients == ["on-call@example.com", "lead@example.com"]
    assert message.get_body().get_content().splitlines() == built.email.splitlines()


def nobody_listens(conn_type: str) -> str:
    """A connection to a port that is closed."""
    if conn_type == "smtp":
        return json.dumps(MailServer().connection)
    url = f"http://127.0.0.1:{free_port()}{SlackWebhook.PATH}"
    return json.dumps({"conn_type": conn_type, "password": url})


@pytest.mark.parametrize("conn_type", ["slackwebhook", "smtp"])
def test_a_notifier_that_is_down_is_logged_and_raises_nothing(conn_type, context, monkeypatch, caplog):
    monkeypatch.setenv(CONNECTION, nobody_listens(conn_type))
    alerts.failed(context)
    alerts.warned(context, ["a check fired"])
    first, second = our_log(caplog, logging.ERROR)
    assert "Connection refused" in first
    assert "Check the connection sparkify_alerts" in second


def test_a_webhook_that_was_removed_is_logged(context, monkeypatch, caplog):
    with SlackWebhook(status=404) as webhook:
        monkeypatch.setenv(CONNECTION, json.dumps(webhook.connection))
        alerts.failed(context)
    [error] = our_log(caplog, logging.ERROR)
    assert "no_service" in error


def checked_run(pipeline, *events):
    """A run up to its checks."""
    pipeline.put_events(*events)
    run = pipeline.new_run(*DAY)
    run.run(before="run_quality_checks")
    return run


def failing_run(pipeline):
    """A run up to its checks, of which one fails: the log file of a published play is gone."""
    pipeline.put_events(event("2018-11-01 10:00", firstName=None))
    pipeline.load(*DAY)
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="log_data/2018/11/2018-11-01-events.json")
    return checked_run(pipeline)


def test_a_failing_check_sends_one_message_with_window_table_check_figures_and_log(pipeline, slack):
    run = failing_run(pipeline)
    slack.messages.clear()
    assert run_task(run, "run_quality_checks", may_retry=True) == TaskInstanceState.FAILED
    [message] = slack.messages
    text = message["text"]
    assert text.startswith("*sparkify.run_quality_checks failed*\n")
    assert WINDOW in text
    assert "staging/events.published_events_keep_their_file observed 1 of 1 row(s), error if &gt; 0" in text
    assert f"/dags/sparkify/runs/{run.run_id}/tasks/run_quality_checks?try_number=1|Log>" in text
    assert len(pipeline.table("songplays")) == 1


def test_a_check_that_warns_sends_one_message_and_the_run_goes_on(pipeline, mail):
    run = checked_run(pipeline, event("2018-11-01 10:00", firstName=None))
    assert run_task(run, "run_quality_checks", may_retry=True) == TaskInstanceState.SUCCESS
    [message] = mail.mails
    assert message["Subject"] == "sparkify.run_quality_checks has warnings"
    body = message.get_body().get_content()
    assert WINDOW in body
    assert "users.users_have_a_name observed 1 of 1 row(s), warn if &gt; 0" in body
    assert f"/runs/{run.run_id}/tasks/run_quality_checks" in body
    run.run_task("publish")
    assert len(pipeline.table("songplays")) == 1


def test_checks_that_pass_send_nothing(pipeline, slack):
    pipeline.put_songs(song())
    run = checked_run(pipeline, event("2018-11-01 23:30"))
    assert run_task(run, "run_quality_checks", may_retry=True) == TaskInstanceState.SUCCESS
    assert slack.messages == []


def test_a_task_that_will_be_tried_again_sends_nothing_and_its_last_try_one_message(pipeline, slack):
    run = pipeline.new_run(*DAY, sparkify_bucket="no-such-bucket")
    assert run_task(run, "stage_events", may_retry=True) == TaskInstanceState.UP_FOR_RETRY
    assert slack.messages == []
    assert run_task(run, "stage_events", may_retry=False) == TaskInstanceState.FAILED
    [message] = slack.messages
    assert message["text"].startswith("*sparkify.stage_events failed*\n")
    assert "no-such-bucket" in message["text"]


def test_a_lost_worker_is_told_by_the_dag_processor(slack):
    params = {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-11-02T00:00:00Z"}
    lose_worker(PipelineRun(load_dag("sparkify"), params), "publish")
    [message] = slack.messages
    assert WINDOW in message["text"]
    assert message["text"].endswith(alerts.LOST)


def warning_run(pipeline):
    return checked_run(pipeline, event("2018-11-01 10:00", firstName=None))


@pytest.mark.parametrize(
    ("new_run", "state"),
    [(warning_run, TaskInstanceState.SUCCESS), (failing_run, TaskInstanceState.FAILED)],
)
def test_a_notifier_that_is_down_leaves_the_tasks_outcome_alone(
    pipeline, monkeypatch, caplog, new_run, state
):
    run = new_run(pipeline)
    monkeypatch.setenv(CONNECTION, nobody_listens("smtp"))
    caplog.clear()
    assert run_task(run, "run_quality_checks", may_retry=True) == state
    assert len(our_log(caplog, logging.ERROR)) == 1


def test_without_the_connection_the_tasks_outcome_is_the_same(pipeline, caplog):
    run = failing_run(pipeline)
    assert run_task(run, "run_quality_checks", may_retry=True) == TaskInstanceState.FAILED
    assert our_log(caplog, logging.ERROR) == []
    assert our_log(caplog, logging.INFO) == []
