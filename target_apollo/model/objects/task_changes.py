"""What a row changes of its task, as Apollo shows the task now. Pure.

A task that a person has completed or skipped is left alone. Of a scheduled one only what the row
changed since it was last written is sent, so that the rest stays as sales left it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace as with_values

from target_apollo.model.objects.registry import Json
from target_apollo.model.objects.task import COMPLETED, NOTE, PRIORITY, SKIPPED, STATUS, TASK
from target_apollo.model.objects.task_values import (
    holds_value,
    is_scheduled,
    markers_in,
    with_marker,
)
from target_apollo.model.policies import Policies, apply_policies
from target_apollo.model.rows import Row

CREATOR_ID = "creator_id"


@dataclass(frozen=True)
class TaskChange:
    """What is sent of a row to its task.

    Attributes:
        body: The body of the request that changes values; empty for none.
        ends_as: ``completed`` or ``skipped`` if the task is ended after that; None if it is not.
        protected: Names of fields that policies keep as they are.
        is_left_alone: Whether the row asks for something, and somebody has ended the task.
    """

    body: Json = field(default_factory=dict)
    ends_as: str | None = None
    protected: tuple[str, ...] = ()
    is_left_alone: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything is sent."""
        return bool(self.body or self.ends_as)


@dataclass(frozen=True)
class RowOfTask:
    """What is known of a row whose task there is.

    Attributes:
        row: With the ids of its contact and owner.
        markers: The marks that its task may have, the present one first.
        held: Names of fields that the row has not changed since it was last written.
        policies: Who owns which field.
        is_adopted: Whether the ledger has not linked the row to this task yet.
    """

    row: Row
    markers: tuple[str, ...]
    held: frozenset[str] = frozenset()
    policies: Policies = field(default_factory=Policies)
    is_adopted: bool = False

    def change_of(self, task: Json) -> TaskChange:
        """What the row changes of its task.

        Apollo resets the priority and the creator that a request leaves out, so both are in every
        body.

        Args:
            task: As Apollo has just shown it.
        """
        status = self.row.values.get(STATUS)
        if not is_scheduled(task):
            return TaskChange(is_left_alone=status != task.get(STATUS))
        marker = self.markers[0]
        changed = {
            name: value
            for name, value in self.row.values.items()
            if name != STATUS
            and name not in self.held
            and not holds_value(name, task, value, marker)
        }
        allowed = with_values(self.row, values=changed)
        protected: tuple[str, ...] = ()
        if self.policies.protect:
            result = apply_policies(self.policies, TASK, allowed, task, None)
            allowed, protected = result.row, result.protected
        body: Json = {
            TASK.fields[name].update or name: value for name, value in allowed.values.items()
        }
        if NOTE in body:
            body[NOTE] = with_marker(body[NOTE], marker)
        elif self.is_adopted and not self.row.deleted and not markers_in(task) & {*self.markers}:
            # So that a new ledger finds it too.
            body[NOTE] = with_marker(task.get(NOTE), marker)
        if body:
            kept = {name: task[name] for name in (PRIORITY, CREATOR_ID) if task.get(name)}
            body = {**kept, **body}
        return TaskChange(body, status if status in (COMPLETED, SKIPPED) else None, protected)
