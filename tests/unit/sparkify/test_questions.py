"""The analysts' questions as files, and the period they are asked for."""

from datetime import datetime

import pytest
import sqlparse

from sparkify.analytics import Period, PeriodError, questions
from sparkify.web.page import TOPICS

pytestmark = pytest.mark.unit

NOVEMBER = Period.parse("2018-11-01", "2018-12-01")


@pytest.mark.parametrize("name", questions())
def test_every_question_says_what_it_asks_and_how_to_read_it(name):
    question = questions()[name]
    assert question.title
    assert len(question.reading.split()) > 10
    assert question.reading.endswith(".")


@pytest.mark.parametrize("name", questions())
def test_every_question_is_one_query_with_a_row_limit(name):
    sql = questions()[name].sql(NOVEMBER, 7)
    [statement] = sqlparse.parse(sql)
    assert statement.get_type() == "SELECT"
    assert sql.rstrip().endswith("\nLIMIT 7;")
    assert "%" not in sql  # the driver would read a parameter


def test_a_period_is_half_open_and_in_utc():
    sql = questions()["totals"].sql(Period.parse("2018-11-01T02:00+02:00", "2018-11-02"), 7)
    assert "start_time >= TIMESTAMP '2018-11-01 00:00:00'" in sql
    assert "start_time < TIMESTAMP '2018-11-02 00:00:00'" in sql


def test_a_period_may_begin_within_a_second():
    sql = questions()["totals"].sql(Period.parse("2018-11-01T02:00:00.250", "2018-11-02"), 7)
    assert "start_time >= TIMESTAMP '2018-11-01 02:00:00.250000'" in sql


def test_every_question_is_on_one_topic_of_the_page():
    assert sorted(entry.name for topic in TOPICS for entry in topic.entries) == sorted(questions())


def test_a_day_is_its_midnight():
    assert NOVEMBER.end == datetime(2018, 12, 1)


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("2018-11-31", "2018-12-01", "start '2018-11-31'"),
        ("2018-11-01", "1' OR 'a", "end \"1' OR 'a\""),
        ("0001-01-01T00:00+05:00", "2018-12-01", "start '0001-01-01T00:00+05:00'"),
        ("2018-12-01", "2018-11-01", "not after its start"),
        ("2018-11-01", "2018-11-01", "not after its start"),
    ],
)
def test_a_period_that_cannot_be_is_refused(start, end, told):
    with pytest.raises(PeriodError, match="Enter") as caught:
        Period.parse(start, end)
    assert told in str(caught.value)
