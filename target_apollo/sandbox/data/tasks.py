"""Tasks: what a user of the team is to do about a contact, and when."""

from __future__ import annotations

from typing import Any

from target_apollo.sandbox.data.by_hand import refuse_unknown
from target_apollo.sandbox.data.formats import blank, moment_of, offset_time, timestamp
from target_apollo.sandbox.data.journal import Journal
from target_apollo.sandbox.data.records import Searched
from target_apollo.sandbox.data.workspace import Workspace

TYPES = {
    "call": "Call",
    "outreach_manual_email": "Email",
    "linkedin_step_connect": "Send a LinkedIn invitation to",
    "linkedin_step_message": "Send a LinkedIn message to",
    "linkedin_step_view_profile": "View the LinkedIn profile of",
    "linkedin_step_interact_post": "Interact with the LinkedIn posts of",
    "action_item": "Action item for",
}
"""Type of a task -> the beginning of its title, where it has none of its own."""

PRIORITIES = ("high", "medium", "low")
STATUSES = ("scheduled", "completed", "skipped")

_BLANK_TASK: dict[str, Any] = {
    **blank(
        """
        emailer_campaign_id id user_id created_at completed_at note skipped_at due_at type priority
        status answered contact_id person_id account_id organization_id persona_ids[] subject
        created_from salesforce_type playbook_step_ids[] playbook_id needs_playbook_autoprospecting
        starred_by_user_ids[] salesforce_id hubspot_id opportunity_id title rule_config_id
        creator_id
        """
    ),
    "priority": "medium",
    "status": "scheduled",
    "created_from": "api",
}

_SHOWN_TASK: dict[str, Any] = {
    **_BLANK_TASK,
    **blank(
        """
        completed_by_user_id call_script relevant_fields pending_send- ai_variables_status
        recommended- recommendation_reasons[] relevant_field_values{}
        """
    ),
}


class Task(Searched):
    """A stored task."""

    __slots__ = ()

    def __init__(self, own: dict[str, Any], found_from: float = 0.0) -> None:
        super().__init__(own, found_from)

    @property
    def status(self) -> str:
        """``scheduled``, ``completed`` or ``skipped``."""
        return str(self.own.get("status", "scheduled"))


class Tasks:
    """The tasks of a team."""

    def __init__(self, journal: Journal, workspace: Workspace) -> None:
        self._journal = journal
        self._workspace = workspace
        self.by_id = {task_id: Task(**row) for task_id, row in journal.rows("tasks")}

    # For tests and seeds: these methods take the lock.

    def all(self, last: int = 0) -> list[dict[str, Any]]:
        """Whole task objects, oldest first; ``last`` is how many of the newest, 0 is all."""
        with self._journal.lock:
            return [task_object(task) for task in list(self.by_id.values())[-last:]]

    def add(self, **fields: Any) -> dict[str, Any]:
        """Add a task by keys of the task object without the checks of the API; returns it.

        Raises:
            ValueError: The task object has no such key.
        """
        refuse_unknown("task", fields, _SHOWN_TASK)
        with self._journal.writing() as stamp:
            own = {**self.created(stamp, self._workspace.admin_id), "due_at": due_time(stamp)}
            task = Task({**own, "type": "action_item", "created_from": None, **fields})
            self.insert(task)
            return task_object(task)

    def delete(self, task_id: str) -> None:
        """Delete a task as a user does in Apollo's app; raises ValueError for an unknown id."""
        with self._journal.writing():
            if self.by_id.pop(task_id, None) is None:
                raise ValueError(f"There is no task {task_id}.")
            self._journal.keep("tasks", task_id, None)

    # For the endpoints: the caller holds the lock.

    def created(self, stamp: str, user_id: str) -> dict[str, Any]:
        """The ``own`` keys of a new task that a user creates for themselves."""
        return {
            "id": self._journal.new_id(),
            "user_id": user_id,
            "creator_id": user_id,
            "created_at": stamp,
        }

    def insert(self, task: Task) -> None:
        """Add a new task."""
        self.by_id[task.own["id"]] = task
        self._journal.keep("tasks", task.own["id"], task)

    def merge_contacts(self, loser_id: str, survivor_id: str) -> None:
        """Move the tasks of the loser of a merge to the survivor."""
        for task in self.by_id.values():
            if task.own.get("contact_id") == loser_id:
                task.own["contact_id"] = survivor_id
                self.changed(task)

    def changed(self, task: Task) -> None:
        """Mark a changed task for the next commit."""
        self._journal.keep("tasks", task.own["id"], task)


def task_object(task: Task) -> dict[str, Any]:
    """The whole task object as creations and searches answer it, without contact and account."""
    return {**_BLANK_TASK, **task.own}


def shown_task(task: Task) -> dict[str, Any]:
    """The whole task object with the further keys of GET, PATCH and a completion."""
    return {**_SHOWN_TASK, **task.own}


def due_time(text: str) -> str | None:
    """A time of ISO 8601 as a task shows it, in UTC; None for any other text."""
    moment = moment_of(text)
    return None if moment is None else offset_time(timestamp(moment.timestamp()))
