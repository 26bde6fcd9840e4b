"""Airflow's UI, used as a person does: fields are typed into, buttons are found by what they say."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.browser import Browser

DIALOG = "[role=dialog][data-state=open]"


class AirflowUi:
    """A person at a browser, whose screenshots are kept in `pictures`."""

    def __init__(self, browser: Browser, url: str, pictures: Path):
        self.browser = browser
        self.url = url
        self.pictures = pictures
        pictures.mkdir(parents=True, exist_ok=True)

    def log_in(self, user: str, password: str) -> None:
        self.open("/")
        self.type("input[name=username]", user)
        self.type("input[name=password]", password)
        self.click("button", "Sign in")
        self.browser.wait_for("location.pathname === '/'")

    def open(self, path: str) -> None:
        self.browser.open(self.url + path, {})

    def sees(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.browser.wait_for(f"document.body.innerText.includes({json.dumps(text)})")

    def type(self, selector: str, text: str) -> None:
        """Put a text in place of what a field holds."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.browser.wait_for(f"!!{field}")
        self.browser.evaluate(f"{field}.focus(), {field}.select()")
        self.browser.command("Input.insertText", text=text)
        self.browser.evaluate(f"{field}.blur()")

    def click(self, selector: str, text: str = "", number: int = 0) -> None:
        """Click what can be clicked, shows the text, and is the n-th of these."""
        found = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".filter(e => !e.disabled && e.innerText.trim().includes({json.dumps(text)}))[{number}]"
        )
        self.browser.wait_for(f"!!{found}")
        self.browser.evaluate(f"{found}.click()")

    def enter_moment(self, number: int, day: str, time: str) -> None:
        """Enter a day, `2018/11/02`, and a time into the n-th date field of a form."""
        self.click("[data-testid=datetime-input]", number=number)
        self.type("[data-state=open] input[placeholder='YYYY/MM/DD']", day)
        self.type("[data-state=open] input[placeholder='HH:mm']", time)
        self.press("Escape")
        self.browser.wait_for("!document.querySelector(\"[data-state=open] input[placeholder='HH:mm']\")")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.browser.command("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def trigger(self, dag_id: str, *moments: tuple[str, str]) -> str:
        """Trigger a DAG by the form, with these days and times as its window; the run's id."""
        self.open(f"/dags/{dag_id}")
        self.click("button", "Trigger")
        self.sees("Window start (UTC, inclusive)")
        self.picture("1-form")
        # The first date of the form is the logical date.
        for number, moment in enumerate(moments, 1):
            self.enter_moment(number, *moment)
        self.picture("2-form-filled")
        self.click("[data-testid=trigger-dag-submit]")
        self.browser.wait_for("location.pathname.includes('/runs/manual__')")
        return self.browser.evaluate("decodeURIComponent(location.pathname.split('/runs/')[1])")

    def start_backfill(self, dag_id: str, *moments: tuple[str, str], count: int) -> None:
        """Start a backfill from the one to the other by the same form, which announces so many runs."""
        self.open(f"/dags/{dag_id}")
        self.click("button", "Trigger")
        self.click("input[type=radio][value=backfill]")
        self.sees("Date Range")
        for number, moment in enumerate(moments):
            self.enter_moment(number, *moment)
        self.sees(f"{count} runs will be triggered")
        self.picture("5-backfill")
        self.click("button", "Run Backfill")
        self.sees("Backfill in progress")

    def picture(self, name: str) -> None:
        (self.pictures / f"{name}.png").write_bytes(self.browser.screenshot())
