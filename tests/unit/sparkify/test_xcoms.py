"""What a task takes from another's XCom, and what it refuses: somebody else may have written it."""

from __future__ import annotations

import json
import re

import pytest

from sparkify.work import Run
from sparkify.xcoms import STAGED, Candidate, XComError, read_changes, read_reload, read_staged
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.unit

TABLES = ("songs", "users")
SQL = "staging.a; CREATE TABLE public.b AS SELECT 1; GRANT SELECT ON public.b TO PUBLIC; COMMIT; SELECT 1"
SONGS = {"table": "songs", "mode": "append", "rows": 3}
USERS = {"table": "users", "mode": "truncate", "rows": 0}
STAGE = {"source": "events", **dict.fromkeys(STAGED, 1)}
DAY = {"day": "2018-11-01", "files": "one is new", "songplays_before": 0}
#: Whatever stands in a field that is neither a name of the code's nor a number, a day or an hour.
ODD = [SQL, "", None, True, -1, 1.5, 2**63, "1", [1], {"a": 1}]


def refused(read, *arguments, task="load_songs"):
    with pytest.raises(XComError, match=rf"{task} .*\nClear {task} and its downstream tasks\.$") as raised:
        read(*arguments)
    return str(raised.value)


def test_the_candidates_name_is_the_codes_own():
    context = PipelineRun(load_dag("sparkify")).context(load_dag("sparkify").get_task("load_songs"))
    run = Run.from_context(context)
    candidate = Candidate.of(SONGS, "songs", "load_songs")
    assert candidate.xcom() == SONGS
    assert candidate.work_table(run) == f"staging.songs_candidate__{run.suffix}"


@pytest.mark.parametrize("field", SONGS)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_candidate_of_anything_else_is_refused(field, odd):
    assert (
        repr(odd)[:40] in refused(Candidate.of, {**SONGS, field: odd}, "songs", "load_songs") or odd is None
    )


@pytest.mark.parametrize("more", ["candidate", "key", "schema"])
def test_a_candidate_with_a_further_name_is_refused(more):
    assert more in refused(Candidate.of, {**SONGS, more: SQL}, "songs", "load_songs")
    assert "rows" in refused(Candidate.of, {"table": "songs", "mode": "append"}, "songs", "load_songs")


@pytest.mark.parametrize("found", [None, [], SQL, [SONGS], json.dumps(SONGS), 1], ids=repr)
def test_what_is_no_candidate_is_refused(found):
    refused(Candidate.of, found, "songs", "load_songs")


def test_the_candidates_are_those_of_the_declared_tables_in_their_order():
    assert [one.table for one in Candidate.all_of([SONGS, USERS], TABLES, "check")] == ["songs", "users"]
    for found in (
        [USERS, SONGS],
        [SONGS],
        [SONGS, USERS, SONGS],
        [SONGS, SONGS],
        {"a": SONGS},
        SQL,
        None,
        [],
    ):
        refused(Candidate.all_of, found, TABLES, "check", task="check")


def test_the_figures_of_a_stage_task_are_all_there_and_numbers():
    assert read_staged(STAGE, "events", "stage_events") == dict.fromkeys(STAGED, 1)
    for name in STAGED:
        for odd in ODD:
            refused(read_staged, {**STAGE, name: odd}, "events", "stage_events", task="stage_events")
        less = {key: value for key, value in STAGE.items() if key != name}
        refused(read_staged, less, "events", "stage_events", task="stage_events")
    for found in ({**STAGE, "table": SQL}, {**STAGE, "source": "songs"}, None, SQL):
        refused(read_staged, found, "events", "stage_events", task="stage_events")


def test_a_run_to_reload_has_a_window_and_a_budget_and_nothing_else():
    conf = {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-11-02T00:00:00Z"}
    entry = {"trigger_run_id": "reconcile__2018-11-01__0123456789ab", "conf": conf}
    assert read_reload(entry, "find") == (entry["trigger_run_id"], conf)
    for name in conf:
        for odd in [*ODD, "2018-11-01", "2018-11-01T00:30:00Z", "2018-11-01T00:00:00Z\n"]:
            refused(read_reload, {**entry, "conf": {**conf, name: odd}}, "find", task="find")


def test_a_changed_day_is_a_day_with_a_number():
    assert read_changes([DAY], "find") == [DAY]
    assert read_changes([], "find") == []
    for name in ("day", "songplays_before"):
        for odd in [*ODD, "2018-11-01T00:00:00Z", "20181101", "2018-11-31"]:
            refused(read_changes, [{**DAY, name: odd}], "find", task="find")
    for found in (None, DAY, SQL, [SQL], [{**DAY, "songplays_after": 1}]):
        refused(read_changes, found, "find", task="find")


def test_a_refusal_shows_little_of_what_it_refuses():
    assert len(refused(Candidate.of, {**SONGS, "table": "x" * 10_000}, "songs", "load_songs")) < 600
    assert not re.search("x{300}", refused(Candidate.of, "x" * 10_000, "songs", "load_songs"))
