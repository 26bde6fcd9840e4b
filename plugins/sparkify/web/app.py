"""The page's routes. Each asks Airflow whether the user may read the DAG sparkify; none writes anything."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, Response

from sparkify.analytics import Period, PeriodError, ask, questions
from sparkify.warehouse import Warehouse, WarehouseError
from sparkify.web.page import (
    ASSETS,
    DEFAULT_DAYS,
    TOPICS,
    Topic,
    as_csv,
    asset,
    collect,
    explain,
    freshness,
    render,
)

DAG_ID = "sparkify"
HEADERS = {
    # Airflow's token is readable by scripts: only the page's own script may run.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app() -> FastAPI:
    """The app that Airflow mounts."""
    app = FastAPI(
        title="Sparkify",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_dag("GET", param_dag_id=DAG_ID))],
    )
    app.get("/", response_class=HTMLResponse)(show_first_topic)
    app.get("/static/{name}")(show_asset)
    app.get("/answers/{name}.csv")(download)
    app.get("/{name}", response_class=HTMLResponse)(show_topic)
    return app


def show_first_topic(start: str = "", end: str = "") -> Response:
    return _page(TOPICS[0], start, end)


def show_topic(name: str, start: str = "", end: str = "") -> Response:
    for topic in TOPICS:
        if topic.name == name:
            return _page(topic, start, end)
    raise HTTPException(404, f"There is no topic {name!r}: {', '.join(topic.name for topic in TOPICS)}")


def download(name: str, start: str, end: str) -> Response:
    if name not in questions():
        raise HTTPException(404, f"There is no question {name!r}: {', '.join(questions())}")
    try:
        answer = ask(Warehouse(), questions()[name], Period.parse(start, end))
    except PeriodError as error:
        raise HTTPException(400, str(error)) from error
    except WarehouseError as error:
        raise HTTPException(503, explain(error)) from error
    file = f"{name}-first-{len(answer.rows)}" if answer.may_have_more else name
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{file}.csv"'}
    return Response(as_csv(answer), media_type="text/csv", headers=headers)


def show_asset(name: str) -> Response:
    if name not in ASSETS:
        raise HTTPException(404, f"There is no asset {name!r}")
    return Response(asset(name), media_type=ASSETS[name], headers=HEADERS)


def _page(topic: Topic, start: str, end: str) -> Response:
    """A topic's page; a problem is told on the page, with the status that fits it."""
    warehouse = Warehouse()
    content, problem, status = None, "", 200
    try:
        asked = Period.parse(start, end) if start or end else None
        fresh = freshness(warehouse)
        period = asked or fresh.last_days(DEFAULT_DAYS)
        content = collect(warehouse, [topic], period, fresh)
        start, end = period.start.isoformat(), period.end.isoformat()
    except PeriodError as error:
        problem, status = str(error), 400
    except WarehouseError as error:
        problem, status = explain(error), 503
    html = render(
        "page.html",
        topic=topic,
        topics=TOPICS,
        content=content,
        problem=problem,
        query=urlencode({"start": start, "end": end}) if start and end else "",
        start=start[:10],
        end=end[:10],
    )
    return HTMLResponse(html, status, HEADERS)
