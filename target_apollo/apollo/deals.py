"""Apollo's endpoints for deals, which it calls opportunities, as methods.

They raise the `ApolloError` family, as those of `ApolloClient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_apollo.apollo import endpoints
from target_apollo.apollo.answers import Stage
from target_apollo.apollo.object_client import CountedPage, ObjectClient

if TYPE_CHECKING:
    from target_apollo.apollo.answers import JSON


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
