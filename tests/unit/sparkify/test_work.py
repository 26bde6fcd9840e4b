"""Names of a run's own tables and objects."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from sparkify.work import Run

pytestmark = pytest.mark.unit


def run(run_id="manual__1", start="2018-11-01T00:00:00Z", end="2018-12-01T00:00:00Z"):
    return Run.from_context(
        {
            "params": {"window_start": start, "window_end": end},
            "dag_run": SimpleNamespace(
                dag_id="sparkify", run_id=run_id, run_after=datetime(2018, 11, 1, tzinfo=UTC)
            ),
        }
    )


def test_a_retry_finds_its_own_tables():
    assert run().table("events") == run().table("events")
    assert run().table("events").startswith("staging.events__2018110100_720h_")


def test_two_runs_of_one_window_never_meet():
    assert run("manual__1").table("events") != run("manual__2").table("events")


def test_names_fit_identifiers():
    longest = run("scheduled__" + "x" * 230, start="2000-01-01T00:00:00Z").table("songplays_candidate")
    assert len(longest.split(".")[1]) <= 63
    assert longest == longest.lower()


@pytest.mark.parametrize(
    ("prefix", "begins"), [("", "runs/"), ("team/a", "team/a/runs/"), ("/team/", "team/runs/")]
)
def test_objects_of_a_run_lie_below_the_work_prefix(prefix, begins):
    key = run().object_key(prefix, "events.manifest")
    assert key == f"{begins}{run().suffix}/events.manifest"
