"""Headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: Why a test is skipped; pytest's summary shows it at the end of a run.
NO_CHROMIUM = (
    "No Chromium on this machine: nothing is tested in a browser (Debian and Ubuntu: apt install chromium)"
)
DEADLINE_S = 30
#: Without these Chromium looks for its vendor's hosts at every start.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
)


NAVIGATED = "Inspected target navigated or closed"


class NavigatedError(Exception):
    """The page that was asked gave way to another one."""


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One tab of a Chromium with a profile of its own in `folder`; use it as a context manager."""

    def __init__(self, program: str, folder: Path):
        self._folder = folder
        self._numbers = itertools.count(1)
        self._opened = ExitStack()
        self.problems: list[str] = []
        self._process = subprocess.Popen(
            [
                *(program, "--headless", "--no-sandbox", "--disable-gpu", *QUIET),
                *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Browser:
        port = self._port()
        targets = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
        [url] = [t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page"]
        self._socket = self._opened.enter_context(connect(url, max_size=None, proxy=None, ping_interval=None))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
        self._process.terminate()
        self._process.wait(DEADLINE_S)

    def show_as(self, width: int, scheme: str, height: int = 900) -> None:
        """Be a window of that size in the colour scheme `light` or `dark`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str, cookies: dict[str, str]) -> None:
        """Load a page to its end. What the console says from here on is in `problems`."""
        self.problems = []
        for name, value in cookies.items():
            self.command("Network.setCookie", name=name, value=value, url=url)
        self.command("Page.navigate", url=url)
        self._wait("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Return as soon as a JavaScript expression holds in the page."""
        end = time.monotonic() + DEADLINE_S
        while True:
            # It may be about to go to another page, which is asked next.
            with suppress(NavigatedError):
                if self.evaluate(expression):
                    return
            assert time.monotonic() < end, f"{expression} does not hold after {DEADLINE_S} s"
            time.sleep(0.05)

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        answer = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == number:
                if message.get("error", {}).get("message") == NAVIGATED:
                    raise NavigatedError(message)
                assert "error" not in message, message
                return message["result"]

    def _wait(self, event: str) -> None:
        while self._receive().get("method") != event:
            pass

    def _receive(self) -> dict[str, Any]:
        message = json.loads(self._socket.recv(DEADLINE_S))
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.problems.append(json.dumps(message["params"]))
        return message

    def _port(self) -> int:
        file = self._folder / "DevToolsActivePort"
        end = time.monotonic() + DEADLINE_S
        while not (file.exists() and file.read_text()):
            assert self._process.poll() is None, "Chromium ended while starting"
            assert time.monotonic() < end, "Chromium did not start"
            time.sleep(0.05)
        return int(file.read_text().split()[0])
