"""resolve_window: which window a run loads, in all ways of triggering, and what it refuses."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable
from hypothesis import given
from hypothesis import strategies as st

from sparkify.window import Window, WindowError, resolve_window
from sparkify.work import Run
from tests.support.pipeline import PipelineRun, load_dag

pytestmark = pytest.mark.unit

RUN_AFTER = datetime(2018, 11, 15, 14, 37, 5, tzinfo=UTC)

LAST_HOUR = "the last complete hour before the run, which was requested at 2018-11-15 14:37:05 UTC"


def context(params=None, interval=None, run_after=RUN_AFTER, logical_date=None):
    """A task context; like Airflow's, without logical date and data interval keys where the run has none."""
    context = {"params": params or {}, "dag_run": SimpleNamespace(run_after=run_after)}
    if logical_date:
        context["logical_date"] = logical_date
    if interval:
        context["data_interval_start"], context["data_interval_end"] = interval
    return context


def pendulum_context(**fields):
    """A context with the types that Airflow's own contexts hold."""
    made = context(**fields)
    return {
        **made,
        **{key: pendulum.instance(made[key]) for key in made if key.startswith(("data_interval", "logical"))},
        "dag_run": SimpleNamespace(
            dag_id="sparkify", run_id="r", run_after=pendulum.instance(made["dag_run"].run_after)
        ),
    }


def hour(day, hour):
    return datetime(2018, 11, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "start", "end", "reason"),
    [
        pytest.param(
            context(interval=(hour(15, 13), hour(15, 14))),
            hour(15, 13),
            hour(15, 14),
            "the run's data interval",
            id="the data interval",
        ),
        pytest.param(
            context(
                {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-12-01T00:00:00+00:00"},
                interval=(hour(15, 13), hour(15, 14)),
            ),
            hour(1, 0),
            datetime(2018, 12, 1, tzinfo=UTC),
            "params window_start and window_end",
            id="params go before the data interval",
        ),
        pytest.param(
            context({"window_start": "2018-11-01T01:00:00+01:00", "window_end": "2018-11-01 02:00"}),
            hour(1, 0),
            hour(1, 2),
            "params window_start and window_end",
            id="an offset is converted, none is UTC",
        ),
        pytest.param(
            context({"window_start": None, "window_end": ""}),
            hour(15, 13),
            hour(15, 14),
            LAST_HOUR,
            id="a manual run without logical date: the last complete hour",
        ),
        pytest.param(
            context(interval=(hour(15, 14), hour(15, 14))),
            hour(15, 13),
            hour(15, 14),
            LAST_HOUR,
            id="a data interval of no width is none",
        ),
    ],
)
def test_window_of_a_run(given, start, end, reason):
    window = resolve_window(given)
    assert (window.start, window.end, window.reason) == (start, end, reason)


#: As Airflow makes them; a run is asked for at RUN_AFTER.
OF_MORNING = {"window_start": "2018-11-15T03:00:00Z", "window_end": "2018-11-15T08:00:00Z"}
FIVE = (hour(15, 5), hour(15, 6))
TIMETABLE = CronDataIntervalTimetable("@hourly", timezone="UTC")


def scheduled(logical_date, **fields):
    """By the scheduler, by a backfill, or cleared: the data interval begins at the logical date."""
    end = logical_date + timedelta(hours=1)
    return context(logical_date=logical_date, interval=(logical_date, end), run_after=end, **fields)


def by_rest(logical_date, interval=None, **fields):
    """By REST or the form of the UI, which asks REST (`TriggerDAGRunPostBody.validate_context`); so does
    `dag.test()`."""
    return context(logical_date=logical_date, interval=interval or inferred(logical_date), **fields)


def by_cli(logical_date, **fields):
    """By `airflow dags trigger`, or by TriggerDagRunOperator (`airflow.api.common.trigger_dag`)."""
    return context(logical_date=logical_date, interval=inferred(RUN_AFTER), **fields)


def inferred(moment):
    interval = TIMETABLE.infer_manual_data_interval(run_after=pendulum.instance(moment))
    return interval.start, interval.end


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        pytest.param(scheduled(hour(15, 5)), *FIVE, id="schedule, backfill, cleared"),
        pytest.param(by_rest(hour(15, 5)), *FIVE, id="REST, UI: a whole hour"),
        pytest.param(by_rest(hour(15, 5), interval=FIVE), *FIVE, id="REST: a whole hour and its interval"),
        pytest.param(by_cli(hour(15, 5)), *FIVE, id="CLI, TriggerDagRunOperator: a whole hour"),
        pytest.param(
            by_rest(pendulum.datetime(2018, 11, 15, 6, tz="Europe/Berlin")), *FIVE, id="REST: another zone"
        ),
        pytest.param(by_rest(RUN_AFTER), hour(15, 13), hour(15, 14), id="UI: the form's default, now"),
        pytest.param(
            by_cli(RUN_AFTER.replace(microsecond=7)), hour(15, 13), hour(15, 14),
            id="TriggerDagRunOperator: its default, now",
        ),
        pytest.param(
            by_rest(hour(15, 5).replace(minute=30)), hour(15, 4), hour(15, 5), id="REST: within an hour"
        ),
        pytest.param(
            by_rest(hour(15, 5).replace(minute=30), interval=(hour(14, 0), hour(15, 0))),
            hour(14, 0), hour(15, 0), id="REST: within an hour, with an interval",
        ),
        pytest.param(context(), hour(15, 13), hour(15, 14), id="REST: null; CLI: its default; assets"),
        pytest.param(context(OF_MORNING), hour(15, 3), hour(15, 8), id="params, no logical date"),
        pytest.param(by_rest(RUN_AFTER, params=OF_MORNING), hour(15, 3), hour(15, 8), id="params in the UI"),
        pytest.param(by_rest(hour(15, 3), params=OF_MORNING), hour(15, 3), hour(15, 8), id="params: first"),
        pytest.param(by_cli(hour(15, 7), params=OF_MORNING), hour(15, 3), hour(15, 8), id="params: last"),
        pytest.param(
            scheduled(hour(15, 5), params=OF_MORNING), hour(15, 3), hour(15, 8), id="conf of a backfill"
        ),
    ],
)  # fmt: skip
def test_a_logical_date_that_is_a_whole_hour_names_it_in_all_ways_of_triggering(given, start, end):
    window = resolve_window(given)
    assert (window.start, window.end) == (start, end)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            by_rest(hour(15, 5), interval=(hour(15, 3), hour(15, 4))),
            r"2018-11-15T05:00:00\+00:00 names the hour \[2018-11-15 05:00, 2018-11-15 06:00\) UTC, "
            r"but its data interval is \[2018-11-15 03:00, 2018-11-15 04:00\) UTC",
            id="REST: another interval",
        ),
        pytest.param(
            by_rest(hour(15, 5), interval=(hour(15, 5), hour(15, 8))), "interval is", id="REST: a longer one"
        ),
        *(
            pytest.param(
                made,
                r"which is not in the window \[2018-11-15 03:00, 2018-11-15 08:00\) UTC that its params say",
                id=name,
            )
            for name, made in {
                "params before": by_rest(hour(15, 8), params=OF_MORNING),
                "params after": by_cli(hour(15, 2), params=OF_MORNING),
                "conf of a backfill": scheduled(hour(14, 5), params=OF_MORNING),
            }.items()
        ),
    ],
)  # fmt: skip
def test_what_contradicts_the_logical_date_is_refused_and_leaves_the_hour_to_others(given, message):
    with pytest.raises(WindowError, match=message) as caught:
        resolve_window(given)
    assert (
        str(caught.value).splitlines()[-1].startswith("Delete this run, so that the schedule or a backfill")
    )


def test_the_backfill_after_a_run_by_rest_leaves_no_hour_out():
    """REST takes the hour of 05:00, so Airflow's backfill of 03 to 07 leaves that one out."""
    runs = [by_rest(hour(15, 5)), *(scheduled(hour(15, n)) for n in (3, 4, 6, 7))]
    hours = [start for run in runs for start in resolve_window(run).hours()]
    assert sorted(hours) == [hour(15, n) for n in range(3, 8)]


def test_a_run_of_an_hour_that_is_not_over_is_to_be_cleared_later():
    with pytest.raises(WindowError, match="in the future") as caught:
        resolve_window(by_rest(this_hour(), run_after=datetime.now(UTC)))
    remedy = str(caught.value).splitlines()[-1]
    assert "clear this run once" in remedy
    assert "because this run has its logical date" in remedy


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window_start": "2018-11-01T00:00:00Z"}, "window_end is empty"),
        ({"window_end": "2018-11-01T00:00:00Z"}, "window_start is empty"),
        (
            {"window_start": "2018-12-01T00:00:00Z", "window_end": "2018-11-01T00:00:00Z"},
            "not after its start",
        ),
        (
            {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-11-01T00:00:00Z"},
            "not after its start",
        ),
        (
            {"window_start": "2018-11-01T00:30:00Z", "window_end": "2018-11-01T02:00:00Z"},
            "is not a whole hour",
        ),
        ({"window_start": "yesterday", "window_end": "2018-11-01T00:00:00Z"}, "'yesterday'"),
        (
            {"window_start": "0001-01-01T00:00:00+05:00", "window_end": "2018-11-01T00:00:00Z"},
            "'0001-01-01T00:00:00\\+05:00'",
        ),
        (
            {"window_start": "2018-11-01T00:00:00Z", "window_end": "9999-12-31T23:00:00-05:00"},
            "'9999-12-31T23:00:00-05:00'",
        ),
        ({"window_start": "0001-01-01T00:00:00Z", "window_end": "2018-11-01T00:00:00Z"}, "before 1970"),
        ({"window_start": "1970-01-01T00:00:00+01:00", "window_end": "1970-01-01T01:00:00Z"}, "before 1970"),
        (
            {"window_start": "2018-11-01T00:00:00+00:30", "window_end": "2018-11-01T02:00Z"},
            "not a whole hour",
        ),
        ({"window_start": 20181101, "window_end": "2018-11-01T00:00:00Z"}, "20181101"),
    ],
)
def test_refused_params_say_what_to_enter_and_are_not_retried(params, message):
    with pytest.raises(WindowError, match=message) as caught:
        resolve_window(context(params))
    assert "2018-11-01T00:00:00Z and 2018-12-01T00:00:00Z" in str(caught.value)
    assert isinstance(caught.value, AirflowFailException)


EDGES = ["0001-01-01", "1969-12-31", "1970-01-01", "2018-11-01", "9999-12-31"]


@given(
    *[st.builds("{}T{:02}:00:00{}".format, st.sampled_from(EDGES), st.integers(0, 23), st.sampled_from(
        ["", "Z", "+14:00", "-12:00", "+23:00", "-23:00", "+05:30"])) for _ in range(2)]
)  # fmt: skip
def test_any_two_moments_are_a_window_or_a_window_error(start, end):
    with suppress(WindowError):
        window = resolve_window(context({"window_start": start, "window_end": end}))
        assert len(window.start_sql) == len(window.days_end_sql) == len("2018-11-01 00:00:00")


def test_the_latest_window_that_is_still_to_come_is_refused():
    with pytest.raises(WindowError, match="in the future"):
        resolve_window(
            context({"window_start": "9999-12-31T22:00:00Z", "window_end": "9999-12-31T23:00:00Z"})
        )


def this_hour():
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def entered(start, end):
    return {"window_start": start.isoformat(), "window_end": end.isoformat()}


def test_a_window_that_is_not_over_is_refused_with_the_latest_end():
    last = this_hour()
    with pytest.raises(WindowError, match="in the future") as caught:
        resolve_window(context(entered(last - timedelta(hours=1), last + timedelta(hours=2))))
    assert any(f"at most {end.isoformat()}" in str(caught.value) for end in (last, this_hour()))


def test_a_data_interval_that_is_not_over_is_refused_like_params():
    """Airflow's API takes a data interval beside a logical date."""
    last = this_hour()
    with pytest.raises(WindowError, match=r"in the future.*\n.*at most"):
        resolve_window(context(interval=(last - timedelta(hours=1), last + timedelta(days=1))))
    assert resolve_window(context(interval=(last - timedelta(hours=1), last))).end == last


def test_a_window_may_end_with_the_last_complete_hour():
    last = this_hour()
    assert resolve_window(context(entered(last - timedelta(hours=1), last))).end == last


def test_a_window_is_over_that_was_when_the_run_was_asked_for():
    end = this_hour() + timedelta(hours=2)
    asked = context(entered(hour(1, 0), end), run_after=end + timedelta(seconds=1))
    assert resolve_window(asked).end == end


def test_a_window_not_in_utc_is_refused():
    with pytest.raises(WindowError, match="not in UTC"):
        Window(datetime(2018, 11, 1, tzinfo=timezone(timedelta(hours=1))), hour(2, 0))


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (hour(1, 0), hour(2, 0), [date(2018, 11, 1)]),
        (hour(1, 23), hour(2, 1), [date(2018, 11, 1), date(2018, 11, 2)]),
        (hour(1, 5), hour(1, 6), [date(2018, 11, 1)]),
        (hour(30, 23), datetime(2018, 12, 1, tzinfo=UTC), [date(2018, 11, 30)]),
    ],
)
def test_days_that_a_window_touches(start, end, days):
    window = Window(start, end)
    assert list(window.days()) == days
    assert window.days_start_sql == f"{days[0]} 00:00:00"
    assert window.days_end_sql == f"{days[-1] + timedelta(days=1)} 00:00:00"


@pytest.mark.parametrize("fields", [
    {},
    {"interval": (hour(15, 13), hour(15, 14))},
    {"interval": (hour(15, 13), hour(15, 14)), "logical_date": hour(15, 13)},
])  # fmt: skip
def test_airflows_own_types_give_the_same_window_and_names(fields):
    made = pendulum_context(**fields)
    window = resolve_window(made)
    assert window == resolve_window(context(**fields))
    assert type(window.start) is datetime
    assert "_1h_" in Run.from_context(made).suffix


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_last_complete_hour_is_complete_and_last(run_after):
    window = resolve_window(context(run_after=run_after))
    assert window.end <= run_after < window.end + timedelta(hours=1)
    assert window.end - window.start == timedelta(hours=1)


CENTURIES = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 27, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (hour(1, 0), hour(2, 0), 1),
        (hour(1, 23), hour(2, 1), 2),
        (hour(1, 5), hour(1, 6), 1),
        (CENTURIES.start, CENTURIES.end, 20_785),
    ],
)
def test_a_window_knows_how_many_days_it_touches(start, end, days):
    window = Window(start, end)
    assert window.day_count == days == len(list(window.days()))
    assert window.hour_count == len(list(window.hours()))
    assert (window.days_start_sql[:10], window.days_end_sql[:10]) == (
        str(min(window.days())),
        str(max(window.days()) + timedelta(days=1)),
    )


def test_a_window_of_too_many_days_is_refused_with_what_to_do():
    window = Window(hour(1, 0), hour(5, 0))
    window.refuse_more_days_than(4)
    with pytest.raises(
        WindowError, match=r"touches 4 days.*sparkify_max_window_days.* 3\..*\n.*several runs"
    ):
        window.refuse_more_days_than(3)


@pytest.mark.parametrize("task_id", ["stage_events", "stage_songs"])
@pytest.mark.parametrize(
    ("variables", "most"), [({}, "400"), ({"sparkify_max_window_days": "20000"}, "20,000")]
)
def test_the_first_tasks_refuse_it_before_they_list_anything(monkeypatch, task_id, variables, most):
    def listed(self):
        raise AssertionError("the days are listed")

    monkeypatch.setattr(Window, "days", listed)
    monkeypatch.setattr(Window, "hours", listed)
    params = {"window_start": "1970-01-01T00:00:00Z", "window_end": "2026-11-27T01:00:00Z"}
    run = PipelineRun(load_dag("sparkify"), params, variables=variables)
    with pytest.raises(WindowError, match=rf"20,785 days.*allows a run {most}\."):
        run.run_task(task_id)


@pytest.mark.parametrize("task_id", ["load_songplays", "run_quality_checks", "publish"])
def test_a_run_that_is_staged_goes_on_where_the_maximum_changes(task_id):
    params = {"window_start": "2018-11-01T00:00:00Z", "window_end": "2018-12-01T00:00:00Z"}
    run = PipelineRun(load_dag("sparkify"), params, variables={"sparkify_max_window_days": "1"})
    task, context = run.rendered(task_id)
    assert task.begin(context).window.day_count == 30
