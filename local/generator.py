"""The sample goes on while the local stack runs: the events of each hour are written into the lake.

What a log file holds depends on the sample and the hour alone. So a generator that was stopped catches up,
and one that is started again changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError

from local.sample_data import DAY, Sample, SampleSpec
from local.seed import SAMPLE_KEY, Source, is_version, lake_store, present_objects
from local.settings import Settings
from local_redshift.embedded.interruption import Interruption

# An hour's events are written so long before its end: the run that begins then finds them.
LEAD = timedelta(minutes=1)
TICK_S = 10


def utc_now() -> datetime:
    return datetime.now(UTC)


def written_until(now: datetime) -> datetime:
    """The end of the last hour whose events the generator has written by now."""
    return (now + LEAD).replace(minute=0, second=0, microsecond=0)


def sample_end(settings: Settings) -> date:
    """The last day of this stack's sample: as it is set, as the lake says where it goes on, or yesterday."""
    return settings.sample_end or growing_since(settings) or (utc_now() - DAY).date()


def growing_since(settings: Settings) -> date | None:
    """The last day of the sample in the lake, where it goes on; else None."""
    try:
        body = obstore.get(lake_store(settings), SAMPLE_KEY).bytes()
    except FileNotFoundError:
        return None
    return date.fromisoformat(json.loads(bytes(body))["end"])


def let_grow(settings: Settings, end: date) -> None:
    """Have the sample that ended then go on."""
    obstore.put(lake_store(settings), SAMPLE_KEY, json.dumps({"end": f"{end}"}).encode())


def grow(settings: Settings, sample: Sample, now: datetime, since: datetime | None = None) -> list[str]:
    """Bring the log files to what they hold now; a file that somebody else has written is left alone.

    :param since: the first day to look at, by default the sample's last: those before it change no more.
    :returns: what was done, one line a file.
    """
    done = []
    store = lake_store(settings)
    present = present_objects(store)
    until = written_until(now)
    since = since or sample.spec.end_time - DAY
    for log in sample.log_files(until):
        if log.day < since:
            continue
        content = log.content(until)
        _, etag = present.get(log.key, (0, ""))
        if etag == Source(log.key, content).md5():
            continue
        if etag and not is_version(log, etag, until):
            done.append(f"{log.key} is left alone: somebody else has written it")
            continue
        obstore.put(store, log.key, content)
        done.append(f"{log.key} has {len(content.splitlines())} events")
    return done


def run(settings: Settings, wait: Callable[[], None], clock: Callable[[], datetime] = utc_now) -> None:
    """Add the events of each hour, in a lake whose sample goes on, until `wait` raises."""
    written, sample = None, None
    while True:
        now = clock()
        try:
            if written_until(now) != written and (end := growing_since(settings)):
                if sample is None or sample.spec.end != end:
                    sample = Sample(SampleSpec(end))
                for line in grow(settings, sample, now):
                    print(f"{now:%Y-%m-%d %H:%M:%S} UTC: {line}", flush=True)
                written = written_until(now)
        except BaseError as error:
            print(f"{now:%Y-%m-%d %H:%M:%S} UTC: the lake does not take the events: {error}", flush=True)
        wait()


def run_until_interrupted(settings: Settings, alive: Path | None = None) -> None:
    """`run` by the wall clock, until SIGINT or SIGTERM.

    :param alive: a file that is touched as long as it runs.
    """
    interruption = Interruption()

    def wait() -> None:
        if alive:
            alive.touch()
        with interruption.let_through():
            # The pace at which the clock is looked at; a machine that was suspended is late by no more.
            time.sleep(TICK_S)

    run(settings, wait)


if __name__ == "__main__":
    run_until_interrupted(Settings.load())
