from __future__ import annotations

from dataclasses import fields

from target_apollo.model.objects.registry import CONTACT, ObjectType
from target_apollo.sync.updates.update_plan import UpdateParts
from target_apollo.sync.updates.update_steps import planned_requests, update_steps
from tests.helpers.single_record import both


@both
def test_each_part_of_an_update_is_sent_in_one_step(object_type: ObjectType) -> None:
    parts = [part.name for part in fields(UpdateParts) if part.name not in ("lost", "later")]
    assert [step.part for step in update_steps(object_type)] == parts


def test_requests_of_updates_are_counted_by_the_endpoint_that_takes_each_part() -> None:
    parts = [UpdateParts(single={"title": "CEO"}) for _ in range(3)]
    parts += [UpdateParts(bulk={"title": "CEO"}) for _ in range(101)]
    parts += [UpdateParts(bulk={"title": "CEO"}, rest={"direct_phone": "1"})]
    parts += [UpdateParts(stage="a"), UpdateParts(stage="b"), UpdateParts(stage="a")]
    parts += [
        UpdateParts(lists=("Warm",)),
        UpdateParts(lists=("Warm",)),
        UpdateParts(lists=("Warm", "Cold")),
    ]
    parts += [UpdateParts(owner="o")]

    assert planned_requests(update_steps(CONTACT), parts) == {
        "PATCH /contacts/{id}": 4,
        "POST /contacts/bulk_update": 2,
        "POST /contacts/update_stages": 2,
        "POST /contacts/update_owners": 1,
        "POST /labels/add_entity_ids_to_label_names": 2,
    }
