from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo import Window, Windows
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row, UpdateMethod, Values
from target_apollo.model.values import apollo_id
from target_apollo.sandbox.data import records as shapes
from target_apollo.sync.updates.changes import Changes, changes
from target_apollo.sync.updates.update_plan import (
    PlannedUpdate,
    UpdateParts,
    after_bulk,
    fallback_from_bulk,
    fallback_from_stages,
    goes_in_bulk,
    in_bulk,
    one_request,
    order_matters,
    requests_left,
)
from tests.helpers.single_record import (
    CUSTOM,
    LISTS,
    apply,
    both,
    contact,
    empty_record,
    new_record,
    rows,
    seen,
)

laws = settings(deadline=None, max_examples=60)
STAGE = "c" * 24


def bulk_answer(object_type: ObjectType, record: Json, *, whole: bool) -> Json:
    """What bulk_update answers: whole objects, or the fields of the reference's example."""
    if object_type is ACCOUNT:
        return {name: record[name] for name in ("id", "account_stage_id")}
    return dict(record) if whole else shapes.picked(record, shapes.DOCUMENTED_UPDATED_CONTACT)


def write(
    object_type: ObjectType,
    row: Row,
    record: Json,
    parts: UpdateParts,
    before: Json | None,
    *,
    whole: bool,
) -> Json:
    """The record after all parts, as Apollo carries them out."""
    record = apply(object_type, record, parts.single)
    if parts.bulk:
        record = apply(object_type, record, parts.bulk)
        answer = bulk_answer(object_type, record, whole=whole)
        parts, missed = after_bulk(object_type, row, parts, before, answer)
        assert missed == ()
    if parts.stage:
        record = {**record, "contact_stage_id": parts.stage}
    record = apply(object_type, record, parts.rest)
    on: list[str] = record["label_ids"]  # type: ignore[assignment]
    return {**record, "label_ids": [*on, *(LISTS[name] for name in parts.lists)]}


def ordinary(row: Row) -> Row:
    """A row that sends no id to be cleared: bulk_update leaves an owner as it is."""
    return Row(1, (1,), row.match_key, {
        name: value for name, value in row.values.items() if value or not name.endswith("_id")
    }, row.custom, row.lists)  # fmt: skip


# --- laws


@both
@laws
@given(st.data(), st.booleans(), st.booleans())
def test_after_all_parts_a_record_holds_the_row(
    object_type: ObjectType, data: st.DataObject, known: bool, whole: bool
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = ordinary(data.draw(rows(object_type)))
    before = record if known else None
    parts = in_bulk(object_type, changes(object_type, row, before, LISTS if known else {}), before)
    after = write(object_type, row, record, parts, before, whole=whole)
    assert not seen(object_type, changes(object_type, row, after, LISTS))


@both
@laws
@given(st.data(), st.booleans())
def test_bulk_update_gets_only_what_it_documents(
    object_type: ObjectType, data: st.DataObject, known: bool
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    before = record if known else None
    parts = in_bulk(object_type, changes(object_type, row, before, LISTS), before)
    taken = {field.bulk for field in object_type.fields.values()} | {"typed_custom_fields"}
    assert set(parts.bulk) <= taken


@both
@laws
@given(st.data(), st.booleans())
def test_every_change_is_in_one_part(
    object_type: ObjectType, data: st.DataObject, known: bool
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    before = record if known else None
    needed = changes(object_type, row, before, LISTS)
    parts = in_bulk(object_type, needed, before)
    stage = ["contact_stage_id"] if parts.stage else []
    sent = [*parts.single, *parts.bulk, *parts.rest, *stage]
    assert sorted(sent) == sorted([*needed.update, *needed.bulk])
    assert parts.lists == needed.lists


@both
@laws
@given(st.data())
def test_a_known_record_needs_one_request_of_its_own_at_most(
    object_type: ObjectType, data: st.DataObject
) -> None:
    record = new_record(object_type, data.draw(rows(object_type)))
    row = data.draw(rows(object_type))
    parts = in_bulk(object_type, changes(object_type, row, record, LISTS), record)
    assert not parts.rest
    if parts.single:
        assert parts == one_request(changes(object_type, row, record, LISTS))


@both
@laws
@given(st.data())
def test_without_bulk_update_nothing_is_forgotten(
    object_type: ObjectType, data: st.DataObject
) -> None:
    row = data.draw(rows(object_type))
    needed = changes(object_type, row, None, LISTS)
    parts = fallback_from_stages(
        fallback_from_bulk(object_type, in_bulk(object_type, needed, None))
    )
    owner = ["owner_id"] if parts.owner else []
    assert not parts.bulk
    assert not parts.stage
    assert sorted([*parts.single, *parts.rest, *owner, *parts.lost]) == sorted(
        [*needed.update, *needed.bulk]
    )


# --- cases


def parts_of(
    object_type: ObjectType, values: Values, before: Json | None, **own: Any
) -> UpdateParts:
    row = Row(1, (1,), None, values, **own)
    return in_bulk(object_type, changes(object_type, row, before, LISTS), before)


def test_a_contact_s_changes_go_in_bulk_and_its_stage_with_others_of_that_stage() -> None:
    values: Values = {"title": "VP", "owner_id": "a" * 24, "contact_stage_id": STAGE}
    parts = parts_of(CONTACT, values, contact(), lists=("A",))
    assert parts == UpdateParts(
        bulk={"title": "VP", "owner_id": "a" * 24}, stage=STAGE, lists=("A",)
    )


def test_a_changed_phone_takes_the_rest_of_its_row_into_its_request() -> None:
    values: Values = {"title": "VP", "mobile_phone": "+1415", "contact_stage_id": STAGE}
    parts = parts_of(CONTACT, values, contact())
    assert parts == UpdateParts(
        single={"title": "VP", "mobile_phone": "+1415", "contact_stage_id": STAGE}
    )


def test_a_phone_that_may_be_the_same_waits_for_what_bulk_update_answers() -> None:
    row = Row(1, (1,), None, {"title": "VP", "mobile_phone": "+1415"})
    parts = in_bulk(CONTACT, changes(CONTACT, row, None, {}), None)
    assert parts == UpdateParts(bulk={"title": "VP"}, rest={"mobile_phone": "+1415"})
    held = contact(title="VP", phone_numbers=[{"type": "mobile", "raw_number": "+1415"}])
    assert after_bulk(CONTACT, row, parts, None, held) == (UpdateParts(), ())
    other = contact(title="VP", phone_numbers=[])
    assert after_bulk(CONTACT, row, parts, None, other)[0].rest == {"mobile_phone": "+1415"}
    short: Json = {"id": "f" * 24, "title": "VP"}
    assert after_bulk(CONTACT, row, parts, None, short)[0].rest == {"mobile_phone": "+1415"}


def test_a_field_that_apollo_never_shows_takes_the_row_into_a_request_of_its_own() -> None:
    parts = parts_of(CONTACT, {"title": "VP", "website_url": "https://a.b"}, None)
    assert parts == UpdateParts(single={"title": "VP", "website_url": "https://a.b"})


def test_a_stage_that_bulk_update_shows_is_not_written_again() -> None:
    row = Row(1, (1,), None, {"title": "VP", "contact_stage_id": STAGE})
    parts = in_bulk(CONTACT, changes(CONTACT, row, None, {}), None)
    assert parts.stage == STAGE
    assert not after_bulk(CONTACT, row, parts, None, contact(title="VP", contact_stage_id=STAGE))[0]


def test_an_account_s_domain_phone_and_address_take_a_request_of_their_own() -> None:
    before = {**empty_record(ACCOUNT), "domain": "a.com", "name": "Old"}
    assert parts_of(ACCOUNT, {"domain": "a.com", "name": "New"}, before).bulk == {"name": "New"}
    values: Values = {"domain": "a.com", "name": "New", "raw_address": "Berlin"}
    assert parts_of(ACCOUNT, values, before).single == {"name": "New", "raw_address": "Berlin"}


@pytest.mark.parametrize(
    ("values", "custom"),
    [({"name": None}, {}), ({"owner_id": None}, {}), ({"name": "New"}, {CUSTOM[0]: None})],
)
def test_an_account_is_emptied_by_a_request_whose_answer_shows_it(
    values: Values, custom: Values
) -> None:
    before = {**empty_record(ACCOUNT), "name": "Old", "owner_id": "a" * 24,
              "typed_custom_fields": {CUSTOM[0]: "x"}}  # fmt: skip
    parts = parts_of(ACCOUNT, values, before, custom=custom)
    assert parts.single
    assert not parts.bulk


# --- clearing


def cleared(after: Json) -> tuple[Json, tuple[str, ...]]:
    row = Row(1, (1,), None, {"title": None, "linkedin_url": None}, custom={CUSTOM[0]: None})
    parts = in_bulk(CONTACT, changes(CONTACT, row, None, {}), None)
    left, missed = after_bulk(CONTACT, row, parts, None, after)
    return left.rest, missed


def test_a_field_that_bulk_update_shows_to_be_empty_is_cleared() -> None:
    assert cleared(contact()) == ({}, ())


def test_a_field_that_bulk_update_does_not_show_is_cleared_by_a_single_update() -> None:
    rest, missed = cleared({"id": "f" * 24, "linkedin_url": None})
    assert rest == {"title": "", "typed_custom_fields": {CUSTOM[0]: ""}}
    assert missed == ()


def test_a_field_that_bulk_update_shows_to_be_held_still_is_cleared_by_a_single_update() -> None:
    rest, missed = cleared(contact(title="VP", typed_custom_fields={CUSTOM[0]: "x"}))
    assert rest == {"title": "", "typed_custom_fields": {CUSTOM[0]: ""}}
    assert missed == ()


def test_a_field_that_only_bulk_update_takes_and_does_not_clear_is_missed() -> None:
    assert cleared(contact(linkedin_url="https://linkedin.com/in/ada"))[1] == ("linkedin_url",)


@both
def test_an_id_is_never_cleared_in_bulk_where_a_single_update_can(object_type: ObjectType) -> None:
    ids = [field.name for field in object_type.fields.values()
           if field.normalise is apollo_id and field.update]  # fmt: skip
    for name in ids:
        assert not parts_of(object_type, {name: None}, None).bulk


# --- contradictions


def test_a_value_that_did_not_change_is_sent_again_by_a_single_update() -> None:
    before = contact(title="Old", first_name="Ann")
    row = Row(1, (1,), None, {"title": "New", "first_name": "Bob"})
    parts = in_bulk(CONTACT, changes(CONTACT, row, before, {}), before)
    after = contact(title="Old", first_name="Bob")
    left, missed = after_bulk(CONTACT, row, parts, before, after)
    assert (left, missed) == (UpdateParts(rest={"title": "New"}), ())


@pytest.mark.parametrize(
    ("name", "sent", "was"),
    [
        ("title", "VP  Sales", "VP Sales"),
        ("organization_name", "Org GmbH", "Org"),
        ("present_raw_address", "Berlin, DE", "Berlin, Germany"),
    ],
)
def test_a_value_that_apollo_spells_its_own_way_counts_as_taken(
    name: str, sent: str, was: str
) -> None:
    before = contact(**{name: was})
    row = Row(1, (1,), None, {name: sent})
    parts = in_bulk(CONTACT, changes(CONTACT, row, before, {}), before)
    assert after_bulk(CONTACT, row, parts, before, before) == (UpdateParts(), ())


def test_an_owner_that_is_another_than_the_sent_one_was_not_taken() -> None:
    row = Row(1, (1,), None, {"owner_id": "a" * 24})
    parts = in_bulk(CONTACT, changes(CONTACT, row, None, {}), None)
    assert after_bulk(CONTACT, row, parts, None, contact(owner_id="b" * 24))[1] == ("owner_id",)


def test_an_account_s_bulk_answer_is_taken_for_what_it_shows() -> None:
    row = Row(1, (1,), None, {"name": "New", "account_stage_id": STAGE})
    before = {**empty_record(ACCOUNT), "name": "Old"}
    parts = in_bulk(ACCOUNT, changes(ACCOUNT, row, before, {}), before)
    fine: Json = {"id": "f" * 24, "account_stage_id": STAGE}
    assert after_bulk(ACCOUNT, row, parts, before, fine) == (UpdateParts(), ())
    other: Json = {"id": "f" * 24, "account_stage_id": "d" * 24}
    assert after_bulk(ACCOUNT, row, parts, before, other)[0].rest == {"account_stage_id": STAGE}


# --- one by one, or a hundred a request

AUTO, BULK, INDIVIDUAL = UpdateMethod.AUTO, UpdateMethod.BULK, UpdateMethod.INDIVIDUAL
counts = st.integers(0, 2000)


@given(counts, st.none() | counts)
def test_individual_and_bulk_do_not_ask_how_many(updates: int, left: int | None) -> None:
    assert not goes_in_bulk(INDIVIDUAL, updates, left)
    assert goes_in_bulk(BULK, updates, left)


@given(st.integers(0, 19), st.integers(0, 2000))
def test_auto_sends_few_updates_one_by_one_as_far_as_the_quota_goes(
    updates: int, left: int
) -> None:
    assert goes_in_bulk(AUTO, updates, left) is (updates > left)


@given(st.integers(0, 19))
def test_auto_takes_an_unknown_quota_for_enough(updates: int) -> None:
    assert not goes_in_bulk(AUTO, updates, None)


@given(st.integers(20, 2000), st.none() | counts)
def test_auto_sends_many_updates_in_bulk(updates: int, left: int | None) -> None:
    assert goes_in_bulk(AUTO, updates, left)


# --- what is left of the quota


def windows(hour: Window = Window(), day: Window = Window()) -> Windows:  # noqa: B008
    return Windows(Window(limit=200, usage=200, left=0), hour, day)


def test_nothing_is_known_of_the_quota_before_the_first_answer() -> None:
    assert requests_left(Windows(), 1.0) is None


@pytest.mark.parametrize(
    ("hour", "day", "share", "left"),
    [
        (Window(400, 100, 300), Window(2000, 1995, 5), 1.0, 5),
        (Window(400, 100, 300), Window(2000, 100, 1900), 1.0, 300),
        (Window(400, 100, 300), Window(2000, 100, 1900), 0.5, 100),
        (Window(400, 300, 100), Window(2000, 100, 1900), 0.5, 0),
        (Window(left=7), Window(), 1.0, 7),
        (Window(), Window(limit=10, usage=4), 1.0, 6),
    ],
)
def test_the_scarcer_of_hour_and_day_counts_and_only_the_run_s_share(
    hour: Window, day: Window, share: float, left: int
) -> None:
    assert requests_left(windows(hour, day), share) == left


def test_the_minute_does_not_count_since_it_is_waited_for() -> None:
    assert requests_left(windows(Window(400, 200, 200), Window(2000, 200, 1800)), 1.0) == 200


# --- what an update may decide about a new row

ANN: Values = {"email": "ann@a.com", "first_name": "Ann", "last_name": "Lee"}
ACME: Values = {"domain": "acme.com", "name": "Acme"}


def planned(
    values: Values, changes: Changes, answer: dict[str, Any] | None = None
) -> PlannedUpdate:
    return PlannedUpdate(Row(1, (1,), None, values), "1" * 24, answer, changes, Outcome.UPDATED)


def new_row(values: Values) -> Row:
    return Row(2, (2,), None, values)


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])
def test_what_apollo_does_not_compare_has_no_order(object_type: ObjectType) -> None:
    changed = planned({"title": "New"}, Changes({"title": "New"}, {"owner_id": "x"}, ("A",)))
    assert not order_matters(object_type, [new_row({})], [changed])


def test_an_address_that_is_written_goes_first() -> None:
    assert order_matters(CONTACT, [new_row({})], [planned({}, Changes({"email": "b@a.com"}))])
    assert order_matters(CONTACT, [new_row({})], [planned({}, Changes(bulk={"email": "b@a.com"}))])
    assert order_matters(ACCOUNT, [new_row({})], [planned({}, Changes({"domain": "b.com"}))])


@pytest.mark.parametrize(("object_type", "old"), [(CONTACT, ANN), (ACCOUNT, ACME)])
def test_a_name_that_is_known_to_change_goes_first(object_type: ObjectType, old: Values) -> None:
    name = "name" if object_type is ACCOUNT else "last_name"
    renamed = planned({name: "New"}, Changes({name: "New"}), {**old})
    assert order_matters(object_type, [new_row({})], [renamed])


@pytest.mark.parametrize(("object_type", "same"), [(CONTACT, ANN), (ACCOUNT, ACME)])
def test_a_name_that_a_new_row_has_too_goes_first(object_type: ObjectType, same: Values) -> None:
    named = planned(same, Changes({"title": "New"}))
    upper: Values = {name: value and value.upper() for name, value in same.items()}
    assert order_matters(object_type, [new_row(upper)], [named])
    assert not order_matters(
        object_type, [new_row({"first_name": "Eva", "name": "Other"})], [named]
    )
