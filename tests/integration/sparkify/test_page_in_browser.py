"""The page as a browser shows it: figures of the public dataset, both widths, both themes."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.api_server import ApiServer
from tests.support.browser import Browser, find_chromium
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

TOPICS = ("songs", "listeners", "times", "levels", "data")
PROGRAM = find_chromium()

FIGURES = "[...document.querySelectorAll('[aria-labelledby=totals] dd')].map(e => e.textContent)"
SONG = (
    "[...document.querySelector('[aria-labelledby=top_songs] tbody tr').cells].map(e => e.textContent.trim())"
)
#: What sticks out to the right of the page, other than within what scrolls.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: The lightness of the paper and of the ink, 0 to 255.
COLOURS = (
    "['backgroundColor', 'color'].map(name => "
    "Math.max(...getComputedStyle(document.body)[name].match(/\\d+/g).map(Number)))"
)
AXE = (files("axe_core_python") / "axe.min.js").read_text()
#: What axe, the accessibility engine, finds of these weights.
FAULTS = """axe.run().then(result => result.violations
    .filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 100)).join(' ')}`))"""


@pytest.fixture(scope="module")
def server(redshift, s3_client, airflow_connections, dataset, postgres, tmp_path_factory):
    """The page over the logs of the public dataset."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    logs = {f"log_data/2018/11/{path.name}": path.read_bytes() for path in dataset.rglob("*-events.json")}
    pipeline.put(logs)
    pipeline.load("2018-11-01 00:00", "2018-12-01 00:00")
    server = ApiServer(tmp_path_factory.mktemp("api-server"), postgres, redshift)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("No Chromium on this machine (Debian and Ubuntu: apt install chromium)")
    with Browser(PROGRAM, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def cookies(server):
    with server.client("vera") as client:
        return dict(client.cookies)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Where screenshots go: the folder SPARKIFY_SCREENSHOTS, or a temporary one."""
    named = os.environ.get("SPARKIFY_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_topic_fits_the_window_and_follows_its_theme(
    browser, server, cookies, pictures, topic, scheme, width
):
    browser.show_as(width, scheme)
    browser.open(f"{server.url}/sparkify/{topic}", cookies)
    (pictures / f"{topic}-{width}-{scheme}.png").write_bytes(browser.screenshot())
    assert browser.evaluate(OVERFLOW) == 0
    paper, ink = browser.evaluate(COLOURS)
    assert (paper > 200 > 60 > ink) if scheme == "light" else (ink > 200 > 60 > paper)
    # Nor did its Content-Security-Policy stop anything.
    assert browser.problems == []
    browser.evaluate(AXE)
    assert browser.evaluate(FAULTS) == []


def test_the_figures_are_those_of_the_dataset(browser, server, cookies):
    browser.open(f"{server.url}/sparkify/", cookies)
    assert browser.evaluate(FIGURES) == ["6,820", "0", "96", "30"]
    assert browser.evaluate(SONG)[:3] == ["You're The One", "Dwight Yoakam", "37"]


def test_the_script_shows_buttons_that_copy_sql(browser, server, cookies):
    browser.open(f"{server.url}/sparkify/songs", cookies)
    assert browser.evaluate("[...document.querySelectorAll('[data-copy]')].every(e => !e.hidden)")
    browser.evaluate("document.querySelector('.sql').open = true")
    browser.evaluate("document.querySelector('[data-copy]').click()")
    browser.wait_for("/Copied|Selected/.test(document.querySelector('[data-copy]').textContent)")
