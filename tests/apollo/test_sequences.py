"""What counts as an answer to an enrolment, and to its end."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.apollo import (
    FINISH,
    REMOVE,
    Answer,
    AnswerLost,
    JobStarted,
    Request,
    SequenceClient,
)

SPRING, BOX, ADA, BEN = "a" * 24, "b" * 24, "c" * 24, "d" * 24
IN = {"emailer_campaign_id": SPRING, "status": "active"}


class Answering:
    """A transport with one answer, which keeps the request."""

    def __init__(self, body: Any, attempts: int = 1) -> None:
        self._answer = Answer(200, body, attempts=attempts, seconds=0.0)
        self.request: Request | None = None

    def send(self, request: Request) -> Answer:
        self.request = request
        return self._answer


def enrolled(body: Any) -> tuple[set[str], dict[str, str]]:
    found = SequenceClient(Answering(body)).enrol(SPRING, [ADA, BEN], BOX)
    return set(found.joined), dict(found.skipped)


def test_the_ids_go_as_a_list_and_nothing_is_asked_for_beside() -> None:
    transport = Answering({"contacts": []})
    SequenceClient(transport).enrol(SPRING, [ADA, BEN], BOX)
    assert transport.request is not None
    assert transport.request.path == f"/emailer_campaigns/{SPRING}/add_contact_ids"
    assert transport.request.params == {
        "emailer_campaign_id": SPRING,
        "contact_ids[]": [ADA, BEN],
        "send_email_from_email_account_id": BOX,
    }


@pytest.mark.parametrize(
    ("contact", "joined"),
    [
        ({}, True),
        ({"contact_campaign_statuses": [IN]}, True),
        ({"emailer_campaign_ids": [SPRING]}, True),
        ({"contact_campaign_statuses": [], "emailer_campaign_ids": [SPRING]}, True),
        ({"contact_campaign_statuses": [], "emailer_campaign_ids": []}, False),
        ({"emailer_campaign_ids": [BOX]}, False),
    ],
)
def test_a_contact_has_joined_if_the_answer_has_it_and_it_does_not_deny_it(
    contact: dict[str, Any], joined: bool
) -> None:
    assert enrolled({"contacts": [{"id": ADA, **contact}]}) == ({ADA} if joined else set(), {})


def test_a_contact_that_is_skipped_has_not_joined_though_the_answer_has_it_too() -> None:
    answer = {"contacts": [{"id": ADA}, {"id": BEN}], "skipped_contact_ids": {ADA: "x"}}
    assert enrolled(answer) == ({BEN}, {ADA: "x"})


def test_contacts_that_nobody_asked_about_are_left_out() -> None:
    other = "e" * 24
    answer = {"contacts": [{"id": other}], "skipped_contact_ids": {other: "x", BEN: "y"}}
    assert enrolled(answer) == (set(), {BEN: "y"})


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"contacts": None},
        {"contacts": [], "emailer_campaign": {"id": BOX}},
    ],
)
def test_an_answer_of_another_shape_confirms_nothing(body: Any) -> None:
    with pytest.raises(AnswerLost):
        enrolled(body)


@pytest.mark.parametrize(
    ("contact", "left"),
    [
        ({"contact_campaign_statuses": [{**IN, "status": "finished"}]}, True),
        ({"contact_campaign_statuses": [], "emailer_campaign_ids": []}, True),
        ({"contact_campaign_statuses": [IN]}, False),
        ({"emailer_campaign_ids": [SPRING]}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("mode", [FINISH, REMOVE])
def test_a_contact_has_left_only_if_the_answer_shows_it(
    contact: dict[str, Any], left: bool, mode: str
) -> None:
    answer = {"contacts": [{"id": ADA, **contact}, {"id": "f" * 24}]}
    found = SequenceClient(Answering(answer)).leave(SPRING, [ADA, BEN], mode)
    assert found == ({ADA} if left else set())


def test_a_job_confirms_nothing() -> None:
    job = {"entity_progress_job": {"id": BOX}}
    with pytest.raises(JobStarted):
        SequenceClient(Answering(job)).leave(SPRING, [ADA], FINISH)


@pytest.mark.parametrize("ids", [[], [ADA] * 101])
def test_a_request_has_one_to_a_hundred_contacts(ids: list[str]) -> None:
    with pytest.raises(ValueError, match="takes 1 to 100 contacts"):
        SequenceClient(Answering({})).enrol(SPRING, ids, BOX)


def test_an_id_that_would_reach_another_endpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="no id of a sequence"):
        SequenceClient(Answering({})).enrol("../contacts", [ADA], BOX)
