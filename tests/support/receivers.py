"""Where notifications arrive: a Slack webhook and a mail server on 127.0.0.1, each a context manager."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from local_redshift.embedded.ports import free_port


class SlackWebhook:
    """Takes the JSON that Slack's incoming webhooks take.

    :param status: what it answers every request with.
    """

    PATH = "/services/T0000/B0000/webhook-secret"

    def __init__(self, status: int = 200):
        self.messages: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.path == receiver.PATH
                if known and status == 200:
                    receiver.messages.append(json.loads(body))
                self.send_response(status if known else 404)
                self.end_headers()
                self.wfile.write(b"ok" if known and status == 200 else b"no_service")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def connection(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._server.server_port}{self.PATH}"
        return {"conn_type": "slackwebhook", "password": url, "extra": {"timeout": 10}}


class MailServer:
    """Takes mail from one user, by SMTP with a password."""

    USER, PASSWORD = "sparkify", "mail-server-secret"

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            auth_required=True,
            auth_require_tls=False,
        )

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def connection(self) -> dict[str, Any]:
        return {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": self._controller.port,
            "login": self.USER,
            "password": self.PASSWORD,
            "extra": {
                "from_email": "airflow@example.com",
                "to_email": "on-call@example.com, lead@example.com",
                "disable_ssl": True,
                "disable_tls": True,
                "timeout": 10,
            },
        }

    async def handle_DATA(self, server, session, envelope) -> str:
        self.recipients += envelope.rcpt_tos
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def _authenticate(self, server, session, envelope, mechanism, given) -> AuthResult:
        expected = LoginPassword(self.USER.encode(), self.PASSWORD.encode())
        return AuthResult(success=given == expected)
