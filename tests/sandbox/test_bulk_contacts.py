from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh

NO_ARRAY = 'Please provide an array of contact attributes in the "contact_attributes" parameter.'


def test_new_contacts_are_created_and_known_ones_come_back_unmodified(client: Client) -> None:
    known, new = fresh(), fresh()
    client.post("/contacts", {"email": known, "title": "CEO"})
    answer = client.bulk_create({"email": known, "title": "CTO"}, {"email": new})
    assert [c["email"] for c in answer["created_contacts"]] == [new]
    assert [c["title"] for c in answer["existing_contacts"]] == ["CEO"]


def test_without_run_dedupe_bulk_create_makes_duplicates(client: Client) -> None:
    email = fresh()
    client.bulk_create({"email": email})
    answer = client.bulk_create({"email": email}, run_dedupe=False)
    assert len(answer["created_contacts"]) == 1
    assert answer["existing_contacts"] == []


def test_an_additional_address_is_matched(apollo: Sandbox, client: Client) -> None:
    second = fresh()
    known = apollo.store.add_contact(email=fresh(), additional_emails=[second])
    answer = client.bulk_create({"email": second})
    assert [c["id"] for c in answer["existing_contacts"]] == [known["id"]]


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ({"salesforce_contact_id": "003A"}, {"salesforce_contact_id": "003A"}),
        ({"salesforce_lead_id": "00QA"}, {"salesforce_lead_id": "00QA"}),
        ({"hubspot_vid": "771"}, {"hubspot_id": "771"}),
        ({"merged_crm_ids": ["003M"]}, {"salesforce_contact_id": "003M"}),
    ],
)
def test_a_crm_id_is_matched_before_the_address(
    apollo: Sandbox, client: Client, stored: dict[str, Any], sent: dict[str, Any]
) -> None:
    by_crm = apollo.store.add_contact(email=fresh(), **stored)
    by_email = apollo.store.add_contact(email=fresh())
    answer = client.bulk_create({"email": by_email["email"], **sent})
    assert [c["id"] for c in answer["existing_contacts"]] == [by_crm["id"]]


def test_a_namesake_at_the_same_company_comes_back_as_existing(client: Client) -> None:
    person = {"first_name": "Lee", "last_name": fresh(), "organization_name": "Namesakes Ltd"}
    first = client.bulk_create({**person, "email": fresh("a", "one.example")})
    answer = client.bulk_create({**person, "email": fresh("b", "two.example")})
    assert answer["created_contacts"] == []
    assert answer["existing_contacts"][0]["id"] == first["created_contacts"][0]["id"]


def test_a_free_mail_domain_is_no_company(client: Client) -> None:
    person = {"first_name": "Lee", "last_name": fresh()}
    client.bulk_create({**person, "email": fresh("a", "gmail.com")})
    answer = client.bulk_create({**person, "email": fresh("b", "gmail.com")})
    assert len(answer["created_contacts"]) == 1


def test_a_placeholder_of_an_email_import_is_merged(apollo: Sandbox, client: Client) -> None:
    email = fresh()
    apollo.store.add_contact(email=email, source="email_import")
    answer = client.bulk_create({"email": email, "title": "CEO"}, run_dedupe=False)
    assert [c["title"] for c in answer["existing_contacts"]] == ["CEO"]


def test_the_owner_is_one_for_the_request_and_leaves_existing_ones_alone(
    apollo: Sandbox, client: Client
) -> None:
    owner = apollo.store.add_user(email=fresh())["id"]
    known = fresh()
    client.bulk_create({"email": known})
    answer = client.bulk_create({"email": known}, {"email": fresh()}, owner_id=owner)
    assert answer["created_contacts"][0]["owner_id"] == owner
    assert answer["existing_contacts"][0]["owner_id"] == apollo.store.admin_id


def test_an_owner_outside_the_team_refuses_the_whole_request(
    apollo: Sandbox, client: Client
) -> None:
    email = fresh()
    body = client.error(
        "POST", "/contacts/bulk_create", {"contacts": [{"email": email}], "owner_id": "b" * 24}
    )
    assert body == {"error": f"Parameters misconfigured. {'b' * 24} is not a valid ID"}
    assert email not in {c["email"] for c in apollo.store.contacts()}


def test_append_label_names_puts_every_contact_on_the_lists(
    apollo: Sandbox, client: Client
) -> None:
    known = fresh()
    client.bulk_create({"email": known}, append_label_names=["First list"])
    answer = client.bulk_create(
        {"email": known}, {"email": fresh()}, append_label_names=["Second list"]
    )
    names = {label["id"]: label["name"] for label in apollo.store.labels()}
    (created,), (existing,) = answer["created_contacts"], answer["existing_contacts"]
    assert [names[i] for i in created["label_ids"]] == ["Second list"]
    assert [names[i] for i in existing["label_ids"]] == ["First list", "Second list"]


def test_additional_addresses_and_phone_numbers_can_be_given(client: Client) -> None:
    first, second = fresh(), fresh()
    (contact,) = client.bulk_create(
        {
            "email": first,
            "contact_emails": [{"email": second, "position": 1}],
            "phone_numbers": [{"raw_number": "+1 555 555 0123", "position": 0}],
        }
    )["created_contacts"]
    assert [entry["email"] for entry in contact["contact_emails"]] == [first, second]
    assert contact["phone_numbers"][0]["sanitized_number"] == "+15555550123"


def test_the_primary_title_wins_over_the_title(client: Client) -> None:
    (contact,) = client.bulk_create(
        {"email": fresh(), "title": "Second", "primary_title": "First"}
    )["created_contacts"]
    assert contact["title"] == "First"


def test_more_than_100_contacts_are_refused(client: Client) -> None:
    body = client.error("POST", "/contacts/bulk_create", {"contacts": [{"title": "x"}] * 101})
    assert body == {"error": "Please limit your array to 100 contacts or fewer."}


@pytest.mark.parametrize("body", [{}, {"contacts": "ann@x.example"}, {"contacts": None}])
def test_a_request_without_an_array_is_refused(client: Client, body: dict[str, object]) -> None:
    assert client.error("POST", "/contacts/bulk_create", body) == {"error": NO_ARRAY}


def test_bulk_update_writes_per_contact_and_answers_the_contacts(client: Client) -> None:
    made = client.bulk_create({"email": fresh()}, {"email": fresh()})["created_contacts"]
    answer = client.post(
        "/contacts/bulk_update",
        {"contact_attributes": [{"id": c["id"], "title": f"T{i}"} for i, c in enumerate(made)]},
    )
    assert {c["id"]: c["title"] for c in answer["contacts"]} == {
        made[0]["id"]: "T0",
        made[1]["id"]: "T1",
    }


def test_bulk_update_writes_the_same_to_all_ids(apollo: Sandbox, client: Client) -> None:
    owner = apollo.store.add_user(email=fresh())["id"]
    made = client.bulk_create({"email": fresh()}, {"email": fresh()})["created_contacts"]
    ids = [c["id"] for c in made]
    client.post("/contacts/bulk_update", {"contact_ids": ids, "owner_id": owner})
    assert {c["owner_id"] for c in apollo.store.contacts() if c["id"] in ids} == {owner}


def test_bulk_update_answers_only_the_visible_ids(client: Client) -> None:
    made = client.bulk_create({"email": fresh()}, {"email": fresh()})["created_contacts"]
    answer = client.post(
        "/contacts/bulk_update",
        {
            "contact_ids": [c["id"] for c in made],
            "title": "x",
            "visible_entity_ids": [made[1]["id"]],
        },
    )
    assert [c["id"] for c in answer["contacts"]] == [made[1]["id"]]


def test_an_invalid_address_in_bulk_update_names_the_contact_and_writes_nothing(
    client: Client,
) -> None:
    made = client.bulk_create({"email": fresh()}, {"email": fresh()})["created_contacts"]
    body = client.error(
        "POST",
        "/contacts/bulk_update",
        {
            "contact_attributes": [
                {"id": made[0]["id"], "title": "written?"},
                {"id": made[1]["id"], "email": "no address"},
            ]
        },
    )
    assert body["error_details"] == {
        "contact_id": made[1]["id"],
        "field": "email",
        "message": "Invalid email format",
    }
    assert client.get(f"/contacts/{made[0]['id']}")["contact"]["title"] is None


@pytest.mark.parametrize(("count", "asynchronous"), [(101, False), (1, True)])
def test_large_or_asynchronous_updates_are_jobs(
    apollo: Sandbox, client: Client, count: int, asynchronous: bool
) -> None:
    ids = [apollo.store.add_contact(email=fresh())["id"] for _ in range(count)]
    body = {"contact_ids": ids, "title": "By job"}
    answer = client.post("/contacts/bulk_update", {**body, "async": True} if asynchronous else body)
    assert "contacts" not in answer
    assert answer["entity_progress_job"]["job_type"] == "contact_bulk_update"
    assert client.get(f"/contacts/{ids[-1]}")["contact"]["title"] == "By job"


def test_more_than_1000_updates_are_refused(client: Client) -> None:
    body = client.error("POST", "/contacts/bulk_update", {"contact_ids": ["a" * 24] * 1001})
    assert body == {"error": "Please limit your array to fewer than 1000."}


def test_bulk_update_needs_ids_or_attributes(client: Client) -> None:
    body = client.error("POST", "/contacts/bulk_update", {"title": "x"})
    assert body == {"error": "Please provide either contact_ids or contact_attributes"}


def test_a_deleted_contact_refuses_the_whole_bulk_update(apollo: Sandbox, client: Client) -> None:
    gone, there = (apollo.store.add_contact(email=fresh())["id"] for _ in range(2))
    apollo.store.delete_contact(gone)
    body = client.error(
        "POST", "/contacts/bulk_update", {"contact_ids": [there, gone], "title": "x"}
    )
    assert body["error_details"]["contact_id"] == gone
    assert client.get(f"/contacts/{there}")["contact"]["title"] is None


@pytest.mark.parametrize("style", ["body", "query"])
def test_stages_and_owners_take_ids_in_the_body_or_the_query(
    apollo: Sandbox, client: Client, style: str
) -> None:
    owner = apollo.store.add_user(email=fresh())["id"]
    stage = apollo.store.contact_stages[2]["id"]
    ids = [apollo.store.add_contact(email=fresh())["id"] for _ in range(2)]
    for action, field, value in (
        ("update_stages", "contact_stage_id", stage),
        ("update_owners", "owner_id", owner),
    ):
        if style == "body":
            client.post(f"/contacts/{action}", {"contact_ids": ids, field: value})
        else:
            client.post(f"/contacts/{action}", params={"contact_ids[]": ids, field: value})
    for contact_id in ids:
        contact = client.get(f"/contacts/{contact_id}")["contact"]
        assert (contact["contact_stage_id"], contact["owner_id"]) == (stage, owner)


def test_stages_need_their_ids(client: Client) -> None:
    body = client.error("POST", "/contacts/update_stages", {"contact_stage_id": "a" * 24})
    assert body == {"error": "Required parameter 'contact_ids' missing"}
