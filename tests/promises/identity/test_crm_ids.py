"""A row has the CRM id, or the Apollo id, of one record and the address of another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.worlds import World, names_both, one_fast
from tests.promises.conftest import ACCOUNT_SCHEMA, CONTACT_SCHEMA, Message, schema
from tests.promises.identity.people import firm, person

#: Property of a row -> key of the contact object that Apollo matches it with.
CONTACT_IDS = {
    "hubspot_id": "hubspot_vid",
    "salesforce_contact_id": "salesforce_contact_id",
    "salesforce_lead_id": "salesforce_lead_id",
}


def with_ids(row: Message) -> list[Message]:
    known = CONTACT_SCHEMA if row["stream"] == "contacts" else ACCOUNT_SCHEMA
    more = {name: {} for name in (*CONTACT_IDS, "salesforce_id", "apollo_id")}
    return [schema(row["stream"], {"properties": {**known["properties"], **more}}), row]


def two_contacts(world: World, **of_first: Any) -> list[str]:
    """Ids of two contacts: the first has the CRM id, the second the row's address."""
    add = world.apollo.store.add_contact
    first = add(email="first@b.com", first_name="Ulla", last_name="Berg", **of_first)
    second = add(email="p1@a.com", first_name="Otto", last_name="Falk")
    return [first["id"], second["id"]]


@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
@pytest.mark.parametrize(
    "name",
    [
        "hubspot_id",
        pytest.param("salesforce_contact_id", marks=pytest.mark.full),
        pytest.param("salesforce_lead_id", marks=pytest.mark.full),
    ],
)
def test_a_crm_id_of_one_contact_and_the_address_of_another_are_a_conflict(
    any_world: World, mode: str, name: str
) -> None:
    ids = two_contacts(any_world, **{CONTACT_IDS[name]: "4711"})
    before = any_world.records()
    rows = with_ids(person(1, 1, **{name: "4711"}))

    done = any_world.run(rows, mode=mode)

    assert any_world.records() == before
    if mode == "upsert":
        assert done.reasons == ["identity_conflict"], done.log
        assert names_both(done, ids)
    else:
        assert done.records.get("created", 0) == 0
    any_world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "update"))
def test_an_apollo_id_of_one_contact_and_the_address_of_another_row_are_a_conflict(
    world: World, mode: str
) -> None:
    world.run(with_ids(person(2, 2)))
    other = world.contact("p2@a.com")["id"]
    named = world.apollo.store.add_contact(email="first@b.com", first_name="Ann1")["id"]
    before = world.records()
    rows = with_ids(person(1, 1, apollo_id=named, email="p2@a.com"))

    done = world.run(rows, mode=mode)

    assert (done.reasons, world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, [named, other])
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
def test_a_linked_row_that_gets_the_apollo_id_of_another_record_is_a_conflict(
    world: World,
) -> None:
    world.run(with_ids(person(1, 1)))
    linked = world.contact("p1@a.com")["id"]
    other = world.apollo.store.add_contact(email="first@b.com", first_name="Ulla")["id"]
    before = world.records()
    rows = with_ids(person(1, 1, apollo_id=other, title="New"))

    done = world.run(rows)

    assert (done.reasons, world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, [linked, other])
    world.stays(rows, asks=True)


@pytest.mark.full
def test_a_contact_of_the_crm_id_whose_new_address_nobody_has_is_the_row(any_world: World) -> None:
    made = any_world.apollo.store.add_contact(
        email="first@b.com", first_name="Ann1", last_name="Lee1", hubspot_vid="4711"
    )
    rows = with_ids(person(1, 1, hubspot_id="4711"))

    done = any_world.run(rows)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert any_world.names() == [("p1@a.com", "Ann1")]
    assert any_world.contact("p1@a.com")["id"] == made["id"]
    any_world.stays(rows)


@pytest.mark.parametrize("name", one_fast("salesforce_id", "hubspot_id"))
def test_a_crm_id_of_one_account_and_the_domain_of_another_are_a_conflict(
    any_world: World, name: str
) -> None:
    add = any_world.apollo.store.add_account
    first = add(domain="first.com", name="Bergbau", **{name: "4711"})["id"]
    second = add(domain="firm1.com", name="Falknerei")["id"]
    before = any_world.records()
    rows = with_ids(firm(1, 1, **{name: "4711"}))

    done = any_world.run(rows)

    assert (done.reasons, any_world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, [first, second])
    any_world.stays(rows, asks=True)
