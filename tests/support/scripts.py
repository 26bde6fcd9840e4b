"""Every SQL script of the project, rendered as the DAGs render it."""

from __future__ import annotations

from functools import cache

from sparkify.analytics import Period, questions
from sparkify.bookkeeping import comparison, forget_script, rebuild_script
from sparkify.fingerprint import fingerprint_sql
from sparkify.migrations import read_migrations
from sparkify.operators.base import rendered
from sparkify.operators.catalogue import COPY_CHANGES, COPY_SEEN, LEDGER, PENDING
from sparkify.operators.land import example_scripts
from sparkify.operators.maintenance import PURGE
from sparkify.operators.publish import (
    KNOWN_SONGS,
    LEAVE_OUT_HOURS,
    LEAVE_OUT_SONGS,
    MONTHS,
    SCOPE,
    SUPERSEDED,
    SUPERSEDED_SONGS,
    UNSEEN_SONGS,
)
from sparkify.operators.quality import TOGETHER
from sparkify.operators.statements import ALL, Answers, hours_beside
from sparkify.operators.sweep import COPY_LISTED, CREATE_SWEEP, SWEEP
from sparkify.paths import MIGRATIONS, SQL
from sparkify.reach import Reach
from sparkify.rejected import STL, SYS
from sparkify.settings import TABLES
from sparkify.warehouse import HOLDERS
from sparkify.work import Run
from sparkify.xcoms import STAGED, Candidate
from tests.support.documents import sql_blocks
from tests.support.pipeline import PipelineRun, load_dag

MODES = ("append", "truncate")
NOVEMBER = Period.parse("2018-11-01", "2018-12-01")


@cache
def rendered_scripts() -> dict[str, str]:
    """`<path> (<mode>)` to the SQL that the DAGs' own tasks run, for every file and check."""
    scripts: dict[str, str] = {}
    schema = PipelineRun(load_dag("sparkify_schema"), variables={"sparkify_readers": "ROLE analysts"})
    task, _ = schema.rendered("create_schema")
    for path, sql in zip(schema.dag.get_task("create_schema").create_sql, task.create_sql, strict=True):
        scripts[path] = sql
    scripts["grant.sql"] = task._grants()
    for migration in read_migrations(MIGRATIONS):
        scripts[f"migrations/{migration.name}.sql"] = migration.script

    for mode in MODES:
        params = {
            "window_start": "2018-11-01T00:00:00Z",
            "window_end": "2018-12-01T00:00:00Z",
            "dimension_mode": mode,
        }
        run = PipelineRun(load_dag("sparkify"), params)
        for source in ("events", "songs"):
            task, context = run.rendered(f"stage_{source}")
            names = {**task.sql_context(context), "run_id": run.run_id}
            window = names["window"]
            hours = hours_beside(window)
            reach = Reach.of(hours, window)
            scripts[f"staging/{source}/create.sql"] = task.create_sql
            for kind in ("", "GZIP"):
                script = task._copy_script(context, names["work"](source), "a.manifest", kind)
                scripts[f"staging/copy.sql ({source} {kind})"] = script
            scripts[f"staging/copy_files.sql ({source})"] = rendered(task, "staging/copy_files.sql", names)
            scripts[f"staging/copy_rejected.sql ({source})"] = task.copy_rejected_sql
            scripts[f"staging/create_rejected.sql ({source})"] = task.create_rejected_sql
            scripts[f"staging/{source}/again.sql"] = rendered(task, f"staging/{source}/again.sql", names)
            if source == "songs":
                scripts[COPY_SEEN] = task.copy_seen_sql
                of_songs = names | {"folder": "song_data/", "limit": 1}
                for path in (PENDING, LEDGER, COPY_CHANGES):
                    scripts[path] = task.render_template(path, of_songs)
            if source == "events":
                scripts["staging/events/copy_hours.sql"] = rendered(
                    task, "staging/events/copy_hours.sql", names
                )
                scripts["staging/events/create_copied.sql (files)"] = rendered(
                    task, "staging/events/create_copied.sql", {**names, "part": "part-1"}
                )
                for number, (name, own) in enumerate(example_scripts(reach)):
                    path = f"staging/events/{name}"
                    scripts[f"{path} ({number})"] = rendered(task, path, {**names, **own})
        staged = {f"staging/{source}": dict.fromkeys(STAGED, 1) for source in ("events", "songs")}
        candidates = []
        for table in TABLES:
            task, _ = run.rendered(f"load_{table}")
            scripts[f"{table}/load.sql"] = task.sql
            candidates.append(Candidate(table, mode, 1))
        task, context = run.rendered("run_quality_checks")
        relations = {f"staging/{source}": f"staging.{source}__1" for source in task.sources}
        relations |= {one.table: one.work_table(Run.from_context(context)) for one in candidates}
        names = {**task.sql_context(context), "reach": reach, "known_songs": 10**6}
        both = [
            ({**names, "compares_songs": compares}, "" if compares else " (counted)")
            for compares in (False, True)
        ]
        for checks, how in (
            (of, how) for names, how in both for of in task._rendered(names, relations, staged)
        ):
            for one in checks:
                check = one.check
                name = f"{check.table}/checks.yaml {check.name}{how}"
                scripts |= {name: one.query, **({f"{name} (explain)": one.explain} if one.explain else {})}
                for path, script in ((check.query, one.query), (check.explain, one.explain)):
                    if path and script and path.endswith(".sql"):
                        scripts[f"{path} ({name})"] = script
                if check.condition and check.condition.endswith(".sql"):
                    scripts[f"{check.condition} ({name})"] = one.query
            scripts[f"{TOGETHER} ({checks[0].check.table})"] = task._together(checks)
        task, context = run.rendered("publish")
        for late, answers in (("", Answers(ALL)), (", late", Answers(ALL, hours))):
            for path, sql in task._scripts(context, task.begin(context), candidates, answers):
                scripts[f"{path} ({mode}{late})"] = sql
        for path in (
            SUPERSEDED,
            LEAVE_OUT_HOURS,
            SUPERSEDED_SONGS,
            UNSEEN_SONGS,
            LEAVE_OUT_SONGS,
            KNOWN_SONGS,
            SCOPE,
            MONTHS,
        ):
            scripts[path] = task.render_template(path, {**task._names(context), "reach": reach})
    sweep, context = PipelineRun(load_dag("sparkify_sweep")).rendered("sweep_songs")
    names = sweep.sql_context(context) | {"found_by": "1", "listed_at": "2018-11-01 00:00:00"}
    for path in (CREATE_SWEEP, COPY_LISTED, SWEEP):
        scripts[path] = sweep.render_template(path, names)
    copy, _ = PipelineRun(load_dag("sparkify_verify")).rendered("copy")
    scripts["verify.sql"] = copy.copy_script("s3://work/verify.manifest")
    for path in (STL, SYS, HOLDERS):
        scripts[path] = (SQL / path).read_text().replace("%s", "1")
    for name in ("hours", "windows", "rejected", "tables", "landing", "pending"):
        scripts[f"bookkeeping/{name}.sql"] = comparison(name).replace("%s", "SYSDATE")
    scripts["bookkeeping/forget_batches.sql"] = forget_script([1, 2])
    scripts["bookkeeping/rebuild.sql"] = rebuild_script(["songs", "users", "time"])
    purge, _ = PipelineRun(load_dag("sparkify_maintenance")).rendered("purge_landed_events")
    scripts[PURGE] = rendered(purge, PURGE, {"before": "2018-11-01 00:00:00"})
    scripts["fingerprint.sql"] = fingerprint_sql()
    for question in questions().values():
        scripts[f"analytics/{question.name}.sql"] = question.sql(NOVEMBER, 20)
    for number, sql in enumerate(sql_blocks("analysts.md"), 1):
        scripts[f"docs/analysts.md {number}"] = sql
    return scripts
