"""The server's databases, and what the stand-in needs inside each: Redshift's functions, system tables."""

from __future__ import annotations

import secrets
from importlib import resources
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from local_redshift.sql.ddl import TEMPLATE_DATABASE

READER = "redshift_journal"
#: Servers that start at once over one PostgreSQL install one after the other.
LOCK = 7265647368


async def prepare(server: str, user: str, password: str, database: str) -> None:
    """The admin user, the database, and what is needed inside it and in every other made by this server.

    `server` is a URI of PostgreSQL's superuser, without a database. Raises psycopg.OperationalError.
    """
    async with await _connect(server, "postgres") as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await _ensure_role(connection, user, password, "LOGIN CREATEROLE CREATEDB")
        reader_password = secrets.token_urlsafe(24)
        await _ensure_role(connection, READER, reader_password, "LOGIN")
        journal = make_conninfo(server, dbname=database, user=READER, password=reader_password)
        databases = await _databases(connection)
        if TEMPLATE_DATABASE not in databases:
            await connection.execute(f"CREATE DATABASE {TEMPLATE_DATABASE} IS_TEMPLATE true")
        await _install(server, TEMPLATE_DATABASE, journal)
        if database not in databases:
            await connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    *map(sql.Identifier, (database, user, TEMPLATE_DATABASE))
                )
            )
        for name in sorted({database} | databases - {TEMPLATE_DATABASE}):
            if name == database or await _is_ours(server, name):
                await _install(server, name, journal)


async def _connect(server: str, database: str) -> psycopg.AsyncConnection:
    dsn = f"{server}/{quote(database, safe='')}"
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10)


async def _ensure_role(connection: psycopg.AsyncConnection, name: str, password: str, options: str) -> None:
    found = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    verb = "ALTER" if await found.fetchone() else "CREATE"
    await connection.execute(
        sql.SQL(f"{verb} ROLE {{}} {options} PASSWORD {{}}").format(
            sql.Identifier(name), sql.Literal(password)
        )
    )


async def _databases(connection: psycopg.AsyncConnection) -> set[str]:
    """All but PostgreSQL's own templates."""
    found = await connection.execute(
        "SELECT datname FROM pg_database WHERE datname = %s OR NOT datistemplate", [TEMPLATE_DATABASE]
    )
    return {name for (name,) in await found.fetchall()}


async def _is_ours(server: str, database: str) -> bool:
    async with await _connect(server, database) as connection:
        found = await connection.execute("SELECT to_regclass('redshift.journal_connection') IS NOT NULL")
        [(is_ours,)] = await found.fetchall()
        return bool(is_ours)


async def _install(server: str, database: str, journal: str) -> None:
    """Create or update it; `journal` is how views read the load tables, past a transaction's snapshot."""
    async with await _connect(server, database) as connection, connection.transaction():
        await connection.execute("SET LOCAL allow_system_table_mods = on")
        for name in ("system_tables.sql", "functions.sql", "comparisons.sql"):
            text = resources.files("local_redshift.catalog").joinpath(name).read_text()
            await connection.execute(text)
        await connection.execute(
            f"GRANT SELECT ON redshift.load_history, redshift.load_errors, redshift.load_files TO {READER}"
        )
        await connection.execute("DELETE FROM redshift.journal_connection")
        await connection.execute("INSERT INTO redshift.journal_connection VALUES (%s)", [journal])
