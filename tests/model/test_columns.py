"""Which field the name of a column means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.columns import columns_of, field_names, field_of
from target_apollo.model.likely_fields import fields_meant
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.texts.spelling import letters_of, meant, spelled_as, value_of

OBJECTS = pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])


def no_custom_field(name: str) -> None:
    """Says that no custom field has this label."""


@OBJECTS
def test_no_two_fields_have_the_same_letters(object_type: ObjectType) -> None:
    names = field_names(object_type)
    assert len({letters_of(name) for name in names}) == len(names)


@OBJECTS
def test_every_field_is_found_by_its_exact_name(object_type: ObjectType) -> None:
    assert [field_of(object_type, name) for name in field_names(object_type)] == [
        *field_names(object_type)
    ]


@pytest.mark.parametrize("name", ["EMAIL", "E-Mail", " e_mail ", "ｅｍａｉｌ", "e\u200bmail"])
def test_a_name_in_any_spelling_is_the_field(name: str) -> None:
    assert field_of(CONTACT, name) == "email"


@pytest.mark.parametrize("name", ["OwnerId", "Owner ID", "accountId", "CONTACT_STAGE_ID"])
def test_a_field_with_an_apollo_id_needs_its_exact_name(name: str) -> None:
    assert field_of(CONTACT, name) is None


@given(st.text(max_size=12))
def test_any_text_has_letters_that_stay_as_they_are(name: str) -> None:
    assert letters_of(letters_of(name)) == letters_of(name)


@pytest.mark.parametrize("name", ["", "  ", "⭐", "--"])
def test_a_name_without_letters_means_nothing_else(name: str) -> None:
    assert field_of(CONTACT, name) is None
    assert meant(name, ["", "!", "⭐"]) == [one for one in ("", "⭐") if one == name]
    assert spelled_as(name, ["!", "?"]) == name


def test_a_custom_field_that_the_setting_names_goes_before_one_of_the_label() -> None:
    found = columns_of(CONTACT, ["tier", "icp"], lambda _name: "f" * 24, {"icp"})
    assert found.custom == {"icp": "f" * 24}
    assert found.displaced == {"tier": "icp"}


def test_a_clash_is_moot_where_a_third_column_has_the_exact_name() -> None:
    found = columns_of(CONTACT, ["EMAIL", "E-mail", "email"], no_custom_field, ())
    assert found.fields == {"email": "email"}
    assert found.clashes == ()


def test_an_exact_entry_of_a_setting_goes_before_another_spelling() -> None:
    named = {"First Name": 1, "first_name": 2}
    assert (value_of(named, "first_name"), value_of(named, "firstName")) == (2, 1)
    assert value_of(named, "last_name") is None


@OBJECTS
def test_what_is_often_meant_is_a_field_that_there_is(object_type: ObjectType) -> None:
    from target_apollo.model.likely_fields import _OFTEN_MEANT

    for name, fields in _OFTEN_MEANT[object_type.kind].items():
        assert name == letters_of(name)
        assert set(fields) <= set(field_names(object_type))
        assert fields_meant(object_type, name, fields) == ()
