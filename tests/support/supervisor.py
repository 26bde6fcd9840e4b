"""Airflow's supervisor, played: XComs, Variables, DAGs and other runs are what the run says that they are.

Connections come from the environment.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import comms
from airflow.sdk.execution_time.supervisor import set_supervisor_comms

if TYPE_CHECKING:
    from tests.support.pipeline import PipelineRun


class Supervisor:
    """Answers what a task asks, out of its run."""

    def __init__(self, run: PipelineRun):
        self.run = run

    def send(self, msg: Any) -> Any:
        match msg:
            case comms.GetXCom():
                return comms.XComResult(key=msg.key, value=self.run.xcoms.get((msg.task_id, msg.key)))
            case comms.GetXComSequenceSlice():
                value = self.run.xcoms.get((msg.task_id, msg.key))
                return comms.XComSequenceSliceResult(root=[] if value is None else [value])
            case comms.SetXCom():
                self.run.xcoms[msg.task_id, msg.key] = msg.value
            case comms.GetVariable():
                if msg.key in self.run.variables:
                    return comms.VariableResult(key=msg.key, value=self.run.variables[msg.key])
                return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": msg.key})
            case comms.GetVariableKeys():
                keys = [key for key in self.run.variables if key.startswith(msg.prefix or "")]
                return comms.VariableKeysResult(keys=keys, total_entries=len(keys))
            case comms.GetConnection():
                return comms.ErrorResponse(
                    error=ErrorType.CONNECTION_NOT_FOUND, detail={"conn_id": msg.conn_id}
                )
            case comms.GetDRCount():
                self._answers()
                return comms.DRCount(count=self.run.airflow.count(msg.dag_id, msg.run_ids, msg.states))
            case comms.GetDag():
                self._answers()
                if msg.dag_id not in self.run.airflow.paused:
                    self._refuses(404)
                return comms.DagResult.model_construct(
                    dag_id=msg.dag_id, is_paused=self.run.airflow.paused[msg.dag_id]
                )
        return None

    def _answers(self) -> None:
        if not self.run.airflow.is_answering:
            self._refuses(503)

    def _refuses(self, status: int) -> NoReturn:
        """As Airflow's supervisor tells a task what the API server has answered."""
        detail = {"status_code": status, "message": "Server returned error"}
        raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


def supervised(run: PipelineRun) -> AbstractContextManager:
    """What a task of the run asks of its supervisor is answered within."""
    return set_supervisor_comms(Supervisor(run))
