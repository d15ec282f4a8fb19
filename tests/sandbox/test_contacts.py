from __future__ import annotations

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh


def test_without_run_dedupe_a_create_always_makes_a_new_contact(client: Client) -> None:
    email = fresh()
    ids = {client.post("/contacts", {"email": email})["contact"]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_with_run_dedupe_a_create_overwrites_the_match_in_place(client: Client) -> None:
    email = fresh()
    first = client.post("/contacts", {"email": email, "first_name": "Ann", "title": "CEO"})
    second = client.post(
        "/contacts", {"email": email.upper(), "first_name": "Anna", "run_dedupe": True}
    )["contact"]
    assert second["id"] == first["contact"]["id"]
    assert (second["first_name"], second["title"]) == ("Anna", "CEO")


def test_an_empty_value_of_a_matched_create_clears_the_field(client: Client) -> None:
    email = fresh()
    client.post("/contacts", {"email": email, "title": "CEO"})
    again = client.post("/contacts", {"email": email, "title": "", "run_dedupe": True})
    assert again["contact"]["title"] is None


def test_a_namesake_at_the_same_company_is_matched_and_gets_the_new_address(
    client: Client,
) -> None:
    old, new = fresh("same", "firm.example"), fresh("same", "firm.example")
    person = {"first_name": "Kim", "last_name": f"Of{old}"}
    first = client.post("/contacts", {**person, "email": old})["contact"]
    second = client.post("/contacts", {**person, "email": new, "run_dedupe": True})["contact"]
    assert second["id"] == first["id"]
    assert second["email"] == new
    assert second["email_status"] == "verified"


def test_the_salesforce_lead_id_stays_once_it_is_set(apollo: Sandbox, client: Client) -> None:
    email = fresh()
    kept = apollo.store.add_contact(email=email, salesforce_lead_id="00Q1")
    client.post("/contacts", {"email": email, "salesforce_lead_id": "00Q2", "run_dedupe": True})
    found = client.get(f"/contacts/{kept['id']}")["contact"]
    assert found["salesforce_lead_id"] == "00Q1"


def test_a_new_contact_has_the_default_stage_and_the_acting_user(
    apollo: Sandbox, client: Client
) -> None:
    contact = client.post("/contacts", {"email": fresh()})["contact"]
    assert contact["contact_stage_id"] == apollo.store.contact_stages[0]["id"]
    assert contact["owner_id"] == contact["creator_id"] == apollo.store.admin_id
    assert contact["email_true_status"] == "User Managed"


def test_a_contact_without_an_address_has_no_e_mail_objects(client: Client) -> None:
    contact = client.post("/contacts", {"first_name": "No", "last_name": "Address"})["contact"]
    assert contact["email"] is None
    assert contact["email_status"] is None
    assert contact["contact_emails"] == []


def test_phones_come_back_as_typed_numbers_in_international_form(client: Client) -> None:
    contact = client.post(
        "/contacts",
        {"email": fresh(), "direct_phone": "555-555-0133", "mobile_phone": "+44 7700 900852"},
    )["contact"]
    assert [(n["type"], n["sanitized_number"]) for n in contact["phone_numbers"]] == [
        ("work_direct", "+15555550133"),
        ("mobile", "+447700900852"),
    ]
    assert contact["sanitized_phone"] == "+15555550133"


def test_a_phone_of_the_same_type_is_overwritten_and_another_type_added(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh(), "direct_phone": "555-555-0101"})
    path = f"/contacts/{made['contact']['id']}"
    client.patch(path, {"direct_phone": "555-555-0102"})
    phones = client.patch(path, {"home_phone": "555-555-0103"})["contact"]["phone_numbers"]
    assert [n["raw_number"] for n in phones] == ["555-555-0102", "555-555-0103"]


def test_an_empty_phone_takes_the_number_away(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh(), "direct_phone": "555-555-0101"})
    contact = client.patch(f"/contacts/{made['contact']['id']}", {"direct_phone": ""})["contact"]
    assert contact["phone_numbers"] == []
    assert contact["sanitized_phone"] is None


def test_an_update_leaves_what_it_does_not_name(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh(), "first_name": "Ann", "title": "CEO"})
    contact = client.patch(f"/contacts/{made['contact']['id']}", {"title": "CTO"})["contact"]
    assert (contact["first_name"], contact["title"], contact["name"]) == ("Ann", "CTO", "Ann")


def test_the_lists_of_an_update_replace_the_contacts_lists(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh(), "label_names": ["Old", "Older"]})
    assert {label["name"] for label in made["labels"]} == {"Old", "Older"}
    answer = client.patch(f"/contacts/{made['contact']['id']}", {"label_names": ["New"]})
    assert [label["name"] for label in answer["labels"]] == ["New"]
    assert answer["contact"]["label_ids"] == [answer["labels"][0]["id"]]
    counts = {label["name"]: label["cached_count"] for label in client.get("/labels")}
    assert (counts["Old"], counts["New"]) == (0, 1)


def test_empty_lists_in_an_update_take_the_contact_off_every_list(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh(), "label_names": ["Somewhere"]})
    answer = client.patch(f"/contacts/{made['contact']['id']}", {"label_names": []})
    assert answer["labels"] == []


def test_an_update_moves_the_address_in_the_index(client: Client) -> None:
    old, new = fresh(), fresh()
    made = client.post("/contacts", {"email": old})["contact"]
    client.patch(f"/contacts/{made['id']}", {"email": new})
    answer = client.bulk_create({"email": new}, {"email": old})
    assert [c["id"] for c in answer["existing_contacts"]] == [made["id"]]
    assert [c["email"] for c in answer["created_contacts"]] == [old]


def test_an_address_is_split_into_its_places(client: Client) -> None:
    contact = client.post(
        "/contacts", {"email": fresh(), "present_raw_address": "Atlanta, Georgia, United States"}
    )["contact"]
    assert (contact["city"], contact["state"], contact["country"]) == (
        "Atlanta",
        "Georgia",
        "United States",
    )


def test_a_malformed_id_is_named_in_the_error(client: Client) -> None:
    assert client.error("PATCH", "/contacts/5234234", {"title": "x"}) == {
        "error": "Parameters misconfigured. 5234234 is not a valid ID"
    }


def test_a_bad_stage_or_account_refuses_the_update(client: Client) -> None:
    made = client.post("/contacts", {"email": fresh()})["contact"]
    for field in ("contact_stage_id", "account_id"):
        body = client.error("PATCH", f"/contacts/{made['id']}", {field: "f" * 24, "title": "x"})
        assert body["error"].endswith("is not a valid ID")
    assert client.get(f"/contacts/{made['id']}")["contact"]["title"] is None


def test_reading_a_contact_that_never_was_is_422(client: Client) -> None:
    body = client.error("GET", f"/contacts/{'a' * 24}")
    assert body == {"error": "Oops! This contact does not exist in Apollo."}


def test_a_deleted_contact_can_be_neither_read_nor_updated(apollo: Sandbox, client: Client) -> None:
    contact_id = apollo.store.add_contact(email=fresh())["id"]
    apollo.store.delete_contact(contact_id)
    assert client.error("GET", f"/contacts/{contact_id}") == {
        "error": "This contact has been deleted."
    }
    assert client.error("PATCH", f"/contacts/{contact_id}", {"title": "x"}) == {
        "error": "Cannot update contact as it is deleted.",
        "deleted_contact_ids": [contact_id],
    }


def test_deleting_is_open_to_nobody(client: Client) -> None:
    body = client.error("DELETE", f"/contacts/{'a' * 24}", status=403)
    assert body["error_code"] == "API_INACCESSIBLE"
    assert "api/v1/contacts/destroy" in body["error"]


def test_a_search_finds_contacts_by_every_word(client: Client) -> None:
    email = fresh("needle", "haystack.example")
    client.post("/contacts", {"email": email, "first_name": "Zora", "title": "Pilot"})
    answer = client.post("/contacts/search", {"q_keywords": "pilot haystack.example"})
    assert [c["email"] for c in answer["contacts"]] == [email]
    assert answer["pagination"]["total_entries"] == 1
    assert client.post("/contacts/search", {"q_keywords": "pilot elsewhere"})["contacts"] == []


def test_a_search_embeds_the_account_of_a_linked_contact(apollo: Sandbox, client: Client) -> None:
    account = apollo.store.add_account(name="Embedded", domain="embedded.example")
    email = fresh("linked", "embedded.example")
    client.post("/contacts", {"email": email, "account_id": account["id"]})
    (contact,) = client.post("/contacts/search", {"q_keywords": email})["contacts"]
    assert contact["account"]["domain"] == "embedded.example"
    shown = client.get(f"/accounts/{account['id']}")["account"]
    assert shown["num_contacts"] == 1


def test_nothing_links_a_contact_to_an_account_by_itself(apollo: Sandbox, client: Client) -> None:
    apollo.store.add_account(name="Same Firm", domain="samefirm.example")
    contact = client.post(
        "/contacts", {"email": fresh("x", "samefirm.example"), "organization_name": "Same Firm"}
    )["contact"]
    assert contact["account_id"] is None


def test_a_search_is_paged_and_ends_at_50_000_records(client: Client) -> None:
    for _ in range(3):
        client.post("/contacts", {"email": fresh("paged", "pages.example")})
    pages = [
        client.post(
            "/contacts/search", {"q_keywords": "pages.example", "page": page, "per_page": 2}
        )
        for page in (1, 2)
    ]
    assert [len(page["contacts"]) for page in pages] == [2, 1]
    assert pages[0]["pagination"]["total_pages"] == 2
    body = client.error("POST", "/contacts/search", {"page": 501, "per_page": 100})
    assert body["error"] == "Page * per page number is over threshold."


def test_a_search_is_sorted_as_asked(client: Client) -> None:
    emails = [fresh("sorted", "order.example") for _ in range(3)]
    for email in emails:
        client.post("/contacts", {"email": email})
    answer = client.post(
        "/contacts/search",
        {
            "q_keywords": "order.example",
            "sort_by_field": "contact_created_at",
            "sort_ascending": True,
        },
    )
    assert [c["email"] for c in answer["contacts"]] == emails
