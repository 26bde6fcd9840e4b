"""What the pipeline's operators share: the warehouse, the run, and the names that their SQL may use."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.sdk import BaseOperator

from sparkify.lineage import Lineage
from sparkify.warehouse import Warehouse, quote
from sparkify.work import Run

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

log = logging.getLogger(__name__)

Template = TypeVar("Template", str, dict[str, Any])


class SparkifyOperator(BaseOperator):
    """Base of the operators: SQL files rendered with the run's names, run through one connection.

    In every `.sql` template: `window` (a `sparkify.window.Window`), `work('events')` (the run's work table
    of that name), `quote` (a literal), and all of Airflow's own context.

    :param redshift_conn_id: an Airflow connection of type `redshift`.
    """

    template_fields: Sequence[str] = ("redshift_conn_id",)
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#e8f4ea"
    #: What the task read and wrote, once it has run.
    lineage = Lineage()

    def __init__(self, *, redshift_conn_id: str = "redshift_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.redshift_conn_id = redshift_conn_id

    @cached_property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.redshift_conn_id)

    def render_template_fields(
        self, context: Mapping[str, Any], jinja_env: jinja2.Environment | None = None
    ) -> None:
        super().render_template_fields(cast("Context", self.sql_context(context)), jinja_env)

    @cached_property
    def _templates(self) -> jinja2.Environment:
        """Airflow's makes each template anew each time that it is rendered."""
        return self.get_template_env().overlay(cache_size=100)

    def render_template(
        self,
        content: Any,
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """As Airflow does, but for a text without a template, which stays as it is."""
        if isinstance(content, str) and "{" not in content and not content.endswith((".sql", "\n")):
            return content
        return super().render_template(content, context, jinja_env or self._templates, seen_oids)

    def sql_context(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Airflow's context with the names that the SQL templates use."""
        run = Run.from_context(context)
        return {**context, "window": run.window, "work": run.table, "quote": quote}

    def begin(self, context: Mapping[str, Any]) -> Run:
        """The run, after the log's first line has said which window it loads and why."""
        self._began = time.monotonic()
        run = Run.from_context(context)
        log.info("Window %s, from %s", run.window, run.window.reason)
        return run

    def done(self, **figures: float | str) -> None:
        """The log's last line: what was done, as `name=value`, and in how many seconds."""
        figures["seconds"] = f"{time.monotonic() - self._began:.2f}"
        log.info("Done: %s", " ".join(f"{name}={value}" for name, value in figures.items()))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Airflow's OpenLineage provider calls this after the task."""
        return self.lineage.facets(self.warehouse)


def rendered(operator: BaseOperator, template: Template, names: Mapping[str, Any]) -> Template:
    """A text, the file of that path, or a dictionary of them, rendered with names beside Airflow's own."""
    # Airflow declares its own names only, but takes any.
    result: Template = operator.render_template(template, cast("Context", names))
    return result
