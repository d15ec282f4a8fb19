"""The searches by which whole objects are read: what is sent, and which answers are believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from target_apollo.apollo import ACCOUNT_ENDPOINTS, CONTACT_ENDPOINTS, Answer, AnswerLost, Request
from target_apollo.apollo.endpoints import READING
from target_apollo.apollo.record_reader import RecordReader, Selection

PAGES = {"page": "2", "per_page": 100, "total_entries": 201, "total_pages": 3}
ONE = {"id": "6b0c45494cb227203d071742"}
CREATED = Selection("contact_created_at", ascending=True)


@dataclass
class OneAnswer:
    """A transport that gives the same answer to each request, and keeps the requests."""

    body: Any
    sent: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Answer:
        self.sent.append(request)
        return Answer(200, self.body, attempts=1, seconds=0.0)


def test_a_page_of_records_is_asked_for_with_its_filters() -> None:
    apollo = OneAnswer({"accounts": [ONE], "pagination": PAGES})
    selection = Selection("account_created_at", True, stage_id="s", label_id="l")
    page = RecordReader(apollo).page(ACCOUNT_ENDPOINTS, selection, 2)
    assert (page.records, page.pages, page.total) == ([ONE], 3, 201)
    (request,) = apollo.sent
    assert request.endpoint == "POST /accounts/search"
    assert request.body == {
        "sort_by_field": "account_created_at", "sort_ascending": True, "page": 2, "per_page": 100,
        "account_stage_ids": ["s"], "account_label_ids": ["l"],
    }  # fmt: skip


def test_deals_and_sequences_are_asked_for_by_query_parameters() -> None:
    body = {"opportunities": [ONE], "emailer_campaigns": [ONE], "pagination": PAGES}
    apollo = OneAnswer(body)
    reader = RecordReader(apollo)
    assert reader.deals(2).records == reader.sequences(2).records == [ONE]
    assert [(one.endpoint, one.params, one.body) for one in apollo.sent] == [
        ("GET /opportunities/search", {"page": 2, "per_page": 100}, None),
        ("POST /emailer_campaigns/search", {"page": 2, "per_page": 100}, None),
    ]


def test_all_its_requests_read() -> None:
    apollo = OneAnswer({"contacts": [], "opportunities": [], "emailer_campaigns": [],
                        "pagination": PAGES})  # fmt: skip
    reader = RecordReader(apollo)
    reader.page(CONTACT_ENDPOINTS, CREATED, 2)
    reader.deals(2)
    reader.sequences(2)
    assert {request.endpoint for request in apollo.sent} <= READING


@pytest.mark.parametrize(
    "body",
    [
        {"contacts": [ONE]},
        {"contacts": [ONE], "pagination": {"total_pages": 3}},
        {"contacts": [ONE], "pagination": {"total_pages": 3, "total_entries": None}},
        {"contacts": [{}], "pagination": PAGES},
        {"contacts": None, "pagination": PAGES},
        {"pagination": PAGES},
        {"contacts": [ONE], "pagination": {**PAGES, "page": 1}},
        [],
    ],
)
def test_an_answer_of_another_shape_is_no_page(body: Any) -> None:
    """An end that is not told must not be taken for the end."""
    with pytest.raises(AnswerLost):
        RecordReader(OneAnswer(body)).page(CONTACT_ENDPOINTS, CREATED, 2)
