"""ReloadOperator: a run of the pipeline for a window that is to be loaded again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

from sparkify.xcoms import read_reload

if TYPE_CHECKING:
    from airflow.sdk import Context


class ReloadOperator(TriggerDagRunOperator):
    """TriggerDagRunOperator for a run that another task left in XCom: read strictly, and never rendered.

    :param reload: one entry of its XCom.
    :param find_task_id: its task.
    :raises XComError: where the entry is more than a window, its budget of rejected rows and the run's name.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, reload: Any, find_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reload = reload
        self.find_task_id = find_task_id

    def execute(self, context: Context) -> Any:
        self.trigger_run_id, self.conf = read_reload(self.reload, self.find_task_id)
        return super().execute(context)
