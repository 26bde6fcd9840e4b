"""A DAG of the pipeline's shape that does nothing: what Airflow itself takes for nine tasks in five steps."""

from datetime import datetime

from airflow.sdk import DAG, BaseOperator


class NoOperator(BaseOperator):
    """Does nothing, in a process of its own: for an EmptyOperator Airflow starts none."""

    def execute(self, context):
        """Nothing."""


with DAG(dag_id="no_op", schedule=None, start_date=datetime(2018, 11, 1), catchup=False) as dag:
    (
        [NoOperator(task_id="stage_events"), NoOperator(task_id="stage_songs")]
        >> NoOperator(task_id="load_songplays")
        >> [NoOperator(task_id=f"load_{table}") for table in ("users", "songs", "artists", "time")]
        >> NoOperator(task_id="run_quality_checks")
        >> NoOperator(task_id="publish")
    )
