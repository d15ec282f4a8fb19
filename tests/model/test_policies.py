from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.objects.registry import (
    ACCOUNT,
    CONTACT,
    LABEL_NAMES,
    OBJECTS,
    Json,
    ObjectType,
)
from target_apollo.model.policies import (
    ALL_OTHERS,
    FieldPolicy,
    Policies,
    apply_policies,
    needs_the_record,
    policies_of,
    unknown_names,
)
from target_apollo.model.rows import Row
from target_apollo.model.times import moment

SCORE = "60c39ed82bd02f01154c470a"
FIELDS = ("first_name", "last_name", "title", "organization_name", "mobile_phone", "website_url")
policies = st.builds(
    Policies,
    fields=st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(FieldPolicy)),
    custom=st.dictionaries(st.just(SCORE), st.sampled_from(FieldPolicy)),
    otherwise=st.sampled_from(FieldPolicy),
)
texts = st.sampled_from(["", "a", "b"])
rows = st.builds(
    Row,
    number=st.just(1),
    key=st.just((1,)),
    match_key=st.just("p@a.com"),
    values=st.dictionaries(st.sampled_from(FIELDS), st.one_of(st.none(), st.sampled_from("ab"))),
    custom=st.dictionaries(st.just(SCORE), st.one_of(st.none(), st.sampled_from("ab"))),
    changed_at=st.sampled_from([None, moment("2020-01-01"), moment("2030-01-01")]),
)
answers = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"id": st.just("1" * 24)},
        optional={
            **{name: st.one_of(st.none(), texts) for name in FIELDS[:4]},
            "typed_custom_fields": st.dictionaries(st.just(SCORE), texts),
            "phone_numbers": st.just([]),
            "updated_at": st.just("2025-01-01T00:00:00.000Z"),
        },
    ),
)


def custom_field(object_type: ObjectType, name: str) -> tuple[str, str] | None:
    known = object_type is CONTACT and name.casefold().replace("_", " ") == "lead score"
    return (SCORE, "Lead Score") if known else None


@given(policies, rows, answers)
def test_what_is_written_comes_from_the_row_and_nothing_is_added(
    own: Policies, row: Row, answer: Json | None
) -> None:
    left = apply_policies(own, CONTACT, row, answer, None).row
    assert left.values.items() <= row.values.items()
    assert left.custom.items() <= row.custom.items()


@given(policies, rows, answers)
def test_never_and_create_only_never_change_an_existing_record(
    own: Policies, row: Row, answer: Json | None
) -> None:
    left = apply_policies(own, CONTACT, row, answer, None).row
    kept = (FieldPolicy.NEVER, FieldPolicy.CREATE_ONLY)
    assert not [name for name in left.values if own.of(name) in kept]
    assert not [field_id for field_id in left.custom if own.of_custom(field_id) in kept]


@given(policies, rows, answers)
def test_overwrite_always_writes(own: Policies, row: Row, answer: Json | None) -> None:
    left = apply_policies(own, CONTACT, row, answer, None).row
    wanted = {name for name in row.values if own.of(name) is FieldPolicy.OVERWRITE}
    assert wanted <= left.values.keys()


@given(policies, rows, answers)
def test_fill_if_empty_writes_only_where_apollo_shows_that_it_holds_nothing(
    own: Policies, row: Row, answer: Json | None
) -> None:
    for name in apply_policies(own, CONTACT, row, answer, None).row.values:
        if own.of(name) is FieldPolicy.FILL_IF_EMPTY:
            place = CONTACT.fields[name]
            assert answer is not None
            if place.read is None:
                assert answer["phone_numbers"] == []
            else:
                assert place.read in answer
                assert not answer[place.read]


@given(policies, rows, answers)
def test_newest_writes_only_what_changed_after_the_record(
    own: Policies, row: Row, answer: Json | None
) -> None:
    newest = [
        name
        for name in apply_policies(own, CONTACT, row, answer, None).row.values
        if own.of(name) is FieldPolicy.NEWEST
    ]
    if newest:
        apollo = moment((answer or {}).get("updated_at"))
        assert apollo is not None
        assert row.changed_at is not None
        assert row.changed_at > apollo


@given(policies, rows, answers)
def test_what_is_kept_back_and_may_differ_is_named(
    own: Policies, row: Row, answer: Json | None
) -> None:
    result = apply_policies(own, CONTACT, row, answer, None)
    kept_back = {*row.values, *row.custom} - {*result.row.values, *result.row.custom}
    assert set(result.protected) <= kept_back
    if answer is None:
        assert set(result.protected) == kept_back


@given(rows, answers)
def test_without_policies_a_row_is_written_whole_and_nothing_is_read(
    row: Row, answer: Json | None
) -> None:
    assert apply_policies(Policies(), CONTACT, row, answer, None).row is row
    assert not needs_the_record(Policies(), CONTACT, row, answer)


@given(policies, rows, answers)
def test_a_record_that_was_read_in_full_need_not_be_read_again(
    own: Policies, row: Row, answer: Json | None
) -> None:
    whole: Json = {
        **dict.fromkeys(FIELDS[:4], "x"),
        "typed_custom_fields": {},
        "phone_numbers": [],
        "updated_at": "2025-01-01T00:00:00.000Z",
    }
    row = Row(1, (1,), "p@a.com", {n: v for n, v in row.values.items() if n != "website_url"})
    assert not needs_the_record(own, CONTACT, row, whole)


def test_a_record_is_left_to_the_row_that_wrote_it_last() -> None:
    own = Policies({"title": FieldPolicy.NEWEST})
    row = Row(1, (1,), "p@a.com", {"title": "new"}, changed_at=moment("2020-01-01"))
    answer: Json = {"title": "old", "updated_at": "2025-01-01T00:00:00.000Z"}

    assert apply_policies(own, CONTACT, row, answer, "2025-01-01T00:00:00.000Z").row is row
    assert apply_policies(own, CONTACT, row, answer, "2024-12-31T00:00:00.000Z").protected == (
        "title",
    )


def test_names_stand_for_the_field_that_takes_their_id() -> None:
    named = {"owner_email": FieldPolicy.CREATE_ONLY, "account_stage": FieldPolicy.NEVER}

    assert policies_of(named, CONTACT, custom_field).of("owner_id") is FieldPolicy.CREATE_ONLY
    assert policies_of(named, ACCOUNT, custom_field).keeps_out("account_stage_id")
    assert not policies_of(named, CONTACT, custom_field).keeps_out("contact_stage_id")


def test_custom_fields_are_found_by_label_or_property() -> None:
    for name in ("Lead Score", "lead_score"):
        found = policies_of({name: FieldPolicy.NEVER}, CONTACT, custom_field)
        assert found.keeps_out(SCORE)
        assert found.labels == {SCORE: "Lead Score"}


def test_never_for_all_leaves_the_key_by_which_apollo_recognises_records() -> None:
    for object_type in OBJECTS.values():
        found = policies_of({ALL_OTHERS: FieldPolicy.NEVER}, object_type, custom_field)
        assert not found.keeps_out(object_type.match_field)
        assert found.of(object_type.match_field) is FieldPolicy.CREATE_ONLY


def test_a_name_that_means_nothing_for_either_object_is_told() -> None:
    named = dict.fromkeys(
        ["titel", "title", "domain", "owner_email", "Lead Score", ALL_OTHERS, LABEL_NAMES],
        FieldPolicy.NEVER,
    )
    assert unknown_names(named, custom_field) == ["titel"]


def test_lists_are_added_to_when_a_record_is_created_only() -> None:
    own = Policies({LABEL_NAMES: FieldPolicy.CREATE_ONLY})
    row = Row(1, (1,), "p@a.com", {"title": "a"}, lists=("Wave 1",))
    assert apply_policies(own, CONTACT, row, None, None).row.lists == ()
