"""Notifications: a task that failed, and checks of severity `warn` that fired, reach the people on call.

They are sent through the Airflow connection `sparkify_alerts`, by its provider's notifier; without it
nobody is notified. A notification that cannot be sent is an error in the task's log, never the task's own.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import redact  # type: ignore[attr-defined]  # not declared as exported

from sparkify.text import visible
from sparkify.window import WindowError, resolve_window

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from airflow.sdk.bases.notifier import BaseNotifier

log = logging.getLogger(__name__)

CONNECTION_ID = "sparkify_alerts"
#: Characters of an error that a message quotes: Slack advises at most 4,000 for the whole of it.
QUOTED = 3000
LOST = "The task reported no error: its worker was killed, or lost contact with Airflow."


@dataclass(frozen=True)
class Alert:
    """One message. Nothing in it is secret, as far as Airflow knows its secrets.

    :param subject: one line.
    :param facts: what it is about, a line each.
    :param text: the error, or a line a check.
    :param log_url: the task's log in Airflow's UI.
    """

    subject: str
    facts: Sequence[str]
    text: str
    log_url: str

    @classmethod
    def of(cls, context: Mapping[str, Any], happened: str, text: str) -> Alert:
        """What happened to the task of a context; `happened` follows its name in the subject."""
        ti, window = context["ti"], _window(context)
        mapped = ti.map_index not in (None, -1)
        task = f"{ti.task_id}[{ti.rendered_map_index or ti.map_index}]" if mapped else ti.task_id
        facts = [f"DAG: {ti.dag_id}", f"Task: {task}", f"Run: {ti.run_id}"]
        if window:
            facts.append(f"Window: {window}")
        text = visible(_redacted(text))
        if len(text) > QUOTED:
            text = f"{text[:QUOTED]} ... (the log has the rest)"
        subject = _redacted(f"{ti.dag_id}.{task} {happened}")
        return cls(subject, list(map(_redacted, facts)), text, ti.log_url)

    @property
    def slack(self) -> str:
        """In Slack's mrkdwn, which gives `&`, `<` and `>` a meaning."""
        escape = partial(html.escape, quote=False)
        lines = [f"*{escape(self.subject)}*", *map(escape, self.facts), f"<{self.log_url}|Log>"]
        return "\n".join([*lines, "", escape(self.text)])

    @property
    def email(self) -> str:
        """As the body of an HTML mail."""
        lines = [*map(html.escape, self.facts), f'<a href="{html.escape(self.log_url)}">Log</a>']
        return "<br>\n".join([*lines, "", *map(html.escape, self.text.splitlines())])


def failed(context: Mapping[str, Any]) -> None:
    """The `on_failure_callback` of every task: Airflow calls it once no retry is left."""
    error = context.get("exception")
    _send(context, "failed", LOST if error is None else f"{type(error).__name__}: {error}")


def warned(context: Mapping[str, Any], sentences: Sequence[str]) -> None:
    """Tell which checks of severity `warn` fired, one sentence each. The run goes on."""
    _send(context, "has warnings", "\n".join(sentences))


def _send(context: Mapping[str, Any], happened: str, text: str) -> None:
    try:
        connection = _connection()
        if connection is None:
            log.debug("There is no connection %s, so no notification is sent", CONNECTION_ID)
            return
        # The message is a value of the notifier's templates, not a part of them: it is not rendered itself.
        _notifier(connection)({"alert": Alert.of(context, happened, text)})
    except Exception as error:
        log.error(
            "No notification was sent (%s: %s). The task's state is unchanged.\nCheck the connection %s: its "
            "type, host and credentials, and that Airflow's workers can reach the host.",
            type(error).__name__,
            error,
            CONNECTION_ID,
        )
    else:
        log.info("Notification sent through connection %s (%s)", CONNECTION_ID, connection.conn_type)


def _connection() -> Connection | None:
    try:
        return BaseHook.get_connection(CONNECTION_ID)
    except AirflowNotFoundException:
        return None


def _notifier(connection: Connection) -> BaseNotifier:
    if connection.conn_type == "slackwebhook":
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        return SlackWebhookNotifier(
            slack_webhook_conn_id=CONNECTION_ID, text="{{ alert.slack }}", unfurl_links=False
        )
    if connection.conn_type == "smtp":
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        recipients = connection.extra_dejson.get("to_email")
        if not recipients:
            raise ValueError(
                f"the extra of connection {CONNECTION_ID} has no to_email: enter the recipients there, "
                'for example "to_email": "data-engineering@example.com"'
            )
        return SmtpNotifier(
            smtp_conn_id=CONNECTION_ID,
            to=recipients,
            subject="{{ alert.subject }}",
            html_content="{{ alert.email }}",
        )
    raise ValueError(
        f"connection {CONNECTION_ID} is of type {connection.conn_type!r}, not slackwebhook or smtp"
    )


def _redacted(text: str) -> str:
    return str(redact(text))


def _window(context: Mapping[str, Any]) -> str | None:
    """The run's window for people to read; None where the DAG has none."""
    if "window_start" not in context["params"]:
        return None
    try:
        return str(resolve_window(context))
    except (WindowError, KeyError):
        return "cannot be resolved"
