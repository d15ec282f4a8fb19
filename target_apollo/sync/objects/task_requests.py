"""The requests that make, change and end one task, in a thread of the pool.

Before a task is changed it is read: Apollo resets the priority and the creator that an update
leaves out, and what a person has completed or skipped is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from target_apollo.apollo import RequestRefused, endpoints
from target_apollo.apollo.object_clients import TaskClient
from target_apollo.model.objects.registry import Json
from target_apollo.model.objects.task import COMPLETED, SCHEDULED, STATUS
from target_apollo.model.objects.task_changes import RowOfTask, TaskChange
from target_apollo.model.objects.task_values import is_scheduled
from target_apollo.sync.objects.single_writes import SingleWrite

#: What Apollo says of a task that somebody has ended between two requests.
_ENDED_ALREADY = "already completed"


@dataclass(frozen=True)
class TaskWrite(SingleWrite):
    """The requests for one row.

    Attributes:
        of_row: What is known of a row whose task there is; None for one whose task is made.
        marker: The mark of a row whose task is made.
    """

    of_row: RowOfTask | None = None
    marker: str = ""


@dataclass(frozen=True)
class WrittenTask:
    """What became of the requests for one row.

    Attributes:
        task: As the last answer shows it.
        change: What was sent to a task that there was; None for one that was made.
        is_gone: Whether somebody deleted it between two requests.
    """

    task: Json = field(repr=False)
    change: TaskChange | None = None
    is_gone: bool = False


def needed(writes: Sequence[TaskWrite]) -> dict[str, int]:
    """Endpoint -> number of requests, at most."""
    changes = [write for write in writes if write.apollo_id is not None]
    statuses = [write.row.values.get(STATUS) for write in changes]
    completions = statuses.count(COMPLETED)
    return {
        endpoints.CREATE_TASK: len(writes) - len(changes),
        endpoints.READ_TASK: len(changes),
        endpoints.UPDATE_TASK: len(changes),
        endpoints.COMPLETE_TASK: completions,
        endpoints.SKIP_TASK: sum(one not in (None, SCHEDULED) for one in statuses) - completions,
    }


def send(client: TaskClient, write: TaskWrite, *, reads: bool) -> WrittenTask:
    """Makes or changes the task of a row.

    Args:
        reads: Whether the task is read before; a dry run takes it for scheduled.

    Raises:
        ApolloError: The task is not written, or not confirmed.
    """
    of_row, task_id = write.of_row, write.apollo_id
    if of_row is None or task_id is None:
        return WrittenTask(client.create(write.body, write.marker))
    task: Json = client.read(task_id) if reads else {"id": task_id, STATUS: SCHEDULED}
    change = of_row.change_of(task)
    if change.body:
        task = client.update(task_id, change.body)
        if not is_scheduled(task):
            # Somebody ended it between the two requests, and Apollo took the note at most.
            return WrittenTask(task, TaskChange(is_left_alone=True))
    if change.ends_as is None:
        return WrittenTask(task, change)
    try:
        ended = (client.complete if change.ends_as == COMPLETED else client.skip)(task_id)
    except RequestRefused as refusal:
        if _ENDED_ALREADY not in refusal.message.lower():
            raise
        # An earlier request of this row did it, or a person.
        return WrittenTask({**task, STATUS: change.ends_as}, change)
    return WrittenTask({**task, **ended}, change, is_gone=ended.get("deleted") is True)
