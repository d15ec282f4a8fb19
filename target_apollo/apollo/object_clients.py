"""The endpoints of Apollo's further objects as methods: deals (opportunities) and tasks.

They go out one a request, and nothing recognises one that exists already. The methods raise the
`ApolloError` family, as those of `ApolloClient`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import RecordPage, Stage
from target_apollo.apollo.client import EndpointClient
from target_apollo.apollo.endpoints import PER_PAGE

if TYPE_CHECKING:
    from target_apollo.apollo.answers import JSON, CheckedBody


@dataclass(frozen=True)
class CountedPage(RecordPage):
    """A page that has its numbers checked.

    `lacks_some`: whether it has fewer records than belong on it by them.
    """

    lacks_some: bool = False


class ObjectClient(EndpointClient):
    """Requests about the records of an object.

    Attributes:
        singular: The key of one record in an answer.
        plural: The key of several.
    """

    singular: ClassVar[str]
    plural: ClassVar[str]

    def _create(self, endpoint: str, fields: JSON) -> tuple[CheckedBody, JSON]:
        """Create a record; give the answer and the record in it.

        Apollo makes a second record of the same values, so the request is not sent again after its
        answer was lost.
        """
        body = self._send(endpoint, fields, once=True)
        record = body.whole().get(self.singular)
        if not isinstance(record, dict):
            raise body.lost(f'the answer has no object "{self.singular}"')
        body.id(record, "id")
        return body, record

    def _record(self, endpoint: str, record_id: str, fields: JSON | None = None) -> JSON:
        return self._send_for(self.singular, endpoint, record_id, fields)[1]

    def _page(self, endpoint: str, page: int, **params: Any) -> tuple[CheckedBody, CountedPage]:
        """The answer to a request for a page, and the page in it."""
        body = self._send(endpoint, params={**params, "page": page, "per_page": PER_PAGE})
        paging = body.paging(page, PER_PAGE)
        records = body.records(self.plural)
        lacks_some = len(records) < paging.belong
        return body, CountedPage(records, paging.pages, paging.total, lacks_some)


class DealClient(ObjectClient):
    """The endpoints that syncing deals needs."""

    singular = "opportunity"
    plural = "opportunities"

    def stages(self) -> list[Stage]:
        """Return the stages that deals can be in: GET /opportunity_stages."""
        body = self._send(endpoints.DEAL_STAGES)
        return [
            Stage(stage["id"], name := body.name(stage, "name"), name)
            for stage in body.records("opportunity_stages")
        ]

    def create(self, fields: JSON) -> JSON:
        """Create a deal and return it: POST /opportunities.

        Apollo makes a second deal of the same values, so the request is not sent again after its
        answer was lost.
        """
        return self._create(endpoints.CREATE_DEAL, fields)[1]

    def read(self, deal_id: str) -> JSON:
        """Return a deal: GET /opportunities/{id}."""
        return self._record(endpoints.READ_DEAL, deal_id)

    def update(self, deal_id: str, fields: JSON) -> JSON:
        """Update a deal and return it: PATCH /opportunities/{id}. Its account can't be changed."""
        return self._record(endpoints.UPDATE_DEAL, deal_id, fields)

    def page(self, page: int) -> CountedPage:
        """Return a page of 100 deals: GET /opportunities/search.

        Apollo documents no order of them and no filter, and shows 500 pages at most.
        """
        return self._page(endpoints.SEARCH_DEALS, page)[1]


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
