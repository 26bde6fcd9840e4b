"""One task in a process of its own, which a test may kill at any point."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tests.support.pipeline import PipelineRun, load_dag

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.task_process", "tests.support.preloaded"])


class TaskProcess:
    """A task of a run, executed elsewhere.

    :param environ: environment variables of the process, over those of this one.
    """

    def __init__(
        self, run: PipelineRun, task_id: str, environ: Mapping[str, str] | None = None, try_number: int = 1
    ):
        self.run = run
        self.task_id = task_id
        self._answer, answer = CONTEXT.Pipe(duplex=False)
        given = {one.name: getattr(run, one.name) for one in fields(run) if one.name not in ("dag", "sweep")}
        self.process = CONTEXT.Process(
            target=_execute,
            args=(answer, run.dag.dag_id, given, task_id, try_number, {**os.environ, **(environ or {})}),
            daemon=True,
        )
        self.process.start()
        self._joining = threading.Lock()
        answer.close()

    def kill(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer sends it; returns when the process is gone."""
        self.process.kill()
        self._join()

    def result(self, deadline: float = 120) -> Any:
        """The task's XCom, entered in the run; how much memory it took at most is in `peak_bytes`.

        :raises TaskKilledError: where the process was killed.
        """
        if not self._answer.poll(deadline):
            self.kill()
            raise TimeoutError(f"task {self.task_id} did not end within {deadline} s")
        try:
            xcoms, error, self.peak_bytes = self._answer.recv()
        except EOFError:
            self._join()
            raise TaskKilledError(f"task {self.task_id} ended with {self.process.exitcode}") from None
        self._join()
        if error is not None:
            raise error
        self.run.xcoms.update(xcoms)
        return self.run.xcoms[self.task_id, "return_value"]

    def _join(self) -> None:
        # The forkserver tells a process's exit code once: of two threads that wait, one would be told 255.
        with self._joining:
            self.process.join(30)


class TaskKilledError(Exception):
    """The process of a task was killed before it ended."""


def _execute(answer, dag_id, given, task_id, try_number, environ) -> None:
    os.environ.update(environ)
    run = PipelineRun(load_dag(dag_id), **given)
    try:
        run.run_task(task_id, try_number)
    except Exception as error:
        answer.send(({}, type(error)(str(error)) if error.args else error, _peak_bytes()))
    else:
        answer.send((run.xcoms, None, _peak_bytes()))


def _peak_bytes() -> int:
    """The most memory that this process had; Linux tells it in kB, and macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
