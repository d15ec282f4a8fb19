"""Characters that nobody sees, and two spellings of one domain, make no second record."""

from __future__ import annotations

import pytest

from tests.helpers.worlds import World, one_fast
from tests.promises.conftest import Message, record, schema
from tests.promises.identity.people import person

PLAIN, IDN, PUNYCODE = "ann@a.com", "ann@münchen.example", "ann@xn--mnchen-3ya.example"
SPELLINGS = {
    "zero width space": "ann\u200b@a.com",
    "byte order mark": "\ufeffann@a.com",
    "soft hyphen": "ann@a\u00ad.com",
    "word joiner": "ann@a.com\u2060",
    "no-break space": "\u00a0ann@a.com\u00a0",
    "upper case": "ANN@A.com",
    "mailto": "mailto:ann@a.com",
    "display name": "Ann Lee <ann@a.com>",
}


def people(*addresses: str, **values: str) -> list[Message]:
    rows = [
        person(1, number, email=address, **values) for number, address in enumerate(addresses, 1)
    ]
    return [schema("contacts"), *rows]


def emails(world: World) -> list[str]:
    return [str(one["email"]) for one in world.apollo.store.contacts()]


@pytest.mark.full
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_contact_that_apollo_has_is_found_however_it_is_spelled(
    any_world: World, mode: str, spelling: str
) -> None:
    any_world.apollo.store.add_contact(email=PLAIN, first_name="Ann1", last_name="Lee1")
    rows = people(spelling)

    done = any_world.run(rows, mode=mode)

    assert done.records == {"received": 1, "existing" if mode == "insert" else "unchanged": 1}
    assert emails(any_world) == [PLAIN]
    any_world.stays(rows, mode=mode)


def test_rows_of_one_address_in_all_spellings_are_one_contact(any_world: World) -> None:
    rows = people(PLAIN, *SPELLINGS.values())

    done = any_world.run(rows)

    assert not done.rejects
    assert emails(any_world) == [PLAIN]
    any_world.stays(rows)


@pytest.mark.full
def test_another_spelling_of_a_known_row_is_no_change(world: World) -> None:
    world.run(people(PLAIN))

    for spelling in SPELLINGS.values():
        done = world.run(people(spelling))

        assert done.records == {"received": 1, "unchanged": 1}, spelling
        assert world.sent() == {}


@pytest.mark.parametrize(
    "pair", one_fast(((IDN, PUNYCODE),), ((PUNYCODE, IDN),)), ids=["idn", "punycode"]
)
@pytest.mark.parametrize("mode", one_fast("upsert", "insert"))
def test_an_internationalised_domain_is_one_domain_in_addresses(
    any_world: World, mode: str, pair: tuple[str, str]
) -> None:
    first, second = pair
    any_world.run(people(first), mode=mode)

    done = any_world.run(people(second), mode=mode)

    assert done.records.get("created", 0) == 0, done.log
    assert not done.rejects
    assert len(emails(any_world)) == 1
    any_world.stays(people(second), mode=mode)


@pytest.mark.full
def test_an_internationalised_address_that_apollo_has_is_found(any_world: World) -> None:
    any_world.apollo.store.add_contact(email=PUNYCODE, first_name="Ann1", last_name="Lee1")

    done = any_world.run(people(IDN))

    assert done.records == {"received": 1, "unchanged": 1}, done.log
    assert len(emails(any_world)) == 1
    any_world.stays(people(IDN))


@pytest.mark.full
@pytest.mark.parametrize(
    "spelling", ["a\u200b.com", "\ufeffa.com", "A.com", "https://www.a\u00ad.com/", "a.com\u00a0"]
)
def test_an_account_that_apollo_has_is_found_however_its_domain_is_spelled(
    any_world: World, spelling: str
) -> None:
    any_world.apollo.store.add_account(domain="a.com", name="Acme")
    rows = [schema("accounts"), record("accounts", id=1, domain=spelling, name="Ac\u200bme")]

    done = any_world.run(rows)

    assert done.records == {"received": 1, "unchanged": 1}, done.log
    assert any_world.firms() == [("a.com", "Acme")]
    any_world.stays(rows)


def test_names_of_owners_stages_and_lists_are_found_with_unseen_characters(world: World) -> None:
    owner = world.apollo.store.add_user(email="rep@team.example")["id"]
    rows = people(
        PLAIN,
        owner_email="\ufeffrep@team.example",
        contact_stage="Repl\u200bied",
        title="Buy\u00ader",
        organization_name="Acme\u00a0Ltd",
    )

    done = world.run(rows)

    assert done.records == {"received": 1, "created": 1}, done.log
    made = world.contact(PLAIN)
    stages = {one["id"]: one["name"] for one in world.apollo.store.contact_stages}
    assert (made["owner_id"], stages[made["contact_stage_id"]]) == (owner, "Replied")
    assert (made["title"], made["organization_name"]) == ("Buyer", "Acme Ltd")
    world.stays(rows)


@pytest.mark.full
def test_the_first_of_several_addresses_is_the_contacts(any_world: World) -> None:
    rows = people("ann@a.com; ann@b.com")

    done = any_world.run(rows)

    assert done.records == {"received": 1, "created": 1}, done.log
    assert emails(any_world) == ["ann@a.com"]
    any_world.stays(rows)
