"""Apollo's endpoints for tasks, as methods.

They raise the `ApolloError` family, as those of `ApolloClient`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import CheckedBody, is_id
from target_apollo.apollo.paging import read_paging
from target_apollo.apollo.transport import request_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_apollo.apollo.answers import JSON
    from target_apollo.apollo.transport import TransportProtocol

_TASK: Final = "task"
_PER_PAGE: Final = 100


@dataclass(frozen=True)
class TaskPage:
    """A page of all tasks; `pages` and `tasks` are the numbers that there are.

    `lacks_some`: whether it has fewer tasks than belong on it by these numbers.
    """

    records: list[JSON] = field(repr=False)
    pages: int = 1
    tasks: int = 0
    lacks_some: bool = False


class TaskClient:
    """The endpoints that syncing tasks needs. Thread-safe, as its transport is."""

    def __init__(self, transport: TransportProtocol) -> None:
        self._transport = transport

    def create(self, fields: JSON, mark: str) -> JSON:
        """Create a task and return it: POST /tasks. Its answer must show `mark` in the note.

        Apollo makes a second task of the same values, so the request is not sent again after its
        answer was lost.
        """
        body = self._send(endpoints.CREATE_TASK, fields, once=True)
        record = body.whole().get(_TASK)
        if not isinstance(record, dict):
            raise body.lost(f'the answer has no object "{_TASK}"')
        body.id(record, "id")
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
        return self._record_of(endpoints.COMPLETE_TASK, task_id, {})[1]

    def skip(self, task_id: str) -> JSON:
        """Skip a task: POST /tasks/{id}/skip. A deleted one has the key `deleted`."""
        return self._record_of(endpoints.SKIP_TASK, task_id, {})[1]

    def page(self, page: int) -> TaskPage:
        """Return a page of 100 tasks, the latest due first: POST /tasks/search.

        Apollo documents no filter, and shows 500 pages at most.
        """
        params = {"sort_by_field": "task_due_at", "page": page, "per_page": _PER_PAGE}
        body = self._send(endpoints.SEARCH_TASKS, params=params)
        paging = read_paging(body, page, _PER_PAGE)
        records = body.records("tasks")
        if not all(isinstance(one.get("note", 0), (str, type(None))) for one in records):
            # Its mark, and so whose it is, would not be seen.
            raise body.lost("the answer has a task whose note can't be read")
        return TaskPage(
            records, paging.pages, paging.total, lacks_some=len(records) < paging.belong
        )

    def _send(
        self,
        endpoint: str,
        body: JSON | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        record_id: str = "",
        once: bool = False,
    ) -> CheckedBody:
        request = request_to(endpoint, body, params=params, record_id=record_id, once=once)
        return CheckedBody(endpoint, self._transport.send(request))

    def _shown(self, endpoint: str, task_id: str, fields: JSON | None = None) -> JSON:
        """A task with its status, which tells whether somebody has ended it."""
        body, task = self._record_of(endpoint, task_id, fields)
        body.text(task, "status")
        return task

    def _record_of(
        self, endpoint: str, task_id: str, fields: JSON | None
    ) -> tuple[CheckedBody, JSON]:
        if not is_id(task_id):
            raise ValueError(f"This is no id of an Apollo {_TASK}.")
        body = self._send(endpoint, fields, record_id=task_id)
        return body, body.record(_TASK, task_id)
