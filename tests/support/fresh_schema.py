"""A schema as `sparkify_schema` makes it, without making it anew for each test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from local_redshift.embedded.postgres import EmbeddedPostgres
from tests.support.warehouse import Pipeline

WORK_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = 'staging' AND tablename LIKE '%\\_\\_%'"""
#: The tables that hold pages, and whether one page at most.
TABLES = """
    SELECT oid::regclass::text, pg_relation_size(oid) <= current_setting('block_size')::integer FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('sparkify', 'staging'))
        AND relkind = 'r' AND relname <> 'schema_migrations' AND pg_relation_size(oid) > 0"""
SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences
    WHERE schemaname IN ('sparkify', 'staging') AND last_value IS NOT NULL"""
#: What the catalog knows of the schemas: columns, defaults, views, indexes, rights, comments.
DEFINITION = """
    WITH ours AS (SELECT * FROM pg_namespace WHERE nspname IN ('sparkify', 'staging')),
    relations AS (
        SELECT c.*, c.oid AS id, n.nspname FROM pg_class AS c JOIN ours AS n ON c.relnamespace = n.oid)
    SELECT md5(string_agg(about, E'\\n' ORDER BY about)) FROM (
        SELECT concat_ws('|', nspname, nspowner, nspacl) AS about FROM ours
        UNION ALL
        SELECT concat_ws('|', nspname, relname, relkind, relowner, relacl, reloptions, obj_description(id),
            CASE relkind WHEN 'v' THEN pg_get_viewdef(id) WHEN 'i' THEN pg_get_indexdef(id) END)
        FROM relations
        UNION ALL
        SELECT concat_ws('|', r.nspname, r.relname, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
            a.attidentity, a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(r.id, a.attnum))
        FROM relations AS r
        JOIN pg_attribute AS a ON a.attrelid = r.id AND NOT a.attisdropped AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = r.id AND d.adnum = a.attnum
        UNION ALL
        SELECT concat_ws('|', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace IN (SELECT oid FROM ours)
        UNION ALL
        SELECT concat_ws('|', version, name) FROM staging.schema_migrations
    ) AS definition"""


@dataclass(frozen=True)
class Kept:
    """What a pipeline's tables and lake hold.

    :param rows: table to its rows, as COPY writes them; `sequences`: sequence to its last value.
    :param files: key to object.
    """

    pipeline: Pipeline
    rows: Mapping[str, bytes]
    sequences: Mapping[str, int]
    files: Mapping[str, bytes]


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

    def keep(self, pipeline: Pipeline) -> Kept:
        """What is there now, for `bring_back`."""
        with self._postgres.connect(pipeline.redshift.database) as connection:
            rows = {}
            for name, _ in connection.execute(TABLES).fetchall():
                with connection.cursor().copy(f"COPY {name} TO STDOUT") as copied:
                    rows[name] = b"".join(copied)
            sequences = dict(connection.execute(SEQUENCES).fetchall())
        return Kept(pipeline, rows, sequences, pipeline.files())

    def bring_back(self, kept: Kept) -> Pipeline:
        """A pipeline whose tables and lake are those that were kept."""
        pipeline = kept.pipeline.again()
        self.give(pipeline)
        with self._postgres.connect(pipeline.redshift.database) as connection:
            for name, rows in kept.rows.items():
                with connection.cursor().copy(f"COPY {name} FROM STDIN") as copied:
                    copied.write(rows)
            for name, value in kept.sequences.items():
                connection.execute("SELECT setval(%s, %s)", [name, value])
        files = pipeline.files()
        for key in files.keys() - kept.files.keys():
            pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=key)
        pipeline.put({key: body for key, body in kept.files.items() if files.get(key) != body})
        return pipeline

    def _emptied(self, pipeline: Pipeline) -> str | None:
        """Leave no row and no work table; what the schemas are now, None where they are not there."""
        with self._postgres.connect(pipeline.redshift.database) as connection, connection.transaction():
            if tables := connection.execute(WORK_TABLES).fetchall():
                connection.execute(f"DROP TABLE {', '.join(name for (name,) in tables)} CASCADE")
            large = []
            for name, is_small in connection.execute(TABLES).fetchall():
                # New files cost more than old rows.
                if is_small:
                    connection.execute(f"DELETE FROM {name}")
                else:
                    large.append(name)
            if large:
                connection.execute(f"TRUNCATE {', '.join(large)}")
            for name, _ in connection.execute(SEQUENCES).fetchall():
                connection.execute(f"ALTER SEQUENCE {name} RESTART")
            try:
                [definition] = connection.execute(DEFINITION).fetchone()
            except psycopg.errors.UndefinedTable:
                return None
            return definition
