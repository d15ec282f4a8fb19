"""The report of a check, as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

from target_apollo.apollo import ForbiddenBy, endpoints
from target_apollo.cli.check.command import as_json, as_lines
from target_apollo.cli.check.findings import Access, Check, Finding
from target_apollo.cli.check.needs import Need
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.keys import CONTACTS, CONTACTS_UPDATE, CREATE, access_of


def test_a_master_key_may_use_everything(check: Callable[..., Check]) -> None:
    found = check()
    assert set(access_of(found).values()) == {Access.ALLOWED}
    assert found.verdict == (0, "Usable.")


def test_the_team_and_the_user_are_named_without_an_e_mail(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    said = "\n".join(as_lines(check())) + json.dumps(as_json(check()))
    user = next(user for user in sandbox.store.users() if user["id"] == sandbox.store.admin_id)
    assert sandbox.store.team_id in said
    assert f"{user['first_name']} {user['last_name']}" in said
    assert user["email"]
    assert "@" not in said


def test_a_forbidden_endpoint_is_said_with_the_entry_to_add(check: Callable[..., Check]) -> None:
    found = check("insert-only", CONTACTS)
    line = next(line for line in as_lines(found) if "PATCH /contacts/{id}" in line)
    assert "forbidden" in line
    assert f"add {CONTACTS_UPDATE} to the key's list" in line
    exit_code, because = found.verdict
    assert exit_code == 2
    assert f"Add {CONTACTS_UPDATE} to the key's list" in because


def test_the_quota_is_said_from_the_headers_where_the_statistics_are_forbidden(
    check: Callable[..., Check],
) -> None:
    found = check("contacts-only", CONTACTS)
    line = next(line for line in as_lines(found) if "POST /contacts/bulk_create" in line)
    assert "left 199/min, 399/h, 1999/day" in line


def test_the_quota_is_said_from_the_statistics_where_the_answers_do_not_tell(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(Fault(CREATE, FaultKind.ERROR_BEFORE_WRITE, status=422, body={}))
    found = check("with-usage", CONTACTS)
    line = next(line for line in as_lines(found) if "POST /contacts/bulk_create" in line)
    assert "allowed" in line
    assert "left 199/min, 399/h, 1999/day" in line


def test_the_json_says_the_same_as_the_lines(check: Callable[..., Check]) -> None:
    found = check("insert-only", CONTACTS)
    said = json.loads(json.dumps(as_json(found)))
    assert (said["exit_code"], said["because"]) == found.verdict
    assert said["usable"] is False
    by_endpoint = {row["endpoint"]: row for row in said["endpoints"]}
    assert by_endpoint["PATCH /contacts/{id}"]["standing"] == "forbidden"
    assert by_endpoint["PATCH /contacts/{id}"]["key_entry"] == CONTACTS_UPDATE
    assert by_endpoint["PATCH /contacts/{id}"]["required"] is True
    assert by_endpoint["POST /contacts/bulk_create"]["quota"]["hour"]["left"] == 399
    assert said["modes"] == {"contacts": ["upsert"]}


def test_under_oauth_scopes_are_asked_for_and_no_entries_of_a_key() -> None:
    need = Need(endpoints.UPDATE_CONTACT, (ObjectKind.CONTACTS,), required=True)
    found = Finding(need, need.endpoint, Access.FORBIDDEN, ForbiddenBy.SCOPE, oauth=True)
    check = Check("https://x.example", {}, 900, oauth=True, key_valid=True, findings=(found,))

    said = "\n".join([*as_lines(check), check.verdict[1]])

    assert "the token may not use PATCH /contacts/{id}" in said
    assert "contact_update" in said
    assert "apollo-sync login" in said
    assert "key's list" not in said
    assert CONTACTS_UPDATE not in said
