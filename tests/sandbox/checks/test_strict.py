from __future__ import annotations

from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox
from tests.sandbox.conftest import Client, fresh

BARE = "a" * 24


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/contacts", {"linkedin_url": "x"}, "`linkedin_url`"),
        ("POST", "/contacts", {"owner_id": BARE}, "`owner_id`"),
        ("PATCH", f"/contacts/{BARE}", {"existence_level": "none"}, "`existence_level`"),
        ("PATCH", f"/contacts/{BARE}", {"run_dedupe": True}, "`run_dedupe`"),
        (
            "POST",
            "/contacts/bulk_create",
            {"contacts": [{"email": "a@b.example"}, {"owner_id": BARE}]},
            "`contacts[1].owner_id`",
        ),
        (
            "POST",
            "/contacts/bulk_create",
            {"contacts": [{"mobile_phone": "1"}]},
            "`contacts[0].mobile_phone`",
        ),
        ("POST", "/contacts/bulk_create", {"contact_attributes": []}, "`contact_attributes`"),
        (
            "POST",
            "/contacts/bulk_update",
            {"contact_attributes": [{"id": BARE, "contact_stage_id": BARE}]},
            "`contact_attributes[0].contact_stage_id`",
        ),
        ("POST", "/contacts/search", {"q_email": "x"}, "`q_email`"),
        ("POST", "/accounts", {"website_url": "x"}, "`website_url`"),
        ("PATCH", f"/accounts/{BARE}", {"label_names": []}, "`label_names`"),
        (
            "POST",
            "/accounts/bulk_update",
            {"account_attributes": [{"id": BARE, "domain": "x.example"}]},
            "`account_attributes[0].domain`",
        ),
        ("POST", "/labels", {"name": "x", "modality": "contacts", "colour": "red"}, "`colour`"),
        (
            "POST",
            "/contacts",
            {"typed_custom_fields": {f"contact.{BARE}": "x"}},
            f"`contact.{BARE}`",
        ),
        ("POST", "/contacts", {"typed_custom_fields": {BARE: "x"}}, f"`{BARE}`"),
        ("POST", "/contacts", {"first_name": 5}, "`first_name`"),
        ("POST", "/contacts", {"run_dedupe": "true"}, "`run_dedupe`"),
        ("POST", "/contacts/search", {"page": "2"}, "`page`"),
        ("POST", "/contacts/search", {"per_page": 101}, "no page 1 of 101 records"),
        ("GET", "/users/search?page=two", None, "`page` must be a whole number"),
        ("POST", "/accounts/search", {"page": -1}, "no page -1 of 25 records"),
        ("POST", "/contacts/search", {"sort_ascending": True}, "`sort_ascending`"),
        ("POST", "/contacts", {"label_names": "Friends"}, "`label_names`"),
        ("GET", "/labels?page=2", None, "`page`"),
        ("POST", "/contacts", ["x"], "the body is no JSON object"),
    ],
)
def test_what_apollo_ignores_is_refused_by_name(
    client: Client, method: str, path: str, body: Any, named: str
) -> None:
    error = client.error(method, path, body)["error"]
    assert error.startswith("sandbox strict: ")
    assert named in error
    route = path.replace(BARE, "{id}").partition("?")[0]
    assert f"({method} {route})" in error


def test_a_value_of_a_custom_field_must_be_text(apollo: Sandbox, client: Client) -> None:
    field_id = apollo.store.add_custom_field("contact", "Age", "number")["id"]
    error = client.error("POST", "/contacts", {"typed_custom_fields": {field_id: 5}})["error"]
    assert f"typed_custom_fields.{field_id}" in error


def test_a_field_of_the_other_modality_is_refused(apollo: Sandbox, client: Client) -> None:
    field_id = apollo.store.add_custom_field("account", "Size", "number")["id"]
    error = client.error("POST", "/contacts", {"typed_custom_fields": {field_id: "5"}})["error"]
    assert "which is no contact field" in error


def test_json_must_be_declared_as_such(apollo: Sandbox) -> None:
    answer = requests.post(
        apollo.url + "/contacts",
        data=b'{"email": "a@b.example"}',
        headers={"x-api-key": apollo.api_key},
        timeout=20,
    )
    assert "without `content-type: application/json`" in answer.json()["error"]


def test_json_that_is_not_declared_as_such_is_an_empty_body(apollo: Sandbox) -> None:
    apollo.set_options(strict=False)
    answer = requests.post(
        apollo.url + "/accounts",
        data=b'{"name": "Read by nobody"}',
        headers={"x-api-key": apollo.api_key, "content-type": "text/plain"},
        timeout=20,
    )
    assert answer.json() == {"error": "Please specify at least a name or domain."}


def test_a_body_that_is_no_json_is_400(apollo: Sandbox) -> None:
    answer = requests.post(
        apollo.url + "/contacts",
        data=b"{",
        headers={"x-api-key": apollo.api_key, "content-type": "application/json"},
        timeout=20,
    )
    assert answer.status_code == 400


def test_without_strict_the_same_is_ignored(apollo: Sandbox, client: Client) -> None:
    apollo.set_options(strict=False)
    owner = apollo.store.add_user(email=fresh())["id"]
    field_id = apollo.store.add_custom_field("contact", "Colour", "string")["id"]
    (made,) = client.bulk_create(
        {
            "email": fresh(),
            "owner_id": owner,
            "mobile_phone": "555 555 0100",
            "typed_custom_fields": {f"contact.{field_id}": "red", BARE: "blue"},
        }
    )["created_contacts"]
    assert made["owner_id"] == apollo.store.admin_id
    assert made["phone_numbers"] == []
    assert made["typed_custom_fields"] == {}
    before = client.get(f"/contacts/{made['id']}")["contact"]["updated_at"]
    after = client.patch(f"/contacts/{made['id']}", {"existence_level": "none"})["contact"]
    assert (after["existence_level"], after["updated_at"]) == ("full", before)
