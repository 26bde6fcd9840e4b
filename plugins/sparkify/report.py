"""The answers as one self-contained HTML file.

`python -m sparkify.report` asks the warehouse of the Airflow connection `redshift_default`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from sparkify.analytics import Period, PeriodError
from sparkify.warehouse import Deadline, Warehouse, WarehouseError
from sparkify.web.page import DEFAULT_DAYS, TOPICS, asset, collect, freshness, render
from sparkify.web.places import Inquiry

#: All questions together; nobody waits for the report.
DEADLINE_S = 600


def report(warehouse: Warehouse, period: Period | None = None, days: int = DEFAULT_DAYS) -> str:
    """The report as HTML.

    :param period: by default so many days that end with the latest play.
    :raises WarehouseError: where the warehouse cannot be reached or has no schema yet, and where a question
        has no answer: nobody who reads the file could ask again.
    """
    from markupsafe import Markup

    with Inquiry(warehouse, Deadline(DEADLINE_S)) as inquiry:
        fresh = freshness(inquiry)
        content = collect(inquiry, TOPICS, period or fresh.last_days(days), fresh)
    errors = {
        section.entry.name: section.error
        for sections in content.topics.values()
        for section in sections
        if section.error
    }
    if errors:
        name, error = next(iter(errors.items()))
        raise WarehouseError(
            f"No report was written: {len(errors)} question(s) have no answer ({', '.join(errors)}). "
            f"The first, {name}: {error}"
        ) from error
    return render(
        "report.html",
        content=content,
        style=Markup(asset("page.css")),
        written_at=datetime.now(UTC),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sparkify.report", description=__doc__.splitlines()[0])
    parser.add_argument("--start", metavar="DAY", help="first day, UTC: 2018-11-01")
    parser.add_argument("--end", metavar="DAY", help="the day after the last")
    parser.add_argument("--output", type=Path, default=Path("sparkify-report.html"), metavar="FILE")
    parser.add_argument("--connection", default="redshift_default", metavar="ID", help="Airflow connection")
    options = parser.parse_args()
    if bool(options.start) != bool(options.end):
        parser.error("give both --start and --end, or neither")
    logging.getLogger("sparkify").setLevel(logging.WARNING)
    try:
        period = Period.parse(options.start, options.end) if options.start else None
        html = report(Warehouse(options.connection), period)
    except (PeriodError, WarehouseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    options.output.write_text(html)
    print(f"Written: {options.output} ({len(html.encode()) // 1024} KB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
