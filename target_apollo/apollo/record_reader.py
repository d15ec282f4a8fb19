"""The searches by which all records of an object are read, a hundred a request.

Source: Apollo's OpenAPI document. A search shows 50,000 records at most, 500 pages of 100, and
answers a page beyond with 422. Its filters are ids of stages and of lists; Apollo ignores filters
that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_apollo.apollo import endpoints
from target_apollo.apollo.client import EndpointClient
from target_apollo.apollo.endpoints import PER_PAGE

if TYPE_CHECKING:
    from target_apollo.apollo.answers import JSON, CheckedBody
    from target_apollo.apollo.endpoints import ObjectEndpoints


@dataclass(frozen=True)
class Selection:
    """Which records of an object a search shows, and in which order.

    Attributes:
        sort_by: The field that the search sorts by.
        ascending: Whether the earliest time comes first.
        stage_id, label_id: Only the records in this stage, on this list; empty for all.
    """

    sort_by: str
    ascending: bool
    stage_id: str = ""
    label_id: str = ""


@dataclass(frozen=True)
class SearchPage:
    """A page of a search, the number of its pages, and of the records on all of them."""

    records: list[JSON] = field(repr=False)
    pages: int
    total: int


class RecordReader(EndpointClient):
    """Reads whole objects."""

    def page(self, of: ObjectEndpoints, selection: Selection, number: int) -> SearchPage:
        """Return a page of 100 records: POST /contacts/search, POST /accounts/search."""
        body: JSON = {
            "sort_by_field": selection.sort_by,
            "sort_ascending": selection.ascending,
            "page": number,
            "per_page": PER_PAGE,
        }
        if selection.stage_id:
            body[f"{of.stage_key}s"] = [selection.stage_id]
        if selection.label_id:
            body[f"{of.singular}_label_ids"] = [selection.label_id]
        return _page(self._send(of.search, body), of.plural, number)

    def deals(self, number: int) -> SearchPage:
        """Return a page of 100 deals: GET /opportunities/search, which has no filter."""
        params = {"page": number, "per_page": PER_PAGE}
        return self._by_params(endpoints.SEARCH_DEALS, params, "opportunities", number)

    def sequences(self, number: int) -> SearchPage:
        """Return a page of 100 sequences: POST /emailer_campaigns/search, with its query."""
        params = {"page": number, "per_page": PER_PAGE}
        return self._by_params(endpoints.SEARCH_SEQUENCES, params, "emailer_campaigns", number)

    def _by_params(self, endpoint: str, params: JSON, name: str, number: int) -> SearchPage:
        return _page(self._send(endpoint, params=params), name, number)

    def lists(self) -> list[JSON]:
        """Return all lists as Apollo answers them: GET /labels."""
        return self._send(endpoints.LABELS).bare_records()


def _page(answer: CheckedBody, name: str, number: int) -> SearchPage:
    paging = answer.paging(number, PER_PAGE)
    return SearchPage(answer.records(name), paging.pages, paging.total)
