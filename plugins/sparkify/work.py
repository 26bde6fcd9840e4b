"""Names of what belongs to one run: its work tables in the warehouse and its objects in the work bucket.

A run's names depend on its DAG, run id and window alone, so a retry finds what an earlier try left and two
runs never meet, even when they load the same window. Of DAG and run id they hold a digest only: among the
objects is one whose key has both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from sparkify.lake import folder
from sparkify.window import HOUR, Window, resolve_window

if TYPE_CHECKING:
    from sparkify.warehouse import Transaction

#: The states of runs that need their work. A run of which a task waits for its retry is running.
LIVE = ["queued", "running"]
STAGING = "staging"
#: The folder of the runs' objects below the work prefix, and what a run's own names look like.
RUNS = "runs"
SUFFIX = re.compile(r"\d{10}_\d+h_[0-9a-f]{10}")
#: The name of the object that says whose the run's work is.
OWNER = re.compile(r"dag=([^/]+)/run=(.+)")


def runs_prefix(work_prefix: str) -> str:
    """The key prefix of the objects of all runs."""
    return "/".join(part for part in (work_prefix.strip("/"), RUNS) if part) + "/"


class WorkAmongSourcesError(AirflowFailException, ValueError):
    """The pipeline would read its own work objects as source files; a retry would not help."""


def refuse_work_among_sources(
    work_bucket: str, work_prefix: str, s3_bucket: str, s3_prefixes: Iterable[str]
) -> None:
    """Refuse a place of the work objects that is below a prefix of source files.

    :raises WorkAmongSourcesError: names both places.
    """
    place = runs_prefix(work_prefix)
    for prefix in map(folder, s3_prefixes):
        if work_bucket == s3_bucket and place.startswith(prefix):
            raise WorkAmongSourcesError(
                f"The work objects would lie in s3://{work_bucket}/{place}, which is below the source files "
                f"in s3://{s3_bucket}/{prefix}, so the pipeline would load its own manifests. Nothing was "
                f"changed.\nChange the Airflow Variable sparkify_work_prefix or sparkify_work_bucket, then "
                f"clear this task."
            )


@dataclass(frozen=True)
class Run:
    """One DAG run, as far as the warehouse and the work bucket are concerned.

    :param dag_id: the run's DAG.
    :param run_id: Airflow's run id.
    :param window: what the run loads.
    :param suffix: ends the name of every work table of the run; lower case, at most 40 characters.
    """

    dag_id: str
    run_id: str
    window: Window
    suffix: str

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Run:
        """The run that a task context belongs to. Raises WindowError where the window cannot be resolved."""
        return cls._over(context, resolve_window(context))

    @classmethod
    def without_window(cls, context: Mapping[str, Any]) -> Run:
        """The run of a DAG that loads no window: its names have the hour that it was due in."""
        hour = context["dag_run"].run_after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return cls._over(context, Window(hour, hour + HOUR, "the hour that the run was due in"))

    @classmethod
    def _over(cls, context: Mapping[str, Any], window: Window) -> Run:
        dag_run = context["dag_run"]
        digest = hashlib.sha256(f"{dag_run.dag_id}/{dag_run.run_id}".encode()).hexdigest()[:10]
        suffix = f"{window.start:%Y%m%d%H}_{window.hour_count}h_{digest}"
        return cls(dag_run.dag_id, dag_run.run_id, window, suffix)

    @property
    def owner(self) -> str:
        """The name of the object that matches `OWNER`."""
        return f"dag={self.dag_id}/run={self.run_id}"

    def table(self, name: str) -> str:
        """The run's work table of that name, with its schema: `staging.events__2018110100_720h_01234567`."""
        return f"{STAGING}.{name}__{self.suffix}"

    def work_tables(self, transaction: Transaction) -> list[str]:
        """The run's work tables that are there, each with its schema."""
        rows = transaction.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
            [STAGING],
            name="find the run's work tables",
        )
        return sorted(f"{STAGING}.{name}" for (name,) in rows if name.endswith(f"__{self.suffix}"))

    def object_key(self, prefix: str, name: str) -> str:
        """The key of one of the run's own objects in the work bucket."""
        return f"{runs_prefix(prefix)}{self.suffix}/{name}"
