"""What the answer of a search says of its pages."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.apollo import AnswerLost
from target_apollo.apollo.answers import Answer, CheckedBody, Paging


def paging_of(page: int = 1, **changes: Any) -> Paging:
    told = {"page": page, "per_page": 100, "total_entries": 250, "total_pages": 3, **changes}
    answer = Answer(200, {"pagination": told}, attempts=1, seconds=0.0)
    return CheckedBody("GET /somewhere", answer).paging(page, 100)


@pytest.mark.parametrize(("page", "belong"), [(1, 100), (2, 100), (3, 50), (4, 0)])
def test_all_pages_but_the_last_are_full(page: int, belong: int) -> None:
    assert paging_of(page) == Paging(pages=3, total=250, belong=belong)


def test_fewer_records_on_a_page_than_were_asked_for_are_no_contradiction() -> None:
    assert paging_of(2, per_page=25, total_pages=10).belong == 25


@pytest.mark.parametrize(
    "changes",
    [
        {"total_pages": 2},
        {"total_pages": 0},
        {"total_pages": -1},
        {"total_entries": -1},
        {"total_entries": 301},
        {"total_entries": None},
        {"total_pages": True},
    ],
)
def test_numbers_that_hide_records_confirm_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(AnswerLost, match="not confirmed"):
        paging_of(**changes)


def test_a_search_that_has_more_than_apollo_shows_is_no_contradiction() -> None:
    assert paging_of(500, total_entries=70_000, total_pages=500).belong == 100


def test_an_answer_about_another_page_confirms_nothing() -> None:
    told = {"page": 2, "per_page": 100, "total_entries": 250, "total_pages": 3}
    answer = Answer(200, {"pagination": told}, attempts=1, seconds=0.0)

    with pytest.raises(AnswerLost, match="another page"):
        CheckedBody("GET /somewhere", answer).paging(1, 100)
