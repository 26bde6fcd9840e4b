"""The standard kinds of checks on real rows, checks that break, and what is certified."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.checks import CONDITIONS, COUNT_ROWS, Check, read_checks
from sparkify.operators import quality
from sparkify.paths import SQL
from sparkify.window import HOUR
from sparkify.work import Run
from tests.support.months import NOVEMBER, sample_month
from tests.support.source import event, page, song

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
TABLE = "CREATE TABLE staging.judged (id INTEGER, kind VARCHAR(8), began TIMESTAMP, ended TIMESTAMP)"
ROWS = [
    (1, "'a'", "'2018-11-01 00:00'", "'2018-11-01 06:00'"),
    (1, "'b'", "'2018-11-01 05:00'", "'2018-11-01 09:00'"),
    (2, "NULL", "'2018-11-01 05:00'", "'2018-11-01 20:30'"),
    (3, "'a'", "'2018-11-01 21:00'", "NULL"),
]
JUDGED = {
    "not_null": ({"columns": ["kind", "ended"]}, (2, 4)),
    "unique": ({"columns": ["id"]}, (1, 4)),
    "accepted_values": ({"column": "kind", "values": ["a"]}, (1, 4)),
    "relationship": ({"column": "id", "to": ["staging.parents"], "to_column": "id"}, (3, 4)),
    "no_overlap": ({"key": "id", "from": "began", "to": "ended"}, (1, 4)),
    "match_rate": ({"column": "kind"}, (3, 4)),
    "reconciliation": ({"whole": "SELECT 10", "parts": {"a": "SELECT 4", "b": "SELECT 5"}}, (1, 10)),
}
EMPTY = dict.fromkeys(JUDGED, (0, 0)) | {"reconciliation": (1, 10)}


@pytest.fixture
def ask(pipeline):
    """What the query of a standard kind gives for the table `staging.judged`."""
    pipeline.execute(
        TABLE,
        "CREATE TABLE staging.parents (id INTEGER)",
        # A parent that occurs twice: each child counts once all the same.
        "INSERT INTO staging.parents VALUES (2), (2)",
    )
    task, context = pipeline.new_run(*DAY).rendered("run_quality_checks")

    def observed(kind, fields):
        condition = CONDITIONS.get(kind)
        query = COUNT_ROWS if condition else f"checks/{kind}.sql"
        check = Check("judged", kind, "", query, fields, error_if="> 0", condition=condition)
        one = task._rendered_check(check, {**task.sql_context(context), "candidate": "staging.judged"})
        [row] = pipeline.query(one.query)
        assert pipeline.query(task._together([one])) == [(1, *row)]
        return tuple(None if value is None else int(value) for value in row)

    return observed


def test_each_standard_kind_counts_what_is_wrong_and_what_it_looked_at(pipeline, ask):
    for row in ROWS:
        pipeline.execute(f"INSERT INTO staging.judged VALUES ({', '.join(map(str, row))})")
    assert {kind: ask(kind, fields) for kind, (fields, _) in JUDGED.items()} == {
        kind: counts for kind, (_, counts) in JUDGED.items()
    }


def test_each_standard_kind_tells_that_a_table_is_empty(ask):
    assert {kind: ask(kind, fields) for kind, (fields, _) in JUDGED.items()} == EMPTY


def asked_both_ways(run) -> int:
    """Ask the checks of each folder alone and together; how many there are."""
    task, context = run.rendered("run_quality_checks")
    candidates = task._candidates(context)
    work = Run.from_context(context)
    relations = {f"staging/{source}": work.table(source) for source in task.sources}
    relations |= {candidate.table: candidate.work_table(work) for candidate in candidates}
    with task.warehouse.reading() as transaction:
        names = task._names(context, work, transaction)
        staged = task._staged(context, work, transaction)
    for compares in (False, True):
        folders = list(task._rendered({**names, "compares_songs": compares}, relations, staged))
        together = task._judge(folders)
        assert together == task._judge([[one] for checks in folders for one in checks])
        assert not [result for result in together if "the query" in result.detail]
    return len(together)


def test_checks_find_the_same_alone_and_together(pipeline):
    pipeline.put_month(sample_month())
    run = pipeline.new_run(*NOVEMBER)
    run.run(before="run_quality_checks")
    count = asked_both_ways(run)
    run.run(since="run_quality_checks")
    # What is published is compared with less, other and bad rows.
    pipeline.put_events(
        event("2018-11-01 10:00"),
        event("2018-11-01 10:00", song="Starlight"),
        event("2018-11-01 11:00", gender=" f ", method="get", auth="x", firstName=None),
        page("2018-11-01 10:01", user=9, level=None),
        page("2018-11-01 10:02", page="Thumbs Up"),
    )
    pipeline.put_songs(song("SO1", duration=0), song("SO2", title=" ", artist_latitude=91))
    run = pipeline.new_run("2018-11-01 09:00", "2018-11-01 12:00")
    run.run(before="run_quality_checks")
    assert asked_both_ways(run) == count


def test_checks_of_empty_tables_find_the_same_alone_and_together(pipeline):
    run = pipeline.new_run(*DAY)
    run.run(before="run_quality_checks")
    assert asked_both_ways(run) > 40


def test_one_statement_asks_the_checks_of_a_folder(pipeline, caplog):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(song())
    run = pipeline.new_run(*DAY)
    run.run(before="run_quality_checks")
    caplog.clear()
    run.run_task("run_quality_checks")
    asked = [line for line in caplog.messages if re.match(r"(\d+ )?checks? ", line)]
    assert len(asked) == len(list(SQL.rglob("checks.yaml")))
    for check in read_checks(SQL / "time" / "checks.yaml"):
        assert [line.split(" (")[0] for line in asked if f" {check.name}" in line or f"({check.name}" in line]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("SELECT 1 / 0, 1", "division by zero"),
        ("SELECT no_column, 1 FROM sparkify.users", "no_column"),
        ("SELECT 1", "returned [(1,)]"),
        ("SELECT 1, 1 WHERE 1 = 0", "returned []"),
        ("SELECT 1, 1 UNION ALL SELECT 2, 2", "returned [("),
        ("SELECT 'many', 1", "returned [('many', 1)]"),
    ],
)
def test_a_broken_check_takes_no_other_with_it(pipeline, monkeypatch, query, detail):
    def with_broken(path):
        broken = [Check("time", "broken", "nothing", query, warn_if="> 0")]
        return [*(broken if path.parent.name == "time" else []), *read_checks(path)]

    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.load(*DAY)
    kept = (
        "SELECT table_name || check_name, status, observed, rows_checked "
        "FROM sparkify.quality_results WHERE run_id = '{}'"
    )
    monkeypatch.setattr(quality, "read_checks", with_broken)
    run = pipeline.new_run(*DAY)
    run.run(before="run_quality_checks")
    assert len(run.run_task("run_quality_checks")) == 5
    results = {name: tuple(row) for name, *row in pipeline.query(kept.format(run.run_id))}
    assert results.pop("timebroken") == ("warned", None, None)
    assert detail in result(pipeline, "time.broken")[3]
    monkeypatch.undo()
    run.run_task("run_quality_checks", try_number=2)
    for name, *row in pipeline.query(kept.format(run.run_id)):
        assert name == "timebroken" or results[name] == tuple(row)


def test_every_check_runs_though_queries_fail(pipeline, monkeypatch):
    """One query that is no SQL and one of a missing table, in the first set of checks."""

    def with_broken(path):
        broken = [
            Check("staging/events", "no_sql", "nothing", "SELECT FROM WHERE", error_if="> 0"),
            Check(
                "staging/events", "no_table", "nothing", "SELECT COUNT(*), 1 FROM staging.none", warn_if="> 0"
            ),
        ]
        return [*(broken if path.parent.name == "events" else []), *read_checks(path)]

    monkeypatch.setattr(quality, "read_checks", with_broken)
    pipeline.put_events(event("2018-11-01 10:00"))
    count = 2 + sum(len(read_checks(path)) for path in SQL.rglob("checks.yaml"))
    with pytest.raises(AirflowFailException, match=rf"1 of {count} checks failed.*no_sql observed nothing"):
        pipeline.load(*DAY)
    rows = pipeline.query("SELECT check_name, status, detail FROM sparkify.quality_results")
    assert len(rows) == count
    broken = {name: (status, detail) for name, status, detail in rows if name in ("no_sql", "no_table")}
    assert broken["no_sql"][0] == "failed"
    assert broken["no_table"][0] == "warned"
    assert "staging.none" in broken["no_table"][1]
    assert pipeline.table("songplays") == []


def test_an_hour_without_rows_is_shown_as_skipped_and_warns_that_its_log_is_empty(pipeline):
    pipeline.put_songs(song())
    quality = pipeline.load(*DAY).xcoms["run_quality_checks", "quality"]
    assert quality["failed"] == 0
    assert quality["skipped"] > quality["passed"] > 0
    assert [sentence.split()[0] for sentence in quality["sentences"]] == [
        "staging/events.logs_hold_events",
        "staging/events.logs_are_fresh",
    ]


def test_thresholds_absolute_and_in_percent_are_kept_with_the_results(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(song())
    pipeline.load(*DAY, max_rejected_rows=3)
    kept = {
        (table, name): row
        for table, name, *row in pipeline.query(
            "SELECT table_name, check_name, status, observed, rows_checked, warn_if, error_if "
            "FROM sparkify.quality_results"
        )
    }
    assert kept["songplays", "natural_key_is_unique"] == ["passed", 0.0, 1, None, "> 0"]
    assert kept["songplays", "plays_find_their_song"] == ["skipped", 1.0, 1, "< 1 %", None]
    assert kept["staging/events", "rejected_rows_are_within_the_budget"] == ["passed", 0.0, 1, "> 0", "> 3"]


def test_tries_of_one_second_keep_their_order(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run(*DAY)
    run.run(upto="run_quality_checks")
    kept = "SELECT DISTINCT checked_at FROM sparkify.quality_results"
    [first] = pipeline.query(kept)
    run.run_task("run_quality_checks")
    [last] = set(pipeline.query(kept)) - {first}
    assert first < last


def result(pipeline, name):
    """Status, observed, rows and detail of a check, by its table and name."""
    [row] = pipeline.query(
        "SELECT status, observed, rows_checked, detail FROM sparkify.quality_results "
        f"WHERE table_name || '.' || check_name = '{name}' ORDER BY checked_at DESC LIMIT 1"
    )
    return row


@pytest.mark.parametrize(
    ("column", "check", "good", "bad"),
    [
        ("page", "pages_are_known", ["NextSong", "Submit Downgrade"], [" Home", "Thumbs Up"]),
        ("auth", "auths_are_known", ["Logged In", "Logged Out", None], ["", "Logged Out "]),
        ("gender", "genders_are_known", ["F", "M", "", " ", None], ["f", "X"]),
        ("method", "methods_are_known", ["GET", "PUT", None], ["", "get"]),
    ],
)
def test_a_value_that_is_not_known_warns_with_its_rows(pipeline, column, check, good, bad):
    def put(values):
        pipeline.put_events(
            *[event("2018-11-01 10:00", itemInSession=n, **{column: value}) for n, value in enumerate(values)]
        )

    put(good)
    pipeline.load(*DAY)
    assert result(pipeline, f"staging/events.{check}")[:3] == ("passed", 0, len(good))
    put([*good, *bad, bad[1]])
    pipeline.load(*DAY)
    assert result(pipeline, f"staging/events.{check}") == (
        "warned", 3, len(good) + 3, f'"{bad[1]}" in 2 row(s); "{bad[0]}" in 1 row(s)'
    )  # fmt: skip
    pipeline.load("2018-11-01 05:00", "2018-11-01 06:00")
    assert result(pipeline, f"staging/events.{check}")[0] == "skipped"


def test_an_event_of_a_known_user_without_level_warns(pipeline):
    pipeline.put_events(
        event("2018-11-01 10:00"),
        page("2018-11-01 10:00", user=9, level=None),
        page("2018-11-01 10:01", user=9, level=None),
        page("2018-11-01 10:02", user=7, level=None),
        page("2018-11-01 10:03", user=6, level=None, auth="Logged Out"),
        page("2018-11-01 10:04", user="", level=None),
    )
    pipeline.load(*DAY)
    assert result(pipeline, "staging/events.known_users_have_a_level") == (
        "warned", 3, 4, "user 9: 2 event(s) without level; user 7: 1 event(s) without level"
    )  # fmt: skip
    assert [row[0] for row in pipeline.table("users")] == [8]
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.load(*DAY)
    assert result(pipeline, "staging/events.known_users_have_a_level")[:3] == ("passed", 0, 1)
    pipeline.load("2018-11-01 05:00", "2018-11-01 06:00")
    assert result(pipeline, "staging/events.known_users_have_a_level")[0] == "skipped"


def test_events_of_one_play_that_differ_are_not_the_same_play_twice(pipeline):
    pipeline.put_events(
        *[event("2018-11-01 10:00", song="Uprising")] * 2,
        *[event("2018-11-01 10:00", song="Starlight", level="paid", artist=None)] * 2,
        event("2018-11-01 11:00"),
        *[event("2018-11-01 12:00", location="x"), event("2018-11-01 12:00", location=" x")],
    )
    pipeline.load(*DAY)
    assert result(pipeline, "staging/events.plays_stand_once")[:3] == ("warned", 3, 7)
    assert result(pipeline, "staging/events.events_of_a_play_agree") == (
        "warned",
        1,
        3,
        (
            "user 8 at 2018-11-01 10:00:00.000, session 139, item 0: loaded as "
            '"Starlight" by null, 209.50159 s, paid; left out "Uprising" by "Muse", 209.50159 s, free'
        ),
    )
    pipeline.put_events(*[event("2018-11-01 11:00")] * 2)
    pipeline.load(*DAY)
    assert result(pipeline, "staging/events.plays_stand_once")[:3] == ("warned", 1, 2)
    assert result(pipeline, "staging/events.events_of_a_play_agree")[:3] == ("passed", 0, 1)
    pipeline.load("2018-11-01 05:00", "2018-11-01 06:00")
    assert result(pipeline, "staging/events.events_of_a_play_agree")[0] == "skipped"


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_song_without_a_title_or_an_artists_name_is_named(pipeline, blank):
    pipeline.put_songs(song("SO1", title=blank), song("SO2", artist_name=blank), song("SO3"))
    pipeline.put_songs(song("SO4", artist_id=blank))
    with pytest.raises(AirflowFailException, match=r"2 of .* checks failed"):
        pipeline.load(*DAY)
    assert result(pipeline, "songs.songs_have_title_artist_and_duration") == (
        "failed", 2, 4, "song SO1 of artist AR1 has no title; song SO4 has no artist_id"
    )  # fmt: skip
    assert result(pipeline, "artists.artists_have_a_name") == (
        "failed", 1, 3, "artist AR1 has no name in song SO2"
    )  # fmt: skip


def plays(day, hours, per_hour=1):
    """So many plays of each hour, the first at five minutes past."""
    return [
        event(f"2018-{day} {hour:02}:{5 + number // 60:02}:{number % 60:02}", itemInSession=number)
        for hour in hours
        for number in range(per_hour)
    ]


def loaded_hour(pipeline, day, hour):
    """The results of the checks of a run of one hour: name to status and detail."""
    start = datetime.fromisoformat(f"2018-{day} {hour:02}:00")
    pipeline.load(f"{start:%F %R}", f"{start + HOUR:%F %R}")
    rows = pipeline.query(
        "SELECT check_name, status, detail FROM sparkify.quality_results "
        f"WHERE table_name = 'staging/events' AND window_start = '{start}' AND window_end = '{start + HOUR}'"
    )
    return {name: (status, detail or "") for name, status, detail in rows}


@pytest.fixture
def eight_days(pipeline):
    """Plays in each hour from 06:00 on of eight days, all published."""
    events = [one for day in range(1, 9) for one in plays(f"11-{day:02}", range(6, 24))]
    pipeline.put_events(*events)
    pipeline.load("2018-11-01 00:00", "2018-11-09 00:00")
    return pipeline


def test_a_file_that_stopped_warns_from_the_hour_on_that_is_too_silent(pipeline):
    pipeline.put_events(*[one for day in range(1, 9) for one in plays(f"11-{day:02}", range(24))])
    pipeline.load("2018-11-01 00:00", "2018-11-09 00:00")
    pipeline.put_events(*plays("11-09", [0]))
    checks = loaded_hour(pipeline, "11-09", 0)
    assert (checks["logs_hold_events"][0], checks["logs_are_fresh"][0]) == ("passed", "passed")
    checks = loaded_hour(pipeline, "11-09", 1)
    for name in ("logs_hold_events", "logs_are_fresh"):
        status, detail = checks[name]
        assert status == "warned"
        assert "the last event is of 2018-11-09 00:05:00 UTC, 1 whole hour(s) without events" in detail
        assert "up to 0 in a row were usual in the 28 days before" in detail
        assert "log file log_data/2018/11/2018-11-09-events.json was last written at 20" in detail


def test_a_silence_that_is_usual_does_not_warn_and_a_longer_one_does(eight_days):
    eight_days.put_events(*plays("11-09", [7]))
    for hour in range(6):
        checks = loaded_hour(eight_days, "11-09", hour)
        status, detail = checks["logs_hold_events"]
        assert (status, checks["logs_are_fresh"][0]) == ("skipped", "passed")
        assert "the last events are of the hour 2018-11-08 23:00 UTC" in detail
        assert "up to 6 in a row were usual" in detail
    checks = loaded_hour(eight_days, "11-09", 6)
    assert (checks["logs_hold_events"][0], checks["logs_are_fresh"][0]) == ("warned", "warned")
    checks = loaded_hour(eight_days, "11-09", 7)
    assert (checks["logs_hold_events"][0], checks["logs_are_fresh"][0]) == ("passed", "passed")


def test_silence_after_hours_that_are_not_published_is_not_known(eight_days):
    eight_days.put_events(*plays("11-10", [9]))
    checks = loaded_hour(eight_days, "11-10", 4)
    for name in ("logs_hold_events", "logs_are_fresh"):
        status, detail = checks[name]
        assert status == "skipped"
        assert "since when there are no events is unknown" in detail
    checks = loaded_hour(eight_days, "11-10", 8)
    assert checks["logs_are_fresh"][0] == "warned"
    assert loaded_hour(eight_days, "11-10", 9)["logs_are_fresh"][0] == "passed"


@pytest.mark.parametrize(("last", "expected"), [(20, "passed"), (12, "warned")])
def test_a_long_window_tells_itself_what_silence_is_usual(pipeline, last, expected):
    days = {day: range(6, 24) for day in range(1, 9)} | {9: range(6, last)}
    pipeline.put_events(*[one for day, hours in days.items() for one in plays(f"11-{day:02}", hours)])
    pipeline.load("2018-11-01 00:00", "2018-11-10 00:00")
    [[status]] = pipeline.query(
        "SELECT status FROM sparkify.quality_results WHERE check_name = 'logs_are_fresh'"
    )
    assert status == expected


def test_before_a_week_is_published_three_hours_of_silence_are_usual(pipeline):
    pipeline.put_events(*plays("11-01", range(3)))
    pipeline.load("2018-11-01 00:00", "2018-11-01 03:00")
    statuses = [loaded_hour(pipeline, "11-01", hour)["logs_are_fresh"][0] for hour in range(3, 7)]
    assert statuses == ["passed", "passed", "passed", "warned"]
    _, detail = loaded_hour(pipeline, "11-01", 6)["logs_are_fresh"]
    assert "up to 3 count as usual, because fewer than 7 of the 28 days before are published" in detail


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([100, 150], 70, ("passed", "")),
        ([100, 150], 60, ("warned", "usual are 125 play(s)")),
        ([60, 100], 10, ("skipped", "fewer than 100 row(s); usual are 80 play(s)")),
        ([150], 10, ("skipped", "fewer than 100 row(s); 1 hour(s) are published in fewer than 2 of the 4")),
    ],
)
def test_an_hour_is_compared_with_the_same_hours_of_weeks_before(pipeline, before, now, expected):
    for week, count in enumerate(before, 1):
        day = datetime(2018, 11, 29) - week * timedelta(days=7)
        pipeline.put_events(*plays(f"{day:%m-%d}", [10], count))
        pipeline.load(f"{day:%F} 10:00", f"{day:%F} 11:00")
    pipeline.put_events(*plays("11-29", [10], now))
    status, detail = loaded_hour(pipeline, "11-29", 10)["hours_are_as_busy_as_usual"]
    assert (status, detail[: len(expected[1])]) == expected


WINDOW_COLUMNS = "window_start, window_end, status, hours, certified_until"


def at(text):
    return datetime.fromisoformat(text)


def test_the_view_says_up_to_when_the_data_is_certified_and_what_is_missing(pipeline):
    view = f"SELECT {WINDOW_COLUMNS} FROM sparkify.certified_windows ORDER BY 1"
    assert pipeline.query(view) == []
    pipeline.put_empty_days("2018-11-01", "2018-11-02")
    pipeline.load("2018-11-01 00:00", "2018-11-01 05:00")
    pipeline.load("2018-11-01 05:00", "2018-11-01 06:00")
    until = at("2018-11-01 06:00")
    assert pipeline.query(view) == [(at("2018-11-01 00:00"), until, "certified", 6, until)]
    pipeline.load("2018-11-01 08:00", "2018-11-01 10:00")
    assert pipeline.query(view) == [
        (at("2018-11-01 00:00"), until, "certified", 6, until),
        (until, at("2018-11-01 08:00"), "missing", 2, until),
        (at("2018-11-01 08:00"), at("2018-11-01 10:00"), "certified", 2, until),
    ]
    pipeline.load("2018-11-01 06:00", "2018-11-01 08:00")
    assert pipeline.query(view) == [
        (at("2018-11-01 00:00"), at("2018-11-01 10:00"), "certified", 10, at("2018-11-01 10:00"))
    ]
