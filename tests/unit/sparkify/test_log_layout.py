"""Layouts: which partitions a window has, what is listed for them, and which keys are theirs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkify.lake import SourceFile
from sparkify.layout import Layout, LayoutError, compression

pytestmark = pytest.mark.unit

DAILY = Layout("log_data", "{year}/{month}/{year}-{month}-{day}-events.json")
TEMPLATES = [
    "{year}/{month}/{year}-{month}-{day}-events.json",
    "{year}/{month}/{day}/{hour}/*",
    "dt={year}-{month}-{day}/hour={hour}/*",
    "{hour}/{day}.{month}.{year}/*",
    "{year}{month}{day}T{hour}.json",
    "{year}/{month}/*",
    "y={year}*",
    "{year}-{month}-{day}_*",
]
layouts = st.builds(Layout, st.sampled_from(["", "log_data", "a/b c/"]), st.sampled_from(TEMPLATES))
moments = st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)


@given(layouts, moments, st.timedeltas(timedelta(hours=1), timedelta(days=90)))
def test_partitions_cover_a_window_once_and_know_their_keys(layout, start, length):
    found = list(layout.partitions(start, start + length))
    assert found[0].start <= start < found[0].end
    assert found[-1].start < start + length <= found[-1].end
    assert all(one.end == following.start for one, following in pairwise(found))
    assert len({one.key for one in found}) == len(found)
    for one in found[:50]:
        key = one.key + ("some/where/part-0" if layout.has_many else "")
        assert layout.partition_of(key) == one


@given(layouts, moments, st.timedeltas(timedelta(hours=1), timedelta(days=3)))
def test_what_is_listed_for_partitions_begins_like_their_keys(layout, start, length):
    partitions = list(layout.partitions(start, start + length))
    prefixes = layout.prefixes(partitions)
    assert len(set(prefixes)) == len(prefixes) <= len(partitions)
    for one in partitions:
        assert sum(one.key.startswith(prefix) for prefix in prefixes) == 1


def test_the_hours_of_a_day_are_listed_at_once():
    layout = Layout("logs", "{year}/{month}/{day}/{hour}/*")
    day = datetime(2018, 11, 1, tzinfo=UTC)
    assert layout.prefixes(layout.partitions(day, day + timedelta(days=2))) == [
        "logs/2018/11/01/",
        "logs/2018/11/02/",
    ]
    assert layout.prefixes(layout.partitions(day, day + timedelta(hours=2))) == [
        "logs/2018/11/01/00/",
        "logs/2018/11/01/01/",
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{year}/{minute}/*", "place {minute}"),
        ("events/*", "no {year}"),
        ("", "no {year}"),
        ("{year}/{day}/*", "no {month}"),
        ("{month}/{day}/*", "no {year}"),
        ("{year}/*/{month}", "* at its end only"),
        ("{year}/{month", "braces"),
        ("/{year}/*", "begins with a slash"),
    ],
)
def test_a_template_that_names_no_span_of_time_is_refused(template, problem):
    with pytest.raises(LayoutError, match=r"\nEnter the keys below the prefix") as caught:
        Layout("log_data", template)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("template", "suffixes"),
    [("{year}/*", (".parquet",)), ("{year}.ORC", ("*",)), ("{year}/*", (".json", ".snappy.parquet"))],
)
def test_columnar_files_are_refused_in_a_declaration(template, suffixes):
    with pytest.raises(LayoutError, match=r"columnar files.*\nEnter the suffixes"):
        Layout("log_data", template, suffixes)


def test_a_columnar_file_among_others_is_refused():
    layout = Layout("log_data", "{year}/*", (".json",))
    files = [SourceFile(key, "e", 1, "") for key in ("log_data/2018/a.json", "log_data/2018/b.parquet")]
    with pytest.raises(LayoutError, match=r"b\.parquet is a columnar file.*\nMove it out of log_data/"):
        list(layout.files(files))


@pytest.mark.parametrize(
    ("layout", "key", "is_file"),
    [
        (DAILY, "log_data/2018/11/2018-11-01-events.json", True),
        (DAILY, "log_data/2018/11/2018-11-01-events.json.bak", False),
        (DAILY, "log_data/2018/12/2018-11-01-events.json", False),
        (DAILY, "log_data/2018/13/2018-13-01-events.json", False),
        (DAILY, "other/2018/11/2018-11-01-events.json", False),
        (Layout("", "{year}/{month}/*", (".json", ".json.gz")), "2018/11/a/b/c.json.gz", True),
        (Layout("", "{year}/{month}/*", (".json", ".json.gz")), "2018/11/c.gz", False),
        (Layout("", "{year}/{month}/*"), "2018/11/", False),
        (Layout("", "{year}/{month}/*"), "2018/11/_SUCCESS", False),
        (Layout("", "{year}/{month}/*"), "2018/11/_temporary/part-0", True),
        (Layout("", "{year}/{month}/*"), "2018/11/.part-0.crc", False),
        (Layout("", "{year}/{month}/*"), "2018/11/line\nbreak", True),
        (Layout("", "{year}/{month}/*"), "2018/11x/a", False),
    ],
)
def test_only_files_of_the_layout_are_files_of_the_source(layout, key, is_file):
    assert bool(layout.partition_of(key)) == is_file


@pytest.mark.parametrize(
    ("key", "option"),
    [
        ("a.json", ""),
        ("a.json.gz", "GZIP"),
        ("A.GZ", "GZIP"),
        ("a.bz2", "BZIP2"),
        ("a.zst", "ZSTD"),
        ("gz", ""),
    ],
)
def test_the_end_of_a_key_tells_its_compression(key, option):
    assert compression(key) == option
