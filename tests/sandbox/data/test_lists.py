from __future__ import annotations

from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.data import lists
from tests.helpers.sales_objects import on_list
from tests.sandbox.conftest import Client, fresh

ADD = "/labels/add_entity_ids_to_label_names"
REMOVE = "/labels/remove_entity_ids_from_label_names"


def contact_of(client: Client, contact_id: str) -> dict[str, Any]:
    return dict(client.get(f"/contacts/{contact_id}")["contact"])


def test_adding_to_lists_leaves_other_lists_and_makes_missing_ones(
    apollo: Sandbox, client: Client
) -> None:
    contact = apollo.store.add_contact(email=fresh(), label_names=["Kept"])
    answer = client.post(
        ADD,
        {"entity_ids": [contact["id"]], "label_names": ["Added"], "modality": "contacts"},
    )
    assert [(x["name"], x["cached_count"]) for x in answer["labels"]] == [("Added", 1)]
    assert len(contact_of(client, contact["id"])["label_ids"]) == 2


def test_adding_twice_counts_once(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email=fresh())
    body = {"entity_ids": [contact["id"]], "label_names": ["Once"], "modality": "contacts"}
    client.post(ADD, body)
    assert client.post(ADD, body)["labels"][0]["cached_count"] == 1


def test_unknown_ids_are_ignored_silently(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email=fresh())
    answer = client.post(
        ADD,
        {
            "entity_ids": [contact["id"], "nonsense", "e" * 24],
            "label_names": ["Some"],
            "modality": "contacts",
        },
    )
    assert answer["labels"][0]["cached_count"] == 1


def test_nothing_to_add_is_a_200_with_a_message(client: Client) -> None:
    answer = client.post(
        ADD, {"entity_ids": ["e" * 24], "label_names": ["Never"], "modality": "contacts"}
    )
    assert answer == {"message": "No Models or Lists provided"}
    assert "Never" not in {label["name"] for label in client.get("/labels")}


def test_removing_takes_records_off(apollo: Sandbox, client: Client) -> None:
    account = apollo.store.add_account(name=fresh(), label_names=["Left", "Stays"])
    client.post(
        REMOVE,
        {"entity_ids": [account["id"]], "label_names": ["Left"], "modality": "accounts"},
    )
    counts = {x["name"]: x["cached_count"] for x in client.get("/labels")}
    assert (counts["Left"], counts["Stays"]) == (0, 1)


def test_an_asynchronous_change_answers_a_job(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email=fresh())
    answer = client.post(
        ADD,
        {
            "entity_ids": [contact["id"]],
            "label_names": ["Later"],
            "modality": "contacts",
            "async": True,
        },
    )
    assert answer["entity_progress_job"]["job_type"] == "add_entities_to_labels"


def test_a_modality_that_has_no_lists_is_refused(client: Client) -> None:
    body = {"entity_ids": [], "label_names": [], "modality": "leads"}
    assert client.error("POST", ADD, body) == {"error": "Invalid modality: leads."}


def test_list_names_are_unique_per_modality(client: Client) -> None:
    client.post("/labels", {"name": "Unique", "modality": "contacts"})
    client.post("/labels", {"name": "Unique", "modality": "accounts"})
    assert client.error("POST", "/labels", {"name": "Unique", "modality": "contacts"}) == {
        "error": "Unique already exists",
        "skip_alert_dialog": True,
    }


def test_a_list_needs_a_name_and_a_valid_modality(client: Client) -> None:
    texts = [
        client.error("POST", "/labels", body)["error"]
        for body in (
            {"name": " ", "modality": "contacts"},
            {"name": "x"},
            {"name": "x", "modality": "leads"},
        )
    ]
    assert texts == [
        "Please enter a non-empty name!",
        "Please enter a non-empty modality!",
        "Please enter a valid modality!",
    ]


def test_a_list_can_be_renamed_and_then_answers_to_the_new_name(
    apollo: Sandbox, client: Client
) -> None:
    label = client.post("/labels", {"name": "Before", "modality": "contacts"})["label"]
    client.patch(f"/labels/{label['id']}", {"name": "After"})
    contact = apollo.store.add_contact(email=fresh())
    answer = client.post(
        ADD,
        {"entity_ids": [contact["id"]], "label_names": ["After"], "modality": "contacts"},
    )
    assert answer["labels"][0]["id"] == label["id"]


def test_renaming_an_unknown_list_is_404(client: Client) -> None:
    body = client.error("PATCH", f"/labels/{'f' * 24}", {"name": "x"}, status=404)
    assert body == {
        "message": f"Could not find label with id {'f' * 24}",
        "error": "Record not found.",
    }


def test_the_members_of_a_list_are_read_back_by_its_id(apollo: Sandbox, client: Client) -> None:
    on_it = {apollo.store.add_contact(email=fresh(), label_names=["Fair"])["id"] for _ in "abc"}
    apollo.store.add_contact(email=fresh(), label_names=["Other"])
    (fair, _) = client.get("/labels")
    body = {"contact_label_ids": [fair["id"]], "page": 1, "per_page": 2}
    pages = [client.post("/contacts/search", {**body, "page": page}) for page in (1, 2)]
    found = [contact["id"] for page in pages for contact in page["contacts"]]
    assert set(found) == on_it == set(lists.members(apollo.store, "Fair"))
    assert pages[0]["pagination"]["total_entries"] == fair["cached_count"] == 3
    client.error("POST", "/contacts/search", {**body, "page": 501, "per_page": 100})


def test_a_search_may_show_members_late(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email=fresh())["id"]
    apollo.set_options(search_lag_seconds=3600)
    body = {"entity_ids": [contact], "label_names": ["Late"], "modality": "contacts"}
    (label,) = client.post(ADD, body)["labels"]
    search = {"contact_label_ids": [label["id"]]}
    assert client.post("/contacts/search", search)["contacts"] == []
    assert contact_of(client, contact)["label_ids"] == [label["id"]]


def test_counts_may_be_those_of_the_reading_before(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(list_counts_late=True)
    lists.add(apollo.store, "Fair", members=[apollo.store.add_contact(email=fresh())["id"]])
    counts = [client.get("/labels")[0]["cached_count"] for _ in range(2)]
    assert counts == [0, 1]


def test_people_add_and_take_off_members_by_hand(apollo: Sandbox) -> None:
    email = fresh()
    contact = apollo.store.add_contact(email=email)["id"]
    account = apollo.store.add_account(domain="hand.example")["id"]
    lists.add(apollo.store, "Both", members=[email])
    lists.add(apollo.store, "Both", "accounts", ["hand.example"])
    assert lists.members(apollo.store, "Both", "accounts") == [account]
    assert lists.members(apollo.store, "Both") == [contact]
    assert on_list(apollo, "Both") == {email}
    lists.take_off(apollo.store, "Both", members=[contact])
    assert lists.members(apollo.store, "Both") == []
    assert [label["cached_count"] for label in apollo.store.labels()] == [0, 1]


def test_people_rename_and_delete_lists(apollo: Sandbox, client: Client) -> None:
    contact = apollo.store.add_contact(email=fresh(), label_names=["Old", "Gone"])["id"]
    lists.rename(apollo.store, "Old", "New")
    lists.delete(apollo.store, "Gone")
    (label,) = client.get("/labels")
    assert label["name"] == "New"
    assert contact_of(client, contact)["label_ids"] == [label["id"]]
    with pytest.raises(ValueError, match="There is no list Gone"):
        lists.delete(apollo.store, "Gone")


def test_only_a_list_of_accounts_is_a_book_of_business(client: Client) -> None:
    marks = [
        client.post("/labels", {"name": "Own", "modality": modality, "book_of_business": True})
        for modality in ("contacts", "accounts")
    ]
    assert [made["label"]["book_of_business"] for made in marks] == [None, True]
