"""What the clients of Apollo's further objects share: requests for one record, and pages of all.

Deals and tasks go out one a request, and nothing recognises one that exists already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from target_apollo.apollo.answers import CheckedBody, RecordPage, is_id
from target_apollo.apollo.paging import read_paging
from target_apollo.apollo.transport import request_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_apollo.apollo.answers import JSON
    from target_apollo.apollo.transport import TransportProtocol

PER_PAGE: Final = 100


@dataclass(frozen=True)
class CountedPage(RecordPage):
    """A page that also tells how many records there are in all.

    `lacks_some`: whether it has fewer records than belong on it by its numbers.
    """

    total: int = 0
    lacks_some: bool = False


class ObjectClient:
    """Requests about the records of an object. Thread-safe, as its transport is.

    Attributes:
        singular: The key of one record in an answer.
        plural: The key of several.
    """

    singular: ClassVar[str]
    plural: ClassVar[str]

    def __init__(self, transport: TransportProtocol) -> None:
        self._transport = transport

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
        return self._record_of(endpoint, record_id, fields)[1]

    def _record_of(
        self, endpoint: str, record_id: str, fields: JSON | None = None
    ) -> tuple[CheckedBody, JSON]:
        """The answer to a request about one record, and the record in it."""
        # An empty or odd id would reach another endpoint.
        if not is_id(record_id):
            raise ValueError(f"This is no id of an Apollo {self.singular}.")
        body = self._send(endpoint, fields, record_id=record_id)
        return body, body.record(self.singular, record_id)

    def _page(self, endpoint: str, page: int, **params: Any) -> tuple[CheckedBody, CountedPage]:
        """The answer to a request for a page, and the page in it."""
        body = self._send(endpoint, params={**params, "page": page, "per_page": PER_PAGE})
        paging = read_paging(body, page, PER_PAGE)
        records = body.records(self.plural)
        lacks_some = len(records) < paging.belong
        return body, CountedPage(records, paging.pages, paging.total, lacks_some)
