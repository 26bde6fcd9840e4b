"""The page in Airflow's UI: who sees it, what it says, and what it says when there is nothing to say."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import socket
import time
from html.parser import HTMLParser

import psycopg
import pytest
import redshift_connector

from local.settings import METADATA, PAGE_USER, READERS
from local_redshift.embedded.ports import free_port
from sparkify.analytics import PATIENCE_S, Period, questions
from sparkify.report import report
from sparkify.warehouse import GRACE_S, Deadline, DeadlineError, Warehouse, WarehouseError
from sparkify.web.app import create_app, csv_file, topic_page
from sparkify.web.login import CONNECTION_ID, IS_SHARED, page_warehouse
from sparkify.web.page import TOPICS
from sparkify.web.pauses import notices
from sparkify.web.places import PLACES, QUESTIONS_AT_ONCE, Inquiry
from tests.support.api_server import Readers
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
PAGE, CSV = PATHS["/{name}"], PATHS["/answers/{name}.csv"]
#: Answered without a question, but with a place.
WITHOUT_A_QUESTION = "/sparkify/songs?start=x&end=y"
#: More than the API server has threads.
FLOOD = 45
#: Many times of what an answer takes that waits for nothing.
AT_ONCE_S = 5
DEADLINE_S = 2
#: What a machine under load adds.
SLACK_S = 3
HANGS = {"while it connects": {"connections": True}, "after that": {"statements": "sparkify"}}


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
    pipeline.put_empty_days("2018-11-01", "2018-11-05")
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
def server(pipeline, api_server):
    api_server.let_the_page_read()
    return api_server


@pytest.fixture
def dags(server, postgres):
    """Sets what Airflow's database holds of a DAG."""
    with psycopg.connect(postgres.dsn(METADATA), autocommit=True) as metadata:
        metadata.execute("INSERT INTO dag_bundle (name, active) VALUES ('test', TRUE)")

        def enter(dag_id, *, is_paused=False, is_stale=False):
            metadata.execute(
                "INSERT INTO dag (dag_id, is_paused, is_stale, bundle_name, timetable_type, "
                "max_active_tasks, exceeds_max_non_backfill, max_consecutive_failed_dag_runs, "
                "has_task_concurrency_limits, fail_fast, partition_mapper_info) "
                "VALUES (%s, %s, %s, 'test', '', 16, FALSE, 0, FALSE, FALSE, '[]')",
                [dag_id, is_paused, is_stale],
            )

        yield enter
        metadata.execute("DELETE FROM dag WHERE bundle_name = 'test'")
        metadata.execute("DELETE FROM dag_bundle WHERE name = 'test'")


@pytest.fixture(autouse=True)
def _no_airflow(monkeypatch):
    """Pages that the test itself makes have no API server around them."""
    monkeypatch.setattr("sparkify.web.app.notices", list)


@pytest.fixture
def warehouse(pipeline, page_relay):
    yield page_relay
    page_relay.release()


@pytest.fixture
def readers(server, warehouse):
    """Before a server whose places are free; they leave when the test is over."""
    with server.client("vera") as client:
        readers = Readers(server.settings.ports.ui, client.cookies["_token"])
    yield readers
    readers.leave()
    warehouse.release()
    eventually(lambda: place_is_free(server), "the places are free again")


@pytest.fixture
def hanging(warehouse, redshift, monkeypatch):
    """The warehouse that hangs, for questions that the test itself asks."""
    connection = redshift_connection(redshift, warehouse.port)
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
    return warehouse


@pytest.fixture
def waiting(postgres, redshift):
    """Tells how many statements wait for a lock in the PostgreSQL behind."""
    with psycopg.connect(postgres.dsn(redshift.database), autocommit=True) as connection:
        sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        yield lambda: connection.execute(sql).fetchone()[0]


@pytest.fixture
def without_schema(redshift, airflow_connections, postgres, monkeypatch):
    """The connection leads to a database without tables."""
    name = "no_schema"
    postgres.ensure_database(name, "postgres")
    connection = redshift_connection(redshift)
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps({**connection, "schema": name}))


def ask(work, *arguments):
    """What a place makes: `topic_page` or `csv_file`."""
    with Inquiry(Warehouse(), Deadline(PATIENCE_S)) as inquiry:
        return work(*arguments, inquiry)


def page(topic="songs", start="2018-11-01", end="2018-12-01"):
    [asked] = [one for one in TOPICS if one.name == topic]
    response = ask(topic_page, asked, start, end)
    return response.status_code, response.body.decode()


def download(name):
    return ask(csv_file, questions()[name], "2018-11-01", "2018-12-01")


@contextlib.contextmanager
def locked(redshift, table):
    with contextlib.closing(redshift.connect()) as connection:
        connection.cursor().execute(f"LOCK {table}")
        yield


def eventually(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def place_is_free(server):
    with server.client("vera") as client:
        status = client.get(WITHOUT_A_QUESTION).status_code
    assert status in (400, 503)
    return status == 400


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


RAW = "Marker-text-of-a-row"
FOOT = "<footer>"


@pytest.fixture
def rejected(pipeline):
    """A rejected row with its text."""
    pipeline.execute(
        "INSERT INTO sparkify.rejected_rows (run_id, window_start, window_end, source, file_name, reason, "
        "raw_line, rejected_at) VALUES ('r', '2018-11-01', '2018-11-02', 'events', 's3://lake/marker-file', "
        f"'Marker-reason', '{RAW}', '2018-11-02')"
    )
    yield pipeline
    pipeline.execute("DELETE FROM sparkify.rejected_rows")


@pytest.fixture
def page_login(server, redshift):
    """A connection with the page's own login."""
    connection = redshift_connector.connect(
        host="127.0.0.1", port=redshift.port, database=redshift.database, user=PAGE_USER,
        password=server.settings.credentials.page_password, ssl=False,
    )  # fmt: skip
    with contextlib.closing(connection):
        connection.autocommit = True
        yield connection.cursor()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sparkify.songplays",
        "CREATE TABLE sparkify.mine (id INTEGER)",
        "CREATE TABLE staging.mine (id INTEGER)",
        "SELECT COUNT(*) FROM staging.source_files",
        "SELECT raw_line FROM sparkify.rejected_rows",
        "DROP TABLE sparkify.users",
        "ALTER TABLE sparkify.users ADD COLUMN mine INTEGER",
    ],
)
def test_the_pages_login_can_only_read_what_analysts_can(page_login, statement):
    page_login.execute("SELECT COUNT(*) FROM sparkify.songplays")
    assert page_login.fetchall() == ([3],)
    with pytest.raises(redshift_connector.ProgrammingError, match=r"permission denied|must be owner"):
        page_login.execute(statement)


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_the_pages_login_answers_every_question(server, topic):
    with server.client("vera") as client:
        answer = client.get(f"/sparkify/{topic}?{NOVEMBER}")
    assert answer.status_code == 200
    assert 'class="problem"' not in answer.text
    assert FOOT not in answer.text


def test_the_page_asks_with_its_own_login_and_says_what_it_may_not(server, pipeline):
    pipeline.execute(f"REVOKE SELECT ON sparkify.songplays FROM GROUP {READERS}")
    try:
        with server.client("vera") as client:
            answer = client.get(PAGE)
        assert "The page&#39;s login may not read this." in answer.text
        assert "sparkify_readers" in answer.text
    finally:
        server.let_the_page_read()


def test_without_a_login_of_its_own_the_page_says_so(pipeline, redshift, monkeypatch):
    assert page_warehouse().redshift_conn_id == "redshift_default"
    _, html = page()
    assert IS_SHARED.replace("'", "&#39;") in html[html.index(FOOT) :]
    connection = redshift_connection(redshift) | {"login": PAGE_USER}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION_ID.upper()}", json.dumps(connection))
    assert page_warehouse().redshift_conn_id == CONNECTION_ID


def test_nobody_sees_the_text_of_a_rejected_row(server, rejected):
    with server.client("anne") as client:
        shown = [
            client.get(f"/sparkify/data?{NOVEMBER}").text,
            client.get(f"/sparkify/answers/rejected_rows.csv?{NOVEMBER}").text,
            report(Warehouse()),
        ]
    for text in shown:
        assert "marker-file" in text
        assert "Marker-reason" in text
        assert RAW not in text


HOURLY_IS_PAUSED = (
    "The hourly schedule is paused: no new hours are loaded until someone unpauses the DAG sparkify."
)
RECONCILIATION_IS_PAUSED = (
    "The daily reconciliation is paused: late and rewritten log files are not loaded until someone unpauses "
    "the DAG sparkify_reconcile."
)
IS_NOT_KNOWN = "It is not known whether the {} (DAG {}) is paused: Airflow does not find this DAG."
NOT_FOUND = [
    IS_NOT_KNOWN.format(*schedule)
    for schedule in (("hourly schedule", "sparkify"), ("daily reconciliation", "sparkify_reconcile"))
]


@pytest.mark.parametrize(
    ("sparkify", "reconcile", "expected"),
    [
        ({}, {}, []),
        ({"is_paused": True}, {}, [HOURLY_IS_PAUSED]),
        ({}, {"is_paused": True}, [RECONCILIATION_IS_PAUSED]),
        ({"is_paused": True}, {"is_paused": True}, [HOURLY_IS_PAUSED, RECONCILIATION_IS_PAUSED]),
        ({"is_stale": True}, None, NOT_FOUND),
        (None, {}, NOT_FOUND[:1]),
    ],
)
@pytest.mark.parametrize("path", ["/sparkify/", "/sparkify/data?start=x&end=y"])
def test_the_page_says_in_its_head_which_schedule_is_paused(
    server, dags, path, sparkify, reconcile, expected
):
    for dag_id, given in (("sparkify", sparkify), ("sparkify_reconcile", reconcile)):
        if given is not None:
            dags(dag_id, **given)
    with server.client("vera") as client:
        html = client.get(path).text
    Page(html)
    head = html[: html.index("</header>")]
    assert re.findall(r'<p class="notice" role="status">(.*?)</p>', head) == expected


def test_the_page_says_where_airflow_does_not_know_which_schedule_is_paused(monkeypatch):
    def unreachable(**_):
        raise ConnectionError("no database")

    monkeypatch.setattr("airflow.utils.session.create_session", unreachable)
    assert notices() == [
        sentence.replace("Airflow does not find this DAG", "Airflow's database did not answer")
        for sentence in NOT_FOUND
    ]


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
    response = download("top_songs")
    rows = list(csv.reader(io.StringIO(response.body.decode(), newline="")))
    assert rows[0] == ["song_title", "artist_name", "plays", "listeners", "plays_in_catalogue"]
    assert rows[2] == [ODD, "'=1+1", "1", "1", "0"]


def test_csv_says_in_its_name_that_there_may_be_more(pipeline, monkeypatch):
    def name():
        return download("top_songs").headers["content-disposition"]

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
    with warehouse.read_only_transaction(Deadline(7)), warehouse.transaction():
        assert 7 < asked[0]["timeout"] < 20
        # A load may take as long as it takes.
        assert "timeout" not in asked[1]


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_reader_without_a_place_is_told_so_at_once(server, readers, warehouse, hang):
    warehouse.hang(**hang)
    readers.ask(PAGE, PLACES - 1)
    readers.ask(CSV, 1)
    eventually(lambda: warehouse.held >= PLACES, "each place waits for the warehouse")
    with server.client("vera") as client:
        began = time.monotonic()
        page, file, style = (client.get(path) for path in (PAGE, CSV, "/sparkify/static/page.css"))
        assert time.monotonic() - began < AT_ONCE_S
    assert (page.status_code, file.status_code, style.status_code) == (503, 503, 200)
    assert int(page.headers["Retry-After"]) == int(file.headers["Retry-After"]) > 0
    for answer in (page, file):
        assert f"This page serves {PLACES} readers at a time" in answer.text


@pytest.mark.parametrize("path", [PAGE, CSV])
@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_airflow_answers_while_readers_flood_the_page(server, readers, warehouse, hang, path):
    warehouse.hang(**hang)
    with server.client("vera") as client:
        for _ in range(3):
            readers.ask(path, FLOOD)
            eventually(lambda: warehouse.held >= PLACES, "the warehouse is asked")
            began = time.monotonic()
            assert client.get("/api/v2/dags").status_code == 200
            assert time.monotonic() - began < AT_ONCE_S
            readers.leave()


@pytest.mark.parametrize("path", [PAGE, CSV])
def test_airflow_answers_while_downloads_wait_behind_a_lock(server, readers, redshift, waiting, path):
    with locked(redshift, "sparkify.songplays"), server.client("vera") as client:
        readers.ask(path, 2 * FLOOD)
        eventually(lambda: waiting() >= PLACES, "the questions wait")
        for _ in range(5):
            began = time.monotonic()
            assert client.get("/api/v2/dags").status_code == 200
            assert time.monotonic() - began < AT_ONCE_S
        assert waiting() <= PLACES * QUESTIONS_AT_ONCE
        readers.leave()
        eventually(lambda: waiting() == 0, "the statements are ended")


@pytest.mark.parametrize("path", [PAGE, CSV])
def test_who_leaves_leaves_no_statement_and_no_place(server, readers, redshift, waiting, path):
    with locked(redshift, "sparkify.songplays"):
        readers.ask(path, PLACES)
        eventually(lambda: waiting() >= PLACES, "the questions wait")
        assert not place_is_free(server)
        readers.leave()
        eventually(lambda: waiting() == 0, "the statements are ended")
        eventually(lambda: place_is_free(server), "the places are free again")


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_who_leaves_a_warehouse_that_hangs_leaves_no_place(server, readers, warehouse, hang):
    warehouse.hang(**hang)
    readers.ask(PAGE, PLACES)
    eventually(lambda: warehouse.held >= PLACES, "each place waits for the warehouse")
    warehouse.hang(**hang, **({} if "connections" in hang else {"connections": True}))
    readers.leave()
    eventually(lambda: place_is_free(server), "the places are free again")


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_all_questions_together_have_one_deadline(hanging, hang):
    hanging.hang(**hang)
    began = time.monotonic()
    with Inquiry(Warehouse(), Deadline(DEADLINE_S)) as inquiry:
        asked = [(question, 1) for question in questions().values()]
        answers = inquiry.ask(asked, Period.parse("2018-11-01", "2018-12-01"))
        assert time.monotonic() - began < DEADLINE_S + GRACE_S + SLACK_S
    assert len(answers) == len(questions())
    assert {isinstance(answer, WarehouseError) for answer in answers} == {True}
    assert isinstance(answers[-1], DeadlineError)


@pytest.mark.parametrize("silent", [False, True], ids=["the server ends it", "the server is silent"])
def test_a_question_that_takes_too_long_leaves_the_others_answered(hanging, redshift, waiting, silent):
    [topic] = [topic for topic in TOPICS if topic.name == "data"]
    with contextlib.ExitStack() as stack:
        if silent:
            hanging.hang(statements=r"FROM sparkify\.rejected_rows")
        else:
            stack.enter_context(locked(redshift, "sparkify.rejected_rows"))
        began = time.monotonic()
        with Inquiry(Warehouse(), Deadline(DEADLINE_S)) as inquiry:
            response = topic_page(topic, "2018-11-01", "2018-12-01", inquiry)
            assert time.monotonic() - began < DEADLINE_S + GRACE_S + SLACK_S
        assert waiting() == 0
    assert response.status_code == 200
    sections = re.findall(r'<section aria-labelledby="(\w+)".*?</section>', response.body.decode(), re.DOTALL)
    assert sections == [entry.name for entry in topic.entries]
    late = re.findall(
        r'<section aria-labelledby="(\w+)"(?:(?!</section>).)*took too long',
        response.body.decode(),
        re.DOTALL,
    )
    assert late == ["rejected_rows"]


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
        status, html = page(topic.name, "", "")
        assert status == 200
        assert "No hour is certified: nothing has been loaded yet" in html
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
