"""The window: the half-open interval of UTC hours that one run loads.

Every task of a run calls `resolve_window` with its own context and gets the same answer, on the first
try and on every retry: it depends only on the run's conf, logical date, data interval and `run_after`. Only
whether the window is over depends on the clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: No event is older: ts counts from here.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOW_TO_ENTER = (
    "\nEnter both window_start and window_end as whole UTC hours in ISO 8601. The end is exclusive and comes "
    "after the start: 2018-11-01T00:00:00Z and 2018-12-01T00:00:00Z load November 2018. Leave both empty for "
    "the run's own hour."
)
HOW_TO_FREE = (
    "\nDelete this run, so that the schedule or a backfill can load the hour. Then trigger it again with an "
    "empty logical date"
)


class WindowError(AirflowFailException, ValueError):
    """The run's window cannot be resolved; a retry would not help, other params would."""


@dataclass(frozen=True)
class Window:
    """Half-open interval `[start, end)` of whole hours, time zone UTC.

    :param reason: where the window came from, for the log.
    """

    start: datetime
    end: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.utcoffset() != timedelta(0):
                raise WindowError(f"The window's {name} {moment.isoformat()} is not in UTC.{HOW_TO_ENTER}")
            if moment != _hour(moment):
                raise WindowError(
                    f"The window's {name} {moment.isoformat()} is not a whole hour.{HOW_TO_ENTER}"
                )
        if self.start < EPOCH:
            raise WindowError(
                f"The window begins at {self.start.isoformat()}, before 1970-01-01, from which ts counts "
                f"milliseconds.{HOW_TO_ENTER}"
            )
        if self.end <= self.start:
            raise WindowError(
                f"The window ends at {self.end.isoformat()}, which is not after its start "
                f"{self.start.isoformat()}.{HOW_TO_ENTER}"
            )

    @property
    def start_sql(self) -> str:
        """The start as the text of a Redshift TIMESTAMP literal, UTC."""
        return self.start.strftime("%Y-%m-%d %H:%M:%S")

    @property
    def end_sql(self) -> str:
        """The end (not included) as the text of a Redshift TIMESTAMP literal, UTC."""
        return self.end.strftime("%Y-%m-%d %H:%M:%S")

    @property
    def days_start_sql(self) -> str:
        """The start of the first day that the window touches, as `start_sql`."""
        return f"{self.start:%Y-%m-%d} 00:00:00"

    @property
    def days_end_sql(self) -> str:
        """The end (not included) of the last day that the window touches, as `end_sql`."""
        return f"{self._last_day + DAY:%Y-%m-%d} 00:00:00"

    @property
    def day_count(self) -> int:
        """How many UTC days the window touches."""
        return (self._last_day - self.start.date()) // DAY + 1

    @property
    def _last_day(self) -> date:
        return (self.end - HOUR).date()

    def days(self) -> Iterator[date]:
        """The UTC days that the window touches, in order."""
        for number in range(self.day_count):
            yield self.start.date() + number * DAY

    def hours(self) -> Iterator[datetime]:
        """The starts of the window's hours, in order."""
        for number in range(self.hour_count):
            yield self.start + number * HOUR

    @property
    def hour_count(self) -> int:
        return (self.end - self.start) // HOUR

    def refuse_more_days_than(self, most: int) -> None:
        """What asks for it: the first tasks of a run, before they list anything.

        :raises WindowError: where the window touches more days.
        """
        if self.day_count > most:
            raise WindowError(
                f"The window {self} touches {self.day_count:,} days, and the Airflow Variable "
                f"sparkify_max_window_days allows a run {most:,}. Nothing was listed or staged.\n"
                f"Load it with several runs of at most {most:,} days each; or raise the Variable, then clear "
                f"this task."
            )

    def __str__(self) -> str:
        return f"[{self.start:%Y-%m-%d %H:%M}, {self.end:%Y-%m-%d %H:%M}) UTC"


def resolve_window(context: Mapping[str, Any]) -> Window:
    """The window of this run: its params, else the hour of its logical date, else its data interval, else the
    last complete hour.

    A logical date that is a whole hour names that hour, as those of scheduled and backfilled runs do: Airflow
    has one run per logical date, so the schedule and a backfill take the run for the one that loads the hour.
    For a manual run Airflow infers a data interval of another hour: the one before the logical date (REST,
    UI), or the last complete one before `run_after` (CLI, TriggerDagRunOperator).

    :param context: Airflow's task context. `params` may hold `window_start` and `window_end` (ISO 8601;
        without an offset they are UTC); `logical_date`, `data_interval_start` and `data_interval_end` are
        absent from a manual run without logical date; `dag_run.run_after` dates such a run.
    :raises WindowError: for half a pair, an inverted or empty window, ends that are not whole hours, an end
        that is still to come (hours that are not over would be published as if they were whole), or a window
        or a data interval that contradicts the logical date.
    """
    entered, named = _entered(context), _named_hour(context)
    if entered:
        if named and not (entered.start <= named.start and named.end <= entered.end):
            raise WindowError(
                f"The run's logical date {named.start.isoformat()} names the hour {named}, which is not in "
                f"the window {entered} that its params say. Airflow has one run per logical date, so the "
                f"schedule and backfills would take this run for the one that loads the hour.{HOW_TO_FREE}, "
                f"or with one within the window."
            )
        return _over(entered, named, context)
    interval = _interval(context)
    if named:
        run_after = _hour(_plain(context["dag_run"].run_after))
        inferred = [(end - HOUR, end) for end in (named.start, run_after)]
        if interval and (interval.start, interval.end) not in [(named.start, named.end), *inferred]:
            raise WindowError(
                f"The run's logical date {named.start.isoformat()} names the hour {named}, but its data "
                f"interval is {interval}.{HOW_TO_FREE} and data interval, and enter window_start and "
                f"window_end."
            )
        return _over(named, named, context)
    if interval:
        return _over(interval, named, context)

    run_after = _plain(context["dag_run"].run_after)
    end = _hour(run_after)
    return Window(
        end - HOUR,
        end,
        f"the last complete hour before the run, which was requested at {run_after:%F %T} UTC",
    )


def _entered(context: Mapping[str, Any]) -> Window | None:
    """The window that the run's params say."""
    params = context.get("params") or {}
    start, end = params.get("window_start"), params.get("window_end")
    if start and end:
        return Window(
            _utc("window_start", start), _utc("window_end", end), "params window_start and window_end"
        )
    if start or end:
        given, missing = ("window_start", "window_end") if start else ("window_end", "window_start")
        raise WindowError(f"{given} is {params[given]!r} but {missing} is empty.{HOW_TO_ENTER}")
    return None


def _named_hour(context: Mapping[str, Any]) -> Window | None:
    """The hour that the run's logical date is the start of."""
    logical_date = context.get("logical_date")
    if logical_date is None or _plain(logical_date) != _hour(_plain(logical_date)):
        return None
    start = _plain(logical_date)
    return Window(start, start + HOUR, "the run's logical date")


def _interval(context: Mapping[str, Any]) -> Window | None:
    """The run's data interval; one of no width is none."""
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if not start or not end or start == end:
        return None
    return Window(_plain(start), _plain(end), "the run's data interval")


def _over(window: Window, named: Window | None, context: Mapping[str, Any]) -> Window:
    """The window, where its hours are over.

    :param named: the hour of the run's logical date.
    """
    # A worker's clock may be behind the one of the API server, which dated the run.
    latest = max(datetime.now(UTC), _plain(context["dag_run"].run_after))
    if window.end > latest:
        clear = (
            f" Or clear this run once {window.end.isoformat()} is past: the schedule skips the hour {named}, "
            f"because this run has its logical date."
        )
        raise WindowError(
            f"The window ends at {window.end.isoformat()}, which is in the future: it is now {latest:%F %T} "
            f"UTC. It comes from {window.reason}.\nChoose an end of at most {_hour(latest).isoformat()}: the "
            f"schedule loads later hours, and so does another run once they are over.{clear if named else ''}"
        )
    return window


def _hour(moment: datetime) -> datetime:
    """The start of the moment's hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _plain(moment: datetime) -> datetime:
    """The moment in UTC, of the standard library's own type: Airflow's contexts hold pendulum's, whose
    differences do not divide."""
    return datetime.combine(moment.astimezone(UTC).date(), moment.astimezone(UTC).time(), UTC)


def _utc(name: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise WindowError(
            f"{name} is {value!r}, which is not an ISO 8601 time in UTC, years 1 to 9999.{HOW_TO_ENTER}"
        ) from None
