"""Texts that differ in nothing but the blanks at their end are equal, as on Redshift."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def texts(run, table):
    """A table of VARCHARs: a, a with blanks, and b."""
    run(f"CREATE TABLE {table} (t VARCHAR(8), c CHAR(8), n INTEGER) SORTKEY (t)")
    run(f"INSERT INTO {table} VALUES ('a', 'a', 1), ('a  ', 'a', 2), ('b', 'b', 3)")
    return table


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT n FROM {t} WHERE t = 'a ' ORDER BY n", [(1,), (2,)]),
        ("SELECT n FROM {t} WHERE t <> 'a'", [(3,)]),
        ("SELECT n FROM {t} WHERE t IN ('a   ', 'c') ORDER BY n", [(1,), (2,)]),
        ("SELECT n FROM {t} WHERE t NOT IN ('a', 'c')", [(3,)]),
        ("SELECT n FROM {t} WHERE t > 'a'", [(3,)]),
        ("SELECT n FROM {t} WHERE t = c ORDER BY n", [(1,), (2,), (3,)]),
        ("SELECT COUNT(DISTINCT t) FROM {t}", [(2,)]),
        ("SELECT COUNT(*) FROM (SELECT DISTINCT t FROM {t}) AS d", [(2,)]),
        ("SELECT COUNT(*) FROM {t} GROUP BY t ORDER BY 1", [(1,), (2,)]),
        ("SELECT COUNT(*) FROM {t} AS x INNER JOIN {t} AS y ON x.t = y.t", [(5,)]),
        (
            "SELECT COUNT(*) FROM {t} AS x LEFT JOIN {t} AS y ON x.t = y.t AND x.n <> y.n WHERE y.n IS NULL",
            [(1,)],
        ),
        ("SELECT COUNT(*) FROM (SELECT t FROM {t} UNION SELECT t FROM {t}) AS u", [(2,)]),
        ("SELECT t FROM {t} WHERE n = 2 EXCEPT SELECT t FROM {t} WHERE n = 1", []),
        (
            "SELECT COUNT(*) FROM (SELECT t FROM {t} WHERE n = 2 INTERSECT SELECT t FROM {t} WHERE n = 1) i",
            [(1,)],
        ),
        ("SELECT n FROM {t} ORDER BY t DESC, n ASC", [(3,), (1,), (2,)]),
        ("SELECT ROW_NUMBER() OVER (PARTITION BY t ORDER BY n) FROM {t} ORDER BY n", [(1,), (2,), (1,)]),
        ("SELECT DENSE_RANK() OVER (ORDER BY t) FROM {t} ORDER BY n", [(1,), (1,), (2,)]),
        ("SELECT NULLIF('a ', 'a') IS NULL, CASE 'a ' WHEN 'a' THEN 1 ELSE 2 END", [(True, 1)]),
        ("SELECT n FROM {t} WHERE t IN (SELECT 'a     ') ORDER BY n", [(1,), (2,)]),
        ("SELECT COUNT(*) FROM {t} WHERE EXISTS (SELECT 1 FROM {t} AS y WHERE y.t = {t}.t || ' ')", [(3,)]),
    ],
)
def test_blanks_at_the_end_do_not_count_in_comparisons(run, texts, query, rows):
    assert run(query.format(t=texts)) == rows


def test_they_count_in_lengths_and_stay_as_they_are(run, texts):
    assert run(f"SELECT t, LEN(t), t || '.' FROM {texts} WHERE n = 2") == [("a  ", 3, "a  .")]


def test_blanks_before_a_text_count(run, texts):
    assert run(f"SELECT COUNT(*) FROM {texts} WHERE t = ' a'") == [(0,)]


def test_a_full_join_sees_it(run, texts):
    joined = f"SELECT x.n, y.n FROM {texts} AS x FULL JOIN {texts} AS y ON x.t = y.t || '  ' ORDER BY 1, 2"
    assert run(joined) == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3)]
