"""The schedules that keep the data up to date, and what a reader is told where one is paused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A DAG that runs by itself unless it is paused.

    :param name: what the schedule is called in a sentence.
    :param effect: what does not happen while it is paused.
    """

    dag_id: str
    name: str
    effect: str

    @property
    def when_paused(self) -> str:
        return f"The {self.name} is paused: {self.effect} until someone unpauses the DAG {self.dag_id}."

    def when_unknown(self, reason: str) -> str:
        return f"It is not known whether the {self.name} (DAG {self.dag_id}) is paused: {reason}."


#: What the published data depend on.
OF_DATA = (
    Schedule("sparkify", "hourly schedule", "no new hours are loaded"),
    Schedule("sparkify_reconcile", "daily reconciliation", "late and rewritten log files are not loaded"),
)
SCHEDULES = (
    *OF_DATA,
    Schedule(
        "sparkify_sweep", "daily sweep of the song files", "songs that no message tells of are not found"
    ),
    Schedule("sparkify_maintenance", "daily clean-up", "what failed runs left behind is not dropped"),
)
