from __future__ import annotations

import pytest

from target_apollo.cli.fields.missing import standard_fields
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectType
from target_apollo.model.rows import Mode


@pytest.mark.parametrize("object_type", [CONTACT, ACCOUNT])
def test_every_field_that_an_endpoint_takes_is_listed_once(object_type: ObjectType) -> None:
    listed = [field.name for field in standard_fields(object_type)]
    assert len(listed) == len(set(listed))
    taken = {f.name for f in object_type.fields.values() if f.create or f.update or f.bulk}
    lists = {"label_names", object_type.more_emails} - {None}
    assert set(listed) == taken | set(object_type.named_fields) | lists


def test_a_field_says_what_writes_it() -> None:
    fields = {field.name: field for field in standard_fields(CONTACT)}
    assert fields["first_name"].new == "POST /contacts/bulk_create"
    assert fields["first_name"].existing == ("PATCH /contacts/{id}", "POST /contacts/bulk_update")
    assert fields["owner_id"].new == "POST /contacts/bulk_create"
    assert fields["owner_id"].existing == ("POST /contacts/bulk_update",)
    # A typed number is no part of the creation; it follows it.
    assert fields["mobile_phone"].new == "PATCH /contacts/{id}"
    assert fields["contact_stage"].names == "contact_stage_id"


def test_what_no_endpoint_changes_is_not_written_in_mode_update() -> None:
    for object_type, name in ((CONTACT, "salesforce_id"), (ACCOUNT, "parent_account_id")):
        (field,) = [field for field in standard_fields(object_type) if field.name == name]
        assert field.existing == ()
        assert field.modes == (Mode.INSERT, Mode.UPSERT)
