"""All SQL of the project, held against sqlfluff: `python -m tests.lint_sql`.

What Redshift is sent, as the DAGs render it, by the rules of `.sqlfluff`; the local Redshift's catalogue, by
those of `local-redshift/.sqlfluff`, for it is PostgreSQL's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlfluff.core import FluffConfig, Linter

from tests.support.scripts import rendered_scripts

ROOT = Path(__file__).resolve().parents[1]
REDSHIFT = ROOT / ".sqlfluff"
POSTGRESQL = ROOT / "local-redshift" / ".sqlfluff"
CATALOGUE = ROOT / "local-redshift" / "src" / "local_redshift" / "catalog"


def faults(scripts: Mapping[str, str], rules: Path) -> Iterator[str]:
    """What is wrong with the scripts; of several with one text, the first is named.

    :param scripts: name to text.
    :param rules: a file of sqlfluff's settings.
    """
    linter = Linter(
        config=FluffConfig.from_path(str(ROOT), extra_config_path=str(rules), ignore_local_config=True)
    )
    names: dict[str, str] = {}
    for name, text in scripts.items():
        names.setdefault(text.rstrip() + "\n", name)
    for text, name in names.items():
        lines = text.splitlines()
        for fault in linter.lint_string(text).get_violations():
            line = lines[fault.line_no - 1].strip() if fault.line_no <= len(lines) else ""
            yield f"{name}, line {fault.line_no}: {fault.rule_code()} {fault.desc()}\n    {line}"


def main() -> int:
    rendered = rendered_scripts()
    catalogue = {path.name: path.read_text() for path in sorted(CATALOGUE.glob("*.sql"))}
    found = [*faults(rendered, REDSHIFT), *faults(catalogue, POSTGRESQL)]
    if not found:
        print(f"{len(rendered) + len(catalogue)} SQL scripts pass.")
        return 0
    print(*found, sep="\n")
    print(
        f"{len(found)} fault(s) in the SQL; lines are those of the rendered script.\n"
        f"Correct the file that it is rendered from, then run make lint-sql."
    )
    return 1


if __name__ == "__main__":
    # Airflow prints what is logged: sqlfluff's trees would take longer than its rules.
    logging.disable(logging.WARNING)
    sys.exit(main())
