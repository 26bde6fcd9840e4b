"""Rows as a text table, for task logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WIDEST = 120


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A line a row, columns aligned; None shows as nothing, and long text is cut."""
    lines = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
