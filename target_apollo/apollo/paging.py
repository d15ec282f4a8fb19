"""What the answer of a search says of its pages, which must not contradict itself.

A page that is taken for the last one, or a page that lacks records, hides records that exist, and a
record that is not seen may be made a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_apollo.apollo.endpoints import MOST_PAGES

if TYPE_CHECKING:
    from target_apollo.apollo.answers import CheckedBody


@dataclass(frozen=True)
class Paging:
    """The numbers of a search.

    Attributes:
        pages: Pages that there are.
        total: Records on all of them.
        belong: Records that belong on the page of this answer, at least.
    """

    pages: int
    total: int
    belong: int


def read_paging(body: CheckedBody, page: int, per_page: int) -> Paging:
    """Read the pagination of an answer that is about a page.

    Args:
        body: The answer.
        page: The page that was asked for.
        per_page: Records on a page, as asked for; Apollo may answer fewer and says so.

    Raises:
        AnswerLost: It is about another page, or its numbers contradict each other.
    """
    told = body.whole().get("pagination")
    if body.number(told, "page") != page:
        raise body.lost("the answer is about another page")
    pages, total = body.number(told, "total_pages"), body.number(told, "total_entries")
    if total < 0 or pages < min(-(-total // per_page), MOST_PAGES):
        raise body.lost("the answer has more records than its pages hold")
    answered = told.get("per_page") if isinstance(told, dict) else None
    size = answered if type(answered) is int and 0 < answered <= per_page else per_page
    return Paging(pages, total, max(0, min(size, total - (page - 1) * size)))
