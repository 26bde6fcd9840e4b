"""The diagram of the model in docs/analysts.md against the tables."""

import re

import pytest

from sparkify.paths import SQL
from tests.support.documents import DOCS

pytestmark = pytest.mark.unit

TABLES = ("songplays", "users", "songs", "artists", "time")
DIAGRAM = re.search(r"```mermaid\nerDiagram\n(.*?)```", (DOCS / "analysts.md").read_text(), re.DOTALL)[1]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_in_the_diagram_and_explained(table):
    definition = re.search(
        rf"CREATE TABLE IF NOT EXISTS sparkify\.{table} \((.*?)\n\)",
        (SQL / table / "create.sql").read_text(),
        re.DOTALL,
    )
    columns = re.findall(r"^    ([a-z_]+) ([A-Z]+)", definition[1], re.MULTILINE)
    entity = re.search(rf"^    {table} {{\n(.*?)^    }}", DIAGRAM, re.DOTALL | re.MULTILINE)
    shown = re.findall(r'^        (\w+) (\w+) "[^"]+"$', entity[1], re.MULTILINE)
    assert shown == [(kind.lower(), name) for name, kind in columns]
