"""The page in Airflow's UI: who sees it, what it says, and what it says when there is nothing to say."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from html.parser import HTMLParser

import pytest
import redshift_connector

from local_redshift.embedded.ports import free_port
from sparkify.analytics import Answer, questions
from sparkify.report import report
from sparkify.warehouse import Warehouse, WarehouseError
from sparkify.web.app import create_app, download, show_topic
from sparkify.web.page import TOPICS, as_csv
from tests.support.api_server import ApiServer
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.servers import redshift_connection
from tests.support.source import event, song
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

NOVEMBER = "start=2018-11-01&end=2018-12-01"
PATHS = {
    "/": "/sparkify/",
    "/{name}": f"/sparkify/songs?{NOVEMBER}",
    "/answers/{name}.csv": f"/sparkify/answers/top_songs.csv?{NOVEMBER}",
    "/static/{name}": "/sparkify/static/page.css",
}
ODD = '<script>alert("1")</script> & Sons'


class Page(HTMLParser):
    """A page's tables by the question that they answer, and whatever could run or come from elsewhere."""

    VOID = frozenset(["meta", "link", "input", "rect"])

    def __init__(self, html: str):
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.headings: list[str] = []
        self.without_rows: list[str] = []
        self.outside: list[str] = []
        self.inline: list[str] = []
        self._open: list[str] = []
        self._question = ""
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in self.VOID:
            self._open.append(tag)
        self.outside += [v for k, v in attributes if k in ("src", "href") and re.match(r"\w+:|//", v)]
        self.inline += [f"{tag} {k}" for k, _ in attributes if k == "style" or k.startswith("on")]
        if tag == "h3":
            self._question = given["id"]
        elif tag == "dl":
            self.tables[self._question] = [[], []]
        elif tag == "tr":
            self.tables.setdefault(self._question, []).append([])
        elif tag in ("dt", "dd"):
            self.tables[self._question][tag == "dd"].append("")
        elif tag in ("td", "th"):
            self.tables[self._question][-1].append("")

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("td", "th", "dt", "dd"):
            row = 0 if self._open[-1] == "dt" else -1
            self.tables[self._question][row][-1] += data.strip()
        if data.startswith("No rows"):
            self.without_rows.append(self._question)
        if self._open and self._open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)

    def is_answered(self, question):
        """Whether it has rows, or says that there are none."""
        return len(self.tables.get(question, [])) > 1 or question in self.without_rows


@pytest.fixture(scope="module")
def pipeline(redshift, s3_client, airflow_connections):
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    pipeline.put_events(
        event("2018-11-01 10:00", 8),
        event("2018-11-01 11:00", 8, itemInSession=1),
        event("2018-11-03 10:00", 9, song=ODD, artist="=1+1", level="paid"),
    )
    pipeline.put_songs(song())
    pipeline.load("2018-11-01 00:00", "2018-11-02 00:00")
    pipeline.load("2018-11-03 00:00", "2018-11-05 00:00")
    return pipeline


@pytest.fixture(scope="module")
def server(pipeline, postgres, redshift, tmp_path_factory):
    server = ApiServer(tmp_path_factory.mktemp("api-server"), postgres, redshift)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def without_schema(redshift, airflow_connections, postgres, monkeypatch):
    """The connection leads to a database without tables."""
    name = "no_schema"
    postgres.ensure_database(name, "postgres")
    connection = redshift_connection(redshift)
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps({**connection, "schema": name}))


def page(topic="songs", start="2018-11-01", end="2018-12-01"):
    response = show_topic(topic, start, end)
    return response.status_code, response.body.decode()


def test_every_route_is_in_the_tests():
    assert {route.path for route in create_app().routes} == set(PATHS)


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize(("user", "status"), [("", 401), ("noah", 403), ("vera", 200), ("anne", 200)])
def test_airflow_decides_who_sees_what(server, path, user, status):
    with server.client(user) as client:
        assert client.get(path).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(server, method):
    with server.client("anne") as client:
        assert {client.request(method, path).status_code for path in PATHS.values()} == {405}


def test_the_page_is_in_the_navigation(server):
    with server.client("anne") as client:
        plugins = client.get("/api/v2/plugins").json()["plugins"]
        assert client.get("/api/v2/plugins/importErrors").json()["total_entries"] == 0
    [plugin] = [plugin for plugin in plugins if plugin["name"] == "sparkify"]
    [view] = plugin["external_views"]
    assert (view["destination"], view["href"]) == ("nav", "/sparkify/")


def test_the_served_page_shows_what_the_warehouse_holds(server):
    with server.client("vera") as client:
        answer = client.get("/sparkify/")
    served = Page(answer.text)
    assert served.tables["totals"][1] == ["3", "2", "2", "2"]
    assert served.tables["top_songs"][1:] == [
        ["Supermassive Black Hole", "Muse", "2", "1", "2"],
        [ODD, "=1+1", "1", "1", "0"],
    ]
    assert "Certified from 2018-11-01 00:00 up to <strong>2018-11-05 00:00 UTC" in answer.text
    assert "24 hours are missing" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_a_topic_shows_its_questions_with_sql_and_csv_and_nothing_from_elsewhere(pipeline, topic):
    status, html = page(topic)
    assert status == 200
    served = Page(html)
    [entries] = [t.entries for t in TOPICS if t.name == topic]
    for entry in entries:
        assert entry.question.title in served.headings
        assert f'href="answers/{entry.name}.csv?' in html
        assert served.is_answered(entry.name)
    assert 'class="problem"' not in html
    assert (served.outside, served.inline) == ([], [])
    assert "alert(&#34;1&#34;)" in html or topic != "songs"
    assert "<script>alert" not in html


def test_a_chart_keeps_the_place_of_certified_days_without_plays(pipeline):
    _, html = page("listeners")
    assert 'viewBox="0 0 4 100"' in html
    assert "Column chart of users by day, 2018-11-01 to 2018-11-04; highest at 2018-11-01 with 1." in html


def test_csv_holds_the_rows_and_no_formulas(pipeline):
    response = download("top_songs", "2018-11-01", "2018-12-01")
    rows = list(csv.reader(io.StringIO(response.body.decode(), newline="")))
    assert rows[0] == ["song_title", "artist_name", "plays", "listeners", "plays_in_catalogue"]
    assert rows[2] == [ODD, "'=1+1", "1", "1", "0"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1"])
def test_text_that_a_spreadsheet_would_run_is_led_by_an_apostrophe(text):
    answer = Answer(questions()["top_songs"], 10, ("song_title", "plays"), ((text, -1), ("a;" + text, 0)))
    rows = list(csv.reader(io.StringIO(as_csv(answer), newline="")))
    assert rows[1:] == [["'" + text, "-1"], ["a;" + text, "0"]]
    assert f'"a;{text}",0' in as_csv(answer)


def test_csv_says_in_its_name_that_there_may_be_more(pipeline, monkeypatch):
    def name():
        return download("top_songs", "2018-11-01", "2018-12-01").headers["content-disposition"]

    assert name() == 'attachment; filename="top_songs.csv"'
    monkeypatch.setattr("sparkify.analytics.MOST_ROWS", 1)
    assert name() == 'attachment; filename="top_songs-first-1.csv"'


def test_a_period_that_cannot_be_is_told_with_what_to_enter(pipeline):
    status, html = page(start="2018-12-01", end="1' OR 'a")
    assert status == 400
    assert "Enter it as 2018-11-01" in html
    assert "1&#39; OR &#39;a" in html
    Page(html)


def test_a_period_without_plays_is_an_answer(pipeline):
    status, html = page("listeners", "2017-01-01", "2017-02-01")
    assert status == 200
    assert "No rows in this period." in html


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_the_whole_calendar_is_a_period(pipeline, topic):
    status, html = page(topic, "0001-01-01", "9999-12-31")
    assert status == 200
    assert 'class="problem"' not in html


def test_a_warehouse_without_tables_names_the_dag_to_run(without_schema):
    status, html = page()
    assert status == 503
    assert "Run the DAG sparkify_schema" in html
    Page(html)


def test_a_warehouse_that_is_down_gives_a_readable_page(monkeypatch):
    connection = {"conn_type": "redshift", "host": "127.0.0.1", "port": free_port(), "extra": {"ssl": False}}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
    status, html = page()
    assert status == 503
    assert "The warehouse does not answer." in html
    assert "127.0.0.1" not in html
    Page(html)


def test_a_warehouse_that_says_nothing_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = {"conn_type": "redshift", "host": "127.0.0.1", "port": silent.getsockname()[1]}
        extra = {"ssl": False, "timeout": 1}
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps({**connection, "extra": extra}))
        assert page()[0] == 503


def test_a_reader_waits_little_longer_than_the_server_may_take(pipeline, monkeypatch):
    asked = []
    connect = redshift_connector.connect
    monkeypatch.setattr(
        redshift_connector, "connect", lambda **given: asked.append(given) or connect(**given)
    )
    warehouse = Warehouse()
    with warehouse.read_only_transaction(7), warehouse.transaction():
        assert 7 < asked[0]["timeout"] < 20
        # A load may take as long as it takes.
        assert "timeout" not in asked[1]


def test_the_report_holds_every_answer_in_one_file(pipeline):
    html = report(Warehouse())
    written = Page(html)
    assert written.tables["top_songs"][1] == ["Supermassive Black Hole", "Muse", "2", "1", "2"]
    assert {e.question.title for topic in TOPICS for e in topic.entries} <= set(written.headings)
    assert [e.name for topic in TOPICS for e in topic.entries if not written.is_answered(e.name)] == []
    assert 'class="problem"' not in html
    assert written.outside == written.inline == []
    assert not re.search(r"<script|<link|url\(|@import", html)


def test_an_empty_warehouse_gives_a_readable_page(redshift, s3_client, airflow_connections):
    Pipeline(redshift, s3_client, ("", "")).create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    for topic in TOPICS:
        response = show_topic(topic.name)
        assert response.status_code == 200
        html = response.body.decode()
        assert "Nothing is loaded yet." in html
        assert 'class="problem"' not in html
        assert all(Page(html).is_answered(entry.name) for entry in topic.entries)


def test_the_report_is_written_by_a_task_and_takes_the_place_of_the_one_before(pipeline):
    dag = load_dag("sparkify_report")
    for number in range(2):
        run = PipelineRun(dag, {"days": 7}, variables={**pipeline.variables, "sparkify_work_prefix": "p"})
        uri = run.run_task("write_report", try_number=number + 1)
        assert uri == f"s3://{pipeline.work_bucket}/p/reports/sparkify.html"
    body = written_report(pipeline)
    assert b"<html" in body
    assert len(pipeline.work_objects()) == 1
    pipeline.execute("ALTER TABLE sparkify.load_history RENAME COLUMN log_files TO files")
    with pytest.raises(WarehouseError, match=r"1 question\(s\) have no answer \(last_loads\)"):
        run.run_task("write_report", try_number=3)
    pipeline.execute("ALTER TABLE sparkify.load_history RENAME COLUMN files TO log_files")
    assert written_report(pipeline) == body


def written_report(pipeline):
    return pipeline.s3.get_object(Bucket=pipeline.work_bucket, Key="p/reports/sparkify.html")["Body"].read()
