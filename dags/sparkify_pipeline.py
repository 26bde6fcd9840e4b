"""
# sparkify: S3 to Redshift, every hour

Stages the log and song files of one window in Redshift, builds what they would change in the star schema,
checks it, and publishes it in one transaction. Analysts see all of a window or nothing of it.

**What a run loads.** Its window: the params `window_start` and `window_end` if both are given (any number of
whole hours: a month is one run), else the hour that its logical date names, else the last complete hour. The
first line of every task's log says which, and why. Running a window again gives the same tables.

**The logical date.** Leave it empty, or as the form has it. Airflow has one run per logical date, so a run
whose logical date is a whole hour takes the place of that hour's own run, and must load the hour: a run with
a window without it is refused. Delete such a run, and trigger it again.

**Catching up.** `catchup` is off: a new or long-paused deployment starts with the last complete hour instead
of queueing thousands of hourly runs. Load the past with one run over a long window, or with a backfill.

**When it fails.** The connection `sparkify_alerts`, if there is one, says who is notified.

- *stage tasks*: S3 or Redshift could not be reached (retried three times), or too many rows cannot be loaded:
  the message shows the first, `sparkify.rejected_rows` all that were found. Fix the file and clear the task.
- *run_quality_checks*: its log shows every check; nothing was published. Fix the files, clear the run.
- *a table is missing*: run the DAG `sparkify_schema` once, then clear the failed task.
- *publish*: nothing of the window is visible; clear the task. The work tables are still there.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable

from sparkify.operators import (
    DataQualityOperator,
    LoadDimensionOperator,
    LoadFactOperator,
    PublishOperator,
    StageLogsToRedshiftOperator,
    StageToRedshiftOperator,
)
from sparkify.paths import SQL
from sparkify.settings import (
    BUCKET,
    FILTERS,
    LEDGERS,
    LOGS,
    TABLES,
    WORK,
    run_params,
    stage,
    task_defaults,
    variable,
)

MODE = {
    "mode": "{{ params.dimension_mode }}",
    "max_truncate_rows": variable("sparkify_max_truncate_rows"),
}

with DAG(
    dag_id="sparkify",
    schedule=CronDataIntervalTimetable("@hourly", timezone="UTC"),
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=3),
    default_args=task_defaults(execution_timeout=timedelta(hours=1), retries=3),
    params=run_params(),
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "s3"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    stage_events = StageLogsToRedshiftOperator(
        task_id="stage_events",
        jsonpaths="log_json_path.json",
        jsonpaths_uri=variable("sparkify_log_json_path"),
        copy_options=["TIMEFORMAT 'epochmillisecs'", variable("sparkify_copy_options_events")],
        late_hours=variable("sparkify_log_late_hours"),
        closing_minutes=variable("sparkify_log_closing_minutes"),
        late_days=variable("sparkify_log_late_days"),
        deletions=variable("sparkify_log_deletions"),
        **LOGS,
        **stage("events"),
    )
    stage_songs = StageToRedshiftOperator(
        task_id="stage_songs",
        source="songs",
        s3_bucket=BUCKET,
        s3_prefix=variable("sparkify_song_prefix"),
        queue_url=variable("sparkify_song_queue_url"),
        copy_options=[variable("sparkify_copy_options_songs")],
        **stage("songs"),
    )
    load_songplays = LoadFactOperator(task_id="load_songplays", table="songplays")
    load_users = LoadDimensionOperator(task_id="load_users", table="users", **MODE)
    load_songs = LoadDimensionOperator(task_id="load_songs", table="songs", **MODE)
    load_artists = LoadDimensionOperator(task_id="load_artists", table="artists", **MODE)
    load_time = LoadDimensionOperator(task_id="load_time", table="time", **MODE)

    run_quality_checks = DataQualityOperator(
        task_id="run_quality_checks",
        sources=["events", "songs"],
        tables=TABLES,
        max_removed_percent=variable("sparkify_max_removed_percent"),
    )
    publish = PublishOperator(
        task_id="publish",
        tables=TABLES,
        checks_task_id="run_quality_checks",
        outlets=[Asset(f"sparkify/{table}") for table in TABLES],
        **LEDGERS,
        **WORK,
    )

    (
        [stage_events, stage_songs]
        >> load_songplays
        >> [load_users, load_songs, load_artists, load_time]
        >> run_quality_checks
        >> publish
    )
