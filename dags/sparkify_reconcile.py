"""
# sparkify_reconcile: keep the tables true to the files

Every day, compares the log files of the published days with those that their hours were loaded from, and runs
`sparkify` again for each day that changed, as one window. That picks up every event that arrived after its
hour, every file that arrived late, was rewritten or was deleted, and every hour of these days that no run has
loaded. The log of `report_changes` says what
changed: the files, and the number of plays before and after.

It also compares the tables with what was published, and restores what was lost or changed by hand:
`rebuild_tables` recreates missing tables and rebuilds dimensions from the observations; hours whose rows
differ from those that were published are reloaded from their files; `report_changes` fails if anything still
differs.

Where a file that is gone held late events of another day, that day may have been loaded again too early:
`find_hours_left` finds its hours, and `reload_hours_left` loads them once more.

Today's file is still growing and is left alone until tomorrow. `lookback_days` says how far back the run
looks; to look at older days once, trigger the DAG with a larger number.

**When it fails.** `reload_days` names the run of `sparkify` that failed, or says that `sparkify` is paused:
fix that, then clear the task. Nothing is lost meanwhile: a day counts as changed until it is reloaded.
`report_changes` names what still differs: rows whose files are gone cannot be restored.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule

from sparkify.operators import (
    FindChangedDaysOperator,
    FindHoursLeftOperator,
    RebuildOperator,
    ReportChangesOperator,
)
from sparkify.operators.reload import ReloadOperator
from sparkify.paths import CREATE_SQL, SQL
from sparkify.settings import FILTERS, LOGS, MOST_DAYS, task_defaults, variable

RELOAD = {
    "map_index_template": "{{ task.reload.conf.window_start }}",
    "trigger_dag_id": "sparkify",
    "logical_date": None,
    "reset_dag_run": True,
    "fail_when_dag_is_paused": True,
    "wait_for_completion": True,
    "deferrable": True,
    "poke_interval": 5,
    "max_active_tis_per_dagrun": 4,
}

with DAG(
    dag_id="sparkify_reconcile",
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone="UTC"),
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=6), retries=3),
    params={
        "lookback_days": Param(
            35,
            type="integer",
            minimum=1,
            maximum=MOST_DAYS,
            title="Days to look back",
            description="How many days before today to compare with their log files.",
        ),
    },
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "s3"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    rebuild_tables = RebuildOperator(
        task_id="rebuild_tables", create_sql=list(CREATE_SQL), readers=variable("sparkify_readers")
    )
    find_changed_days = FindChangedDaysOperator(
        task_id="find_changed_days",
        lookback_days="{{ params.lookback_days }}",
        **LOGS,
    )
    reload_days = ReloadOperator.partial(
        task_id="reload_days", find_task_id="find_changed_days", **RELOAD
    ).expand(reload=find_changed_days.output)
    # Also where no day has changed, and there was nothing to load again.
    find_hours_left = FindHoursLeftOperator(
        task_id="find_hours_left",
        lookback_days="{{ params.lookback_days }}",
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    reload_hours_left = ReloadOperator.partial(
        task_id="reload_hours_left", find_task_id="find_hours_left", **RELOAD
    ).expand(reload=find_hours_left.output)
    report_changes = ReportChangesOperator(
        task_id="report_changes",
        find_task_ids=["find_changed_days", "find_hours_left"],
        trigger_rule=TriggerRule.NONE_FAILED,
    )

    rebuild_tables >> find_changed_days >> reload_days >> find_hours_left
    [find_hours_left, reload_hours_left] >> report_changes
