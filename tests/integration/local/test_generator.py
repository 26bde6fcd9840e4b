"""The sample goes on in a lake on S3, with a clock that the tests move."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import obstore
import pytest
from obstore.exceptions import GenericError

from local.generator import grow, growing_since, let_grow, run, sample_end
from local.sample_data import HOUR, Sample, SampleSpec
from local.seed import SeedError, complete_sample, lake_store, seed_sample
from local.settings import BUCKET, ROOT, Credentials, Ports, Settings
from local_redshift.embedded.ports import free_port
from local_redshift.embedded.s3 import LocalS3
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

END = date(2026, 11, 26)
MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC)
YESTERDAY, TODAY, TOMORROW = (f"log_data/2026/11/2026-11-{day}-events.json" for day in (26, 27, 28))


class Over(Exception):
    """The generator has been waited for often enough."""


@pytest.fixture(scope="module")
def sample():
    return Sample(SampleSpec(END))


@pytest.fixture(scope="module")
def files(sample):
    return {file.key: file for file in sample.log_files(MIDNIGHT + timedelta(days=3))}


@pytest.fixture
def settings(tmp_path):
    credentials = Credentials()
    lake = LocalS3(
        tmp_path / "s3", free_port(), credentials.aws_access_key_id, credentials.aws_secret_access_key
    )
    (lake.root / BUCKET).mkdir(parents=True)
    lake.start()
    yield Settings(state=tmp_path, ports=Ports(s3=lake.port), credentials=credentials)
    lake.remove()


@pytest.fixture
def lake(settings):
    """The lake's objects, which are files."""
    return settings.lake / BUCKET


def generate(settings, *moments, then=lambda now: None):
    """Let the generator look at the clock at each of the moments, in one process."""
    rest = iter(moments)
    now = next(rest)

    def wait():
        nonlocal now
        then(now)
        try:
            now = next(rest)
        except StopIteration:
            raise Over from None

    with pytest.raises(Over):
        run(settings, wait, lambda: now)


def minutes(start, count):
    return [start + timedelta(minutes=number) for number in range(count)]


def seed(settings, sample):
    complete_sample(settings, sample, MIDNIGHT)
    let_grow(settings, END)


def test_hour_by_hour_the_lake_holds_what_the_sample_says(settings, sample, files, lake, capsys):
    seed(settings, sample)
    assert (lake / YESTERDAY).read_bytes() == files[YESTERDAY].content(MIDNIGHT)
    assert not (lake / TODAY).exists()

    def check(now):
        for key in (YESTERDAY, TODAY, TOMORROW):
            expected = files[key].content(now) if files[key].day < now else None
            assert ((lake / key).read_bytes() if (lake / key).exists() else None) == expected, (key, now)

    generate(settings, *(MIDNIGHT + hour * HOUR for hour in range(1, 31)), then=check)
    # Late events and a location that was missing, in the file of the sample's last day.
    assert f"2026-11-27 01:00:00 UTC: {YESTERDAY} has" in capsys.readouterr().out


def test_an_hour_is_written_in_its_last_minute(settings, sample, files, lake):
    seed(settings, sample)
    before, after = (MIDNIGHT + timedelta(hours=15, minutes=minute) for minute in (58, 59))
    assert files[TODAY].content(MIDNIGHT + 15 * HOUR) != files[TODAY].content(MIDNIGHT + 16 * HOUR)
    generate(settings, before)
    assert (lake / TODAY).read_bytes() == files[TODAY].content(MIDNIGHT + 15 * HOUR)
    generate(settings, after)
    assert (lake / TODAY).read_bytes() == files[TODAY].content(MIDNIGHT + 16 * HOUR)


def test_one_that_starts_again_catches_up_and_changes_nothing_more(settings, sample, files, lake):
    seed(settings, sample)
    now = MIDNIGHT + timedelta(days=2, hours=5, minutes=10)
    generate(settings, now)
    written = {path: path.stat().st_mtime_ns for path in lake.rglob("*events.json")}
    assert len(written) == 33
    for key, file in files.items():
        assert (lake / key).read_bytes() == file.content(now)
    generate(settings, now)
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*events.json")} == written


def test_a_file_that_somebody_else_has_written_is_left_alone(settings, sample, files, lake, capsys):
    seed(settings, sample)
    obstore.put(lake_store(settings), YESTERDAY, b'{"mine": 1}')
    generate(settings, MIDNIGHT + 8 * HOUR)
    assert (lake / YESTERDAY).read_bytes() == b'{"mine": 1}'
    assert (lake / TODAY).read_bytes() == files[TODAY].content(MIDNIGHT + 8 * HOUR)
    assert f"{YESTERDAY} is left alone: somebody else has written it" in capsys.readouterr().out


def test_a_lake_whose_sample_stands_still_is_left_alone_until_it_goes_on(settings, sample, lake):
    seed_sample(settings, sample)
    assert growing_since(settings) is None
    generate(settings, MIDNIGHT + 8 * HOUR)
    assert not (lake / TODAY).exists()
    let_grow(settings, END)
    generate(settings, MIDNIGHT + 8 * HOUR)
    assert (lake / TODAY).exists()


def test_what_could_not_be_written_is_tried_again(settings, sample, lake, capsys, monkeypatch):
    seed(settings, sample)
    tries = []

    def refuse_once(settings, sample, now):
        tries.append(now)
        if len(tries) == 1:
            raise GenericError("no route to the lake")
        return grow(settings, sample, now)

    monkeypatch.setattr("local.generator.grow", refuse_once)
    now = MIDNIGHT + 8 * HOUR
    generate(settings, *minutes(now, 3))
    assert tries == minutes(now, 2)
    assert "no route to the lake" in capsys.readouterr().out
    assert (lake / TODAY).exists()


def test_the_sample_ends_where_it_is_set_else_where_the_lake_says_else_yesterday(settings, monkeypatch):
    monkeypatch.setattr("local.generator.utc_now", lambda: MIDNIGHT + 5 * HOUR)
    assert sample_end(settings) == END
    let_grow(settings, date(2026, 11, 20))
    assert sample_end(settings) == date(2026, 11, 20)
    still = Settings(settings.state, settings.ports, settings.credentials, sample_end=date(2018, 11, 30))
    assert sample_end(still) == date(2018, 11, 30)


def test_a_lake_that_has_grown_is_the_samples_and_keeps_what_came(settings, sample, files, lake):
    seed(settings, sample)
    now = MIDNIGHT + 8 * HOUR
    generate(settings, now)
    store = lake_store(settings)
    lost = min(key for key in files if key != YESTERDAY)
    obstore.delete(store, lost)
    seeded = complete_sample(settings, sample, now)
    assert (seeded.uploaded, seeded.unchanged) == (1, 329)
    assert (lake / lost).read_bytes() == files[lost].content(MIDNIGHT)
    assert (lake / YESTERDAY).read_bytes() == files[YESTERDAY].content(now)
    obstore.put(store, TODAY, b"{}")
    with pytest.raises(SeedError, match=rf"data other than the sample(.|\n)*{TODAY}(.|\n)*make clean"):
        complete_sample(settings, sample, now)


def test_seeding_again_is_brought_up_to_the_hour_by_the_generator(settings, sample, files, lake):
    seed(settings, sample)
    now = MIDNIGHT + 8 * HOUR
    generate(settings, now)
    seed_sample(settings, sample)
    assert (lake / YESTERDAY).read_bytes() == files[YESTERDAY].content(MIDNIGHT)
    generate(settings, now)
    assert (lake / YESTERDAY).read_bytes() == files[YESTERDAY].content(now)


@pytest.mark.parametrize("module", ["local.generator", "local.containers"])
def test_the_process_catches_up_with_the_clock_and_ends_when_told(settings, module, lake, tmp_path):
    today = datetime.now(UTC).date()
    end = today - timedelta(days=2)
    let_grow(settings, end)
    credentials = settings.credentials
    aws = {"login": credentials.aws_access_key_id, "password": credentials.aws_secret_access_key}
    environ = {
        **os.environ,
        "SPARKIFY_STATE": str(tmp_path),
        "SPARKIFY_S3_PORT": str(settings.ports.s3),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws | {"extra": {"endpoint_url": settings.s3_url}}),
        "AIRFLOW_CONN_REDSHIFT_DEFAULT": json.dumps(
            {"host": "127.0.0.1", "port": free_port(), "login": "awsuser", "password": "unused"}
        ),
    }
    settings.credentials_file.write_text(json.dumps(vars(credentials)))
    alive = tmp_path / "generator"
    command = [sys.executable, "-m", module, *(["generator"] if module.endswith("containers") else [])]
    with subprocess.Popen(command, cwd=ROOT, env=environ) as process:
        try:
            expected = lake / f"log_data/{end + timedelta(days=1):%Y/%m/%Y-%m-%d}-events.json"

            def has_written() -> bool:
                assert process.poll() is None
                return expected.exists() and (alive.exists() or not module.endswith("containers"))

            eventually(has_written, "the day's file is written", seconds=30)
        finally:
            process.terminate()
        assert process.wait(30) == 128 + 15


def test_late_events_of_the_samples_days_can_be_left_for_later(settings, sample, files, lake):
    seed(settings, sample)
    now = MIDNIGHT + 8 * HOUR
    assert grow(settings, sample, now, since=MIDNIGHT) == [f"{TODAY} has 70 events"]
    assert (lake / YESTERDAY).read_bytes() == files[YESTERDAY].content(MIDNIGHT)
    assert grow(settings, sample, now) == [f"{YESTERDAY} has 229 events"]
