"""A schema as `sparkify_schema` makes it, without making it anew for each test."""

from __future__ import annotations

import psycopg

from local_redshift.embedded.postgres import EmbeddedPostgres
from tests.support.warehouse import Pipeline

WORK_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = 'staging' AND tablename LIKE '%\\_\\_%'"""
TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname IN ('sparkify', 'staging') AND tablename <> 'schema_migrations'"""
#: What the catalog knows of the schemas: columns, defaults, views, indexes, rights, comments.
DEFINITION = """
    SELECT md5(string_agg(about, E'\\n' ORDER BY about)) FROM (
        SELECT concat_ws('|', n.nspname, n.nspowner, n.nspacl, c.relname, c.relkind, c.relowner, c.relacl,
            c.reloptions, CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
            CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END,
            a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attacl,
            pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), obj_description(c.oid),
            (SELECT string_agg(pg_get_constraintdef(k.oid), ';' ORDER BY k.conname)
             FROM pg_constraint AS k WHERE k.conrelid = c.oid)) AS about
        FROM pg_namespace AS n
        JOIN pg_class AS c ON c.relnamespace = n.oid
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname IN ('sparkify', 'staging')
        UNION ALL
        SELECT concat_ws('|', m.version, m.name) FROM staging.schema_migrations AS m
    ) AS definition"""


class FreshSchema:
    """Gives a pipeline the schema with empty tables: the last test's, where they are defined as they were.

    :param postgres: the server behind, where a superuser may do what Redshift has no statement for.
    """

    def __init__(self, postgres: EmbeddedPostgres):
        self._postgres = postgres
        self._made: str | None = None

    def give(self, pipeline: Pipeline) -> None:
        if self._made is not None and self._emptied(pipeline) == self._made:
            return
        pipeline.execute("DROP SCHEMA IF EXISTS sparkify CASCADE", "DROP SCHEMA IF EXISTS staging CASCADE")
        pipeline.create_schema()
        self._made = self._emptied(pipeline)

    def _emptied(self, pipeline: Pipeline) -> str | None:
        """Leave no row and no work table; what the schemas are now, None where they are not there."""
        with self._postgres.connect(pipeline.redshift.database) as connection, connection.transaction():
            for listed, statement in (
                (WORK_TABLES, "DROP TABLE {} CASCADE"),
                (TABLES, "TRUNCATE {} RESTART IDENTITY"),
            ):
                if tables := connection.execute(listed).fetchall():
                    connection.execute(statement.format(", ".join(name for (name,) in tables)))
            try:
                [definition] = connection.execute(DEFINITION).fetchone()
            except psycopg.errors.UndefinedTable:
                return None
            return definition
