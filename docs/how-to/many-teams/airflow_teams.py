"""Airflow: a DAG for each team, run every hour, whose tasks are its streams in their order."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, chain, task
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException
from one_sync import TEAMS, Later, PersonNeeded, sync


@task(pool="apollo", retries=3, retry_delay=timedelta(minutes=1))
def sync_stream(team: str, stream: str) -> dict[str, int]:
    """Run the sync of a stream; how it ended decides whether it is tried again."""
    try:
        return sync(team, stream)
    except Later as later:
        # The worker is free for others until then, and no retry is spent.
        raise AirflowRescheduleException(later.at) from later
    except PersonNeeded as why:
        raise AirflowFailException(str(why)) from why


for team, streams in TEAMS.items():
    with DAG(
        f"apollo-{team}",
        schedule="@hourly",
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        # One sync of a team at a time, accounts before contacts.
        max_active_runs=1,
        max_active_tasks=1,
        is_paused_upon_creation=False,
    ):
        chain(*(sync_stream.override(task_id=stream)(team, stream) for stream in streams))
