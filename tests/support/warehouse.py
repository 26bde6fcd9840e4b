"""The project's operators on a warehouse and a lake, with the questions that tests ask of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import redshift_connector

from tests.support import reference, source
from tests.support.pipeline import PipelineRun, load_dag

RUN_NUMBERS = itertools.count(1)
#: The DAGs, read once: of a task, a copy is executed.
dag_read_once = cache(load_dag)


class Pipeline:
    """The project's operators on an empty warehouse and a lake of its own."""

    def __init__(self, redshift, s3_client, buckets: tuple[str, str]):
        self.redshift = redshift
        self.s3 = s3_client
        self.bucket, self.work_bucket = buckets
        self._swept: tuple[dict[str, str], dict[str, str]] | None = None
        self.variables = {"sparkify_bucket": self.bucket, "sparkify_work_bucket": self.work_bucket}

    def again(self) -> Pipeline:
        """The same lake and warehouse, without what was set since."""
        other = type(self)(self.redshift, self.s3, (self.bucket, self.work_bucket))
        other._swept = self._swept
        return other

    def files(self) -> dict[str, bytes]:
        """Key to object of the lake."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {
            one["Key"]: self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()
            for one in listed
        }

    def put(self, files: Mapping[str, bytes]) -> None:
        for key, body in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_events(self, *events: Mapping[str, Any]) -> None:
        self.put(source.log_files(events))

    def put_empty_days(self, start: str, end: str) -> None:
        """An empty log file of each day in `[start, end)`, given as `2018-11-01`: nothing was logged on it.

        Call it before `put_events`, whose files take their place.
        """
        days = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).days
        for number in range(days):
            day = datetime.fromisoformat(start) + timedelta(days=number)
            self.put({f"log_data/{day:%Y/%m/%Y-%m-%d}-events.json": b""})

    def put_songs(self, *songs: Mapping[str, Any]) -> None:
        self.put(source.song_files(songs))

    def put_month(self, files: Mapping[str, bytes]) -> None:
        """Log files by day, and a catalogue in one object."""
        songs = [body for key, body in sorted(files.items()) if key.startswith("song_data/")]
        self.put({key: body for key, body in files.items() if key.startswith("log_data/")})
        self.put({"song_data/A/all.json": b"\n".join(songs)})

    def create_schema(self, **params: Any) -> list[str]:
        run = PipelineRun(dag_read_once("sparkify_schema"), params, run_id="schema")
        return run.run_task("create_schema")

    def new_run(
        self,
        start: str,
        end: str,
        mode: str = "append",
        max_rejected_rows: int | None = None,
        sweep: bool = True,
        **variables: str,
    ) -> PipelineRun:
        """A run of `[start, end)`, given as `2018-11-01 00:00`.

        :param sweep: whether song files are swept before it looks for them, where they have changed.
        """
        return PipelineRun(
            dag_read_once("sparkify"),
            {
                "window_start": start,
                "window_end": end,
                "dimension_mode": mode,
                "max_rejected_rows": max_rejected_rows,
            },
            variables={**self.variables, **variables},
            run_id=f"manual__{next(RUN_NUMBERS)}",
            sweep=self.sweep_if_changed if sweep else None,
        )

    def sweep(self, **variables: str) -> dict[str, int]:
        """The DAG sparkify_sweep; what it counts."""
        run = PipelineRun(
            load_dag("sparkify_sweep"),
            variables={**self.variables, **variables},
            run_id=f"sweep__{next(RUN_NUMBERS)}",
        )
        return run.run_task("sweep_songs")

    def sweep_if_changed(self) -> None:
        """Sweep, where song files differ from the published ones and no sweep has entered it."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="song_data/").get("Contents", ())
        found = {entry["Key"]: entry["ETag"].strip('"') for entry in listed}
        try:
            known = dict(
                self.query("SELECT object_key, etag FROM staging.source_files WHERE source = 'songs'")
            )
        except redshift_connector.ProgrammingError:
            return  # There is no table: the run says so.
        if found != known and (found, known) != self._swept:
            self.sweep()
            self._swept = (found, known)

    def load(self, start: str, end: str, mode: str = "append", **options: Any) -> PipelineRun:
        """Run every task for `[start, end)`."""
        run = self.new_run(start, end, mode, **options)
        run.run()
        return run

    def reload(self, asked: list[Mapping[str, Any]], **options: Any) -> None:
        """The runs that a task of sparkify_reconcile asks for."""
        for one in asked:
            PipelineRun(
                dag_read_once("sparkify"),
                {**one["conf"], **options},
                variables=self.variables,
                run_id=one["trigger_run_id"],
            ).run()

    def query(self, sql: str) -> list[tuple]:
        return self.redshift.execute(sql)

    def execute(self, *statements: str) -> None:
        """All in one transaction."""
        with closing(self.redshift.connect(max_prepared_statements=0)) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()

    def superuser(self, statement: str) -> None:
        """A statement straight to the stand-in's PostgreSQL."""
        import psycopg

        server = self.redshift
        with psycopg.connect(
            host="127.0.0.1", port=server.backend_port, user="postgres", password=server.backend_password,
            dbname=server.database, options="-c allow_system_table_mods=on",
        ) as connection:  # fmt: skip
            connection.execute(statement)

    @contextmanager
    def forbidden(self, *tables: str) -> Iterator[None]:
        """As where these system tables may not be read."""
        try:
            for table in tables:
                self.superuser(f"REVOKE SELECT ON pg_catalog.{table} FROM PUBLIC")
            yield
        finally:
            for table in tables:
                self.superuser(f"GRANT SELECT ON pg_catalog.{table} TO PUBLIC")

    def without_stl_tables(self) -> AbstractContextManager[None]:
        """As on Redshift Serverless, whose own table of load errors does not hold the text."""
        return self.forbidden("stl_load_errors")

    @contextmanager
    def without_sys_tables(self) -> Iterator[None]:
        """As on a cluster that does not have them yet."""
        self.superuser("ALTER VIEW pg_catalog.sys_load_error_detail RENAME TO sys_load_error_hidden")
        try:
            yield
        finally:
            self.superuser("ALTER VIEW pg_catalog.sys_load_error_hidden RENAME TO sys_load_error_detail")

    def table(self, name: str) -> list[tuple]:
        return reference.in_order(self.query(f"SELECT {reference.COLUMNS[name]} FROM sparkify.{name}"))

    def tables(self) -> dict[str, list[tuple]]:
        return {name: self.table(name) for name in reference.COLUMNS}

    def work_tables(self) -> list[str]:
        rows = self.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'staging'")
        return sorted(name for (name,) in rows if "__" in name)

    def work_objects(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.work_bucket)
        return [entry["Key"] for entry in listed.get("Contents", ())]


def new_buckets(s3_client) -> tuple[str, str]:
    """An empty lake and an empty work bucket."""
    names = (f"lake-{next(RUN_NUMBERS)}", f"work-{next(RUN_NUMBERS)}")
    for name in names:
        s3_client.create_bucket(Bucket=name)
    return names
