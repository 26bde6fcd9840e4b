"""ASSUMEROLE: which users may name an IAM role in COPY ("GRANT", its usage notes)."""

from __future__ import annotations

import itertools
from contextlib import closing

import pytest
from redshift_connector import ProgrammingError

pytestmark = pytest.mark.integration

ARN = "arn:aws:iam::123456789012:role/load"
PASSWORD = "Test-loader-1"
NUMBERS = itertools.count(1)
CLOSED = "REVOKE ASSUMEROLE ON ALL FROM PUBLIC FOR ALL"


@pytest.fixture
def database(redshift_cluster):
    with redshift_cluster.new_database() as database:
        yield database


@pytest.fixture
def loader(database):
    """A user who may write the table t."""
    name = f"loader_{next(NUMBERS)}"
    for statement in (
        f"CREATE USER {name} PASSWORD '{PASSWORD}'",
        "CREATE TABLE t (n INT)",
        f"GRANT INSERT, SELECT ON t TO {name}",
    ):
        database.execute(statement)
    yield name
    database.execute(f"REVOKE ALL ON t FROM {name}")
    database.execute(f"DROP USER {name}")


@pytest.fixture
def bucket(redshift_cluster):
    with redshift_cluster.new_bucket() as bucket:
        bucket.put("a.json", '{"n": 1}')
        yield bucket


@pytest.fixture
def copy(database, loader, bucket):
    """Runs COPY as the loader."""

    def copy(authorization="IAM_ROLE default"):
        with closing(database.connect(user=loader, password=PASSWORD)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"COPY t FROM '{bucket.url}/' {authorization} JSON 'auto'")

    return copy


def rows(database) -> int:
    [(count,)] = database.execute("SELECT COUNT(*) FROM t")
    return count


def refused(copy, *authorization) -> str:
    with pytest.raises(ProgrammingError) as error:
        copy(*authorization)
    return error.value.args[0]["M"]


def test_at_first_every_user_can_name_every_role(database, copy):
    copy()
    copy(f"IAM_ROLE '{ARN}'")
    assert rows(database) == 2


def test_a_revoked_role_is_refused_in_redshifts_words(database, copy, loader):
    database.execute(CLOSED)
    told = f'User {loader} does not have ASSUMEROLE permission on IAM role "{ARN}" for COPY'
    assert refused(copy, f"IAM_ROLE '{ARN}'") == told
    assert refused(copy, f"CREDENTIALS 'aws_iam_role={ARN}'") == told
    assert '"default" for COPY' in refused(copy)
    assert rows(database) == 0


@pytest.mark.parametrize(
    ("granted", "usable", "not_usable"),
    [
        ("default", "IAM_ROLE default", f"IAM_ROLE '{ARN}'"),
        (f"'{ARN}'", f"IAM_ROLE '{ARN}'", "IAM_ROLE default"),
        (f"'{ARN},{ARN}2'", f"IAM_ROLE '{ARN},{ARN}2'", f"IAM_ROLE '{ARN}'"),
    ],
)
def test_a_grant_is_for_the_role_that_it_names(database, copy, loader, granted, usable, not_usable):
    database.execute(CLOSED)
    database.execute(f"GRANT ASSUMEROLE ON {granted} TO {loader} FOR COPY")
    copy(usable)
    assert "ASSUMEROLE" in refused(copy, not_usable)
    database.execute(f"REVOKE ASSUMEROLE ON {granted} FROM {loader} FOR COPY")
    assert "ASSUMEROLE" in refused(copy, usable)
    assert rows(database) == 1


def test_a_grant_for_something_else_is_none_for_copy(database, copy, loader):
    database.execute(CLOSED)
    database.execute(f"GRANT ASSUMEROLE ON ALL TO {loader} FOR UNLOAD, EXTERNAL FUNCTION")
    assert "ASSUMEROLE" in refused(copy)
    database.execute(f"GRANT ASSUMEROLE ON ALL TO {loader} FOR ALL")
    copy()


def test_members_of_a_group_have_its_grants(database, copy, loader):
    group = f"loaders_{next(NUMBERS)}"
    database.execute(f"CREATE GROUP {group}")
    database.execute(CLOSED)
    database.execute(f"GRANT ASSUMEROLE ON default TO GROUP {group} FOR COPY")
    assert "ASSUMEROLE" in refused(copy)
    database.execute(f"ALTER GROUP {group} ADD USER {loader}")
    copy()
    asked = "SELECT HAS_ASSUMEROLE_PRIVILEGE(%s, 'default', 'copy')"
    assert database.execute(asked, loader) == [(True,)]
    database.execute(f"DROP GROUP {group}")


def test_a_superuser_keeps_it_and_access_keys_need_none(database, copy, bucket):
    database.execute(CLOSED)
    database.execute(f"COPY t FROM '{bucket.url}/' IAM_ROLE default JSON 'auto'")
    copy(f"ACCESS_KEY_ID '{bucket.access_key}' SECRET_ACCESS_KEY '{bucket.secret_key}'")
    assert rows(database) == 2


def test_only_a_superuser_grants_and_only_to_those_who_are_there(database, loader):
    with (
        closing(database.connect(user=loader, password=PASSWORD)) as connection,
        pytest.raises(ProgrammingError, match="must be superuser"),
    ):
        connection.cursor().execute(f"GRANT ASSUMEROLE ON ALL TO {loader} FOR ALL")
    with pytest.raises(ProgrammingError, match='user or group "nobody" does not exist'):
        database.execute("GRANT ASSUMEROLE ON ALL TO nobody FOR COPY")


def test_a_grant_is_rolled_back_with_its_transaction(database, copy):
    with closing(database.connect()) as connection:
        connection.cursor().execute(CLOSED)
        connection.rollback()
    copy()
