"""The endpoints that a sync with given settings needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.cli.check.findings import Check
from target_apollo.cli.check.needs import needs_of
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.rows import Mode
from target_apollo.sandbox import Sandbox
from tests.helpers.keys import BOTH, CONTACTS, settings_of


@pytest.mark.parametrize(
    ("key", "mode", "exit_code"),
    [
        ("insert-only", "insert", 0),
        ("insert-only", "upsert", 2),
        ("insert-only", "update", 2),
        ("update-only", "update", 0),
        ("update-only", "insert", 2),
        ("update-only", "upsert", 2),
        ("contacts-only", "upsert", 0),
    ],
)
def test_a_key_is_judged_by_what_the_mode_needs(
    check: Callable[..., Check], key: str, mode: str, exit_code: int
) -> None:
    assert check(key, CONTACTS, mode=mode).verdict[0] == exit_code


def test_insert_asks_for_no_update_of_accounts(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    check(mode="insert")
    assert sandbox.count("PATCH /accounts/{id}") == 0


def test_a_mode_of_a_stream_counts_for_its_object(check: Callable[..., Check]) -> None:
    streams = {"crm_people": {"object": "contacts", "mode": "insert"}}
    found = check("insert-only", CONTACTS, streams=streams)
    assert found.modes == {ObjectKind.CONTACTS: {Mode.INSERT}}
    assert found.verdict[0] == 0


def test_a_stream_without_a_mode_of_its_own_has_the_general_one(
    check: Callable[..., Check],
) -> None:
    streams = {"a-contacts": {"mode": "insert"}, "b-contacts": {"key": ["id"]}}
    found = check("insert-only", CONTACTS, streams=streams)
    assert found.modes == {ObjectKind.CONTACTS: {Mode.INSERT, Mode.UPSERT}}
    assert found.verdict[0] == 2


def test_a_glob_that_tells_no_object_counts_for_both(check: Callable[..., Check]) -> None:
    found = check(streams={"crm.*": {"mode": "update"}})
    assert found.modes == {kind: {Mode.UPDATE} for kind in ObjectKind}


def test_a_key_for_contacts_is_not_enough_for_both_objects(check: Callable[..., Check]) -> None:
    assert check("contacts-only", BOTH).verdict[0] == 2


@pytest.mark.parametrize("more", [{"lists": ["Customers"]}, {"custom_fields": {"mrr": "MRR"}}])
def test_a_filled_setting_makes_its_endpoints_needed(
    check: Callable[..., Check], more: dict[str, Any]
) -> None:
    assert check("contacts-only", CONTACTS).verdict[0] == 0
    assert check("contacts-only", CONTACTS, **more).verdict[0] == 2


@pytest.mark.parametrize(
    ("setting", "endpoint"),
    [
        ({"field_policy": {"title": "fill_if_empty"}}, "GET /contacts/{id}"),
        ({"field_policy": {"Lead Score": "create_only"}}, "GET /fields"),
        ({"on_delete": "stage:Gone"}, "GET /contact_stages"),
        ({"on_delete": "list:Gone"}, "POST /labels/add_entity_ids_to_label_names"),
    ],
)
def test_the_check_requires_what_a_run_with_these_settings_ends_without(
    setting: dict[str, Any], endpoint: str
) -> None:
    def required(**settings: object) -> set[str]:
        found = settings_of("https://example.com", **settings)
        return {need.endpoint for need in needs_of(found, [ObjectKind.CONTACTS]) if need.required}

    assert endpoint not in required()
    assert endpoint in required(**setting)


def test_lists_are_checked_for_what_they_take_in_their_mode() -> None:
    def required(mode: str) -> set[str]:
        found = settings_of("https://example.com", streams={"list_members": {"mode": mode}})
        return {need.endpoint for need in needs_of(found, []) if need.required}

    remove = "POST /labels/remove_entity_ids_from_label_names"
    assert {"GET /labels", "POST /labels/add_entity_ids_to_label_names"} <= required("add")
    assert required("mirror") - required("add") == {remove}


def test_sequences_are_asked_for_where_a_sync_may_enrol(check: Callable[..., Check]) -> None:
    asked = {one.endpoint for one in check(allow_sequences=["Spring"]).findings}
    assert {"GET /email_accounts", "POST /emailer_campaigns/{id}/add_contact_ids"} <= asked
    assert "POST /emailer_campaigns/remove_or_stop_contact_ids" not in asked


def test_a_mirror_of_sequences_needs_the_endpoint_that_ends_enrolments(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    found = check(streams={"sequence_members": {"mode": "mirror"}})
    (ending,) = [
        one for one in found.findings if one.endpoint.endswith("remove_or_stop_contact_ids")
    ]
    assert ending.access.value == "allowed"
    assert sandbox.store.sequences.enrolments() == []
