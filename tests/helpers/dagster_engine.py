"""Dagster, with docs/how-to/many-teams/dagster_teams.py."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.helpers.engines import EngineRun, rows_in
from tests.helpers.teams import Project, with_driver

#: The test does not wait for the full hour.
_AT_ONCE = """

@dagster.sensor(
    job=sync_teams,
    minimum_interval_seconds=3600,
    default_status=dagster.DefaultSensorStatus.RUNNING,
)
def at_once(context: dagster.SensorEvaluationContext) -> Iterator[dagster.RunRequest]:
    if not context.cursor:
        context.update_cursor("done")
        yield from requests(context.instance, datetime.now(timezone.utc))


definitions = dagster.Definitions(
    jobs=[sync_teams], schedules=[every_hour], sensors=[after_the_wait, at_once]
)
"""
_STATES = {"SUCCESS": "success", "FAILURE": "failed"}


class Dagster:
    """The daemon, with the code server that it starts."""

    name = "dagster"
    command = "dagster-daemon"
    once: ClassVar[list[list[str]]] = []

    def settings(self, project: Project) -> dict[str, str]:
        return {
            "DAGSTER_HOME": str(project.folder),
            "DAGSTER_DATABASE_URL": with_driver(project.tables, "psycopg2"),
        }

    def hasten(self, project: Project) -> None:
        definitions = project.folder / "dagster_teams.py"
        project.change(
            "dagster_teams.py", "minimum_interval_seconds=30", "minimum_interval_seconds=3"
        )
        definitions.write_text(definitions.read_text() + _AT_ONCE)
        project.change("dagster.yaml", "poll_interval_seconds: 30", "poll_interval_seconds: 3")

    def commands(self) -> list[list[str]]:
        return [["dagster-daemon", "run", "-f", "dagster_teams.py"]]

    def runs(self, project: Project) -> list[EngineRun]:
        rows = (
            rows_in(
                project.tables,
                "select partition, status, coalesce(start_time, 0), coalesce(end_time, 0),"
                " exists (select 1 from run_tags where run_tags.run_id = runs.run_id"
                "  and key = 'apollo/ended') from runs order by id",
            )
            if has_tables(project)
            else []
        )
        return [
            EngineRun(sync, "later" if later else _STATES.get(status, "running"), began, ended)
            for sync, status, began, ended, later in rows
        ]

    def logs(self, project: Project) -> Path:
        return project.folder / "storage"

    def worker_of(self, parents: list[int]) -> list[int]:
        return parents[:1]


def has_tables(project: Project) -> bool:
    return bool(rows_in(project.tables, "select 1 from pg_tables where tablename = 'runs'"))
