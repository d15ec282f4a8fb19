"""Apollo's endpoints for deals, which it calls opportunities, as methods.

They raise the `ApolloError` family, as those of `ApolloClient`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import CheckedBody, Stage, is_id
from target_apollo.apollo.paging import read_paging
from target_apollo.apollo.transport import request_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_apollo.apollo.answers import JSON
    from target_apollo.apollo.transport import TransportProtocol

_DEAL: Final = "opportunity"
_PER_PAGE: Final = 100


@dataclass(frozen=True)
class DealPage:
    """A page of all deals; `pages` and `deals` are the numbers that there are."""

    records: list[JSON] = field(repr=False)
    pages: int = 1
    deals: int = 0


class DealClient:
    """The endpoints that syncing deals needs. Thread-safe, as its transport is."""

    def __init__(self, transport: TransportProtocol) -> None:
        self._transport = transport

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
        body = self._send(endpoints.CREATE_DEAL, fields, once=True)
        record = body.whole().get(_DEAL)
        if not isinstance(record, dict):
            raise body.lost(f'the answer has no object "{_DEAL}"')
        body.id(record, "id")
        return record

    def read(self, deal_id: str) -> JSON:
        """Return a deal: GET /opportunities/{id}."""
        return self._record(endpoints.READ_DEAL, deal_id)

    def update(self, deal_id: str, fields: JSON) -> JSON:
        """Update a deal and return it: PATCH /opportunities/{id}. Its account can't be changed."""
        return self._record(endpoints.UPDATE_DEAL, deal_id, fields)

    def page(self, page: int) -> DealPage:
        """Return a page of 100 deals: GET /opportunities/search.

        Apollo documents no order of them and no filter, and shows 500 pages at most.
        """
        params = {"page": page, "per_page": _PER_PAGE}
        body = self._send(endpoints.SEARCH_DEALS, params=params)
        paging = read_paging(body, page, _PER_PAGE)
        return DealPage(body.records("opportunities"), paging.pages, paging.total)

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

    def _record(self, endpoint: str, deal_id: str, fields: JSON | None = None) -> JSON:
        if not is_id(deal_id):
            raise ValueError(f"This is no id of an Apollo {_DEAL}.")
        return self._send(endpoint, fields, record_id=deal_id).record(_DEAL, deal_id)
