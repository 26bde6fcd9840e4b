"""
# sparkify_maintenance: what failed runs leave behind, and what landed long ago

A failed run of `sparkify` leaves its work tables and work objects, for its retry and for inspection. Every
day, this DAG drops those that nobody has touched for `keep_days`, unless their run is queued or running: the
log says what is kept, and why. Rows of log files whose hours are published are kept for as many days as the
Variable `sparkify_landed_days` says. It does not touch published data.

**When it fails.** S3 or Redshift could not be reached. There is nothing to fix here: the next run does the
rest.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from sparkify.operators import DropOldWorkOperator, PurgeLandedEventsOperator
from sparkify.paths import SQL
from sparkify.settings import FILTERS, MOST_DAYS, WORK, task_defaults, variable

with DAG(
    dag_id="sparkify_maintenance",
    schedule=CronDataIntervalTimetable("45 3 * * *", timezone="UTC"),
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(minutes=30)),
    params={
        "keep_days": Param(
            7,
            type="integer",
            minimum=1,
            maximum=MOST_DAYS,
            title="Days to keep",
            description="Work of failed runs is kept for this many days.",
        ),
    },
    template_searchpath=[str(SQL)],
    tags=["sparkify", "redshift", "maintenance"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    drop_old_work = DropOldWorkOperator(task_id="drop_old_work", keep_days="{{ params.keep_days }}", **WORK)
    purge_landed_events = PurgeLandedEventsOperator(
        task_id="purge_landed_events", keep_days=variable("sparkify_landed_days")
    )
