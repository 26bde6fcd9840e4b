"""The page's routes. Each asks Airflow whether the user may read the DAG sparkify; none writes anything.

What asks the warehouse takes a place (`sparkify.web.places`); no route runs on the API server's own threads.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from sparkify.analytics import MOST_ROWS, Period, PeriodError, Question, questions
from sparkify.warehouse import WarehouseError
from sparkify.web.login import IS_SHARED
from sparkify.web.page import (
    ASSETS,
    DEFAULT_DAYS,
    TOPICS,
    Content,
    Topic,
    as_csv,
    asset,
    collect,
    explain,
    freshness,
    render,
)
from sparkify.web.pauses import notices
from sparkify.web.places import RETRY_AFTER_S, Inquiry, NoPlaceError, Places

DAG_ID = "sparkify"
HEADERS = {
    # Airflow's token is readable by scripts: only the page's own script may run.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LATER = {"Retry-After": str(RETRY_AFTER_S)}


def create_app() -> FastAPI:
    """The app that Airflow mounts."""
    app = FastAPI(
        title="Sparkify",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
    )
    app.state.places = Places()
    app.get("/", response_class=HTMLResponse)(show_first_topic)
    app.get("/static/{name}")(show_asset)
    app.get("/answers/{name}.csv")(download)
    app.get("/{name}", response_class=HTMLResponse)(show_topic)
    return app


async def show_first_topic(request: Request, start: str = "", end: str = "") -> Response:
    return await _show(request, TOPICS[0], start, end)


async def show_topic(request: Request, name: str, start: str = "", end: str = "") -> Response:
    for topic in TOPICS:
        if topic.name == name:
            return await _show(request, topic, start, end)
    raise HTTPException(
        404, f"There is no topic {name!r}. Topics: {', '.join(topic.name for topic in TOPICS)}"
    )


async def download(request: Request, name: str, start: str, end: str) -> Response:
    if name not in questions():
        raise HTTPException(404, f"There is no question {name!r}. Questions: {', '.join(questions())}")
    try:
        return await _places(request).answer(request, partial(csv_file, questions()[name], start, end))
    except NoPlaceError as error:
        raise HTTPException(503, str(error), LATER) from error


async def show_asset(name: str) -> Response:
    if name not in ASSETS:
        raise HTTPException(404, f"There is no asset {name!r}")
    return Response(asset(name), media_type=ASSETS[name], headers=HEADERS)


def csv_file(question: Question, start: str, end: str, inquiry: Inquiry) -> Response:
    """The answer to a question as a file, or an HTTPException with the status that fits the problem."""
    try:
        [answer] = inquiry.ask([(question, MOST_ROWS)], Period.parse(start, end))
    except PeriodError as error:
        raise HTTPException(400, str(error)) from error
    if isinstance(answer, WarehouseError):
        raise HTTPException(503, explain(answer), LATER) from answer
    file = f"{question.name}-first-{len(answer.rows)}" if answer.may_have_more else question.name
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{file}.csv"'}
    return Response(as_csv(answer), media_type="text/csv", headers=headers)


def topic_page(topic: Topic, start: str, end: str, inquiry: Inquiry) -> Response:
    """A topic's page; a problem is told on the page, with the status that fits it."""
    told, foot = notices(), IS_SHARED if inquiry.shares_a_login else ""
    try:
        asked = Period.parse(start, end) if start or end else None
        fresh = freshness(inquiry)
        content = collect(inquiry, [topic], asked or fresh.last_days(DEFAULT_DAYS), fresh)
    except PeriodError as error:
        return _html(topic, start, end, told, foot, problem=str(error), status=400)
    except WarehouseError as error:
        return _html(topic, start, end, told, foot, problem=explain(error), status=503)
    period = content.period
    return _html(topic, period.start.isoformat(), period.end.isoformat(), told, foot, content)


def _places(request: Request) -> Places:
    places: Places = request.app.state.places
    return places


async def _show(request: Request, topic: Topic, start: str, end: str) -> Response:
    try:
        return await _places(request).answer(request, partial(topic_page, topic, start, end))
    except NoPlaceError as error:
        return _html(topic, start, end, [], "", problem=str(error), status=503)


def _html(
    topic: Topic,
    start: str,
    end: str,
    told: list[str],
    foot: str,
    content: Content | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    html = render(
        "page.html",
        topic=topic,
        topics=TOPICS,
        notices=told,
        foot=foot,
        content=content,
        problem=problem,
        query=urlencode({"start": start, "end": end}) if start and end else "",
        start=start[:10],
        end=end[:10],
    )
    return HTMLResponse(html, status, {**HEADERS, **(LATER if status == 503 else {})})
