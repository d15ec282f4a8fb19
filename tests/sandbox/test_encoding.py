"""A contact in a bulk answer equals its whole object, though it is encoded in another way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sandbox.data.records import (
    CREATED_CONTACT,
    UPDATED_CONTACT,
    Contact,
    ContactTemplate,
    contact_object,
)

_EMAILS = st.one_of(
    st.none(),
    st.sampled_from(["ann@gmail.com", "bob@example.com", 'o"hara\\@exämple.com', ""]),
    st.text(st.characters(codec="utf-8"), min_size=1).map("{}@example.com".format),
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.lists(st.just({"type": "mobile"}), max_size=2),
)
_OWN = st.fixed_dictionaries(
    {"id": st.just("6" * 24), "email": _EMAILS},
    optional=dict.fromkeys(
        ["title", "name", "free_domain", "phone_numbers", "crm_id", "contact_emails"], _VALUES
    ),
)
_SHAPES = [CREATED_CONTACT, UPDATED_CONTACT, {**CREATED_CONTACT, "team_id": "5" * 24}]
_TEMPLATES = [ContactTemplate(shape) for shape in _SHAPES]


@given(_OWN, st.sampled_from([(), ("other@example.com",)]), st.sampled_from(_TEMPLATES))
def test_an_encoded_contact_is_the_contact_object(
    own: dict[str, Any], emails: tuple[str, ...], template: ContactTemplate
) -> None:
    contact = Contact(own, emails)
    assert json.loads(bytes(template.encoded(contact))) == contact_object(contact, template.shape)
