"""Situations after which a run says that all is well while it is not, or never comes to rest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.worlds import World
from tests.promises.conftest import CONTACT_SCHEMA, Message, schema, state
from tests.promises.identity.people import named, people, person

WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}


def titled(world: World) -> list[object]:
    return sorted(c["email"] for c in world.apollo.store.contacts() if c["title"] == "Buyer")


def test_the_record_of_a_deleted_row_is_moved_where_the_keys_behind_it_shift(world: World) -> None:
    world.run([*people(range(13)), WHOLE])

    world.run([*people(range(1, 13)), WHOLE], on_delete="list:Gone")

    listed = [c["email"] for c in world.apollo.store.contacts() if c["label_ids"]]
    assert listed == ["p0@a.com"]


@pytest.mark.parametrize("whole", [True, False], ids=["whole table", "changes"])
def test_rows_that_changed_are_written_where_a_row_before_them_was_deleted(
    world: World, *, whole: bool
) -> None:
    end = [WHOLE] if whole else []
    world.run([*people(range(5)), *end])

    rows = [*people(range(1, 5), title="Buyer"), *end]
    done = world.run(rows)

    assert done.records == {"received": 4, "updated": 4}, done.log
    assert titled(world) == [f"p{n}@a.com" for n in range(1, 5)]


def test_a_row_that_names_a_merged_record_is_unchanged_after_the_survivor_was_written(
    world: World,
) -> None:
    store = world.apollo.store
    survivor, loser = (
        store.add_contact(email=email, first_name="Ann1", last_name="Lee1")["id"]
        for email in ("p1@a.com", "q1@a.com")
    )
    store.merge_contacts(loser, survivor)
    columns = {"properties": {**CONTACT_SCHEMA["properties"], "apollo_id": {}}}
    rows = [schema("contacts", columns), person(1, 1, apollo_id=loser, title="Buyer")]
    world.run(rows)

    world.stays(rows)


def test_no_row_is_unchanged_whose_record_another_row_takes_along_to_a_new_address(
    world: World,
) -> None:
    def table(email: str) -> list[Message]:
        other: dict[str, Any] = {"email": email}
        return [schema("contacts"), person(1, 1), person(2, 2, **other), state({"at": 2})]

    world.run(table("p1@a.com"))

    world.run(table("p2@a.com"))

    assert world.names() == named([1, 2])
