"""Which values of a row and of a record are the same."""

from __future__ import annotations

import pytest

from target_apollo.model.objects.registry import ACCOUNT, CONTACT, Json, ObjectType
from target_apollo.model.rows import Values
from tests.helpers.single_record import both, contact, empty_record, needed_by


@pytest.mark.parametrize(
    ("name", "value", "record"),
    [
        ("email", "ada@example.com", contact(email=" Ada@Example.com ")),
        ("email", "ada@example.com",
         contact(email="b@c.de", contact_emails=[{"email": "ADA@example.com"}])),
        ("title", "VP", contact(title=" VP ")),
        ("linkedin_url", "https://linkedin.com/in/ada",
         contact(linkedin_url="http://www.linkedin.com/in/ada/")),
        ("mobile_phone", "+1 (415) 555-0199",
         contact(phone_numbers=[{"type": "mobile", "sanitized_number": "+14155550199"}])),
        ("phone_number", "0014155550199",
         contact(phone_numbers=[{"type": "work_hq", "raw_number": "+1 415 555 0199"}])),
        ("title", None, contact(title="")),
        ("owner_id", None, contact(owner_id=None)),
    ],
)  # fmt: skip
def test_another_notation_of_the_same_value_is_no_change(
    name: str, value: str | None, record: Json
) -> None:
    assert not needed_by(CONTACT, {name: value}, record)


@pytest.mark.parametrize(
    ("name", "value", "record"),
    [
        ("title", "VP", contact(title="vp")),
        ("title", "VP", contact(title=None)),
        ("title", None, contact(title="VP")),
        ("mobile_phone", "+1415", contact(phone_numbers=[{"type": "home", "raw_number": "+1415"}])),
        ("mobile_phone", None, contact(phone_numbers=[{"type": "mobile", "raw_number": "+1415"}])),
        ("email", "ada@example.com", contact(email="bob@example.com")),
        ("owner_id", "a" * 24, contact(owner_id="b" * 24)),
    ],
)
def test_another_value_is_a_change(name: str, value: str | None, record: Json) -> None:
    assert needed_by(CONTACT, {name: value}, record)


def test_an_account_s_domain_and_phone_are_compared_by_what_they_mean() -> None:
    record = {**empty_record(ACCOUNT), "domain": "www.Example.com", "phone": "+14155550199"}
    values: Values = {"domain": "example.com", "phone_number": "+1 415-555-0199"}
    assert not needed_by(ACCOUNT, values, record)


@both
def test_a_field_that_the_answer_leaves_out_is_sent(object_type: ObjectType) -> None:
    name = "title" if object_type is CONTACT else "name"
    assert needed_by(object_type, {name: "x"}, {"id": "f" * 24}).update == {name: "x"}


def test_a_field_that_apollo_never_shows_is_always_sent() -> None:
    needed = needed_by(CONTACT, {"website_url": "https://a.b"}, contact())
    assert needed.update == {"website_url": "https://a.b"}
