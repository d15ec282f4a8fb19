"""What the clients of Apollo's further objects share: requests for one record, and pages of all.

Deals and tasks go out one a request, and nothing recognises one that exists already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from target_apollo.apollo.answers import RecordPage
from target_apollo.apollo.client import EndpointClient
from target_apollo.apollo.endpoints import PER_PAGE

if TYPE_CHECKING:
    from target_apollo.apollo.answers import JSON, CheckedBody


@dataclass(frozen=True)
class CountedPage(RecordPage):
    """A page that also tells how many records there are in all.

    `lacks_some`: whether it has fewer records than belong on it by its numbers.
    """

    total: int = 0
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
