"""Rows that share an e-mail address, come to share one, or part."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, Run, contact, record, schema


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(one["email"]) for one in apollo.store.contacts())


@pytest.mark.parametrize("batch_size", [1, 10])
def test_an_address_that_goes_from_one_row_to_a_new_one_makes_two_contacts(
    apollo: Sandbox, sync: Run, batch_size: int
) -> None:
    sync([schema("contacts"), contact(1, email="shared@a.com", first_name="Ann")])

    sync(
        [
            schema("contacts"),
            contact(1, email="ann@a.com", first_name="Ann"),
            contact(2, email="shared@a.com", first_name="Bob"),
        ],
        batch_size=batch_size,
    )

    held = {one["email"]: one["first_name"] for one in apollo.store.contacts()}
    assert held == {"ann@a.com": "Ann", "shared@a.com": "Bob"}


def test_a_row_that_leaves_a_shared_address_leaves_the_contact_to_the_other_row(
    apollo: Sandbox, sync: Run
) -> None:
    both = [contact(1, email="shared@a.com", title="A"), contact(2, email="shared@a.com")]
    sync([schema("contacts"), *both])
    assert emails(apollo) == ["shared@a.com"]

    sync([schema("contacts"), contact(1, email="own@a.com", title="A")])

    assert emails(apollo) == ["own@a.com", "shared@a.com"]


def test_of_two_rows_with_one_address_the_last_stands_also_when_only_the_first_changes(
    apollo: Sandbox, sync: Run
) -> None:
    def full_table(first_title: str) -> list[dict[str, object]]:
        first = contact(1, email="shared@a.com", title=first_title)
        last = contact(2, email="shared@a.com", title="Last")
        return [schema("contacts"), first, last]

    sync(full_table("First"), batch_size=1, parallel_requests=1)

    sync(full_table("Changed"), batch_size=1, parallel_requests=1)

    assert [one["title"] for one in apollo.store.contacts()] == ["Last"]


def test_rows_that_share_an_address_and_do_not_change_cost_no_request(
    apollo: Sandbox, sync: Run
) -> None:
    both = [contact(1, email="shared@a.com", title="A"), contact(2, email="shared@a.com")]
    for _ in range(2):
        sync([schema("contacts"), *both], batch_size=1, parallel_requests=1)

    again = sync([schema("contacts"), *both], batch_size=1, parallel_requests=1)

    assert again.records == {"received": 2, "unchanged": 2}


def test_what_a_rejected_row_left_behind_is_overwritten_by_the_row_after_it(
    apollo: Sandbox, sync: Run
) -> None:
    note = apollo.store.add_custom_field("contact", "Note", "string")
    apollo.store.workspace.fields[note["id"]]["text_field_max_length"] = 5
    apollo.store.add_contact(email="p1@a.com", first_name="Right", title="Old")
    noted = {"properties": {**CONTACT_SCHEMA["properties"], "note": {"type": "string"}}}
    # Apollo stores the first row's name, and not its note, for which the row is rejected.
    first = contact(1, first_name="Wrong", note="far too long")
    second = contact(2, email="p1@a.com", first_name="Right", title="New")

    done = sync([schema("contacts", noted), first, second], max_rejected_percent=100)

    assert done.reasons == ["custom_field_refused"]
    (one,) = apollo.store.contacts()
    assert (one["first_name"], one["title"]) == ("Right", "New")


def test_of_rows_of_two_streams_with_one_address_the_later_stands_after_a_new_schema(
    apollo: Sandbox, sync: Run
) -> None:
    changed = {"properties": {**CONTACT_SCHEMA["properties"], "present_raw_address": {}}}
    earlier = {"id": 1, "email": "shared@a.com", "title": "Earlier"}

    sync(
        [
            schema("a-contacts"),
            schema("b-contacts"),
            record("b-contacts", **earlier),
            schema("a-contacts", changed),
            record("a-contacts", **{**earlier, "id": 2, "title": "Later"}),
        ]
    )

    assert [one["title"] for one in apollo.store.contacts()] == ["Later"]


@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_key_that_is_given_to_somebody_else_in_one_batch_hands_no_values_on(
    apollo: Sandbox, sync: Run, mode: str
) -> None:
    ann = contact(1, first_name="Ann", last_name="Lee", title="Head of Sales")
    bob = contact(1, email="bob@b.com", first_name="Bob", last_name="Kay")

    sync([schema("contacts"), ann, bob], mode=mode)

    held = {one["email"]: (one["first_name"], one["title"]) for one in apollo.store.contacts()}
    assert held["bob@b.com"] == ("Bob", None)
