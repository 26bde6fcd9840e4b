"""What the documents hold that can be run."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def sql_blocks(document: str) -> list[str]:
    """The SQL of a document's fenced blocks, in order."""
    return re.findall(r"^```sql\n(.*?)^```", (DOCS / document).read_text(), re.DOTALL | re.MULTILINE)
