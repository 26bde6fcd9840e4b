"""Redshift Serverless's API over HTTP, as far as the DAGs and the hook use it; moto has none of it.

JSON 1.1: the action is in the header X-Amz-Target, errors name themselves in `__type`. What was made is
CREATING when it is first asked for, and AVAILABLE from then on; what was deleted is DELETING once more, and
then gone.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "arn:aws:redshift-serverless:us-west-2:123456789012"
ENDPOINT = {"address": "sparkify.123456789012.us-west-2.redshift-serverless.amazonaws.com", "port": 5439}


class Refusal(Exception):
    """An answer with status 400; the first argument is the error's name."""


class LocalServerless:
    """Namespaces and workgroups by name, and the requests that were made."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, dict[str, Any]]] = {"Namespace": {}, "Workgroup": {}}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.url = ""

    def answer(self, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.requests.append((action, arguments))
        if action == "GetCredentials":
            return {"dbUser": "IAM:etl", "dbPassword": "temporary-password", "expiration": 4102444800}
        if action == "ListTagsForResource":
            return {"tags": self._tags(arguments["resourceArn"])}
        for kind, found in self.resources.items():
            key = kind.lower()
            if not action.endswith(kind):
                continue
            name = arguments[f"{key}Name"]
            if action.startswith("Create"):
                if name in found:
                    raise Refusal("ConflictException")
                found[name] = self._made(kind, name, arguments)
            elif name not in found:
                raise Refusal("ResourceNotFoundException")
            if action.startswith("Delete"):
                if kind == "Namespace" and self.resources["Workgroup"]:
                    raise Refusal("ConflictException")
                found[name] |= {"status": "DELETING", "next": ""}
            shown = {k: v for k, v in found[name].items() if k not in ("next", "tags")}
            if kind == "Workgroup" and shown["status"] == "AVAILABLE":
                shown["endpoint"] = ENDPOINT
            if action.startswith("Get"):
                self._advance(found, name)
            return {key: shown}
        raise Refusal("ValidationException")

    def _made(self, kind: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        made = {
            **arguments,
            f"{kind.lower()}Arn": f"{ACCOUNT}:{kind.lower()}/{name}-id",
            "status": "CREATING",
            "next": "AVAILABLE",
        }
        if kind == "Namespace":
            roles = arguments.get("iamRoles", [])
            made["iamRoles"] = [f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in roles]
        return made

    def _tags(self, arn: str) -> list[dict[str, str]]:
        for kind, found in self.resources.items():
            for resource in found.values():
                if resource[f"{kind.lower()}Arn"] == arn:
                    return list(resource.get("tags", []))
        raise Refusal("ResourceNotFoundException")

    def _advance(self, found: dict[str, dict[str, Any]], name: str) -> None:
        following = found[name]["next"]
        if following:
            found[name]["status"] = following
        else:
            del found[name]


@contextmanager
def serverless():
    """The API on a free port of 127.0.0.1."""
    local = LocalServerless()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].partition(".")[2]
            try:
                status, answer = 200, local.answer(action, body)
            except Refusal as refusal:
                status, answer = 400, {"__type": refusal.args[0], "message": f"{action} is refused"}
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    local.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield local
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
