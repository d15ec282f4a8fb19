"""What searches share: the page that is asked for, the order of the hits, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.serving.call import Call
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

#: A search reaches 500 pages of 100 records.
_MOST_PER_PAGE = 100
_MOST_REACHED = 50_000

Hit = TypeVar("Hit")


@dataclass(frozen=True)
class Page:
    """One page of a search: its number, from 1, and how many records it has at the most."""

    number: int
    size: int

    def of(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """The hits of this page."""
        return hits[(self.number - 1) * self.size : self.number * self.size]

    def pagination(self, total: int) -> dict[str, Any]:
        """The ``pagination`` of an answer, where the search has ``total`` hits."""
        return {
            "page": self.number,
            "per_page": self.size,
            "total_entries": total,
            "total_pages": -(-total // self.size),
        }


def asked_page(call: Call) -> Page:
    """The page of a search that a request asks for; the first one, of 25 records, if it names none.

    Raises:
        Refusal: 422, the page lies beyond the 50,000 records that a search reaches; in strict mode
            also for a number or a size that no page has.
    """
    number, size = call.number("page", 1), call.number("per_page", 25)
    page = Page(max(number, 1), min(max(size, 1), _MOST_PER_PAGE))
    if call.options.strict and (number, size) != (page.number, page.size):
        problem = f"there is no page {number} of {size} records, which has 1 to {_MOST_PER_PAGE}"
        raise strict.refusal(call.endpoint.label, problem)
    if page.number * page.size > _MOST_REACHED:
        raise unprocessable("Page * per page number is over threshold.")
    return page


def in_order(call: Call, hits: list[Hit], value: Callable[[Hit], str]) -> None:
    """Sort hits, which come oldest first, as the request asks: the largest value first or last.

    Of equal values the newest record comes first, or last. `sort_ascending` means nothing without
    `sort_by_field`.

    Raises:
        Refusal: 422 in strict mode, for such a `sort_ascending`.
    """
    is_sorted = bool(call.body.get("sort_by_field"))
    ascending = call.body.get("sort_ascending") is True
    if ascending and not is_sorted:
        if call.options.strict:
            raise strict.refusal(call.endpoint.label, "`sort_ascending` needs a `sort_by_field`")
        ascending = False
    if not is_sorted and call.options.unsorted_moves:
        call.chance.shuffle(hits)
        return
    if not ascending:
        hits.reverse()
    hits.sort(key=value, reverse=not ascending)


def unknown_order() -> Refusal:
    """The 422 for a `sort_by_field` that the endpoint does not have."""
    return unprocessable("Invalid sort criteria", skip_alert_dialog=True)


def envelope(key: str, records: list[Any], page: Page, total: int) -> dict[str, Any]:
    """The answer to a search: the records of one page under ``key``, and the pagination."""
    return {
        key: records,
        "breadcrumbs": [],
        "partial_results_only": False,
        "has_join": False,
        "disable_eu_prospecting": False,
        "partial_results_limit": 10_000,
        "pagination": page.pagination(total),
        "num_fetch_result": None,
    }
