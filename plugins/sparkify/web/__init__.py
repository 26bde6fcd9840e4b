"""The page of answers in Airflow's UI, and the report that holds the same in one file."""
