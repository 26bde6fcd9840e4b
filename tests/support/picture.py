"""The picture of the page *Sparkify* in README: `make picture`, of the local stack after `make demo`."""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from local.settings import UI_USER, Settings
from local.stack import Stack
from tests.support.browser import NO_CHROMIUM, Browser, find_chromium

MOST_BYTES = 200_000
WIDTH = 1440
HEIGHTS = (1000, 900, 800, 700)
#: The page in a frame beside Airflow's navigation. By default it shows the 30 days up to the latest play.
ADDRESS = "/plugin/sparkify"
ANSWERS = "document.querySelector('iframe')?.contentDocument?.querySelector('#answers section')"


class PictureError(Exception):
    """No picture was taken; the message says why, and what to do."""


def fitting(take: Callable[[int], bytes], heights: Iterable[int] = HEIGHTS) -> bytes:
    """The first picture of at most MOST_BYTES, of the heights in their order.

    :raises PictureError: where none is.
    """
    sizes = []
    for height in heights:
        picture = take(height)
        if len(picture) <= MOST_BYTES:
            return picture
        sizes.append(f"{len(picture):,} bytes at {height} pixels")
    raise PictureError(
        f"The picture has {', '.join(sizes)}; {MOST_BYTES:,} bytes are allowed.\n"
        f"Add a smaller height to HEIGHTS in tests/support/picture.py."
    )


def token(settings: Settings) -> str:
    """What Airflow's UI keeps in its cookie."""
    login = {"username": UI_USER, "password": settings.credentials.ui_password}
    answer = httpx.post(f"{settings.ui_url}/auth/token", json=login, trust_env=False).raise_for_status()
    return answer.json()["access_token"]


def photograph(settings: Settings, program: str) -> bytes:
    """The head of the page and the answers of its first topic as PNG."""
    with tempfile.TemporaryDirectory() as folder, Browser(program, Path(folder) / "chromium") as browser:
        browser.show_as(WIDTH, "light")
        browser.open(settings.ui_url + ADDRESS, {"_token": token(settings)})
        browser.wait_for(f"!!{ANSWERS}")

        def take(height: int) -> bytes:
            browser.show_as(WIDTH, "light", height)
            return base64.b64decode(browser.command("Page.captureScreenshot")["data"])

        return fitting(take)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.picture", description=__doc__)
    parser.add_argument("file", type=Path, help="the PNG file to write")
    file = parser.parse_args().file
    settings = Settings.load()
    try:
        program = find_chromium()
        if program is None:
            raise PictureError(f"{NO_CHROMIUM}.")
        if not Stack(settings).airflow.is_running():
            raise PictureError("Airflow is not running.\nRun `make demo` first.")
        picture = photograph(settings, program)
    except PictureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    file.write_bytes(picture)
    print(f"Written: {file} ({len(picture):,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
