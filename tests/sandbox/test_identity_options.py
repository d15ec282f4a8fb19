"""What Apollo leaves open about the identity of contacts: addresses, matches and searches."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.data.formats import is_email
from tests.sandbox.conftest import Client, fresh

TAKEN = "Email has already been taken"


def bulk_created(client: Client, **contact: Any) -> Any:
    return client.bulk_create(contact)["created_contacts"][0]


def found(client: Client, words: str) -> set[str]:
    answer = client.post("/contacts/search", {"q_keywords": words, "per_page": 100})
    return {contact["email"] for contact in answer["contacts"]}


# --- addresses that are no addresses


@pytest.mark.parametrize(
    "email", ["a@x.example", "o'brien+tag@x.example", f"{'a' * 64}@x.example", "a.b-c_d@x.co.uk"]
)
def test_these_are_addresses(email: str) -> None:
    assert is_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "jürgen@x.example",
        "a..b@x.example",
        ".a@x.example",
        "a.@x.example",
        f"{'a' * 65}@x.example",
        "a@localhost",
        "a@x..example",
        "@x.example",
        "a b@x.example",
        "Ann <a@x.example>",
        "a@x.example, b@x.example",
        "a@x.example\n",
    ],
)
def test_these_are_no_addresses(email: str) -> None:
    assert not is_email(email)


def test_a_creation_ignores_an_invalid_address_without_a_word(client: Client) -> None:
    assert bulk_created(client, first_name="Bo", email="jürgen@x.example")["email"] is None
    single = client.post("/contacts", {"first_name": "Bo", "email": "a..b@x.example"})["contact"]
    assert (single["email"], single["contact_emails"]) == (None, [])


def test_a_creation_can_store_another_spelling(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(invalid_email="respelled")
    for sent, stored in (
        ("Jürgen@spelling.example", "jurgen@spelling.example"),
        (".a..b.@spelling.example", "a.b@spelling.example"),
        ("no address", None),
    ):
        assert bulk_created(client, first_name=fresh(), email=sent)["email"] == stored
        single = client.post("/contacts", {"email": sent})["contact"]
        assert single["email"] == stored


def test_of_several_addresses_an_invalid_one_costs_no_other(client: Client) -> None:
    good, second = fresh(), fresh()
    contact = bulk_created(
        client,
        email="a..b@x.example",
        contact_emails=[
            {"email": "Dr. Who", "position": 0},
            {"email": second, "position": 2},
            {"email": good, "position": 1},
        ],
    )
    assert contact["email"] == good
    assert [one["email"] for one in contact["contact_emails"]] == [good, second]


def test_an_invalid_additional_address_can_refuse_the_request(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(invalid_email="refused")
    bad = [{"email": "a..b@x.example", "position": 1}]
    item = {"email": fresh(), "contact_emails": bad}
    client.error("POST", "/contacts/bulk_create", {"contacts": [item]})


# --- addresses that another contact has


@pytest.mark.parametrize("place", ["primary", "additional"])
def test_an_update_may_give_a_contact_the_address_of_another(
    apollo: Sandbox, client: Client, place: str
) -> None:
    email = fresh()
    if place == "primary":
        apollo.store.add_contact(email=email)
    else:
        apollo.store.add_contact(email=fresh(), additional_emails=[email])
    by_patch, by_bulk = (apollo.store.add_contact(email=fresh())["id"] for _ in range(2))
    assert client.patch(f"/contacts/{by_patch}", {"email": email})["contact"]["email"] == email
    body = {"contact_attributes": [{"id": by_bulk, "email": email}]}
    assert client.post("/contacts/bulk_update", body)["contacts"][0]["email"] == email


@pytest.mark.parametrize("place", ["primary", "additional"])
def test_an_address_of_another_can_be_refused(apollo: Sandbox, client: Client, place: str) -> None:
    apollo.set_options(taken_email="refused")
    email = fresh()
    if place == "primary":
        apollo.store.add_contact(email=email)
    else:
        apollo.store.add_contact(email=fresh(), additional_emails=[email])
    mine = apollo.store.add_contact(email=fresh())
    sent = {"email": email.upper(), "title": "x"}
    assert client.error("PATCH", f"/contacts/{mine['id']}", sent) == {"error": TAKEN}
    body = client.error(
        "POST", "/contacts/bulk_update", {"contact_attributes": [{"id": mine["id"], **sent}]}
    )
    assert body == {
        "error": "Validation failed",
        "error_details": {"contact_id": mine["id"], "field": "email", "message": TAKEN},
    }
    after = client.get(f"/contacts/{mine['id']}")["contact"]
    assert (after["email"], after["title"]) == (mine["email"], None)


def test_a_contact_may_be_sent_its_own_address(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(taken_email="refused")
    mine, second = fresh(), fresh()
    contact = apollo.store.add_contact(email=mine, additional_emails=[second])
    path = f"/contacts/{contact['id']}"
    assert client.patch(path, {"email": mine})["contact"]["email"] == mine
    assert client.patch(path, {"email": second})["contact"]["email"] == second


# --- what a match does


def test_a_single_create_says_that_the_contact_was_there(client: Client) -> None:
    email = fresh()
    first = client.post("/contacts", {"email": email, "run_dedupe": True})
    again = client.post("/contacts", {"email": email, "title": "CEO", "run_dedupe": True})
    assert "was_existing" not in first
    assert again["was_existing"] is True
    assert (again["contact"]["id"], again["contact"]["title"]) == (first["contact"]["id"], "CEO")


def test_bulk_create_can_duplicate_what_it_matches(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(matched_in_bulk="duplicated")
    email = fresh()
    known = apollo.store.add_contact(email=email)["id"]
    answer = client.bulk_create({"email": email})
    assert answer["existing_contacts"] == []
    assert [one["id"] for one in apollo.store.contacts()] == [
        known,
        answer["created_contacts"][0]["id"],
    ]


def test_bulk_create_can_overwrite_what_it_matches(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(matched_in_bulk="overwritten")
    email = fresh()
    known = apollo.store.add_contact(email=email, title="CEO", first_name="Ann")["id"]
    (existing,) = client.bulk_create({"email": email, "title": "CTO"})["existing_contacts"]
    assert (existing["id"], existing["title"], existing["first_name"]) == (known, "CTO", "Ann")


def test_without_run_dedupe_nothing_is_overwritten(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(matched_in_bulk="overwritten")
    email = fresh()
    apollo.store.add_contact(email=email, title="CEO")
    client.bulk_create({"email": email, "title": "CTO"}, run_dedupe=False)
    assert [one["title"] for one in apollo.store.contacts()] == ["CEO", "CTO"]


@pytest.mark.parametrize("route", ["single", "bulk"])
def test_contacts_are_matched_in_the_documented_order(
    apollo: Sandbox, client: Client, route: str
) -> None:
    name = {"first_name": "Kim", "last_name": fresh()}
    email, other = fresh(domain="order.example"), fresh()
    rules: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"title": "by id"}, {}),
        ({"merged_crm_ids": ["003M"]}, {"salesforce_contact_id": "003M"}),
        ({"person_id": "p1"}, {"person_id": "p1"}),
        ({"additional_emails": [email]}, {"email": email}),
        ({**name, "email": fresh(domain="order.example")}, name),
    ]
    known = [apollo.store.add_contact(**{"email": fresh(), **stored})["id"] for stored, _ in rules]
    sent: dict[str, Any] = {"id": known[0]}
    for _, fields in rules:
        sent.update(fields)
    for place, (_, fields) in zip(known, rules, strict=True):
        if route == "bulk":
            (match,) = client.bulk_create(sent)["existing_contacts"]
        else:
            # The answer tells; what it overwrites is put back.
            before = dict(apollo.store.contact_by_id[place].own)
            match = client.post("/contacts", {**sent, "run_dedupe": True})["contact"]
            contact = apollo.store.contact_by_id[place]
            with apollo.store.lock:
                keys = apollo.store.keys_of(contact)
                contact.own = before
                apollo.store.changed_contact(contact, keys)
        assert match["id"] == place
        for field in fields or {"id": None}:
            if field != "email":
                sent.pop(field)
        if "email" in fields:
            # The name matches by the domain of the address.
            sent["email"] = other.replace("fresh.example", "order.example")


def test_ids_phones_and_addresses_of_a_bulk_create_are_answered_as_single_reads_answer_them(
    client: Client,
) -> None:
    second = fresh()
    contact = bulk_created(
        client,
        email=fresh(),
        contact_emails=[{"email": second, "position": 1}],
        phone_numbers=[{"raw_number": "555-555-0101", "position": 0}],
        salesforce_id="003A",
        salesforce_contact_id="003A",
        salesforce_lead_id="00QA",
        salesforce_account_id="001A",
        hubspot_id="771",
    )
    read = client.get(f"/contacts/{contact['id']}")["contact"]
    for shown in (contact, read):
        assert [one["position"] for one in shown["contact_emails"]] == [0, 1]
        assert shown["contact_emails"][1]["email"] == second
        assert shown["phone_numbers"][0]["sanitized_number"] == "+15555550101"
        assert (shown["salesforce_contact_id"], shown["salesforce_lead_id"]) == ("003A", "00QA")
        assert (shown["salesforce_id"], shown["salesforce_account_id"]) == ("003A", "001A")
        assert shown["hubspot_vid"] == "771"
        assert "hubspot_id" not in shown


# --- searches


def test_a_search_finds_additional_addresses(apollo: Sandbox, client: Client) -> None:
    first, second = fresh(), fresh()
    apollo.store.add_contact(email=first, additional_emails=[second])
    assert found(client, second) == {first}


def test_a_search_can_give_near_hits_too(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(keyword_search="near_hits")
    mine, colleague, stranger = fresh("ann", "near.example"), fresh("bob", "near.example"), fresh()
    for email in (mine, colleague, stranger):
        apollo.store.add_contact(email=email)
    assert found(client, mine) == {mine, colleague}


def test_a_search_can_find_nothing_although_the_contact_is_there(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(keyword_search="nothing")
    email = fresh()
    apollo.store.add_contact(email=email)
    assert found(client, email) == set()
    assert found(client, "") == {email}


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_a_search_ignores_filters_that_it_does_not_know(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    apollo.set_options(strict=False)
    add = apollo.store.add_contact if kind == "contacts" else apollo.store.add_account
    for number in range(3):
        add(**({"email": fresh()} if kind == "contacts" else {"domain": f"f{number}.example"}))
    filters = {"domain": "f1.example", "email": "f1.example", "q_organization_domains": ["f1"]}
    assert client.post(f"/{kind}/search", filters)["pagination"]["total_entries"] == 3


# --- the plan, the stage and the opt-out


@pytest.mark.parametrize(("status", "code"), [("unprocessable", 422), ("forbidden", 403)])
def test_a_full_plan_is_422_or_403(apollo: Sandbox, client: Client, status: str, code: int) -> None:
    apollo.set_options(max_contacts=0, full_plan=status)
    for path, body in (
        ("/contacts", {"email": fresh()}),
        ("/contacts/bulk_create", {"contacts": [{"email": fresh()}]}),
    ):
        assert "plan" in client.error("POST", path, body, status=code)["error"]


def test_a_contact_that_opted_out_is_answered_as_such(apollo: Sandbox, client: Client) -> None:
    email = fresh()
    contact_id = apollo.store.add_contact(email=email, email_unsubscribed=True)["id"]
    assert client.get(f"/contacts/{contact_id}")["contact"]["email_unsubscribed"] is True
    (listed,) = client.bulk_create({"email": email})["existing_contacts"]
    assert listed["email_unsubscribed"] is True
    made = client.post("/contacts", {"email": fresh()})["contact"]
    assert made["email_unsubscribed"] is None


def test_an_opt_out_can_be_seeded_from_outside(apollo: Sandbox, client: Client) -> None:
    base = apollo.url.removesuffix("/api/v1")
    seed = {"contacts": [{"email": fresh(), "email_unsubscribed": True}]}
    (contact,) = requests.post(f"{base}/_sandbox/seed", json=seed, timeout=20).json()["contacts"]
    shown = client.get(f"/contacts/{contact['id']}")["contact"]
    assert shown["email_unsubscribed"] is True


def test_the_team_has_a_stage_for_those_who_must_not_be_contacted(client: Client) -> None:
    names = [stage["name"] for stage in client.get("/contact_stages")["contact_stages"]]
    assert "Do Not Contact" in names
