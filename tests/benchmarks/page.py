"""How long the page of answers takes: `python -m tests.benchmarks.page`.

On servers that it starts and removes itself, with the past of `tests.benchmarks.history`, it asks for each
topic's page over all that is published, as its route does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from local_redshift.cluster import LocalCluster
from local_redshift.embedded.interruption import Interruption
from tests.benchmarks.history import History, Service, airflow_environment

PLAYS_AN_HOUR = 240
TARGET_S = 1.0


def report(servers: LocalCluster, plays: int, users: int, rounds: int) -> int:
    """Print the topics with their seconds; 1 where one takes longer than the target."""
    from sparkify.analytics import PATIENCE_S, questions
    from sparkify.warehouse import Deadline, Warehouse
    from sparkify.web.app import topic_page
    from sparkify.web.page import TOPICS, freshness
    from sparkify.web.places import Inquiry

    history = History(servers, Service(PLAYS_AN_HOUR, users))
    history.fill(plays)
    warehouse = Warehouse()
    with Inquiry(warehouse, Deadline(PATIENCE_S)) as inquiry:
        period = freshness(inquiry).everything()
    print(f"{history.plays:,} plays, all of them in the period; medians of {rounds}")
    missed = []
    for topic in TOPICS:
        spent = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            with Inquiry(warehouse, Deadline(PATIENCE_S)) as inquiry:
                response = topic_page(topic, f"{period.start:%F}", f"{period.end:%F}", inquiry)
            assert response.status_code == 200
            assert b'class="problem"' not in response.body
            spent.append(time.perf_counter() - began)
        seconds = statistics.median(spent[1:])
        missed += [topic.name] if seconds > TARGET_S else []
        print(f"  {topic.name:12} {seconds:6.2f} s", flush=True)
    print("The questions one by one, beside a scan of all plays:")
    asked = {"(scan)": "SELECT COUNT(song_length) FROM sparkify.songplays"}
    asked |= {name: question.sql(period, 100) for name, question in questions().items()}
    for name, sql in asked.items():
        began = time.perf_counter()
        with warehouse.read_only_transaction(Deadline(60)) as transaction:
            transaction.execute(sql)
        print(f"  {name:30} {time.perf_counter() - began:6.2f} s", flush=True)
    print(f"at most {TARGET_S:g} s: {'MISSED by ' + ', '.join(missed) if missed else 'ok'}")
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.page", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--plays", type=int, default=1_000_000, help="plays in the period (1000000)")
    parser.add_argument("--users", type=int, default=10_000, help="users who take turns (10000)")
    parser.add_argument("--rounds", type=int, default=3, help="askings, of which the median counts (3)")
    options = parser.parse_args()

    interruption = Interruption()
    with (
        tempfile.TemporaryDirectory(prefix="bench-page-") as folder,
        LocalCluster(Path(folder)) as servers,
        airflow_environment(servers),
        interruption.let_through(),
    ):
        return report(servers, options.plays, options.users, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
