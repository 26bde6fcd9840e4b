from datetime import UTC, datetime

import pytest

from local.runs import WindowError, parse_hour, window_conf

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2018-11-01", datetime(2018, 11, 1, tzinfo=UTC)),
        ("2018-11-01T05:00", datetime(2018, 11, 1, 5, tzinfo=UTC)),
        ("2018-11-01 05:00:00Z", datetime(2018, 11, 1, 5, tzinfo=UTC)),
        ("2018-11-01T05:00+02:00", datetime(2018, 11, 1, 3, tzinfo=UTC)),
    ],
)
def test_an_hour_is_read_in_utc(text, hour):
    assert parse_hour("--start", text) == hour


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "--start 'yesterday' is not a date or a time. Enter one like 2018-11-01"),
        ("2018-11-31", "is not a date"),
        ("0001-01-01T00:00+05:00", "is not a date"),
        ("9999-12-31T23:00-05:00", "is not a date"),
        ("2018-11-01T05:30", "is not a whole hour"),
        ("2018-11-01T05:30+05:30", None),
    ],
)
def test_what_is_no_hour_is_refused(text, message):
    if message is None:
        assert parse_hour("--start", text).hour == 0
    else:
        with pytest.raises(WindowError, match=message):
            parse_hour("--start", text)


def test_a_window_becomes_the_dags_params():
    conf = window_conf(datetime(2018, 11, 1, tzinfo=UTC), datetime(2018, 12, 1, tzinfo=UTC), "truncate")
    assert conf == {
        "window_start": "2018-11-01T00:00:00+00:00",
        "window_end": "2018-12-01T00:00:00+00:00",
        "dimension_mode": "truncate",
    }


def test_an_empty_or_inverted_window_is_refused():
    hour = datetime(2018, 11, 1, tzinfo=UTC)
    with pytest.raises(WindowError, match="not after its start"):
        window_conf(hour, hour)
