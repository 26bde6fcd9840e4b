"""Values of params and Variables that try to be more than values: refused, or taken for what they are."""

from __future__ import annotations

import itertools

import pytest
from airflow.sdk.exceptions import AirflowException

from sparkify.settings import VARIABLES
from tests.support.source import event, song
from tests.support.warehouse import Pipeline, new_buckets

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
VERSIONS = itertools.count(1)
HOSTILE = [
    "x'; DROP TABLE staging.victim; --",
    "x' MANIFEST; DELETE FROM sparkify.songs; COMMIT; --",
    "x\\'; DROP TABLE staging.victim; --",
    's3://elsewhere/x" ; DROP TABLE staging.victim',
    "{{ var.value.secret }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "x\nCREDENTIALS 'aws_access_key_id=AKIA;aws_secret_access_key=s'",
    "$(touch /tmp/x)`id`",
    "%s%(name)s%",
    "../../etc/passwd",
    "' OR '1'='1",
]


@pytest.fixture(scope="module")
def published(redshift, s3_client, airflow_connections):
    """A published day, and a table that must survive."""
    pipeline = Pipeline(redshift, s3_client, new_buckets(s3_client))
    pipeline.create_schema(drop_existing=True, confirm_drop="DROP sparkify")
    pipeline.put_events(event("2018-11-01 10:00"))
    pipeline.put_songs(song())
    pipeline.load(*DAY)
    pipeline.execute("CREATE TABLE staging.victim (id INTEGER)")
    return pipeline


@pytest.fixture
def guarded(published):
    """The published day, whose files have changed: they are to be staged, and are not published."""
    number = next(VERSIONS)
    published.put_events(event("2018-11-01 10:00"), event("2018-11-01 11:00", itemInSession=number))
    published.put_songs(song(), song("SO2", title=f"Second {number}"))
    before = published.tables()
    yield published
    assert published.query("SELECT COUNT(*) FROM staging.victim") == [(0,)]
    assert published.tables() == before


def attempt(pipeline, task_ids=("stage_events", "stage_songs"), **options) -> None:
    """The tasks that meet the value; that they refuse it or do nothing with it."""
    run = pipeline.new_run(*DAY, **options)
    for task_id in task_ids:
        try:
            run.run_task(task_id)
        except (AirflowException, ValueError):
            continue


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_variables_do_not_get_out_of_their_literals(guarded, name):
    for value in HOSTILE[:5]:
        attempt(guarded, **{name: value})


@pytest.mark.parametrize("name", ["window_start", "window_end", "dimension_mode", "max_rejected_rows"])
def test_params_do_not_get_out_of_their_literals(guarded, name):
    for value in HOSTILE:
        run = guarded.new_run(*DAY)
        run.params = {**run.params, name: value}
        with pytest.raises((AirflowException, ValueError)):
            run.run()


def test_values_of_rows_are_only_values(pipeline):
    pipeline.execute("CREATE TABLE staging.victim (id INTEGER)")
    pipeline.put_events(
        *[
            event("2018-11-01 12:00", itemInSession=number, song=value, artist=value, userAgent=value)
            for number, value in enumerate(HOSTILE)
        ]
    )
    pipeline.load(*DAY)
    assert {row[9] for row in pipeline.table("songplays")} == set(HOSTILE)
    assert pipeline.query("SELECT COUNT(*) FROM staging.victim") == [(0,)]
