"""XComs that somebody else has written, with SQL in the place of a name: nothing of it runs."""

from __future__ import annotations

import pytest
import redshift_connector

from sparkify.xcoms import XComError
from tests.integration.sparkify.test_readers import PASSWORD, read
from tests.support.source import event, song

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
LOADS = [f"load_{table}" for table in ("songs", "artists", "songplays", "users", "time")]
#: It ends the statement that a name stands in, the first of include/sql/songs/publish.sql, and goes on.
SQL = (
    " AS songs LEFT JOIN {artists} AS artists ON songs.song_id = artists.song_id) AS a; "
    "CREATE TABLE public.stolen AS SELECT * FROM sparkify.users; GRANT SELECT ON public.stolen TO PUBLIC; "
    "COMMIT; SELECT 1 FROM (SELECT 1 FROM {songs}"
)


@pytest.fixture
def stranger(pipeline):
    """A login without any rights."""
    pipeline.execute("DROP USER IF EXISTS stranger", f"CREATE USER stranger PASSWORD '{PASSWORD}'")
    return "stranger"


@pytest.fixture
def run(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(song())
    run = pipeline.new_run(*DAY)
    run.run(upto="run_quality_checks")
    return run


def names_with_sql(run, task_id):
    """What the task has left, once with each of its texts forged, and once with a further name."""
    found = run.xcoms[task_id, "return_value"]
    one = found[0] if isinstance(found, list) else found
    songs, artists = (f"staging.{table}_candidate__{suffix(run)}" for table in ("songs", "artists"))
    sql = SQL.format(songs=songs, artists=artists)
    forged = [{**one, "candidate": f"{songs}{sql}"}]
    for field, value in one.items():
        kept = value if isinstance(value, str) else ""
        forged.append({**one, field: f"{kept}{sql}"})
    return [[one, *found[1:]] if isinstance(found, list) else one for one in forged]


def suffix(run):
    task, context = run.rendered("load_songs")
    return task.begin(context).suffix


@pytest.mark.parametrize(
    ("reader", "task_id"),
    [
        ("publish", "run_quality_checks"),
        *(("run_quality_checks", task_id) for task_id in (*LOADS, "stage_events", "stage_songs")),
    ],
)
def test_sql_in_an_xcom_does_not_run(pipeline, redshift, run, stranger, reader, task_id):
    left = run.xcoms[task_id, "return_value"]
    before = pipeline.tables()
    for forged in names_with_sql(run, task_id):
        run.xcoms[task_id, "return_value"] = forged
        with pytest.raises(XComError, match=rf"XCom of task {task_id} .*\nClear {task_id}"):
            run.run_task(reader, try_number=2)
        with pytest.raises(redshift_connector.ProgrammingError, match="does not exist"):
            read(redshift, stranger, "public.stolen")
    assert pipeline.tables() == before
    run.xcoms[task_id, "return_value"] = left
    run.run(since=reader, try_number=2)
    assert len(pipeline.table("songplays")) == 1


@pytest.mark.parametrize("task_id", [*LOADS, "stage_events", "stage_songs"])
def test_a_deleted_xcom_is_named(run, task_id):
    del run.xcoms[task_id, "return_value"]
    with pytest.raises(XComError, match=rf"Task {task_id} left nothing in XCom.*\nClear {task_id}"):
        run.run_task("run_quality_checks")


def test_no_xcom_of_a_run_names_a_work_table(pipeline, run):
    run.run(since="publish")
    assert "__" not in str({key: value for key, value in run.xcoms.items() if key[1] == "return_value"})


def test_a_run_that_is_staged_goes_on_where_the_maximum_of_days_becomes_less(pipeline):
    pipeline.put_events(event("2018-11-01 10:00"))
    run = pipeline.new_run("2018-11-01 00:00", "2018-11-05 00:00")
    run.run(upto="stage_events")
    run.run_task("stage_songs")
    run.variables = {**run.variables, "sparkify_max_window_days": "1"}
    run.run(since="load_songplays")
    assert len(pipeline.table("songplays")) == 1
