"""Row parsers with names that Apollo knows, and generated records of any kind for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

from target_apollo.model import values
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.row_parser import RowParser
from target_apollo.model.rows import Mode, NullPolicy, Row

OWNER, OTHER, STAGE = "a" * 24, "b" * 24, "c" * 24
TIER = "d" * 24
EMAIL = "ada@example.com"


class CustomFields:
    """The custom fields of these tests, like `row_parser.CustomFields`."""

    def custom_value(
        self, object_type: ObjectType, name: str
    ) -> tuple[str, Callable[[str, object], str | None]] | None:
        return (TIER, values.text) if name in ("tier", "industry") else None


def reader(
    object_type: ObjectType = CONTACT,
    mode: Mode = Mode.UPSERT,
    key: Sequence[str] = ("id",),
    **own: Any,
) -> RowParser:
    """A reader of a stream whose schema has every property."""
    properties = own.pop("properties", frozenset({*object_type.fields, "id", "apollo_id"}))
    return RowParser(object_type, mode, key, properties, CustomFields(), **own)


def read(record: dict[str, object], **own: Any) -> Row:
    return reader(**own).read(1, record)


def reason_of(record: dict[str, object], **own: Any) -> Reason:
    with pytest.raises(RecordError) as refused:
        read(record, **own)
    return refused.value.rejection.reason


PROPERTIES = (
    *CONTACT.fields, *ACCOUNT.fields, *CONTACT.named_fields, *ACCOUNT.named_fields,
    "id", "apollo_id", "label_names", "contact_emails", "tier", "nowhere",
)  # fmt: skip
hostile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
    | st.text(st.characters(exclude_categories=()), max_size=12)
    | st.sampled_from([EMAIL, "example.com", OWNER, "ada@team.example", "Cold"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
hostile_records = st.dictionaries(st.sampled_from(PROPERTIES) | st.text(max_size=5), hostile)
readers = st.builds(
    lambda object_type, mode, nulls, key: reader(object_type, mode, key, null_policy=nulls),
    st.sampled_from([CONTACT, ACCOUNT]),
    st.sampled_from(Mode),
    st.sampled_from(NullPolicy),
    st.sampled_from([(), ("id",), ("id", "title")]),
)
