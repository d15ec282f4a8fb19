"""When an update may decide what becomes of a new row."""

from __future__ import annotations

from typing import Any

import pytest

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row, Values
from target_apollo.sync.records.plan import Changes
from target_apollo.sync.records.side_by_side import order_matters
from target_apollo.sync.updates.update_plan import PlannedUpdate

ANN: Values = {"email": "ann@a.com", "first_name": "Ann", "last_name": "Lee"}
ACME: Values = {"domain": "acme.com", "name": "Acme"}


def update(values: Values, changes: Changes, answer: dict[str, Any] | None = None) -> PlannedUpdate:
    return PlannedUpdate(Row(1, (1,), None, values), "1" * 24, answer, changes, Outcome.UPDATED)


def new(values: Values) -> Row:
    return Row(2, (2,), None, values)


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])
def test_what_apollo_does_not_compare_has_no_order(object_type: ObjectType) -> None:
    changed = update({"title": "New"}, Changes({"title": "New"}, {"owner_id": "x"}, ("A",)))
    assert not order_matters(object_type, [new({})], [changed])


def test_an_address_that_is_written_goes_first() -> None:
    assert order_matters(CONTACT, [new({})], [update({}, Changes({"email": "b@a.com"}))])
    assert order_matters(CONTACT, [new({})], [update({}, Changes(bulk={"email": "b@a.com"}))])
    assert order_matters(ACCOUNT, [new({})], [update({}, Changes({"domain": "b.com"}))])


@pytest.mark.parametrize(("object_type", "old"), [(CONTACT, ANN), (ACCOUNT, ACME)])
def test_a_name_that_is_known_to_change_goes_first(object_type: ObjectType, old: Values) -> None:
    name = "name" if object_type is ACCOUNT else "last_name"
    renamed = update({name: "New"}, Changes({name: "New"}), {**old})
    assert order_matters(object_type, [new({})], [renamed])


@pytest.mark.parametrize(("object_type", "same"), [(CONTACT, ANN), (ACCOUNT, ACME)])
def test_a_name_that_a_new_row_has_too_goes_first(object_type: ObjectType, same: Values) -> None:
    named = update(same, Changes({"title": "New"}))
    upper: Values = {name: value and value.upper() for name, value in same.items()}
    assert order_matters(object_type, [new(upper)], [named])
    assert not order_matters(object_type, [new({"first_name": "Eva", "name": "Other"})], [named])
