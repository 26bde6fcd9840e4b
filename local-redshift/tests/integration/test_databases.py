"""Databases beside the first: each has what Redshift's has, and nothing of the others'."""

from __future__ import annotations

import pytest

from local_redshift import LocalRedshift

pytestmark = pytest.mark.integration


def test_a_new_database_has_redshifts_functions_and_its_loads(redshift_cluster):
    with redshift_cluster.new_database() as database, redshift_cluster.new_bucket() as bucket:
        bucket.put("a.json", '{"n": 1}')
        database.execute("CREATE TABLE t (n INT)")
        database.execute(f"COPY t FROM '{bucket.url}/' IAM_ROLE default JSON 'auto'")
        assert database.execute("SELECT NVL(n, 0), LEN('abc') FROM t") == [(1, 3)]
        loads = f"SELECT status FROM sys_load_history WHERE data_source = '{bucket.url}/'"
        assert database.execute(loads) == [("completed",)]
        of_the_first = redshift_cluster.redshift.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        assert ("t",) not in of_the_first


def test_a_database_is_dropped_also_while_somebody_is_connected(redshift_cluster):
    with redshift_cluster.new_database() as database:
        database.connect()
        name = database.database
    found = redshift_cluster.redshift.execute("SELECT 1 FROM pg_database WHERE datname = %s", name)
    assert found == []


def test_databases_are_brought_up_to_date_when_the_server_starts_again(redshift_cluster, tmp_path):
    with redshift_cluster.new_database() as database, redshift_cluster.new_bucket() as bucket:
        bucket.put("a.json", '{"n": 1}')
        database.execute("CREATE TABLE t (n INT)")
        database.execute(f"COPY t FROM '{bucket.url}/' IAM_ROLE default JSON 'auto'")
        # As an earlier version would have left it.
        with redshift_cluster.postgres.connect(database.database) as backend:
            backend.execute("DELETE FROM redshift.journal_connection")
        again = LocalRedshift.over(redshift_cluster.postgres, redshift_cluster.s3, tmp_path)
        try:
            again.start()
            loads = f"SELECT status FROM sys_load_history WHERE data_source = '{bucket.url}/'"
            assert database.execute(loads) == [("completed",)]
        finally:
            again.stop()
