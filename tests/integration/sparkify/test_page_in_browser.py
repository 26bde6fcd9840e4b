"""The page as a browser shows it: figures, both widths, both themes."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support import reference
from tests.support.browser import NO_CHROMIUM, Browser, find_chromium
from tests.support.months import dataset_month, published, rows, sample_month

pytestmark = pytest.mark.integration

TOPICS = ("songs", "artists", "listeners", "times", "sessions", "levels", "data")
PROGRAM = find_chromium()

#: The figures of a question; the cells of its table.
FIGURES = "[...document.querySelectorAll('[aria-labelledby={}] dd')].map(e => e.textContent)"
CELLS = (
    "[...document.querySelectorAll('[aria-labelledby={}] tbody tr')]"
    ".map(row => [...row.cells].map(e => e.textContent.trim()))"
)
#: What the first columns of a topic's question show, asked in other words.
FIRST_COLUMNS = {
    ("songs", "top_songs"): """
        SELECT song_title, artist_name, COUNT(*), COUNT(DISTINCT user_id) FROM sparkify.songplays
        GROUP BY song_title, artist_name ORDER BY 3 DESC, 1, 2 LIMIT 20""",
    ("songs", "top_songs_in_catalogue"): """
        SELECT s.title, a.name, COUNT(p.songplay_id), COUNT(DISTINCT p.user_id)
        FROM sparkify.songs AS s
        INNER JOIN sparkify.artists AS a ON s.artist_id = a.artist_id
        INNER JOIN sparkify.songplays AS p ON s.song_id = p.song_id
        GROUP BY s.song_id, s.title, a.name ORDER BY 3 DESC, 1, s.song_id LIMIT 20""",
    ("artists", "top_artists"): """
        SELECT artist_name, COUNT(*), COUNT(DISTINCT user_id), COUNT(DISTINCT song_title)
        FROM sparkify.songplays GROUP BY artist_name ORDER BY 2 DESC, 1 LIMIT 20""",
    ("levels", "top_free_users"): """
        SELECT p.user_id, u.first_name, u.last_name, COUNT(*)
        FROM sparkify.songplays AS p
        INNER JOIN sparkify.users AS u ON p.user_id = u.user_id AND u.is_current
        WHERE p.song_id IS NOT NULL AND p.level = 'free'
        GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1 LIMIT 20""",
}
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
def server(api_server, redshift, s3_client, airflow_connections):
    """The page over the sample."""
    api_server.files = sample_month()
    api_server.pipeline = published(redshift, s3_client, api_server.files)
    api_server.let_the_page_read()
    return api_server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip(NO_CHROMIUM)
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


def shown_table(browser, server, cookies, topic, question):
    """The first columns of a question's table, as the page and as the database have them."""
    browser.open(f"{server.url}/sparkify/{topic}?start=2018-11-01&end=2018-12-01", cookies)
    rows = server.pipeline.query(FIRST_COLUMNS[topic, question])
    shown = [row[: len(rows[0])] for row in browser.evaluate(CELLS.format(question))]
    return shown, [[str(value) for value in row] for row in rows]


def test_the_figures_are_those_of_the_files(browser, server, cookies):
    plays = reference.tables(rows(server.files, "log_data"), rows(server.files, "song_data"))["songplays"]
    figures = [len(plays), sum(play[3] is not None for play in plays), len({play[1] for play in plays}), 30]
    browser.open(f"{server.url}/sparkify/?start=2018-11-01&end=2018-12-01", cookies)
    assert browser.evaluate(FIGURES.format("totals")) == [f"{figure:,}" for figure in figures]


@pytest.mark.parametrize(("topic", "question"), FIRST_COLUMNS)
def test_a_table_shows_what_the_database_says(browser, server, cookies, topic, question):
    shown, rows = shown_table(browser, server, cookies, topic, question)
    assert shown == rows
    assert len(shown) == 20


def test_the_script_shows_buttons_that_copy_sql(browser, server, cookies):
    browser.open(f"{server.url}/sparkify/songs", cookies)
    assert browser.evaluate("[...document.querySelectorAll('[data-copy]')].every(e => !e.hidden)")
    browser.evaluate("document.querySelector('.sql').open = true")
    browser.evaluate("document.querySelector('[data-copy]').click()")
    browser.wait_for("/Copied|Selected/.test(document.querySelector('[data-copy]').textContent)")


def test_the_page_over_the_public_dataset(browser, server, cookies, redshift, s3_client, dataset):
    server.pipeline = published(redshift, s3_client, dataset_month(dataset))
    server.let_the_page_read()
    browser.open(f"{server.url}/sparkify/", cookies)
    assert browser.evaluate(FIGURES.format("totals")) == ["6,820", "333", "96", "30"]
    for topic, question in FIRST_COLUMNS:
        shown, rows = shown_table(browser, server, cookies, topic, question)
        assert shown == rows
        assert len(shown) == 20
