"""The page "Sparkify" in Airflow's navigation. The package of that name is no plugin: .airflowignore."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/sparkify"
#: Where the API server is below its host; Airflow's UI keeps the page's address only if it is absolute.
BASE_PATH = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class LazyApp:
    """An ASGI app that is built by its first request: every process of Airflow imports its plugins."""

    @cached_property
    def app(self) -> Any:
        from sparkify.web.app import create_app

        return create_app()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class SparkifyPlugin(AirflowPlugin):
    """What users listen to, and up to which hour the data are certified."""

    name = "sparkify"
    fastapi_apps = [{"name": "Sparkify", "url_prefix": URL_PREFIX, "app": LazyApp()}]  # noqa: RUF012 Airflow's own form
    external_views = [  # noqa: RUF012
        {
            "name": "Sparkify",
            "href": BASE_PATH + URL_PREFIX + "/",
            "destination": "nav",
            "url_route": "sparkify",
            "nav_top_level": True,
        }
    ]
