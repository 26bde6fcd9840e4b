"""Where the project's own files are, whatever the current directory is."""

from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SQL = INCLUDE / "sql"
MIGRATIONS = SQL / "migrations"
JSONPATHS = INCLUDE / "jsonpaths"
#: What makes the schemas, in order: each folder's `create.sql`.
#: A tuple: Airflow puts the text of a file in the place of its path in lists that operators are given.
CREATE_SQL = tuple(
    f"{folder}/create.sql"
    for folder in (
        *("migrations", "staging", "songplays", "users", "songs", "artists", "time"),
        *("load_history", "quality_results", "rejected_rows"),
        *("certified_windows", "loaded_hours"),
    )
)
