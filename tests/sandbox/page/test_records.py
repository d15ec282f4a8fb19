"""What the page shows of contacts, accounts and the other objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.page import rendering
from tests.helpers.new_sandbox import new_sandbox
from tests.sandbox.conftest import Client
from tests.sandbox.page.conftest import by_hand, seen


def fill(apollo: Sandbox, count: int) -> None:
    for number in range(count):
        apollo.store.add_contact(email=f"p{number}@firm.example", last_name=f"Nr{number}")


def test_a_contact_is_shown_with_names_in_place_of_ids(apollo: Sandbox) -> None:
    store = apollo.store
    tier = store.add_custom_field("contact", "Tier", "picklist", ["Gold", "Tin"])
    owner = store.add_user(email="rep@x.example", first_name="Robin", last_name="Rep")
    firm = store.add_account(domain="firm.example", name="Firm Ltd")
    contact = store.add_contact(
        email="ann@firm.example",
        first_name="Ann",
        owner_id=owner["id"],
        contact_stage_id=store.contact_stages[1]["id"],
        account_id=firm["id"],
        label_names=["Fair"],
        typed_custom_fields={tier["id"]: tier["picklist_values"][0]["id"]},
    )
    expected = ("Ann", "ann@firm.example", "Robin Rep", "Approaching", "Firm Ltd", "Fair")
    for page in (seen(apollo, show="contacts"), seen(apollo, show="contacts", id=contact["id"])):
        assert [word for word in expected if word not in page.text] == []
        assert f"/?show=accounts&id={firm['id']}" in page.addresses
    assert "Tier: Gold" in seen(apollo, show="contacts").text
    assert "Tier Gold" in seen(apollo, show="contacts", id=contact["id"]).text


def test_an_account_leads_to_its_contacts(apollo: Sandbox) -> None:
    firm = apollo.store.add_account(domain="firm.example", name="Firm Ltd")
    apollo.store.add_contact(email="ann@firm.example", account_id=firm["id"])
    apollo.store.add_contact(email="other@x.example")
    page = seen(apollo, show="accounts")
    assert "1 contact" in page.text
    assert f"/?show=contacts&account={firm['id']}" in page.addresses
    of_it = seen(apollo, show="contacts", account=firm["id"]).text
    assert "ann@firm.example" in of_it
    assert "other@x.example" not in of_it
    assert "Of the account Firm Ltd" in of_it


def test_the_members_of_a_list_and_of_a_sequence_are_shown(apollo: Sandbox) -> None:
    ann = apollo.store.add_contact(email="ann@x.example", label_names=["Fair"])
    apollo.store.add_contact(email="bob@x.example")
    spring = apollo.store.sequences.add("Spring")
    apollo.store.sequences.enrol("Spring", ann["id"], "paused")
    (fair,) = apollo.store.labels()
    assert "Fair 1 contact" in seen(apollo, show="lists").text
    sequences = seen(apollo, show="sequences").text
    assert "Spring active 1 paused" in sequences
    for narrowed in ({"list": fair["id"]}, {"sequence": spring["id"]}):
        members = seen(apollo, show="contacts", **narrowed).text
        assert "ann@x.example" in members
        assert "bob@x.example" not in members
    assert "Sequences Spring paused" in seen(apollo, show="contacts", id=ann["id"]).text


def test_deals_and_tasks_are_shown_with_who_they_are_about(apollo: Sandbox) -> None:
    ann = apollo.store.add_contact(email="ann@x.example", first_name="Ann")
    firm = apollo.store.add_account(domain="x.example", name="Firm Ltd")
    apollo.store.deals.add(
        name="Big", amount=125000, account_id=firm["id"], contact_ids=[ann["id"]]
    )
    apollo.store.tasks.add(note="Call back", contact_id=ann["id"], status="completed")
    deals = seen(apollo, show="deals").text
    assert [word for word in ("Big", "125,000", "Firm Ltd", "Qualify") if word not in deals] == []
    tasks = seen(apollo, show="tasks").text
    assert [word for word in ("Call back", "Ann", "completed") if word not in tasks] == []
    record = seen(apollo, show="contacts", id=ann["id"])
    for other in ("deals", "tasks"):
        assert f"/?show={other}&contact={ann['id']}" in record.addresses
        assert "Ann" in seen(apollo, show=other, contact=ann["id"]).text


# --- where a record came from


def test_a_record_names_the_requests_that_made_and_changed_it(
    apollo: Sandbox, program: Client
) -> None:
    program.bulk_create({"email": "ann@x.example", "last_name": "Ann"})
    (contact,) = apollo.store.contacts()
    assert "#1 POST /contacts/bulk_create" in seen(apollo, show="contacts").text
    program.patch(f"/contacts/{contact['id']}", {"title": "CEO"})
    text = seen(apollo, show="contacts").text
    assert "#1 POST /contacts/bulk_create" in text
    assert "then #2 PATCH /contacts/{id}" in text
    record = seen(apollo, show="contacts", id=contact["id"])
    assert "target-apollo/1.0" in record.text
    assert "/?show=requests&id=2" in record.addresses


def test_what_people_did_is_told_from_what_programs_did(apollo: Sandbox, program: Client) -> None:
    made = by_hand(apollo, "seed", {"contacts": [{"email": "hand@x.example"}]})
    program.bulk_create({"email": "ann@x.example", "last_name": "Ann"})
    assert "by hand: seed" in seen(apollo, show="contacts", q="hand@").text
    ann = program.post("/contacts/search", {"q_keywords": "ann@x.example"})["contacts"][0]
    ids = {"loser": made["contacts"][0]["id"], "survivor": ann["id"]}
    by_hand(apollo, "merge", {"contacts": ids})
    assert "then by hand: merge" in seen(apollo, show="contacts").text


def test_a_record_that_a_request_left_as_it_was_did_not_come_from_it(
    apollo: Sandbox, program: Client
) -> None:
    by_hand(apollo, "seed", {"contacts": [{"email": "ann@x.example", "last_name": "Ann"}]})
    program.bulk_create({"email": "ann@x.example", "last_name": "Other"})
    assert "bulk_create" not in seen(apollo, show="contacts").text


def test_a_record_of_an_earlier_start_says_so(tmp_path: Path) -> None:
    options = SandboxOptions(store=str(tmp_path / "store.db"))
    with new_sandbox(options) as former:
        contact = former.store.add_contact(email="ann@x.example")
    with new_sandbox(options) as apollo:
        assert "earlier start" in seen(apollo, show="contacts").text
        Client(apollo).patch(f"/contacts/{contact['id']}", {"title": "CEO"})
        text = seen(apollo, show="contacts", id=contact["id"]).text
        assert "before this sandbox was started" in text
        assert "PATCH /contacts/{id}" in text


def test_a_deleted_record_is_said_to_be_gone(apollo: Sandbox) -> None:
    contact = apollo.store.add_contact(email="ann@x.example")
    apollo.store.delete_contact(contact["id"])
    assert "There is no such record" in seen(apollo, show="contacts", id=contact["id"]).text


# --- many records


@pytest.mark.parametrize("wanted", ["P7@FIRM", "nr7", "firm nr7", "  p7@firm.example "])
def test_records_are_found_by_parts_of_their_words(apollo: Sandbox, wanted: str) -> None:
    fill(apollo, 10)
    page = seen(apollo, show="contacts", q=wanted)
    assert "p7@firm.example" in page.text
    assert "1 to 1 of 1" in page.text


def test_a_search_without_a_find_says_so(apollo: Sandbox) -> None:
    fill(apollo, 2)
    page = seen(apollo, show="contacts", q="nobody")
    assert "No contact is like that." in page.text
    assert {"name": "q", "value": "nobody"}.items() <= page.named("input")[-1].items()


def test_a_long_table_comes_in_parts_the_newest_first(apollo: Sandbox) -> None:
    fill(apollo, 120)
    first = seen(apollo, show="contacts")
    assert "1 to 50 of 120" in first.text
    assert "p119@" in first.text
    assert "p69@" not in first.text
    assert {"/?show=contacts&part=2", "/?show=contacts&part=3"} <= set(first.addresses)
    last = seen(apollo, show="contacts", part="3")
    assert "101 to 120 of 120" in last.text
    assert "p0@" in last.text
    assert "/?show=contacts&part=2" in last.addresses


def test_a_search_stays_in_the_addresses_of_its_parts(apollo: Sandbox) -> None:
    fill(apollo, 120)
    assert "/?show=contacts&q=firm&part=2" in seen(apollo, show="contacts", q="firm").addresses


@pytest.mark.parametrize("part", ["0", "99", "-1", "x", "9" * 40])
def test_a_part_that_is_not_there_is_the_nearest(apollo: Sandbox, part: str) -> None:
    fill(apollo, 51)
    assert "of 51" in seen(apollo, show="contacts", part=part).text


def test_many_records_make_the_page_no_longer(apollo: Sandbox) -> None:
    fill(apollo, 150)
    few = len(rendering.page(apollo, {"show": "contacts"}))
    fill(apollo, 2000)
    many = len(rendering.page(apollo, {"show": "contacts"}))
    assert many < few * 1.1 < 120_000


def test_an_empty_sandbox_says_what_is_not_there(apollo: Sandbox) -> None:
    for view in ("contacts", "accounts", "lists", "sequences", "deals", "tasks"):
        assert f"There is no {view[:-1]} yet." in seen(apollo, show=view).text
    assert "no request yet" in seen(apollo).text
    assert "no request yet" in seen(apollo, show="requests").text
    assert "No endpoint was asked yet." in seen(apollo, show="quota").text
