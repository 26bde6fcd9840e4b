"""Who can read the buckets through Redshift: with the statements of docs/aws.md, only the loader."""

from __future__ import annotations

import json
import re
from contextlib import closing

import pytest
import redshift_connector

from sparkify.warehouse import WarehouseError
from tests.support.aws_cli import GUIDE
from tests.support.pipeline import PipelineRun, load_dag
from tests.support.source import song

pytestmark = pytest.mark.integration

PASSWORD = "Test-loader-1"
STATEMENTS = re.compile(r"<!-- assumerole: (\w+) -->\n```sql\n(.*?)```", re.DOTALL)
KINDS = {kind: [one for one in sql.split(";") if one.strip()] for kind, sql in STATEMENTS.findall(GUIDE)}


@pytest.fixture(params=KINDS)
def loader(request, pipeline, redshift):
    """The user that the guide gives the role to, once it has."""
    statements = KINDS[request.param]
    user = re.search(r"TO (\S+) FOR COPY", statements[-1])[1]
    pipeline.execute(*(f"CREATE USER {name} PASSWORD '{PASSWORD}'" for name in (user, "analyst")))
    pipeline.execute(f"GRANT CREATE ON DATABASE {redshift.database} TO {user}", *statements)
    yield user.strip('"').lower()
    pipeline.execute(f"REVOKE CREATE ON DATABASE {redshift.database} FROM {user}")
    pipeline.execute("GRANT ASSUMEROLE ON ALL TO PUBLIC FOR ALL", f"DROP USER {user}", "DROP USER analyst")


def verify_copy(pipeline, monkeypatch, redshift, user):
    """The task `copy` of sparkify_verify, with a connection of that user."""
    connection = {
        "conn_type": "redshift", "host": "127.0.0.1", "port": redshift.port, "schema": redshift.database,
        "login": user, "password": PASSWORD, "extra": {"ssl": False},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", json.dumps(connection))
    return PipelineRun(load_dag("sparkify_verify"), variables=pipeline.variables).run_task("copy")


def test_the_loader_can_read_the_buckets_and_an_analyst_cannot(pipeline, loader, redshift, monkeypatch):
    pipeline.put_songs(song())
    assert verify_copy(pipeline, monkeypatch, redshift, loader)
    with pytest.raises(WarehouseError, match=r"(?s)User analyst does not have ASSUMEROLE.*GRANT ASSUMEROLE"):
        verify_copy(pipeline, monkeypatch, redshift, "analyst")
    with closing(redshift.connect(user="analyst", password=PASSWORD)) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE stolen (song_id VARCHAR(18))")
        copy = f"COPY stolen FROM 's3://{pipeline.bucket}/' IAM_ROLE default JSON 'auto'"
        with pytest.raises(redshift_connector.ProgrammingError, match="ASSUMEROLE permission on IAM role"):
            cursor.execute(copy)
