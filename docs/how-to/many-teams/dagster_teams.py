"""Dagster: a partition for each stream of each team, and a run of it every hour."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import dagster
from one_sync import TEAMS, Later, PersonNeeded, SyncFailed, sync

SYNCS = {f"{team}/{stream}": (team, stream) for team in TEAMS for stream in TEAMS[team]}
LATER, PARTITION = {"apollo/ended": "later"}, "dagster/partition"
UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")


def tags_of(partition: str) -> dict[str, str]:
    """The tags of a partition's runs, however they are requested."""
    team, stream = SYNCS[partition]
    # dagster.yaml lets one run of a team go at a time; a higher priority goes first.
    return {"team": team, "dagster/priority": str(-TEAMS[team].index(stream))}


@dagster.static_partitioned_config(partition_keys=list(SYNCS), tags_for_partition_key_fn=tags_of)
def each_stream_of_each_team(_partition: str) -> dict[str, object]:
    """No configuration: the partition's name says it all."""
    return {}


@dagster.op(pool="apollo")
def sync_stream(context: dagster.OpExecutionContext) -> None:
    """Run the sync of a partition; how it ended decides whether it is tried again."""
    team, stream = SYNCS[context.partition_key]
    try:
        counts = sync(team, stream)
    except Later as later:
        # The worker is free for others; `after_the_wait` requests the next run.
        tags = {**LATER, "apollo/run_again_after": later.at.isoformat()}
        context.instance.add_run_tags(context.run_id, tags)
        context.log.warning("%s", later)
    except PersonNeeded as why:
        raise dagster.Failure(str(why), allow_retries=False) from why
    except SyncFailed as why:
        raise dagster.RetryRequested(max_retries=3, seconds_to_wait=60) from why
    else:
        context.add_output_metadata({name: count for name, count in counts.items() if count})


@dagster.job(config=each_stream_of_each_team, executor_def=dagster.in_process_executor)
def sync_teams() -> None:
    """One stream of one team a run."""
    sync_stream()


def waiting(instance: dagster.DagsterInstance) -> Iterator[tuple[str, datetime]]:
    """Each partition whose run ended with "later" within a day, and when it may go on."""
    day = datetime.now(timezone.utc) - timedelta(hours=25)
    for run in instance.get_runs(dagster.RunsFilter(tags=LATER, created_after=day)):
        yield run.tags[PARTITION], datetime.fromisoformat(run.tags["apollo/run_again_after"])


def requests(instance: dagster.DagsterInstance, at: datetime) -> Iterator[dagster.RunRequest]:
    """Request each partition that is neither under way nor waiting for its quota."""
    statuses = [dagster.DagsterRunStatus[name] for name in UNDER_WAY]
    taken = {
        run.tags.get(PARTITION) for run in instance.get_runs(dagster.RunsFilter(statuses=statuses))
    }
    now = datetime.now(timezone.utc)
    taken |= {partition for partition, again in waiting(instance) if again > now}
    for partition in SYNCS:
        if partition not in taken:
            key = f"{partition} at {at.isoformat()}"
            yield dagster.RunRequest(run_key=key, partition_key=partition, tags=tags_of(partition))


@dagster.schedule(
    job=sync_teams,
    cron_schedule="0 * * * *",
    default_status=dagster.DefaultScheduleStatus.RUNNING,
)
def every_hour(context: dagster.ScheduleEvaluationContext) -> Iterator[dagster.RunRequest]:
    """Request all teams at the full hour."""
    yield from requests(context.instance, context.scheduled_execution_time)


@dagster.sensor(
    job=sync_teams,
    minimum_interval_seconds=30,
    default_status=dagster.DefaultSensorStatus.RUNNING,
)
def after_the_wait(context: dagster.SensorEvaluationContext) -> Iterator[dagster.RunRequest]:
    """Request a partition once more when its quota is there again."""
    for partition, at in waiting(context.instance):
        if at <= datetime.now(timezone.utc):
            key = f"{partition} after {at.isoformat()}"
            yield dagster.RunRequest(run_key=key, partition_key=partition, tags=tags_of(partition))


# Without this line Dagster takes the only job of the file and leaves the schedule and sensor out.
definitions = dagster.Definitions(
    jobs=[sync_teams], schedules=[every_hour], sensors=[after_the_wait]
)
