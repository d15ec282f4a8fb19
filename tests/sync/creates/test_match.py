from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.rows import Row
from target_apollo.model.texts.domains import bare_host
from target_apollo.sync.creates.match import Match, RowMatch, match_answers

quick = settings(deadline=None, max_examples=25)
both = pytest.mark.parametrize(
    "object_type", [CONTACT, ACCOUNT], ids=lambda object_type: object_type.kind.value
)

# What became of a row that was sent.
CREATED, EXISTING, ALTERED, NAMESAKE, LEFT_OUT = "created", "existing", "altered", "namesake", "out"
fates = st.sampled_from([CREATED, EXISTING, ALTERED, NAMESAKE, LEFT_OUT])


def match_key(object_type: ObjectType, number: int) -> str:
    return f"p{number}@example.com" if object_type is CONTACT else f"p{number}.example.com"


def named(object_type: ObjectType, name: str) -> dict[str, str]:
    return (
        {"first_name": name, "last_name": "Lovelace"} if object_type is CONTACT else {"name": name}
    )


def row(object_type: ObjectType, number: int, crm_id: str | None = None, name: str = "Ada") -> Row:
    key = match_key(object_type, number)
    values: dict[str, str | None] = {object_type.match_field: key, **named(object_type, name)}
    if crm_id:
        values[object_type.crm_ids[-1]] = crm_id
    return Row(number, (number,), key, values)


def answer(object_type: ObjectType, of: Row, **own: Any) -> Json:
    """A record as Apollo answers it, with the row's values unless `own` says otherwise."""
    crm_id = object_type.crm_ids[-1]
    record: Json = {
        "id": f"{of.number:024x}",
        object_type.match_field: of.match_key,
        object_type.fields[crm_id].read or "": of.values.get(crm_id),
        **{name: of.values.get(name) for name in named(object_type, "")},
    }
    return {**record, **own}


def spelled(object_type: ObjectType, key: str, notation: int) -> str:
    if object_type is CONTACT:
        return [key, key.upper(), f" {key} "][notation]
    return [key, f"https://www.{key}/", key.upper()][notation]


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[ObjectType, list[Row], list[Json], list[Json]]:
    """A bulk_create request and an answer to it, in any order and with anything left out."""
    object_type = draw(st.sampled_from([CONTACT, ACCOUNT]))
    plan = draw(
        st.lists(
            st.tuples(fates, st.integers(0, 2), st.booleans(), st.sampled_from("ABC")), max_size=7
        )
    )
    rows: list[Row] = []
    created: list[Json] = []
    existing: list[Json] = []
    for number, (fate, notation, by_crm_id, name) in enumerate(plan):
        sent = row(object_type, number, f"crm-{number}" if by_crm_id else None, name)
        rows.append(sent)
        other = match_key(object_type, 1000 + number)
        stranger = {"id": f"{1000 + number:024x}", object_type.match_field: other}
        hidden = {object_type.fields[object_type.crm_ids[-1]].read or "": None}
        key = spelled(object_type, match_key(object_type, number), notation)
        if fate == CREATED:
            created.append(answer(object_type, sent, **{object_type.match_field: key}))
        elif fate == EXISTING and by_crm_id:
            existing.append(answer(object_type, sent, **{object_type.match_field: other}))
        elif fate == EXISTING:
            existing.append(answer(object_type, sent, **{object_type.match_field: key}))
        elif fate == ALTERED:
            created.append(answer(object_type, sent, **stranger, **hidden))
        elif fate == NAMESAKE:
            existing.append(answer(object_type, sent, **stranger, **hidden))
    return (
        object_type,
        rows,
        draw(st.permutations(created)),
        draw(st.permutations(existing)),
    )


def names_it(object_type: ObjectType, of: Row, found: Json) -> bool:
    """Whether an answered record carries a row's match key or a CRM id of it."""
    keys = [found.get(object_type.match_field)]
    more = found.get("contact_emails")
    keys += [entry["email"] for entry in more] if isinstance(more, list) else []
    keys = [
        bare_host(str(key)) if object_type is ACCOUNT else str(key).strip().lower() for key in keys
    ]
    same_crm_id = any(
        of.values.get(name) and of.values[name] == found.get(object_type.fields[name].read or "")
        for name in object_type.crm_ids
    )
    return of.match_key in keys or same_crm_id


# --- laws


@quick
@given(exchanges())
def test_every_row_is_matched_once(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]],
) -> None:
    object_type, rows, created, existing = exchange
    matched = match_answers(object_type, rows, created, existing)
    assert sorted(one.row.number for one in matched) == [one.number for one in rows]


@quick
@given(exchanges())
def test_a_row_counts_as_written_only_by_an_answer_that_names_it(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]],
) -> None:
    object_type, rows, created, existing = exchange
    for one in match_answers(object_type, rows, created, existing):
        if one.match in (Match.CREATED, Match.EXISTING):
            assert one.answer in (created if one.match is Match.CREATED else existing)
            assert one.answer is not None
            assert names_it(object_type, one.row, one.answer)


@quick
@given(exchanges())
def test_a_row_that_an_answer_names_is_never_taken_for_lost(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]],
) -> None:
    object_type, rows, created, existing = exchange
    for one in match_answers(object_type, rows, created, existing):
        answered = any(names_it(object_type, one.row, found) for found in (*created, *existing))
        assert answered == (one.match in (Match.CREATED, Match.EXISTING))


@quick
@given(exchanges())
def test_no_answer_stands_for_two_rows_that_it_is_to_confirm(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]],
) -> None:
    object_type, rows, created, existing = exchange
    ids = [
        one.answer["id"]
        for one in match_answers(object_type, rows, created, existing)
        if one.answer and one.match in (Match.CREATED, Match.EXISTING)
    ]
    assert len(ids) == len(set(ids))


@quick
@given(exchanges(), st.randoms(use_true_random=False))
def test_the_order_of_the_answers_changes_nothing_about_who_is_confirmed(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]], chance: Any
) -> None:
    def confirmed() -> dict[int, tuple[Match, object]]:
        return {
            one.row.number: (one.match, one.answer["id"])
            for one in match_answers(object_type, rows, created, existing)
            if one.answer and one.match in (Match.CREATED, Match.EXISTING)
        }

    object_type, rows, created, existing = exchange
    created, existing = list(created), list(existing)
    before = confirmed()
    chance.shuffle(created)
    chance.shuffle(existing)
    assert confirmed() == before


@quick
@given(exchanges())
def test_only_an_unconfirmed_row_has_no_answer(
    exchange: tuple[ObjectType, list[Row], list[Json], list[Json]],
) -> None:
    for one in match_answers(*exchange):
        assert (one.answer is None) == (one.match is Match.UNCONFIRMED)


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("email"), inner),
    max_leaves=4,
)


@both
@quick
@given(st.data())
def test_odd_values_in_an_answer_confirm_nothing_and_break_nothing(
    object_type: ObjectType, data: st.DataObject
) -> None:
    names = [
        *named(object_type, ""),
        object_type.match_field,
        "contact_emails",
        *object_type.crm_ids,
    ]
    found = data.draw(st.dictionaries(st.sampled_from(names), odd))
    (one,) = match_answers(
        object_type, [row(object_type, 1, "crm-1")], [], [{**found, "id": "f" * 24}]
    )
    assert one.match is Match.CONFLICT


# --- cases


def only(object_type: ObjectType, sent: Row, created: list[Json], existing: list[Json]) -> RowMatch:
    (one,) = match_answers(object_type, [sent], created, existing)
    return one


@both
def test_a_new_record_is_created(object_type: ObjectType) -> None:
    sent = row(object_type, 1)
    assert only(object_type, sent, [answer(object_type, sent)], []).match is Match.CREATED


@both
def test_a_record_that_was_there_is_existing(object_type: ObjectType) -> None:
    sent = row(object_type, 1)
    assert only(object_type, sent, [], [answer(object_type, sent)]).match is Match.EXISTING


def test_a_contact_is_found_by_an_additional_e_mail() -> None:
    sent = row(CONTACT, 1)
    emails = [{"email": "other@example.com"}, {"email": "P1@Example.com"}]
    found = answer(CONTACT, sent, email="other@example.com", contact_emails=emails)
    assert only(CONTACT, sent, [], [found]).match is Match.EXISTING


def test_the_first_e_mail_of_a_record_goes_before_the_additional_one_of_another() -> None:
    rows = [row(CONTACT, 1), row(CONTACT, 2)]
    greedy = answer(CONTACT, rows[1], contact_emails=[{"email": rows[0].match_key}])
    found = match_answers(CONTACT, rows, [answer(CONTACT, rows[0]), greedy], [])
    assert [(one.row.number, (one.answer or {})["id"]) for one in found] == [
        (number, f"{number:024x}") for number in (1, 2)
    ]


def test_an_account_is_found_by_its_domain_in_any_notation() -> None:
    sent = row(ACCOUNT, 1)
    found = answer(ACCOUNT, sent, domain="https://www.P1.example.com/")
    assert only(ACCOUNT, sent, [], [found]).match is Match.EXISTING


@pytest.mark.parametrize(
    ("object_type", "name"),
    [(object_type, name) for object_type in (CONTACT, ACCOUNT) for name in object_type.crm_ids],
    ids=lambda value: value if isinstance(value, str) else value.kind.value,
)
@pytest.mark.parametrize("as_number", [False, True])
def test_a_record_is_found_by_a_crm_id_that_both_carry(
    object_type: ObjectType, name: str, as_number: bool
) -> None:
    sent = Row(1, (1,), match_key(object_type, 1), {name: "4711"})
    shown = {object_type.fields[name].read or "": 4711 if as_number else "4711"}
    found: Json = {"id": "f" * 24, object_type.match_field: match_key(object_type, 2), **shown}
    assert only(object_type, sent, [], [found]).match is Match.EXISTING


def test_the_e_mail_goes_before_a_crm_id() -> None:
    sent = row(CONTACT, 1, "crm-1")
    by_email = answer(CONTACT, sent, hubspot_vid=None)
    by_crm_id = answer(CONTACT, sent, id="e" * 24, email="other@example.com")
    one = only(CONTACT, sent, [], [by_crm_id, by_email])
    assert one.answer is by_email


@both
def test_a_namesake_that_was_there_is_a_conflict(object_type: ObjectType) -> None:
    sent = row(object_type, 1)
    found = answer(object_type, sent, **{object_type.match_field: match_key(object_type, 2)})
    assert only(object_type, sent, [], [found]).match is Match.CONFLICT


@both
def test_a_record_that_was_created_under_another_key_is_altered(object_type: ObjectType) -> None:
    sent = row(object_type, 1)
    found = answer(object_type, sent, **{object_type.match_field: match_key(object_type, 2)})
    assert only(object_type, sent, [found], []).match is Match.ALTERED


@both
def test_a_row_that_no_answer_names_is_unconfirmed(object_type: ObjectType) -> None:
    assert only(object_type, row(object_type, 1), [], []) == RowMatch(
        row(object_type, 1), Match.UNCONFIRMED, None
    )


@both
def test_a_namesake_of_another_row_s_answer_is_unconfirmed(object_type: ObjectType) -> None:
    sent = [row(object_type, 1), row(object_type, 2)]
    matched = match_answers(object_type, sent, [answer(object_type, sent[0])], [])
    assert [one.match for one in matched] == [Match.CREATED, Match.UNCONFIRMED]


@both
def test_what_is_answered_to_a_single_row_means_that_row(object_type: ObjectType) -> None:
    found: Json = {"id": "f" * 24, object_type.match_field: match_key(object_type, 2)}
    assert only(object_type, row(object_type, 1), [], [found]).match is Match.CONFLICT


@both
def test_a_stranger_among_the_answers_to_several_rows_means_none_of_them(
    object_type: ObjectType,
) -> None:
    found: Json = {"id": "f" * 24, object_type.match_field: match_key(object_type, 9)}
    found.update(named(object_type, "Zoe"))
    matched = match_answers(object_type, [row(object_type, 1), row(object_type, 2)], [], [found])
    assert [one.match for one in matched] == [Match.UNCONFIRMED] * 2


@both
def test_rows_without_a_name_are_not_each_other_s_namesakes(object_type: ObjectType) -> None:
    rows = [Row(n, (n,), match_key(object_type, n), {}) for n in (1, 2)]
    found: Json = {"id": "f" * 24, object_type.match_field: match_key(object_type, 9)}
    matched = match_answers(object_type, rows, [], [found])
    assert [one.match for one in matched] == [Match.UNCONFIRMED] * 2


def test_the_match_keys_of_a_contact_are_all_its_e_mails_once_each() -> None:
    found: Json = {
        "email": "Ada@Example.com",
        "contact_emails": [{"email": "ada@example.com"}, {"email": " b@example.com "}, {}, None],
    }
    assert addresses(CONTACT, found) == ["ada@example.com", "b@example.com"]


@pytest.mark.parametrize("nothing", [{}, {"domain": None}, {"domain": ""}, {"domain": "n/a"}])
def test_an_account_without_a_domain_has_no_match_key(nothing: Json) -> None:
    assert addresses(ACCOUNT, nothing) == []
