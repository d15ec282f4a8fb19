"""Sequences, which Apollo calls emailer campaigns, their contacts and the mailboxes."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.sales_objects import enrolled
from tests.sandbox.conftest import Client, fresh


class Enrolling:
    """A sequence and a mailbox, and the requests that add contacts to it and take them out."""

    def __init__(self, apollo: Sandbox, client: Client) -> None:
        self.sequences = apollo.store.sequences
        self.mailbox = self.sequences.add_email_account("rep@sandbox.example")["id"]
        self.sequence = self.sequences.add("Spring")["id"]
        self._store = apollo.store
        self._client = client

    def contact(self, **fields: Any) -> str:
        contact_id: str = self._store.add_contact(**{"email": fresh(), **fields})["id"]
        return contact_id

    @property
    def path(self) -> str:
        return f"/emailer_campaigns/{self.sequence}/add_contact_ids"

    def add(self, *contact_ids: str, **more: Any) -> Any:
        return self._client.post(self.path, params=self.query(contact_ids, more))

    def query(self, contact_ids: Any, more: dict[str, Any]) -> dict[str, Any]:
        return {
            "emailer_campaign_id": self.sequence,
            "send_email_from_email_account_id": self.mailbox,
            "contact_ids[]": list(contact_ids),
            **more,
        }

    def leave(self, contact_id: str, mode: str, sequence: str = "") -> Any:
        query = {
            "emailer_campaign_ids[]": [sequence or self.sequence],
            "contact_ids[]": [contact_id],
            "mode": mode,
        }
        return self._client.post("/emailer_campaigns/remove_or_stop_contact_ids", params=query)

    def states(self, contact_id: str) -> dict[str, str]:
        """Sequence of a contact -> its status there, as GET shows them."""
        contact = self._client.get(f"/contacts/{contact_id}")["contact"]
        shown = {
            one["emailer_campaign_id"]: one["status"]
            for one in contact["contact_campaign_statuses"]
        }
        assert list(shown) == contact["emailer_campaign_ids"]
        return shown


@pytest.fixture
def spring(apollo: Sandbox, client: Client) -> Enrolling:
    return Enrolling(apollo, client)


def test_contacts_that_join_are_answered_with_their_sequence(
    apollo: Sandbox, spring: Enrolling
) -> None:
    ids = [spring.contact(), spring.contact()]
    answer = spring.add(*ids)
    assert [contact["id"] for contact in answer["contacts"]] == ids
    (status,) = answer["contacts"][0]["contact_campaign_statuses"]
    assert (status["emailer_campaign_id"], status["status"]) == (spring.sequence, "active")
    assert status["send_email_from_email_account_id"] == spring.mailbox
    assert [one["contact_id"] for one in spring.sequences.enrolments()] == ids
    assert [*enrolled(apollo, "Spring").values()] == ["active", "active"]


def test_a_contact_passes_a_sequence_once(spring: Enrolling) -> None:
    contact = spring.contact()
    spring.add(contact)
    already = {contact: "contacts_already_exists_in_current_campaign"}
    assert spring.add(contact)["skipped_contact_ids"] == already
    spring.leave(contact, "mark_as_finished")
    assert spring.add(contact)["skipped_contact_ids"] == already
    assert spring.states(contact) == {spring.sequence: "finished"}


@pytest.mark.parametrize(("may", "states"), [(True, ["active"]), (False, [])])
def test_a_removed_contact_may_join_again_or_not(
    apollo: Sandbox, spring: Enrolling, may: bool, states: list[str]
) -> None:
    apollo.set_options(removed_may_rejoin=may)
    contact = spring.contact()
    spring.add(contact)
    spring.leave(contact, "remove")
    assert spring.states(contact) == {}
    spring.add(contact)
    assert [*spring.states(contact).values()] == states


def test_nobody_joins_is_answered_with_200_and_reasons(spring: Enrolling) -> None:
    unknown, mute = "f" * 24, spring.contact(email=None)
    unverified = spring.contact(email_status="unverified")
    answer = spring.add(unknown, mute, unverified)
    assert answer["contacts"] == []
    assert answer["skipped_contact_ids"] == {
        unknown: "contact_not_found",
        mute: "contacts_without_email",
        unverified: "contacts_unverified_email",
    }
    spring.add(mute, unverified, sequence_no_email="true", sequence_unverified_email="true")
    assert len(spring.sequences.enrolments()) == 2


@pytest.mark.parametrize(
    ("status", "reason", "flag"),
    [
        ("active", "contacts_active_in_other_campaigns", "sequence_active_in_other_campaigns"),
        ("paused", "contacts_active_in_other_campaigns", "sequence_active_in_other_campaigns"),
        (
            "finished",
            "contacts_finished_in_other_campaigns",
            "sequence_finished_in_other_campaigns",
        ),
    ],
)
def test_a_contact_of_another_sequence_joins_only_by_a_flag(
    spring: Enrolling, status: str, reason: str, flag: str
) -> None:
    spring.sequences.add("Autumn")
    contact = spring.contact()
    spring.sequences.enrol("Autumn", contact, status)
    assert spring.add(contact)["skipped_contact_ids"] == {contact: reason}
    spring.add(contact, **{flag: "true"})
    assert spring.states(contact)[spring.sequence] == "active"


def test_a_contact_can_be_held_back_for_any_documented_reason(spring: Enrolling) -> None:
    contact, reason = spring.contact(), "contacts_in_pending_state"
    spring.sequences.hold_back(contact, reason)
    assert spring.add(contact)["skipped_contact_ids"] == {contact: reason}
    assert spring.add(contact, add_if_in_queue="true")["skipped_contact_ids"] == {}
    with pytest.raises(ValueError, match="must be one of"):
        spring.sequences.hold_back(contact, "bad_mood")


@pytest.mark.parametrize("change", [{"active": False}, {"archived": True}])
def test_who_joins_an_inactive_sequence_is_paused(
    spring: Enrolling, change: dict[str, bool]
) -> None:
    spring.sequences.change("Spring", **change)
    (contact,) = spring.add(spring.contact())["contacts"]
    (status,) = contact["contact_campaign_statuses"]
    assert (status["status"], status["inactive_reason"]) == ("paused", "Sequence inactive")


def test_contacts_can_join_later(spring: Enrolling) -> None:
    later = {"status": "paused", "auto_unpause_at": "2030-01-01T09:00:00Z"}
    (contact,) = spring.add(spring.contact(), **later)["contacts"]
    (status,) = contact["contact_campaign_statuses"]
    assert (status["status"], status["auto_unpause_at"]) == ("paused", "2030-01-01T09:00:00Z")


def test_ids_in_one_text_add_nobody_without_a_word(
    apollo: Sandbox, client: Client, spring: Enrolling
) -> None:
    joined = ",".join([spring.contact(), spring.contact()])
    forms = [
        spring.query([joined], {}),
        spring.query([], {"contact_ids": joined}),
    ]
    for query in forms:
        assert "sandbox strict" in client.call("POST", spring.path, params=query).json()["error"]
    apollo.set_options(strict=False)
    for query in forms:
        answer = client.post(spring.path, params=query)
        assert (answer["contacts"], answer["skipped_contact_ids"]) == ([], {})


def test_the_parameters_may_stand_in_the_body(client: Client, spring: Enrolling) -> None:
    body = {
        "emailer_campaign_id": spring.sequence,
        "send_email_from_email_account_id": [spring.mailbox],
        "contact_ids": [spring.contact(email=None)],
        "sequence_no_email": True,
    }
    answer = client.post(spring.path, body)
    assert len(answer["contacts"]) == 1


def test_the_contacts_of_a_list_can_join(spring: Enrolling) -> None:
    listed = spring.contact(label_names=["Fair"])
    spring.contact()
    answer = spring.add(**{"contact_ids[]": [], "label_names[]": ["Fair"]})
    assert [contact["id"] for contact in answer["contacts"]] == [listed]


@pytest.mark.parametrize(
    ("left_out", "error"),
    [
        ("contact_ids[]", "Please specify either contact_ids or label_names."),
        (
            "send_email_from_email_account_id",
            "Please specify a emailer_campaign_id and send_email_from_email_account_id.",
        ),
        (
            "emailer_campaign_id",
            "Please specify a emailer_campaign_id and send_email_from_email_account_id.",
        ),
    ],
)
def test_what_is_required_is_told_in_apollos_words(
    client: Client, spring: Enrolling, left_out: str, error: str
) -> None:
    query = {k: v for k, v in spring.query([spring.contact()], {}).items() if k != left_out}
    answer = client.call("POST", spring.path, params=query)
    assert (answer.status_code, answer.json()) == (422, {"error": error})


def test_an_inactive_mailbox_is_named(client: Client, spring: Enrolling) -> None:
    asleep = spring.sequences.add_email_account("old@sandbox.example", active=False)["id"]
    query = spring.query([spring.contact()], {"send_email_from_email_account_id": asleep})
    answer = client.call("POST", spring.path, params=query)
    assert answer.json() == {"error": "These mailboxes are no longer active. old@sandbox.example"}


@pytest.mark.parametrize(
    ("mode", "reason"), [("mark_as_finished", "manually finished"), ("stop", "manually stopped")]
)
def test_a_contact_can_be_finished_and_stopped(spring: Enrolling, mode: str, reason: str) -> None:
    contact = spring.contact()
    spring.add(contact)
    (after,) = spring.leave(contact, mode)["contacts"]
    (status,) = after["contact_campaign_statuses"]
    assert (status["status"], status["inactive_reason"]) == ("finished", reason)


def test_a_made_up_sequence_is_left_with_200_and_nothing_changes(spring: Enrolling) -> None:
    contact = spring.contact()
    spring.add(contact)
    (answered,) = spring.leave(contact, "remove", sequence="f" * 24)["contacts"]
    assert answered["emailer_campaign_ids"] == [spring.sequence]


def test_leaving_may_be_answered_with_a_job(apollo: Sandbox, spring: Enrolling) -> None:
    apollo.set_options(stops_by_job=True)
    contact = spring.contact()
    spring.add(contact)
    job = spring.leave(contact, "remove")["entity_progress_job"]
    assert job["job_type"] == "sequence_remove_stop_contacts"
    assert spring.states(contact) == {}


def test_sequences_are_found_by_words_of_their_name(client: Client, spring: Enrolling) -> None:
    spring.sequences.add("Dublin fair, copywriters", archived=True)
    for words, names in (("copy dublin", 1), ("autumn", 0), ("", 2)):
        answer = client.post("/emailer_campaigns/search", params={"q_name": words})
        assert len(answer["emailer_campaigns"]) == names
    page = client.post("/emailer_campaigns/search", params={"page": "2", "per_page": "1"})
    assert page["pagination"]["total_pages"] == 2


def test_mailboxes_are_listed_with_whether_they_are_active(
    apollo: Sandbox, client: Client, spring: Enrolling
) -> None:
    spring.sequences.add_email_account("old@sandbox.example", active=False)
    listed = client.get("/email_accounts")["email_accounts"]
    assert [(one["email"], one["active"]) for one in listed] == [
        ("rep@sandbox.example", True),
        ("old@sandbox.example", False),
    ]


def test_the_answer_to_an_update_does_not_show_the_sequences(
    client: Client, spring: Enrolling
) -> None:
    contact = spring.contact()
    spring.add(contact)
    answer = client.patch(f"/contacts/{contact}", {"title": "CEO"})["contact"]
    assert "contact_campaign_statuses" not in answer
    assert answer["emailer_campaign_ids"] == [spring.sequence]


def test_an_enrolment_whose_answer_is_lost_has_happened(
    apollo: Sandbox, client: Client, spring: Enrolling
) -> None:
    label = "POST /emailer_campaigns/{id}/add_contact_ids"
    apollo.inject(Fault(label, FaultKind.ERROR_AFTER_WRITE, status=502))
    contact = spring.contact()
    answer = client.call("POST", spring.path, params=spring.query([contact], {}))
    assert answer.status_code == 502
    assert spring.states(contact) == {spring.sequence: "active"}


@pytest.mark.parametrize("company", ["account_id", "organization_id"])
def test_a_second_contact_of_a_company_joins_only_by_a_flag(
    spring: Enrolling, company: str
) -> None:
    first, second, other = (spring.contact(**{company: one * 24}) for one in "aab")
    answer = spring.add(first, second, other)
    assert answer["skipped_contact_ids"] == {second: "contacts_in_same_company"}
    spring.leave(first, "mark_as_finished")
    assert spring.add(second)["skipped_contact_ids"] == {second: "contacts_in_same_company"}
    spring.add(second, sequence_same_company_in_same_campaign="true")
    assert spring.states(second) == {spring.sequence: "active"}


def test_contacts_are_added_in_the_name_of_a_user_of_the_team(
    client: Client, spring: Enrolling
) -> None:
    query = spring.query([spring.contact()], {"user_id": "f" * 24})
    answer = client.call("POST", spring.path, params=query)
    assert answer.json() == {"error": f"Parameters misconfigured. {'f' * 24} is not a valid ID"}


@pytest.mark.parametrize(
    "odd", [{"status": "finished"}, {"status": "paused", "auto_unpause_at": "tomorrow"}]
)
def test_strict_mode_refuses_a_status_and_a_time_that_are_not_documented(
    client: Client, spring: Enrolling, odd: dict[str, str]
) -> None:
    query = spring.query([spring.contact()], odd)
    error = client.call("POST", spring.path, params=query).json()["error"]
    assert f"`{[*odd][-1]}`" in error
