"""The fingerprint of the published tables: equal contents, equal fingerprint, however they were loaded.

`python -m sparkify.fingerprint [connection id]` prints it for the warehouse of an Airflow connection
(`redshift_default`). Fingerprints compare within one warehouse: versions may write
floating point numbers as text in different ways.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sparkify.paths import SQL
from sparkify.warehouse import Warehouse


@dataclass(frozen=True)
class TableFingerprint:
    """One published table.

    :param digest: 16 hexadecimal digits over all of its columns but the surrogate key.
    """

    rows: int
    digest: str


def fingerprint(warehouse: Warehouse) -> dict[str, TableFingerprint]:
    """Table to fingerprint, of one snapshot.

    :raises WarehouseError: where the warehouse cannot be reached or has no schema yet.
    """
    with warehouse.reading() as transaction:
        rows = transaction.execute(fingerprint_sql(), name="fingerprint.sql")
    return {
        table: TableFingerprint(count, hashlib.sha256(f"{count} {digest}".encode()).hexdigest()[:16])
        for table, count, digest in sorted(rows)
    }


def fingerprint_sql() -> str:
    """The query: one row a table, with its name, its rows and the sum of their digests."""
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(SQL))
    return environment.get_template("fingerprint.sql").render()


def overall(tables: Mapping[str, TableFingerprint]) -> str:
    """One fingerprint for all tables: 16 hexadecimal digits."""
    text = "\n".join(f"{name} {table.digest}" for name, table in sorted(tables.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> int:
    tables = fingerprint(Warehouse(*sys.argv[1:2]))
    for name, table in tables.items():
        print(f"{name:<10} {table.rows:>12,} rows  {table.digest}")
    print(f"{'all':<10} {sum(table.rows for table in tables.values()):>12,} rows  {overall(tables)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
