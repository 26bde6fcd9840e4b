"""What is known of a load: the rows of the load tables."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from local_redshift.catalog.columns import Column


@dataclass(frozen=True)
class LoadError:
    """One row of stl_load_errors."""

    file: str
    line: int
    column: Column | None
    code: int
    reason: str
    raw_line: str
    raw_value: str = ""
    offset: int = 0


@dataclass(frozen=True)
class FileRead:
    """One file that was read to its end: a row of stl_load_commits."""

    url: str
    lines: int
    bytes: int
    finished: datetime.datetime


@dataclass
class LoadRecord:
    """One COPY, as sys_load_history shows it."""

    query: int
    pid: int
    user: str
    table: str
    table_id: int
    source: str
    started: datetime.datetime
    status: str = "running"
    loading: bool = False
    rows: int = 0
    #: The files that were read to their end, in order.
    files: list[FileRead] = field(default_factory=list)
    errors: list[LoadError] = field(default_factory=list)
    message: str = ""
