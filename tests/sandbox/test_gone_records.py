"""Records that people merge, delete or hide in Apollo's interface, as each endpoint shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client, fresh

OOPS = {"error": "Oops! This contact does not exist in Apollo."}


def control(apollo: Sandbox, name: str, body: Any) -> requests.Response:
    base = apollo.url.removesuffix("/api/v1")
    return requests.post(f"{base}/_sandbox/{name}", json=body, timeout=20)


def merged(apollo: Sandbox, loser: dict[str, Any], survivor: dict[str, Any]) -> tuple[str, str]:
    """Ids of two new contacts with these keys, the first of which is merged into the second."""
    ids = (apollo.store.add_contact(**loser)["id"], apollo.store.add_contact(**survivor)["id"])
    apollo.store.merge_contacts(*ids)
    return ids


def searched(client: Client, words: str) -> list[str]:
    found = client.post("/contacts/search", {"q_keywords": words})["contacts"]
    return [contact["id"] for contact in found]


# --- merges


def test_the_loser_of_a_merge_answers_as_deleted(apollo: Sandbox, client: Client) -> None:
    loser, _ = merged(apollo, {"email": fresh()}, {"email": fresh()})
    assert client.error("PATCH", f"/contacts/{loser}", {"title": "x"}) == {
        "error": "Cannot update contact as it is deleted.",
        "deleted_contact_ids": [loser],
    }
    assert client.error("GET", f"/contacts/{loser}") == {"error": "This contact has been deleted."}


def test_the_survivor_keeps_its_address_and_lists_the_losers(
    apollo: Sandbox, client: Client
) -> None:
    lost, second, kept, third = (fresh() for _ in range(4))
    _, survivor = merged(
        apollo,
        {"email": lost, "additional_emails": [second]},
        {"email": kept, "additional_emails": [third]},
    )
    contact = client.get(f"/contacts/{survivor}")["contact"]
    assert contact["email"] == kept
    assert [(one["email"], one["position"]) for one in contact["contact_emails"]] == [
        (kept, 0),
        (third, 1),
        (lost, 2),
        (second, 3),
    ]


def test_a_survivor_without_an_address_takes_the_losers(apollo: Sandbox, client: Client) -> None:
    lost = fresh()
    _, survivor = merged(apollo, {"email": lost}, {"first_name": "No", "last_name": "Address"})
    contact = client.get(f"/contacts/{survivor}")["contact"]
    assert (contact["email"], contact["email_status"]) == (lost, "verified")


def test_the_survivor_is_matched_and_searched_under_every_address(
    apollo: Sandbox, client: Client
) -> None:
    lost, kept = fresh(), fresh()
    _, survivor = merged(apollo, {"email": lost}, {"email": kept})
    for address in (lost, kept):
        answer = client.bulk_create({"email": address})
        assert [one["id"] for one in answer["existing_contacts"]] == [survivor]
        assert searched(client, address) == [survivor]


def test_the_survivor_is_matched_under_the_crm_ids_of_both(apollo: Sandbox, client: Client) -> None:
    _, survivor = merged(
        apollo,
        {"email": fresh(), "salesforce_contact_id": "003L", "merged_crm_ids": ["003O"]},
        {"email": fresh(), "salesforce_contact_id": "003S", "hubspot_vid": "77"},
    )
    assert client.get(f"/contacts/{survivor}")["contact"]["merged_crm_ids"] == ["003L", "003O"]
    for crm_id in ("003L", "003O", "003S"):
        answer = client.bulk_create({"salesforce_contact_id": crm_id})
        assert [one["id"] for one in answer["existing_contacts"]] == [survivor]


def test_the_loser_of_a_merge_leaves_its_lists(apollo: Sandbox, client: Client) -> None:
    merged(apollo, {"email": fresh(), "label_names": ["Left"]}, {"email": fresh()})
    counts = {label["name"]: label["cached_count"] for label in client.get("/labels")}
    assert counts["Left"] == 0


def test_accounts_are_merged_too(apollo: Sandbox, client: Client) -> None:
    loser = apollo.store.add_account(name="Old", domain="old.example", salesforce_id="001L")["id"]
    survivor = apollo.store.add_account(name="New", domain="new.example")["id"]
    worker = apollo.store.add_contact(email=fresh(), account_id=loser)["id"]

    apollo.store.merge_accounts(loser, survivor)

    shown = client.get(f"/accounts/{survivor}")["account"]
    assert (shown["name"], shown["domain"], shown["num_contacts"]) == ("New", "new.example", 1)
    assert client.get(f"/contacts/{worker}")["contact"]["account_id"] == survivor
    found = client.bulk_accounts({"name": "By CRM id", "salesforce_id": "001L"})
    assert [one["id"] for one in found["existing_accounts"]] == [survivor]
    assert client.error("PATCH", f"/accounts/{loser}", {"name": "x"})["error"] == (
        "Cannot update account as it is deleted."
    )


@pytest.mark.parametrize("kind", ["contact", "account"])
def test_a_merge_needs_two_records(apollo: Sandbox, kind: str) -> None:
    store = apollo.store
    add = store.add_contact if kind == "contact" else store.add_account
    merge = store.merge_contacts if kind == "contact" else store.merge_accounts
    known = add(linkedin_url="http://www.linkedin.com/x")["id"]
    with pytest.raises(ValueError, match="can't be merged into itself"):
        merge(known, known)
    for ids in ((known, "a" * 24), ("a" * 24, known)):
        with pytest.raises(ValueError, match=f"There is no {kind} aaaa"):
            merge(*ids)


# --- deleted and missing records


def test_a_contact_that_vanished_answers_as_if_it_had_never_been(
    apollo: Sandbox, client: Client
) -> None:
    gone = apollo.store.add_contact(email=fresh())["id"]
    apollo.store.forget_contact(gone)
    assert client.error("GET", f"/contacts/{gone}") == OOPS
    assert client.error("PATCH", f"/contacts/{gone}", {"title": "x"}) == OOPS


def test_accounts_take_the_words_of_contacts(apollo: Sandbox, client: Client) -> None:
    deleted, vanished = (apollo.store.add_account(name=fresh())["id"] for _ in range(2))
    apollo.store.delete_account(deleted)
    apollo.store.forget_account(vanished)
    assert client.error("GET", f"/accounts/{deleted}") == {
        "error": "This account has been deleted."
    }
    assert client.error("PATCH", f"/accounts/{deleted}", {"name": "x"}) == {
        "error": "Cannot update account as it is deleted.",
        "deleted_account_ids": [deleted],
    }
    oops = {"error": "Oops! This account does not exist in Apollo."}
    assert client.error("GET", f"/accounts/{vanished}") == oops
    assert client.error("PATCH", f"/accounts/{vanished}", {"name": "x"}) == oops


def test_an_id_of_an_account_that_is_malformed_is_misconfigured(client: Client) -> None:
    assert client.error("GET", "/accounts/nonsense") == {
        "error": "Parameters misconfigured. id is not a valid ID"
    }


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_a_vanished_record_can_be_404(apollo: Sandbox, client: Client, kind: str) -> None:
    apollo.set_options(unknown_id="not_found")
    for method in ("GET", "PATCH"):
        client.error(method, f"/{kind}/{'a' * 24}", {} if method == "PATCH" else None, status=404)


@pytest.mark.parametrize("way", ["deleted", "vanished", "merged"])
def test_bulk_update_names_one_contact_that_is_gone_and_writes_nothing(
    apollo: Sandbox, client: Client, way: str
) -> None:
    there, *gone = (apollo.store.add_contact(email=fresh())["id"] for _ in range(3))
    for contact_id in gone:
        if way == "deleted":
            apollo.store.delete_contact(contact_id)
        elif way == "vanished":
            apollo.store.forget_contact(contact_id)
        else:
            apollo.store.merge_contacts(contact_id, there)
    for body in (
        {"contact_ids": [there, *gone], "title": "x"},
        {"contact_attributes": [{"id": one, "title": "x"} for one in (there, *gone)]},
    ):
        assert client.error("POST", "/contacts/bulk_update", body) == {
            "error": "Validation failed",
            "error_details": {
                "contact_id": gone[0],
                "field": "id",
                "message": "Contact not found",
            },
        }
    assert client.get(f"/contacts/{there}")["contact"]["title"] is None


def test_bulk_update_of_accounts_names_the_account_that_is_gone(
    apollo: Sandbox, client: Client
) -> None:
    there, gone = (apollo.store.add_account(name=fresh())["id"] for _ in range(2))
    apollo.store.delete_account(gone)
    body = client.error(
        "POST", "/accounts/bulk_update", {"account_ids": [there, gone], "name": "x"}
    )
    assert body["error_details"] == {
        "account_id": gone,
        "field": "id",
        "message": "Account not found",
    }
    assert client.get(f"/accounts/{there}")["account"]["name"] != "x"


def test_bulk_update_can_speak_of_deleted_records_and_bad_ids(
    apollo: Sandbox, client: Client
) -> None:
    apollo.set_options(gone_in_bulk="as_single")
    gone = apollo.store.add_contact(email=fresh())["id"]
    apollo.store.delete_contact(gone)
    body = client.error("POST", "/contacts/bulk_update", {"contact_ids": [gone], "title": "x"})
    assert body["deleted_contact_ids"] == [gone]
    never = "a" * 24
    body = client.error("POST", "/contacts/bulk_update", {"contact_ids": [never], "title": "x"})
    assert body == {"error": f"Parameters misconfigured. {never} is not a valid ID"}


@pytest.mark.parametrize("way", ["deleted", "vanished"])
def test_gone_records_are_in_no_search_and_match_nothing(
    apollo: Sandbox, client: Client, way: str
) -> None:
    email, name = fresh(), fresh()
    contact = apollo.store.add_contact(email=email)["id"]
    account = apollo.store.add_account(name=name)["id"]
    if way == "deleted":
        apollo.store.delete_contact(contact)
        apollo.store.delete_account(account)
    else:
        apollo.store.forget_contact(contact)
        apollo.store.forget_account(account)
    assert searched(client, email) == []
    assert client.post("/accounts/search", {"q_organization_name": name})["accounts"] == []
    assert client.bulk_create({"email": email})["existing_contacts"] == []
    assert client.bulk_accounts({"name": name})["existing_accounts"] == []


def test_a_deleted_account_leaves_its_contacts_without_a_link(
    apollo: Sandbox, client: Client
) -> None:
    account = apollo.store.add_account(name=fresh())["id"]
    worker = apollo.store.add_contact(email=fresh(), account_id=account)["id"]
    apollo.store.delete_account(account)
    assert client.get(f"/contacts/{worker}")["contact"]["account_id"] is None


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_owners_stages_and_lists_pass_over_gone_records(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    store = apollo.store
    owner = store.add_user(email=fresh())["id"]
    if kind == "contacts":
        there, gone = (store.add_contact(email=fresh())["id"] for _ in range(2))
        store.delete_contact(gone)
        stage = store.contact_stages[2]["id"]
        staged = client.post(
            "/contacts/update_stages", {"contact_ids": [gone, there], "contact_stage_id": stage}
        )
        assert [one["id"] for one in staged["contacts"]] == [there]
    else:
        there, gone = (store.add_account(name=fresh())["id"] for _ in range(2))
        store.delete_account(gone)
    ids = f"{kind.removesuffix('s')}_ids"
    owned = client.post(f"/{kind}/update_owners", {ids: [gone, there], "owner_id": owner})
    assert [one["id"] for one in owned[kind]] == [there]
    listed = client.post(
        "/labels/add_entity_ids_to_label_names",
        {"entity_ids": [gone, there], "label_names": [fresh()], "modality": kind},
    )
    assert listed["labels"][0]["cached_count"] == 1


def test_owners_and_stages_can_refuse_gone_records(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(owners_and_stages_skip_gone=False)
    gone = apollo.store.add_contact(email=fresh())["id"]
    apollo.store.delete_contact(gone)
    for action, more in (
        ("update_owners", {"owner_id": apollo.store.admin_id}),
        ("update_stages", {"contact_stage_id": apollo.store.contact_stages[1]["id"]}),
    ):
        body = client.error("POST", f"/contacts/{action}", {"contact_ids": [gone], **more})
        assert body["deleted_contact_ids"] == [gone]


# --- control endpoints and the file


@pytest.mark.parametrize("kind", ["contacts", "accounts"])
def test_records_are_merged_deleted_and_forgotten_from_outside(
    apollo: Sandbox, client: Client, kind: str
) -> None:
    add = apollo.store.add_contact if kind == "contacts" else apollo.store.add_account
    names = {"first_name": "A"} if kind == "contacts" else {"name": "A"}
    loser, survivor, deleted, forgotten = (add(**names)["id"] for _ in range(4))
    answer = control(apollo, "merge", {kind: {"loser": loser, "survivor": survivor}})
    assert answer.json()["id"] == survivor
    assert control(apollo, "delete", {kind: [deleted]}).json() == {"deleted": [deleted]}
    assert control(apollo, "forget", {kind: [forgotten]}).json() == {"forgotten": [forgotten]}
    for gone, words in ((loser, "deleted"), (deleted, "deleted"), (forgotten, "not exist")):
        assert words in client.error("GET", f"/{kind}/{gone}")["error"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("merge", {}),
        ("merge", {"contacts": {"loser": "a" * 24}}),
        ("merge", {"contacts": {"loser": "a" * 24, "survivor": "b" * 24}}),
        ("delete", {"leads": []}),
        ("delete", {"contacts": ["a" * 24]}),
        ("forget", {"accounts": "all"}),
        ("forget", {"accounts": ["a" * 24]}),
    ],
)
def test_a_wrong_order_says_what_is_wrong(apollo: Sandbox, name: str, body: Any) -> None:
    answer = control(apollo, name, body)
    assert answer.status_code == 422
    assert answer.json()["error"].endswith(".")


def test_the_file_keeps_what_is_deleted_and_loses_what_vanished(tmp_path: Path) -> None:
    options = SandboxOptions(store=str(tmp_path / "apollo.db"))
    with new_sandbox(options) as apollo:
        store = apollo.store
        lost, kept = fresh(), fresh()
        loser, survivor = merged(apollo, {"email": lost}, {"email": kept})
        deleted, vanished = (store.add_account(name=fresh())["id"] for _ in range(2))
        store.delete_account(deleted)
        store.forget_account(vanished)
        apollo.close()
    with new_sandbox(options) as apollo:
        client = Client(apollo)
        assert "deleted" in client.error("GET", f"/contacts/{loser}")["error"]
        assert searched(client, lost) == [survivor]
        assert "deleted" in client.error("GET", f"/accounts/{deleted}")["error"]
        assert "not exist" in client.error("GET", f"/accounts/{vanished}")["error"]
        apollo.close()


def test_a_merged_contact_takes_over_sequences_tasks_and_deals(apollo: Sandbox) -> None:
    store = apollo.store
    loser, survivor = (store.add_contact(email=fresh())["id"] for _ in "ab")
    for name in ("Spring", "Autumn"):
        store.sequences.add(name)
        store.sequences.enrol(name, loser)
    store.sequences.enrol("Spring", survivor, "finished")
    store.tasks.add(contact_id=loser)
    store.deals.add(name="Deal", contact_ids=[loser, survivor])
    store.merge_contacts(loser, survivor)
    states = [(one["contact_id"], one["status"]) for one in store.sequences.enrolments()]
    assert states == [(survivor, "finished"), (survivor, "active")]
    assert store.tasks.all()[0]["contact_id"] == survivor
    assert store.deals.all()[0]["contact_ids"] == [survivor]


def test_a_merged_account_takes_over_the_deals(apollo: Sandbox) -> None:
    store = apollo.store
    loser, survivor = (store.add_account(name=fresh())["id"] for _ in "ab")
    store.deals.add(name="Deal", account_id=loser)
    store.merge_accounts(loser, survivor)
    assert store.deals.all()[0]["account_id"] == survivor
