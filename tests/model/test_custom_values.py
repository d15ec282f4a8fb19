"""Values of custom fields become text in the form of their field's type, or are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_apollo.apollo import CustomField
from target_apollo.model.custom_values import normaliser_of
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.values import Normalise

quick = settings(deadline=None, max_examples=25)

TYPES = (
    *("string", "textarea", "number", "date", "datetime", "boolean", "picklist"),
    *("multipicklist", "phone", "url", "email", "currency"),
)
OPTIONS = {"Gold": "6" * 24, "Silver ": "7" * 24, "true": "8" * 24}

any_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False, min_value=-(10**20), max_value=10**20)
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.dates().map(str)
    | st.datetimes().map(str)
    | st.sampled_from([*OPTIONS, "6" * 24, "yes", "0", "1e5", " 12 "]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


def normaliser(kind: str) -> Normalise:
    """The normaliser of a custom field of a type."""
    return normaliser_of(CustomField("5" * 24, "Tier", "contact", kind, OPTIONS))


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=any_values)
def test_a_value_becomes_text_or_is_refused(kind: str, value: object) -> None:
    try:
        written = normaliser(kind)("tier", value)
    except RecordError as problem:
        assert problem.rejection.reason in (Reason.WRONG_TYPE, Reason.UNKNOWN_NAME)  # noqa: PT017
    else:
        assert written is None or (isinstance(written, str) and written)


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=any_values)
def test_what_was_written_is_written_the_same_again(kind: str, value: object) -> None:
    try:
        written = normaliser(kind)("tier", value)
    except RecordError:
        return
    assert normaliser(kind)("tier", written) == written


@pytest.mark.parametrize("kind", TYPES)
@quick
@given(value=st.text(st.characters(categories=["Lo"]), min_size=6))
def test_a_refusal_never_shows_the_value_of_a_custom_field(kind: str, value: str) -> None:
    try:
        normaliser(kind)("tier", value)
    except RecordError as problem:
        assert value not in problem.rejection.detail  # noqa: PT017


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_null_and_blanks_are_nothing_in_every_type(kind: str, nothing: object) -> None:
    assert normaliser(kind)("tier", nothing) is None


@pytest.mark.parametrize("kind", ["multipicklist", "multi_select"])
def test_a_field_of_several_options_takes_them_in_every_notation(kind: str) -> None:
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", kind, OPTIONS))
    both = f"{'6' * 24},{'7' * 24}"
    notations = [["Gold", "Silver"], '["silver","GOLD"]', "{Gold,Silver}", "Silver; Gold", both,
                 ["6" * 24, "Silver", None, "n/a"]]  # fmt: skip
    assert [found("tags", value) for value in notations] == [both] * len(notations)
    assert found("tags", "Gold") == "6" * 24
    assert found("tags", []) is found("tags", "N/A") is None


def test_an_option_with_a_comma_in_its_name_is_one_option() -> None:
    options = {"A, B": "1" * 24, "A": "2" * 24, "B": "3" * 24}
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", "multipicklist", options))
    assert found("tags", "A, B") == "1" * 24
    assert found("tags", "B, A") == f"{'2' * 24},{'3' * 24}"


@pytest.mark.parametrize("value", ["Gold, Bronze", ["Bronze"], "[Gold, Silver]"])
def test_of_several_options_each_must_be_one(value: object) -> None:
    found = normaliser_of(CustomField("5" * 24, "Tags", "contact", "multipicklist", OPTIONS))
    with pytest.raises(RecordError):
        found("tags", value)


@pytest.mark.parametrize(("value", "written"), [(True, "true"), (False, "false"), (7, "7")])
def test_a_text_field_takes_numbers_and_truth_values(value: object, written: str) -> None:
    assert normaliser("string")("tier", value) == written


# --- numbers


@quick
@given(
    st.integers(-(10**20), 10**20)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9)
)
def test_a_number_keeps_its_value(value: int | Decimal) -> None:
    written = normaliser("number")("tier", f" {value} ")
    assert written is not None
    assert Decimal(written) == value
    assert "E" not in written


@pytest.mark.parametrize("value", ["ten", "inf", "-Infinity", "1,500", "0x10", "1 00"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(RecordError, match="must be a number"):
        normaliser("number")("tier", value)


@pytest.mark.parametrize("value", ["1e100000", Decimal("1E+100000"), "1e-100000"])
def test_a_custom_number_of_absurd_size_is_refused_and_not_spelled_out(value: object) -> None:
    with pytest.raises(RecordError):
        normaliser("number")("tier", value)


# --- truth values


@pytest.mark.parametrize("value", [True, 1, "1", "true", "TRUE", " Yes ", "y", "t", Decimal("1.0")])
def test_every_notation_of_true_is_true(value: object) -> None:
    assert normaliser("boolean")("tier", value) == "true"


@pytest.mark.parametrize("value", [False, 0, "0", "false", "F", "No", "n", Decimal("0.0")])
def test_every_notation_of_false_is_false(value: object) -> None:
    assert normaliser("boolean")("tier", value) == "false"


@pytest.mark.parametrize("value", ["perhaps", 2, [True]])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    with pytest.raises(RecordError):
        normaliser("boolean")("tier", value)


# --- picklists


@quick
@given(st.sampled_from(list(OPTIONS)), st.sampled_from([str.lower, str.upper, str.title]))
def test_an_option_is_found_by_its_name_whatever_its_case(name: str, spell: object) -> None:
    assert callable(spell)
    assert normaliser("picklist")("tier", f" {spell(name)} ") == OPTIONS[name]


@pytest.mark.parametrize("option", OPTIONS.values())
def test_the_id_of_an_option_is_taken_as_it_is(option: str) -> None:
    assert normaliser("picklist")("tier", option) == option


@quick
@given(st.lists(st.sampled_from(["Gold", "gold", "GOLD", "ß", "SS", "a"]), unique=True, min_size=1))
@example(["Gold", "GOLD"])
def test_an_option_s_own_name_is_never_read_as_another_option(names: list[str]) -> None:
    options = {name: f"{number:024x}" for number, name in enumerate(names)}
    found = normaliser_of(CustomField("5" * 24, "Tier", "contact", "picklist", options))
    assert [found("tier", name) for name in names] == list(options.values())


def test_a_name_that_is_no_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecordError) as refused:
        normaliser("picklist")("tier", "Bronze")
    assert refused.value.rejection.detail == (
        "Apollo has no option of the custom field 'Tier' of the name in 'tier'; "
        "it has Gold, Silver, true"
    )


def test_a_misspelled_option_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(RecordError, match="'Goldd' \\('tier'\\); did you mean 'Gold'\\?"):
        normaliser("picklist")("tier", "Goldd")


def test_a_picklist_without_options_says_so() -> None:
    found = normaliser_of(CustomField("5" * 24, "Tier", "contact", "picklist", {}))
    with pytest.raises(RecordError, match="it has none"):
        found("tier", "Gold")
