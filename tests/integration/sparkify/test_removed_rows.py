"""What a run takes away of what is published: counted, told, and over the budget refused."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sparkify.fingerprint import fingerprint
from sparkify.warehouse import Warehouse
from tests.support import reference
from tests.support.source import event, page

pytestmark = pytest.mark.integration

DAY = ("2018-11-01 00:00", "2018-11-02 00:00")
DAYS = ("2018-11-01 00:00", "2018-11-04 00:00")
PLAYS = [event(f"2018-11-01 10:{minute:02}", itemInSession=minute) for minute in range(50)]


def warnings(pipeline):
    return dict(
        pipeline.query(
            "SELECT check_name, detail FROM sparkify.quality_results "
            "WHERE status = 'warned' AND check_name LIKE 'published%are_kept'"
        )
    )


def test_a_shorter_file_does_not_take_most_plays_away_unasked(pipeline):
    pipeline.put_events(*PLAYS)
    pipeline.load(*DAY)
    before = fingerprint(Warehouse())
    pipeline.put_events(PLAYS[0])
    run = pipeline.new_run(*DAY)
    with pytest.raises(
        AirflowFailException,
        match=r"published_plays_are_kept observed 49 of 50 row\(s\), error if > 10 %"
        r".*sparkify_max_removed_percent.*hour 2018-11-01 10:00 loses 49 of 50 play",
    ):
        run.run()
    assert fingerprint(Warehouse()) == before
    run.variables["sparkify_max_removed_percent"] = "100"
    run.run(since="run_quality_checks", try_number=2)
    assert pipeline.tables() == reference.tables(PLAYS[:1], [])


def test_a_few_plays_that_go_are_told(pipeline):
    pipeline.put_events(*PLAYS)
    pipeline.load(*DAY)
    pipeline.put_events(*PLAYS[2:])
    pipeline.load(*DAY)
    assert warnings(pipeline) == {"published_plays_are_kept": "hour 2018-11-01 10:00 loses 2 of 50 play(s)"}


def test_users_who_are_seen_on_other_pages_alone_are_counted_too(pipeline):
    pages = [page("2018-11-01 10:10", user, itemInSession=0) for user in range(30)]
    pipeline.put_events(*PLAYS, *pages)
    pipeline.load(*DAY)
    pipeline.put_events(*PLAYS)
    with pytest.raises(AirflowFailException, match=r"published_users_are_kept observed 29 of 30"):
        pipeline.load(*DAY)
    pipeline.put_events(*PLAYS, *pages[1:])
    pipeline.load(*DAY)
    assert warnings(pipeline).keys() == {"published_users_are_kept"}


@pytest.mark.parametrize("make", [event, page])
def test_the_file_of_the_middle_day_is_gone(pipeline, make):
    events = [make(f"2018-11-0{day} 10:10", day, itemInSession=day) for day in (1, 2, 3)]
    pipeline.put_events(*events)
    pipeline.load(*DAYS)
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="log_data/2018/11/2018-11-02-events.json")
    with pytest.raises(AirflowFailException, match="published_events_keep_their_file"):
        pipeline.load(*DAYS)
    assert pipeline.tables() == reference.tables(events, [])


def test_an_event_in_another_days_file_stays_whichever_day_is_loaded_again(pipeline):
    late = event("2018-11-01 23:59", 9)
    pipeline.put_events(*PLAYS)
    pipeline.put({"log_data/2018/11/2018-11-02-events.json": json.dumps(late).encode()})
    for window in (DAYS, DAY, DAYS):
        pipeline.load(*window)
        assert len(pipeline.table("songplays")) == 51
    assert warnings(pipeline) == {}
