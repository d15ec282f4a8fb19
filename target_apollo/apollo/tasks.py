"""Apollo's endpoints for tasks, as methods.

They raise the `ApolloError` family, as those of `ApolloClient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_apollo.apollo import endpoints
from target_apollo.apollo.object_client import CountedPage, ObjectClient

if TYPE_CHECKING:
    from target_apollo.apollo.answers import JSON


class TaskClient(ObjectClient):
    """The endpoints that syncing tasks needs."""

    singular = "task"
    plural = "tasks"

    def create(self, fields: JSON, mark: str) -> JSON:
        """Create a task and return it: POST /tasks. Its answer must show `mark` in the note.

        Apollo makes a second task of the same values, so the request is not sent again after its
        answer was lost.
        """
        body, record = self._create(endpoints.CREATE_TASK, fields)
        if mark not in str(record.get("note")):
            raise body.lost("the answer is about a task without the mark in its note")
        return record

    def read(self, task_id: str) -> JSON:
        """Return a task: GET /tasks/{id}."""
        return self._shown(endpoints.READ_TASK, task_id)

    def update(self, task_id: str, fields: JSON) -> JSON:
        """Update a task and return it: PATCH /tasks/{id}.

        Apollo resets the priority and the creator of a scheduled task where `fields` lacks them.
        """
        return self._shown(endpoints.UPDATE_TASK, task_id, fields)

    def complete(self, task_id: str) -> JSON:
        """Complete a task: POST /tasks/{id}/complete. A deleted one has the key `deleted`."""
        return self._record(endpoints.COMPLETE_TASK, task_id, {})

    def skip(self, task_id: str) -> JSON:
        """Skip a task: POST /tasks/{id}/skip. A deleted one has the key `deleted`."""
        return self._record(endpoints.SKIP_TASK, task_id, {})

    def page(self, page: int) -> CountedPage:
        """Return a page of 100 tasks, the latest due first: POST /tasks/search.

        Apollo documents no filter, and shows 500 pages at most.
        """
        body, answer = self._page(endpoints.SEARCH_TASKS, page, sort_by_field="task_due_at")
        if not all(isinstance(one.get("note", 0), (str, type(None))) for one in answer.records):
            # Its mark, and so whose it is, would not be seen.
            raise body.lost("the answer has a task whose note can't be read")
        return answer

    def _shown(self, endpoint: str, task_id: str, fields: JSON | None = None) -> JSON:
        """A task with its status, which tells whether somebody has ended it."""
        body, task = self._send_for(self.singular, endpoint, task_id, fields)
        body.text(task, "status")
        return task
