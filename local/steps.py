"""What a command is doing, and for how long: a live line a running step, a lasting line when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Step:
    """One running step; `detail` says how it is getting on, `result` how it ended."""

    def __init__(self, show: Progress | None, task: TaskID):
        self._show = show
        self._task = task
        self.result = ""

    def detail(self, text: str) -> None:
        if self._show is not None:
            self._show.update(self._task, detail=escape(text))


class Steps:
    """Several steps may run at once, from several threads. Without a terminal, plain lines only."""

    def __init__(self, console: Console, started: float | None = None):
        self.console = console
        self.started = time.time() if started is None else started
        self._unicode = console.encoding.startswith("utf")
        self._show = Progress(
            SpinnerColumn("dots" if self._unicode else "line"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lock = threading.Lock()

    def __enter__(self) -> Steps:
        self._show.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show.stop()

    @property
    def elapsed(self) -> float:
        return time.time() - self.started

    @contextmanager
    def __call__(self, title: str) -> Iterator[Step]:
        """Show `title` while the body runs; an exception marks the step as failed and goes on up."""
        begin = time.monotonic()
        live = self.console.is_terminal
        if not live:
            self.line(f"{title} ...")
        task = self._show.add_task(escape(title), detail="", total=None)
        step = Step(self._show if live else None, task)
        try:
            yield step
        except BaseException:
            self.line(f"[red]{'✗' if self._unicode else 'FAILED'}[/] {escape(title)}")
            raise
        else:
            result = f": {step.result}" if step.result else ""
            self.done(f"{title}{result}", time.monotonic() - begin)
        finally:
            self._show.remove_task(task)

    def done(self, text: str, seconds: float, indent: str = "") -> None:
        self.line(
            f"{indent}[green]{'✓' if self._unicode else 'ok'}[/] {escape(text)} [dim]({seconds:.1f} s)[/]"
        )

    def line(self, markup: str) -> None:
        """Print one lasting line, with the seconds since the command began at its left."""
        with self._lock:
            self.console.print(f"[dim]{self.elapsed:5.0f} s[/] {markup}", highlight=False, soft_wrap=True)
