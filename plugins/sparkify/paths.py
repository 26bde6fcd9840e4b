"""Where the project's own files are, whatever the current directory is."""

from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SQL = INCLUDE / "sql"
MIGRATIONS = SQL / "migrations"
POLICIES = INCLUDE / "aws"
JSONPATHS = INCLUDE / "jsonpaths"
#: What makes the schemas, in order: each folder's `create.sql`.
CREATE_SQL = [
    f"{folder}/create.sql"
    for folder in (
        *("migrations", "staging", "songplays", "users", "songs", "artists", "time"),
        *("load_history", "quality_results", "rejected_rows", "certified_windows"),
    )
]
