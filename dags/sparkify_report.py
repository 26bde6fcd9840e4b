"""
# sparkify_report: the answers in one file

Every day, writes the answers to the analysts' questions about recent days to S3 as one HTML file, for those
without access to Airflow: `reports/sparkify.html` in the work bucket. The page *Sparkify* in Airflow's
navigation has the same answers, for any period.

**When it fails.** Redshift or S3 could not be reached, or a question took longer than its timeout: the
message names it. Yesterday's file stays as it is; clear the task, or leave it to the next run.
"""

from datetime import datetime, timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from sparkify.operators import ReportOperator
from sparkify.settings import FILTERS, MOST_DAYS, WORK, task_defaults

with DAG(
    dag_id="sparkify_report",
    schedule=CronDataIntervalTimetable("0 5 * * *", timezone="UTC"),
    start_date=datetime(2018, 11, 1),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(minutes=30)),
    params={
        "days": Param(
            30,
            type="integer",
            minimum=1,
            maximum=MOST_DAYS,
            title="Days to report",
            description="How many days, up to and including the day of the latest play.",
        ),
    },
    tags=["sparkify", "redshift", "analytics"],
    user_defined_filters=FILTERS,
    doc_md=__doc__,
) as dag:
    write_report = ReportOperator(
        task_id="write_report",
        days="{{ params.days }}",
        bucket=WORK["work_bucket"],
        prefix=WORK["work_prefix"],
    )
