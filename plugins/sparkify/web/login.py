"""The login that the page reads the warehouse with: its own, which may read what analysts may."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from sparkify.warehouse import Warehouse

CONNECTION_ID = "sparkify_page"
IS_SHARED = (
    f"This page reads with the pipeline's own login, because there is no Airflow connection {CONNECTION_ID}: "
    f"docs/configuration.md says how to give it a login that can only read."
)


def page_warehouse() -> Warehouse:
    """Through the page's own connection; through the pipeline's where there is none."""
    try:
        BaseHook.get_connection(CONNECTION_ID)
    except AirflowNotFoundException:
        return Warehouse()
    return Warehouse(CONNECTION_ID)
