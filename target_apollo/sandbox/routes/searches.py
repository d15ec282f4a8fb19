"""What the searches for contacts, accounts, deals and tasks share: their order and their answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.serving.call import Call, Page
from target_apollo.sandbox.serving.errors import Refusal, unprocessable

Hit = TypeVar("Hit")


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
