"""The address of a known row changes: to one that nobody has, or that another record has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.worlds import World, names_both, one_fast
from tests.promises.conftest import CONTACT_SCHEMA, Message, record, schema
from tests.promises.identity.people import firm, person

WRITING = one_fast("upsert", "update")
SEARCH = "POST /contacts/search"


def table(*rows: Message) -> list[Message]:
    return [schema(str(rows[0]["stream"])), *rows]


def renamed(number: int, key: int, email: str, **values: Any) -> Message:
    return person(number, key, email=email, **values)


# --- nobody has the new address


@pytest.mark.parametrize("mode", WRITING)
def test_an_address_that_nobody_has_is_written_to_the_same_contact(world: World, mode: str) -> None:
    world.run(table(person(1, 1), person(2, 2)))
    known = world.contact("p1@a.com")["id"]
    rows = table(renamed(1, 1, "new@a.com"), person(2, 2))

    done = world.run(rows, mode=mode)

    assert done.records == {"received": 2, "updated": 1, "unchanged": 1}, done.log
    assert world.contact("new@a.com")["id"] == known
    assert world.names() == [("new@a.com", "Ann1"), ("p2@a.com", "Ann2")]
    assert world.sent().get(SEARCH, 0) <= 1
    world.stays(rows, mode=mode)


@pytest.mark.full
@pytest.mark.parametrize("last_name", one_fast("Lee1", "Lee1-Smith", "Smith"))
def test_a_person_who_keeps_one_word_of_the_name_is_the_same(world: World, last_name: str) -> None:
    world.run(table(person(1, 1)))
    rows = table(renamed(1, 1, "new@a.com", last_name=last_name))

    done = world.run(rows)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.names() == [("new@a.com", "Ann1")]
    world.stays(rows)


@pytest.mark.full
def test_a_row_without_a_name_is_the_same_person(world: World) -> None:
    nameless = {"first_name": None, "last_name": None}
    world.run(table(person(1, 1, **nameless)))
    rows = table(renamed(1, 1, "new@a.com", **nameless))

    done = world.run(rows)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert [one["email"] for one in world.apollo.store.contacts()] == ["new@a.com"]
    world.stays(rows)


def test_another_address_and_another_name_are_another_person(world: World) -> None:
    world.run(table(person(1, 1, title="Buyer")))
    rows = table(person(5, 1, title="Seller"))

    done = world.run(rows)

    assert done.records == {"received": 1, "created": 1}, done.log
    assert world.names() == [("p1@a.com", "Ann1"), ("p5@a.com", "Ann5")]
    assert world.contact("p1@a.com")["title"] == "Buyer"
    world.stays(rows)


@pytest.mark.full
def test_another_person_under_a_known_key_is_rejected_in_mode_update(world: World) -> None:
    world.run(table(person(1, 1)))
    before = world.records()
    rows = table(person(5, 1))

    done = world.run(rows, mode="update")

    assert (done.reasons, world.records()) == (["identity_conflict"], before)
    assert before[0]["id"] in done.rejects[0]["record"]["_reject"]["detail"]
    world.stays(rows, asks=True, mode="update")


def test_in_mode_insert_another_address_is_another_person(any_world: World) -> None:
    any_world.run(table(person(1, 1)), mode="insert")
    rows = table(person(5, 1))

    done = any_world.run(rows, mode="insert")

    assert done.records == {"received": 1, "created": 1}, done.log
    assert any_world.names() == [("p1@a.com", "Ann1"), ("p5@a.com", "Ann5")]
    any_world.stays(rows, mode="insert")


# --- a record that somebody made in Apollo has it


@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize("made", one_fast({"first_name": "Ann1", "last_name": "Lee1"}, {}))
def test_a_row_moves_to_the_record_that_somebody_made_with_its_new_address(
    world: World, mode: str, made: dict[str, str]
) -> None:
    world.run(table(person(1, 1, title="Buyer")))
    former = world.contact("p1@a.com")
    by_hand = world.apollo.store.add_contact(email="new@a.com", **made)
    rows = table(renamed(1, 1, "new@a.com", title="Buyer"))

    done = world.run(rows, mode=mode)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.contact("new@a.com")["id"] == by_hand["id"]
    assert world.names() == [("new@a.com", "Ann1"), ("p1@a.com", "Ann1")]
    assert world.contact("new@a.com")["title"] == "Buyer"
    assert world.contact("p1@a.com") == former
    world.stays(rows, mode=mode)


@pytest.mark.full
def test_a_row_that_moved_is_updated_there_from_then_on(world: World) -> None:
    world.run(table(person(1, 1)))
    world.apollo.store.add_contact(email="new@a.com")
    world.run(table(renamed(1, 1, "new@a.com")))

    done = world.run(table(renamed(1, 1, "new@a.com", title="New")))

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.contact("new@a.com")["title"] == "New"
    assert world.contact("p1@a.com")["title"] != "New"


@pytest.mark.full
def test_an_additional_address_of_a_record_counts(world: World) -> None:
    world.run(table(person(1, 1)))
    world.apollo.store.add_contact(
        email="main@a.com", additional_emails=["new@a.com"], first_name="Ann1", last_name="Lee1"
    )
    rows = table(renamed(1, 1, "new@a.com", title="Buyer"))

    world.run(rows)

    addresses = [one["email"] for one in world.apollo.store.contacts()]
    assert sorted(addresses) in (["main@a.com", "p1@a.com"], ["new@a.com", "p1@a.com"])
    assert [one["title"] for one in world.apollo.store.contacts()].count("Buyer") == 1
    assert world.contact("p1@a.com")["title"] != "Buyer"
    world.stays(rows)


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_of_several_records_with_the_new_address_none_is_written(world: World, mode: str) -> None:
    world.run(table(person(1, 1)))
    made = [world.apollo.store.add_contact(email="new@a.com")["id"] for _ in range(2)]
    before = world.records()
    rows = table(renamed(1, 1, "new@a.com", title="Buyer"))

    done = world.run(rows, mode=mode)

    assert (done.reasons, world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, made)
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
def test_a_similar_address_in_a_search_is_no_hit(world: World) -> None:
    world.run(table(person(1, 1)))
    near = world.apollo.store.add_contact(email="somenew@a.com", title="new@a.com")
    rows = table(renamed(1, 1, "new@a.com"))

    done = world.run(rows)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert ("somenew@a.com", "None") in world.names()
    assert world.contact("somenew@a.com")["id"] == near["id"]
    assert len(world.names()) == 2


@pytest.mark.full
def test_in_mode_insert_a_record_with_the_new_address_exists(any_world: World) -> None:
    any_world.run(table(person(1, 1)), mode="insert")
    any_world.apollo.store.add_contact(email="new@a.com", title="Sales' word")
    before = any_world.records()
    rows = table(renamed(1, 1, "new@a.com", title="Buyer"))

    done = any_world.run(rows, mode="insert")

    assert done.records == {"received": 1, "existing": 1}, done.log
    assert any_world.records() == before
    any_world.stays(rows, mode="insert")


@pytest.mark.full
def test_without_a_ledger_the_record_with_the_address_is_updated(bare_world: World) -> None:
    bare_world.run(table(person(1, 1)))
    bare_world.apollo.store.add_contact(email="new@a.com")
    rows = table(renamed(1, 1, "new@a.com", title="Buyer"))

    done = bare_world.run(rows)

    assert done.records == {"received": 1, "updated": 1}
    assert bare_world.names() == [("new@a.com", "Ann1"), ("p1@a.com", "Ann1")]
    bare_world.stays(rows)


@pytest.mark.full
def test_many_rows_that_change_their_addresses_cost_a_search_each(world: World) -> None:
    world.run(table(*(person(n, n) for n in range(40))))
    rows = table(*(renamed(n, n, f"new{n}@a.com") for n in range(40)))

    done = world.run(rows)

    assert done.records == {"received": 40, "updated": 40}, done.log
    sent = world.sent()
    assert sent.get(SEARCH, 0) <= 40
    assert sent.get("GET /contacts/{id}", 0) <= 20
    world.stays(rows)


# --- another row's record has it


@pytest.mark.parametrize("mode", WRITING)
@pytest.mark.parametrize(
    "other_comes", one_fast(True, False), ids=["in the flush", "in another run"]
)
def test_an_address_that_another_row_keeps_is_a_conflict_of_two_ids(
    world: World, mode: str, *, other_comes: bool
) -> None:
    world.run(table(person(1, 1), person(2, 2)))
    before = world.records()
    ids = [world.contact(f"p{n}@a.com")["id"] for n in (1, 2)]
    rows = table(renamed(1, 1, "p2@a.com"), *([person(2, 2)] if other_comes else []))

    done = world.run(rows, mode=mode)

    assert (done.reasons, world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, ids)
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
def test_a_row_that_takes_the_address_of_another_exists_in_mode_insert(any_world: World) -> None:
    any_world.run(table(person(1, 1), person(2, 2)), mode="insert")
    before = any_world.records()
    rows = table(renamed(1, 1, "p2@a.com"), person(2, 2))

    done = any_world.run(rows, mode="insert")

    assert (done.exit_code, any_world.records()) == (0, before), done.log
    any_world.stays(rows, mode="insert")


# --- accounts


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_a_domain_that_nobody_has_is_written_to_the_same_account(world: World, mode: str) -> None:
    world.run(table(firm(1, 1)))
    known = world.account("firm1.com")["id"]
    rows = table(firm(1, 1, domain="new.com"))

    done = world.run(rows, mode=mode)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.account("new.com")["id"] == known
    world.stays(rows, mode=mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_an_account_moves_to_the_record_that_somebody_made_with_its_new_domain(
    world: World, mode: str
) -> None:
    world.run(table(firm(1, 1, phone_number="+49301")))
    former = world.account("firm1.com")
    by_hand = world.apollo.store.add_account(domain="new.com", name="new.com")
    rows = table(firm(1, 1, domain="new.com", phone_number="+49301"))

    done = world.run(rows, mode=mode)

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.account("new.com")["id"] == by_hand["id"]
    assert world.account("firm1.com") == former
    world.stays(rows, mode=mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", WRITING)
def test_a_domain_that_another_row_keeps_is_a_conflict_of_two_ids(world: World, mode: str) -> None:
    world.run(table(firm(1, 1), firm(2, 2)))
    before = world.records()
    ids = [world.account(f"firm{n}.com")["id"] for n in (1, 2)]
    rows = table(firm(1, 1, domain="firm2.com"), firm(2, 2))

    done = world.run(rows, mode=mode)

    assert (done.reasons, world.records()) == (["identity_conflict"], before), done.log
    assert names_both(done, ids)
    world.stays(rows, asks=True, mode=mode)


@pytest.mark.full
def test_a_row_without_an_address_in_mode_update_stays_with_its_record(world: World) -> None:
    world.run(table(person(1, 1)))
    rows = [schema("contacts"), record("contacts", id=1, title="Buyer")]

    done = world.run(rows, mode="update")

    assert done.records == {"received": 1, "updated": 1}, done.log
    assert world.contact("p1@a.com")["title"] == "Buyer"
    world.stays(rows, mode="update")


def test_an_unchanged_row_beside_a_rejected_one_of_its_contact_leaves_what_people_wrote(
    world: World,
) -> None:
    columns = {"properties": {**CONTACT_SCHEMA["properties"], "owner_email": {}}}

    def both(**changes: Any) -> list[Message]:
        rows = person(1, 1, **changes), person(1, 2, title="Buyer")
        return [schema("contacts", columns), *rows]

    world.run(both())
    (contact,) = world.apollo.store.contact_by_id.values()
    contact.own["title"] = "By hand"

    rows = both(email="new@a.com", owner_email="nobody@a.com")
    done = [world.run(rows) for _ in range(2)]

    assert [one.records.get("updated", 0) for one in done] == [0, 0], done[0].log
    assert [one["title"] for one in world.apollo.store.contacts()] == ["By hand"]
