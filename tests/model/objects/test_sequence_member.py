"""What a row of a sequence member may hold, and what Apollo's words for a skipped contact mean."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.model.objects.sequence_member import (
    ALREADY_IN,
    SEQUENCE_MEMBER,
    Start,
    why_skipped,
)
from target_apollo.model.outcomes import Reason, RecordError

ID = "6" * 24
#: The words of Apollo's document.
DOCUMENTED = {
    "contact_not_found": Reason.GONE,
    "contacts_active_in_other_campaigns": Reason.NOT_ENROLLED,
    "contacts_finished_in_other_campaigns": Reason.NOT_ENROLLED,
    "contacts_without_email": Reason.NOT_ENROLLED,
    "contacts_unverified_email": Reason.NOT_ENROLLED,
    "contacts_with_job_change": Reason.NOT_ENROLLED,
    "contacts_in_same_company": Reason.NOT_ENROLLED,
    "contacts_without_ownership_permission": Reason.NOT_ENROLLED,
    "contacts_in_pending_state": Reason.ENROLMENT_WAITS,
    "contacts_with_unverified_user_managed_email": Reason.NOT_ENROLLED,
}


@pytest.mark.parametrize(("word", "reason"), DOCUMENTED.items())
def test_each_word_of_apollo_has_its_reason_and_sentence(word: str, reason: Reason) -> None:
    why = why_skipped(word, ID)
    assert why is not None
    assert (why.reason, why.apollo_message) == (reason, word)
    assert len(why.detail) > 20


def test_a_contact_that_is_in_the_sequence_is_no_reject() -> None:
    assert why_skipped(ALREADY_IN, ID) is None


def test_a_word_that_the_reference_lacks_is_a_reject_with_that_word() -> None:
    why = why_skipped("contacts_on_the_moon", ID)
    assert why is not None
    assert (why.reason, why.apollo_message) == (Reason.NOT_ENROLLED, "contacts_on_the_moon")


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("status", " Active ", "active"),
        ("status", None, None),
        ("auto_unpause_at", "2030-01-02 08:00:00+00", "2030-01-02T08:00:00Z"),
        ("auto_unpause_at", "2030-01-02", "2030-01-02T00:00:00Z"),
        ("auto_unpause_at", 1893456000, "2030-01-01T00:00:00Z"),
        ("auto_unpause_at", " ", None),
        ("mailbox", "Rep@Team.Example", "rep@team.example"),
    ],
)
def test_a_column_is_read(column: str, value: Any, read: str | None) -> None:
    assert SEQUENCE_MEMBER.columns[column].normalise(column, value) == read


@pytest.mark.parametrize(
    ("column", "value"), [("status", "finished"), ("auto_unpause_at", "soon"), ("mailbox", "me")]
)
def test_a_value_that_can_not_be_meant_is_refused(column: str, value: str) -> None:
    with pytest.raises(RecordError):
        SEQUENCE_MEMBER.columns[column].normalise(column, value)


def test_a_time_to_become_active_needs_a_paused_start() -> None:
    at = "2030-01-01T00:00:00Z"
    assert Start.of({"status": "paused", "auto_unpause_at": at}) == Start("paused", at)
    for status in (None, "active"):
        with pytest.raises(RecordError):
            Start.of({"status": status, "auto_unpause_at": at})
