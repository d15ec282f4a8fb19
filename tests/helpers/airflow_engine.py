"""Airflow, with docs/how-to/many-teams/airflow_teams.py."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing
from pathlib import Path
from typing import ClassVar

from tests.helpers.engines import EngineRun, rows_in
from tests.helpers.teams import Project, with_driver

#: A try that failed and is followed by another is in task_instance_history, one that goes on
#: later in task_reschedule; the last one is in task_instance, which keeps their begin.
_TRIES = """
select dag_id, task_id, case when state in ('success', 'failed') then state else 'running' end,
  extract(epoch from greatest(start_date,
    (select max(end_date) from task_reschedule where ti_id = task_instance.id))),
  extract(epoch from end_date)
  from task_instance where state in ('running', 'success', 'failed')
union all
select dag_id, task_id, 'failed', extract(epoch from start_date), extract(epoch from end_date)
  from task_instance_history
union all
select dag_id, task_id, 'later', extract(epoch from task_reschedule.start_date),
  extract(epoch from task_reschedule.end_date)
  from task_reschedule join task_instance on task_instance.id = task_reschedule.ti_id
order by 4
"""


class Airflow:
    """API server, scheduler with its workers, and what reads the DAGs."""

    name = "airflow"
    command = "airflow"
    once: ClassVar[list[list[str]]] = [
        ["airflow", "db", "migrate"],
        ["airflow", "pools", "set", "apollo", "8", "Syncs at a time"],
    ]

    def __init__(self) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])

    def settings(self, project: Project) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(project.files.parent / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(project.folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": with_driver(project.tables, "psycopg2"),
            # What only a test needs.
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        }

    def hasten(self, project: Project) -> None:
        # The test does not wait for the full hour.
        project.change("airflow_teams.py", '"@hourly"', '"@once"')
        project.change("airflow_teams.py", "timedelta(minutes=1)", "timedelta(seconds=2)")

    def commands(self) -> list[list[str]]:
        # Workers report to the API server: until it answers, their tasks fail.
        health = f"http://127.0.0.1:{self._port}/api/v2/monitor/health"
        answers = f"until curl --silent --fail --output /dev/null {health}; do sleep 0.5; done"
        return [
            ["airflow", "api-server", "--workers", "1", "--port", self._port],
            ["airflow", "dag-processor"],
            ["sh", "-c", f"{answers}; exec airflow scheduler --skip-serve-logs"],
        ]

    def runs(self, project: Project) -> list[EngineRun]:
        return [
            EngineRun(
                f"{team.removeprefix('apollo-')}/{stream}",
                state,
                float(began),
                float(ended or 0),
            )
            for team, stream, state, began, ended in rows_in(project.tables, _TRIES)
        ]

    def logs(self, project: Project) -> Path:
        return project.files.parent / "airflow" / "logs"

    def worker_of(self, parents: list[int]) -> list[int]:
        # The worker first, so that it can't report the end of the process of its task.
        return parents[1::-1]
