"""What the page shows: topics of questions, each with its chart; rendered as HTML, as a report and as CSV."""

from __future__ import annotations

import csv
import io
import logging
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkify.analytics import Answer, Period, Question, questions
from sparkify.warehouse import (
    UNDEFINED_COLUMN,
    DeadlineError,
    SchemaMissingError,
    UnreachableError,
    WarehouseError,
)
from sparkify.web.charts import DAY, Bars, Columns, Figures, number, words

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from sparkify.web.places import Inquiry

log = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}

DEFAULT_DAYS = 30
PRESETS = (7, 30, 90, 365)
QUERY_CANCELED, DENIED = "57014", "42501"
MOMENT = timedelta(microseconds=1)
NOTHING = "\N{EN DASH}"
#: What a spreadsheet takes for the beginning of a formula, in any width (OWASP, "CSV Injection").
SIGNS = frozenset("=+-@\N{MINUS SIGN}")
#: Letters and a symbol that show as nothing, besides blanks, marks, control and format characters.
FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")

#: An answer with more columns takes the page's whole width.
MOST_COLUMNS = 6
#: Endings of columns whose numbers are names of something.
NAMES = ("_id", "_code", "year", "line_number")
TOP_ROWS = 20
SERIES_ROWS = 1000
LOG_ROWS = 200
CHECK_ROWS = 500


@dataclass(frozen=True)
class Entry:
    """A question on the page, with its chart and how many rows it shows at most."""

    name: str
    chart: Figures | Bars | Columns | None = None
    rows: int = TOP_ROWS

    @property
    def question(self) -> Question:
        return questions()[self.name]


@dataclass(frozen=True)
class Topic:
    """A page of its own."""

    name: str
    title: str
    entries: tuple[Entry, ...]


TOPICS = (
    Topic(
        "songs",
        "Songs",
        (
            Entry("totals", Figures(), 1),
            Entry("top_songs", Bars("plays")),
            Entry("top_songs_in_catalogue", Bars("plays")),
        ),
    ),
    Topic(
        "artists",
        "Artists",
        (
            Entry("top_artists", Bars("plays")),
            Entry("top_artists_in_catalogue", Bars("plays")),
        ),
    ),
    Topic(
        "listeners",
        "Listeners",
        (
            Entry("daily_active_users", Columns("day", ("users",)), SERIES_ROWS),
            Entry("top_users", Bars("plays")),
            Entry("listeners_by_location", Bars("listeners")),
        ),
    ),
    Topic(
        "times",
        "Times",
        (
            Entry("plays_by_hour", Columns("hour_utc", ("plays",)), SERIES_ROWS),
            Entry("plays_by_weekday", Bars("plays_per_day")),
        ),
    ),
    Topic(
        "sessions",
        "Sessions",
        (
            Entry("sessions_by_day", Columns("day", ("sessions",)), SERIES_ROWS),
            Entry("session_lengths", Bars("sessions")),
        ),
    ),
    Topic(
        "levels",
        "Free and paid",
        (
            Entry("level_changes", Columns("day", ("upgrades", "downgrades")), SERIES_ROWS),
            Entry("top_free_users", Bars("plays_in_catalogue")),
            Entry("plays_around_level_changes", rows=LOG_ROWS),
        ),
    ),
    Topic(
        "data",
        "Data quality",
        (
            Entry("data_freshness", Figures(), 1),
            Entry("certified_hours"),
            Entry("missing_hours"),
            Entry("last_loads"),
            Entry("quality_results", rows=CHECK_ROWS),
            Entry("rejected_rows", rows=LOG_ROWS),
            Entry("catalogue_share", Columns("day", ("percent_in_catalogue",), top=100), SERIES_ROWS),
        ),
    ),
)


@dataclass(frozen=True)
class Section:
    """An entry with its answer, or with the error that says why there is none."""

    entry: Entry
    answer: Answer | None = None
    error: WarehouseError | None = None


@dataclass(frozen=True)
class Freshness:
    """What the data are certified for; None in each field where nothing was loaded yet."""

    certified_from: datetime | None = None
    certified_up_to: datetime | None = None
    hours_behind: int | None = None
    missing_hours: int | None = None
    last_published_at: datetime | None = None
    last_play: datetime | None = None

    def last_days(self, days: int) -> Period:
        """The days that end with the one of the latest play: of today where there is none."""
        end = _midnight((self.last_play or datetime.now(UTC).replace(tzinfo=None)) + DAY)
        return Period(end - days * DAY, end)

    def everything(self) -> Period:
        """The days of all that is certified."""
        if self.certified_from is None or self.certified_up_to is None:
            return self.last_days(DEFAULT_DAYS)
        return Period(_midnight(self.certified_from), _midnight(self.certified_up_to + DAY - MOMENT))


@dataclass(frozen=True)
class Choice:
    """A period that the page offers."""

    title: str
    period: Period


@dataclass(frozen=True)
class Content:
    """A period with the sections of one topic or of several."""

    period: Period
    freshness: Freshness
    topics: dict[Topic, list[Section]]

    def choices(self) -> list[Choice]:
        """The periods to choose from."""
        return [
            *(Choice(f"Last {days} days", self.freshness.last_days(days)) for days in PRESETS),
            Choice("All", self.freshness.everything()),
        ]

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and the last day of the period that are certified, though there be none between them."""
        fresh = self.freshness
        if fresh.certified_from is None or fresh.certified_up_to is None:
            return None
        start, end = max(self.period.start, fresh.certified_from), min(self.period.end, fresh.certified_up_to)
        return (start.date(), (end - MOMENT).date()) if start < end else None


def freshness(inquiry: Inquiry) -> Freshness:
    """Raises WarehouseError where the warehouse gives no answer."""
    any_period = Freshness().last_days(1)
    [answer] = inquiry.ask([(questions()["data_freshness"], 1)], any_period)
    if isinstance(answer, WarehouseError):
        raise answer
    [record] = answer.records()
    return Freshness(**record)


def collect(inquiry: Inquiry, topics: Iterable[Topic], period: Period, fresh: Freshness) -> Content:
    """Ask the topics' questions. One that fails leaves the others as they are."""
    asked = [(topic, entry) for topic in topics for entry in topic.entries]
    answers = inquiry.ask([(entry.question, entry.rows) for _, entry in asked], period)
    sections: dict[Topic, list[Section]] = {}
    for (topic, entry), answer in zip(asked, answers, strict=True):
        if isinstance(answer, WarehouseError):
            section = Section(entry, error=answer)
        else:
            section = Section(entry, answer)
        sections.setdefault(topic, []).append(section)
    return Content(period, fresh, sections)


def explain(error: WarehouseError) -> str:
    """What a reader is told. The log has the warehouse's own words, which may name hosts and users."""
    log.warning("%s", error)
    if isinstance(error, UnreachableError):
        return "The warehouse does not answer. Try again later; the API server's log says why."
    if isinstance(error, SchemaMissingError):
        if error.sqlstate == UNDEFINED_COLUMN:
            return "A column is missing. Run the DAG sparkify_verify: it names the column and what to do."
        return (
            "A table is missing. Run the DAG sparkify_schema: it creates missing tables, or says how to "
            "restore lost rows. Then load a window."
        )
    if isinstance(error, DeadlineError) or error.sqlstate == QUERY_CANCELED:
        return "The answer took too long and was cancelled. Choose a shorter period."
    if error.sqlstate == DENIED:
        return (
            "The page's login may not read this. Name its group or role in the Airflow Variable "
            "sparkify_readers, then run the DAG sparkify_schema."
        )
    return "The warehouse could not answer. The API server's log has its error message."


def render(template: str, **names: Any) -> str:
    """A page as HTML."""
    return _environment().get_template(template).render(**names)


@cache
def asset(name: str) -> str:
    """The text of a style sheet or script."""
    return (HERE / "static" / name).read_text()


def as_csv(answer: Answer) -> str:
    """The answer as CSV. Whatever a spreadsheet would run as a formula is led by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([_harmless(value) for value in row] for row in (answer.columns, *answer.rows))
    return out.getvalue()


def _midnight(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day)


def _harmless(value: Any) -> Any:
    if value is None or (isinstance(value, int | float | Decimal) and math.isfinite(value)):
        return value
    text = str(value)
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Whether the first character that shows is a sign, or the very first is a control character."""
    if text and unicodedata.category(text[0]) == "Cc":
        return True
    shown = next((c for c in text if unicodedata.category(c)[0] not in "CMZ" and c not in FILLERS), "")
    return not SIGNS.isdisjoint(unicodedata.normalize("NFKC", shown))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        words=words, number=number, explain=explain, cell=_cell, moment=_moment, kind=_kind, width=_width
    )
    environment.tests.update(
        columns=lambda chart: isinstance(chart, Columns), figures=lambda chart: isinstance(chart, Figures)
    )
    return environment


def _cell(value: Any, column: str) -> str:
    """A value as a reader wants it; what is missing shows as a dash. Names and codes have no thousands."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, bool | str | date) or column.endswith(NAMES):
        return str(value)
    return number(value)


def _kind(value: Any) -> Markup:
    """The class of a value's cell, as an attribute."""
    from markupsafe import Markup

    if isinstance(value, date):
        return Markup(' class="moment"')
    return Markup("") if isinstance(value, str | None) else Markup(' class="number"')


def _width(section: Section) -> Markup:
    """The class of a section that needs the page's whole width, as an attribute."""
    from markupsafe import Markup

    figures = isinstance(section.entry.chart, Figures)
    wide = section.answer is not None and section.answer.rows and len(section.answer.columns) > MOST_COLUMNS
    return Markup(' class="wide"') if figures or wide else Markup("")


def _moment(value: datetime | None) -> str:
    return NOTHING if value is None else f"{value:%Y-%m-%d %H:%M}"
