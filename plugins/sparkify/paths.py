"""Where the project's own files are, whatever the current directory is."""

from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SQL = INCLUDE / "sql"
MIGRATIONS = SQL / "migrations"
POLICIES = INCLUDE / "aws"
JSONPATHS = INCLUDE / "jsonpaths"
