from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from target_apollo.apollo import ENDPOINTS
from target_apollo.model import values
from target_apollo.model.objects.registry import (
    ACCOUNT,
    APOLLO_ID,
    CONTACT,
    LABEL_NAMES,
    OBJECTS,
    Compare,
    Field,
    ObjectType,
)

_BESIDE_THE_PROJECT = Path(__file__).parents[4] / "shared" / "apollo-openapi.json"

both = pytest.mark.parametrize(
    "object_type", [CONTACT, ACCOUNT], ids=lambda object_type: object_type.kind.value
)


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """The paths of Apollo's own OpenAPI document."""
    path = Path(os.environ.get("APOLLO_OPENAPI", _BESIDE_THE_PROJECT))
    if not path.exists():
        pytest.skip(
            "Apollo's OpenAPI document is not here: name it in the environment variable "
            "APOLLO_OPENAPI"
        )
    paths: dict[str, Any] = json.loads(path.read_text("utf-8"))["paths"]
    return paths


def body(documented: dict[str, Any], path: str, method: str = "post") -> dict[str, Any]:
    """Name -> schema of what a request's body may hold."""
    content = documented[path][method]["requestBody"]["content"]["application/json"]
    properties: dict[str, Any] = content["schema"]["properties"]
    return properties


def documented_names(object_type: ObjectType, documented: dict[str, Any]) -> dict[str, set[str]]:
    """Column of the table -> names that Apollo documents for it."""
    plural, one = object_type.kind.value, object_type.singular
    create = body(documented, f"/{plural}/bulk_create")
    bulk = body(documented, f"/{plural}/bulk_update")
    return {
        "create": set(create[plural]["items"]["properties"]),
        "create_wide": set(create),
        "update": set(body(documented, f"/{plural}/{{{one}_id}}", "patch")),
        "bulk": set(bulk[f"{one}_attributes"]["items"]["properties"]),
    }


every_field = pytest.mark.parametrize(
    ("object_type", "field"),
    [
        pytest.param(object_type, field, id=f"{object_type.kind.value}.{field.name}")
        for object_type in OBJECTS.values()
        for field in object_type.fields.values()
    ],
)


@every_field
def test_an_endpoint_is_sent_only_names_that_apollo_documents_for_it(
    object_type: ObjectType, field: Field, documented: dict[str, Any]
) -> None:
    names = documented_names(object_type, documented)
    assert field.create is None or field.create in names["create"]
    assert not field.create_wide or field.name in names["create_wide"]
    assert field.update is None or field.update in names["update"]
    assert field.bulk is None or field.bulk in names["bulk"]


@both
def test_custom_fields_and_lists_are_documented_where_they_are_sent(
    object_type: ObjectType, documented: dict[str, Any]
) -> None:
    names = documented_names(object_type, documented)
    assert "typed_custom_fields" in names["create"] & names["update"]
    assert {"append_label_names", "run_dedupe"} <= names["create_wide"]
    lists = body(documented, "/labels/add_entity_ids_to_label_names")
    assert object_type.kind.value in lists["modality"].get("enum", [object_type.kind.value])


@both
def test_a_field_that_patch_takes_under_its_own_name_is_written_there(
    object_type: ObjectType, documented: dict[str, Any]
) -> None:
    taken = documented_names(object_type, documented)["update"]
    assert {name for name in object_type.fields if name in taken} == {
        name for name, field in object_type.fields.items() if field.update == name
    }


@both
def test_a_field_that_bulk_create_takes_under_its_own_name_is_written_there(
    object_type: ObjectType, documented: dict[str, Any]
) -> None:
    taken = documented_names(object_type, documented)["create"]
    assert {name for name in object_type.fields if name in taken} == {
        name for name, field in object_type.fields.items() if field.create == name
    }


@both
def test_a_field_stands_in_the_table_under_its_own_name(object_type: ObjectType) -> None:
    assert {name: field.name for name, field in object_type.fields.items()} == {
        name: name for name in object_type.fields
    }


@both
def test_no_two_fields_share_a_name_in_a_bulk_create_item(object_type: ObjectType) -> None:
    names = [field.create for field in object_type.fields.values() if field.create]
    assert len(names) == len(set(names))


@both
def test_no_two_fields_share_a_name_in_bulk_update(object_type: ObjectType) -> None:
    names = [field.bulk for field in object_type.fields.values() if field.bulk]
    assert len(names) == len(set(names))


@both
def test_only_phone_numbers_share_a_name_in_a_single_update(object_type: ObjectType) -> None:
    taken: dict[str, list[Field]] = {}
    for field in object_type.fields.values():
        if field.update:
            taken.setdefault(field.update, []).append(field)
    shared = [group for group in taken.values() if len(group) > 1]
    assert all(field.compare is Compare.PHONE for group in shared for field in group)


@every_field
def test_a_field_can_be_compared_unless_apollo_never_shows_it(
    object_type: ObjectType, field: Field
) -> None:
    written = field.create or field.create_wide or field.update or field.bulk
    by_phone_list = object_type is CONTACT and field.compare is Compare.PHONE
    assert not written or field.read or by_phone_list or field.compare is Compare.BLIND


@every_field
def test_a_field_that_holds_an_apollo_id_takes_only_apollo_ids(
    object_type: ObjectType, field: Field
) -> None:
    ours = {"owner_id", "account_id", "parent_account_id", f"{object_type.singular}_stage_id"}
    assert (field.normalise is values.apollo_id) == (field.name in ours)


@both
def test_the_match_field_is_compared_in_its_own_spelling(object_type: ObjectType) -> None:
    field = object_type.fields[object_type.match_field]
    assert field.create == field.read == object_type.match_field
    assert field.compare in (Compare.EMAIL, Compare.DOMAIN)


@both
def test_crm_ids_are_fields_that_a_new_record_carries_and_an_answer_shows(
    object_type: ObjectType,
) -> None:
    assert all(
        object_type.fields[name].create and object_type.fields[name].read
        for name in object_type.crm_ids
    )


@both
def test_a_name_stands_for_a_field_that_takes_an_id(object_type: ObjectType) -> None:
    named = object_type.named_fields
    assert set(named.values()) <= set(object_type.fields)
    assert not set(named) & set(object_type.fields)


@both
def test_properties_about_the_record_are_no_fields_of_it(object_type: ObjectType) -> None:
    assert not {APOLLO_ID, LABEL_NAMES} & set(object_type.fields)


@both
def test_the_endpoints_are_known_to_the_client(object_type: ObjectType) -> None:
    of = object_type.endpoints
    labels = {of.create, of.read, of.update, of.bulk_update, of.update_owners, of.search, of.stages}
    labels |= {label for label in (of.update_instead, of.update_stages) if label is not None}
    assert labels <= set(ENDPOINTS)


@both
def test_the_endpoints_name_an_object_as_its_kind_and_its_fields_do(
    object_type: ObjectType,
) -> None:
    assert object_type.endpoints.plural == object_type.kind.value
    assert object_type.endpoints.stage_key == object_type.named_fields[object_type.stage_name]


def test_the_promised_fields_of_a_contact_are_there() -> None:
    promised = {
        "email", "first_name", "last_name", "title", "organization_name", "phone_number",
        "direct_phone", "corporate_phone", "mobile_phone", "home_phone", "other_phone",
        "linkedin_url", "website_url", "present_raw_address", "owner_id", "contact_stage_id",
        "account_id", "salesforce_id", "hubspot_id",
    }  # fmt: skip
    assert promised <= set(CONTACT.fields)
    assert set(CONTACT.named_fields) == {
        "owner_email",
        "contact_stage",
        "account_domain",
    }


def test_the_promised_fields_of_an_account_are_there() -> None:
    promised = {
        "domain", "name", "phone_number", "industry", "raw_address", "linkedin_url", "owner_id",
        "account_stage_id", "parent_account_id", "salesforce_id", "hubspot_id",
    }  # fmt: skip
    assert promised <= set(ACCOUNT.fields)
    assert set(ACCOUNT.named_fields) == {"owner_email", "account_stage", "parent_account_domain"}


@pytest.mark.parametrize(("object_type", "name"), [(CONTACT, "contact"), (ACCOUNT, "account")])
def test_a_sentence_can_name_one_of_them(object_type: ObjectType, name: str) -> None:
    assert object_type.singular == name
