"""
# sparkify_sweep: which song files are new, changed or gone

Every day, lists all song files and compares them with those that were published. What differs is entered in
`staging.song_changes`, which each run of `sparkify` reads: the next one stages these files. The log says how
many files were listed, are new, changed and gone, and how long it took.

Without a queue of notifications (Airflow Variable `sparkify_song_queue_url`), this is how new songs are
found: the next run of `sparkify` loads them. To find them at once, trigger this DAG, or give it another
schedule. With a queue, it finds what no message told.

**When it fails.** S3 or Redshift could not be reached. Nothing is lost: the next run finds the same. Clear
the task if songs should not wait for it.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from sparkify.operators import SweepSongsOperator
from sparkify.paths import SQL
from sparkify.settings import BUCKET, COPY, FILTERS, WORK, task_defaults, variable

with DAG(
    dag_id="sparkify_sweep",
    schedule=CronDataIntervalTimetable("15 1 * * *", timezone="UTC"),
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=3), retries=3),
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "s3"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    sweep_songs = SweepSongsOperator(
        task_id="sweep_songs", s3_bucket=BUCKET, s3_prefix=variable("sparkify_song_prefix"), **WORK, **COPY
    )
