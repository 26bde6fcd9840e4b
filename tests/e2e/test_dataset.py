"""The public dataset, loaded by one run through the scheduler, against independently counted figures."""

import pytest

from local.airflow import RunFailedError
from local.runs import PIPELINE, SCHEMA, window_conf
from local.runs import parse_hour as hour
from local.seed import JSONPATHS_FILE
from local.settings import BUCKET

pytestmark = pytest.mark.e2e

FIGURES = {
    "songplays": 6820,
    "users": 106,
    "songs": 14896,
    "artists": 9553,
    "time": 6813,
    "rejected_rows": 0,
}


@pytest.fixture(scope="module")
def lake(local_commands, dataset):
    """A stack with the full catalogue and all logs in its lake, before its first load."""
    commands = local_commands()
    commands.ok("up")
    commands.output = commands.ok("seed", "--from", str(dataset))
    return commands


def run(commands, dag_id, conf):
    with commands.api() as api:
        api.wait_for_dags(dag_id)
        api.unpause(dag_id)
        api.wait_for_run(dag_id, api.trigger(dag_id, conf), deadline=300)


def test_seeding_again_uploads_nothing(lake, dataset):
    assert "objects uploaded" in lake.output
    # 14,896 songs, 30 logs and the column mapping.
    assert "14,927 objects, all of them already there" in lake.ok("seed", "--from", str(dataset))


def test_a_load_without_tables_names_the_task_its_log_and_the_remedy(lake):
    with pytest.raises(RunFailedError) as failure:
        run(lake, PIPELINE, window_conf(hour("start", "2018-11-01"), hour("end", "2018-11-02")))
    message = str(failure.value)
    assert "Task stage_" in message
    assert "sparkify_schema" in message
    assert str(lake.settings.task_logs) in message


def test_a_month_is_loaded_by_one_run_with_the_right_figures(lake):
    lake.ok("load", "--start", "2018-11-01", "--end", "2018-12-01")
    assert lake.counts() == FIGURES
    assert lake.query("SELECT COUNT(*) FROM sparkify.songplays WHERE song_id IS NOT NULL") == [(333,)]
    assert lake.query("SELECT COUNT(DISTINCT user_id) FROM sparkify.users") == [(97,)]


def test_the_datasets_own_column_mapping_gives_the_same_tables(lake):
    variable = ("sparkify_log_json_path", f"s3://{BUCKET}/{JSONPATHS_FILE}")
    assert lake.stack.airflow.run("variables", "set", *variable).returncode == 0
    run(lake, SCHEMA, {"drop_existing": True, "confirm_drop": "DROP sparkify"})
    assert lake.counts() == dict.fromkeys(FIGURES, 0)
    run(lake, PIPELINE, window_conf(hour("start", "2018-11-01"), hour("end", "2018-12-01"), "truncate"))
    assert lake.counts() == FIGURES
    assert lake.query("SELECT COUNT(*) FROM sparkify.songplays WHERE song_id IS NOT NULL") == [(333,)]
