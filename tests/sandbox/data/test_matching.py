"""Match keys and the index of them, with generated records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sandbox.data.matching import KeyIndex, account_keys, contact_keys

people = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["a@x.example", "b@x.example", "c@gmail.com"]),
        "first_name": st.sampled_from(["Ann", "ANN", "Bo"]),
        "last_name": st.sampled_from(["Lee", "Ray"]),
        "organization_name": st.sampled_from(["X", "x", "Y"]),
        "salesforce_lead_id": st.sampled_from(["00Q1", "00Q2"]),
        "person_id": st.sampled_from(["p1", "p2"]),
    },
)


def test_contact_keys_stand_in_the_documented_order() -> None:
    keys = contact_keys(
        {
            "first_name": "Ann",
            "last_name": "Lee",
            "organization_name": "X Ltd",
            "organization_id": "o1",
            "email": "a@x.example",
            "person_id": "p1",
            "hubspot_vid": "7",
            "salesforce_lead_id": "00Q",
        },
        ("b@x.example",),
    )
    assert [key.split()[0] for key in keys] == [
        "crm", "crm", "person", "email", "email", "name", "name", "name",
    ]  # fmt: skip


def test_account_keys_without_dedupe_are_crm_ids_alone() -> None:
    fields = {"salesforce_id": "001", "domain": "x.example", "name": "X", "organization_id": "o"}
    assert account_keys(fields, dedupe=False) == ["crm 001"]
    assert [key.split()[0] for key in account_keys(fields)] == [
        "crm", "domain", "organization", "name",
    ]  # fmt: skip


@given(people, people)
def test_two_contacts_with_one_address_always_match(
    one: dict[str, str], other: dict[str, str]
) -> None:
    if "email" in one and one.get("email") == other.get("email"):
        assert set(contact_keys(one)) & set(contact_keys(other))


@given(people, people)
def test_a_name_alone_matches_nobody(one: dict[str, str], other: dict[str, str]) -> None:
    for fields in (one, other):
        for key in ("email", "organization_name", "salesforce_lead_id", "person_id"):
            fields.pop(key, None)
    assert not set(contact_keys(one)) & set(contact_keys(other))


keys = st.lists(st.sampled_from("abcd"), max_size=4, unique=True)


@given(st.lists(st.tuples(st.integers(0, 4), keys), max_size=40))
def test_the_index_knows_exactly_what_was_added_and_not_removed(
    steps: list[tuple[int, list[str]]],
) -> None:
    index: KeyIndex[str] = KeyIndex()
    present: dict[str, list[str]] = {}
    held: dict[int, list[str]] = {}
    names = [f"record {number}" for number in range(5)]
    for number, new_keys in steps:
        record = names[number]
        for key in held.get(number, []):
            present[key].remove(record)
        index.remove(held.get(number, []), record)
        for key in new_keys:
            present.setdefault(key, []).append(record)
        index.add(new_keys, record)
        held[number] = new_keys
        for key in "abcd":
            assert index.every(key) == present.get(key, [])
            oldest = present[key][0] if present.get(key) else None
            assert index.first([key]) == oldest
