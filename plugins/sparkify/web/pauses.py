"""Which schedules are paused, asked of Airflow's database: only the API server may do that."""

from __future__ import annotations

import logging

from sparkify.schedules import OF_DATA, Schedule

log = logging.getLogger(__name__)


def notices() -> list[str]:
    """A sentence for each schedule that is paused, or of which that is not known."""
    return [sentence for schedule in OF_DATA if (sentence := _notice(schedule))]


def _notice(schedule: Schedule) -> str:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    try:
        with create_session(scoped=False) as session:
            dag = session.get(DagModel, schedule.dag_id)
            if dag is None or dag.is_stale:
                return schedule.when_unknown("Airflow does not find this DAG")
            return schedule.when_paused if dag.is_paused else ""
    except Exception as error:
        log.warning("Airflow's database does not say whether DAG %s is paused: %s", schedule.dag_id, error)
        return schedule.when_unknown("Airflow's database did not answer")
