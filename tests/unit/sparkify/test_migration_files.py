"""Reading the folder of migrations."""

from __future__ import annotations

import pytest

from sparkify.migrations import MigrationError, read_migrations
from sparkify.paths import MIGRATIONS

pytestmark = pytest.mark.unit

ADD = "ALTER TABLE sparkify.songs ADD COLUMN genre VARCHAR(64);\n"
WIDEN = "-- wider\nALTER TABLE sparkify.songs ALTER COLUMN title TYPE VARCHAR(2048);\n"


def folder(path, files):
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_migrations_are_read_in_order_of_their_numbers(tmp_path):
    folder(tmp_path, {"0002_b.sql": WIDEN, "0001_a.sql": ADD, "create.sql": ADD, "README.md": "0003"})
    assert [(m.version, m.name, m.stands_alone) for m in read_migrations(tmp_path)] == [
        (1, "0001_a", False),
        (2, "0002_b", True),
    ]


@pytest.mark.parametrize(
    "names", [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"]]
)
def test_a_gap_and_a_number_given_twice_are_refused(tmp_path, names):
    with pytest.raises(MigrationError, match="Number them 0001, 0002"):
        read_migrations(folder(tmp_path, dict.fromkeys(names, ADD)))


def test_what_cannot_be_in_a_transaction_is_alone_in_its_file(tmp_path):
    with pytest.raises(MigrationError, match=r"0001_a.*a file of its own"):
        read_migrations(folder(tmp_path, {"0001_a.sql": ADD + WIDEN}))


def test_the_projects_own_migrations_can_be_read():
    assert [migration.version for migration in read_migrations(MIGRATIONS)] == list(
        range(1, len(list(MIGRATIONS.glob("[0-9]*.sql"))) + 1)
    )


def test_no_table_is_swapped_by_renaming_it():
    """On Redshift a RENAME shows to readers before it is committed. The first release did so."""
    swapping = [m.name for m in read_migrations(MIGRATIONS) if "RENAME TO" in m.script.upper()]
    assert swapping == ["0001_count_and_reject"]
