"""resolve_window: params, else the data interval, else the last complete hour; and what it refuses."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pendulum
import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from sparkify.window import Window, WindowError, resolve_window
from sparkify.work import Run

pytestmark = pytest.mark.unit

RUN_AFTER = datetime(2018, 11, 15, 14, 37, 5, tzinfo=UTC)

LAST_HOUR = "the last complete hour before the run, which was requested at 2018-11-15 14:37:05 UTC"


def context(params=None, interval=None, run_after=RUN_AFTER):
    """A task context; like Airflow's, without data interval keys where the run has none."""
    context = {"params": params or {}, "dag_run": SimpleNamespace(run_after=run_after)}
    if interval:
        context["data_interval_start"], context["data_interval_end"] = interval
    return context


def pendulum_context(**fields):
    """A context with the types that Airflow's own contexts hold."""
    made = context(**fields)
    return {
        **made,
        **{key: pendulum.instance(made[key]) for key in made if key.startswith("data_interval")},
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
            id="scheduled and backfill runs: the data interval",
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


@pytest.mark.parametrize("interval", [None, (hour(15, 13), hour(15, 14))])
def test_airflows_own_types_give_the_same_window_and_names(interval):
    made = pendulum_context(interval=interval)
    window = resolve_window(made)
    assert window == resolve_window(context(interval=interval))
    assert type(window.start) is datetime
    assert "_1h_" in Run.from_context(made).suffix


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_last_complete_hour_is_complete_and_last(run_after):
    window = resolve_window(context(run_after=run_after))
    assert window.end <= run_after < window.end + timedelta(hours=1)
    assert window.end - window.start == timedelta(hours=1)
