"""A check asks each endpoint once and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.findings import Access, Check
from target_apollo.cli.check.needs import ELSE_ASKED, PROBES, needs_of
from target_apollo.model.objects.registry import STREAM_OBJECTS
from target_apollo.model.rows import Mode
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.keys import BOTH, access_of, settings_of
from tests.helpers.new_sandbox import new_sandbox


@pytest.mark.parametrize(
    ("mode", "unknown_id", "put_accounts"),
    [
        ("insert", "unprocessable", "not_found"),
        ("update", "not_found", "not_found"),
        ("upsert", "unprocessable", "not_allowed"),
        ("upsert", "not_found", "not_allowed"),
        ("upsert", "unprocessable", "accepted"),
        ("upsert", "not_found", "accepted"),
    ],
)
def test_a_check_changes_nothing_and_finds_everything_allowed(
    mode: str, unknown_id: str, put_accounts: str
) -> None:
    options = SandboxOptions(strict=True).replaced(
        {"unknown_id": unknown_id, "put_accounts": put_accounts}
    )
    with new_sandbox(options) as sandbox:
        sandbox.store.add_contact(email="ada@example.com", first_name="Ada")
        sandbox.store.add_account(domain="example.com", name="Example")

        def held() -> tuple[Any, ...]:
            store = sandbox.store
            return store.contacts(), store.accounts(), store.labels(), store.custom_fields()

        before = json.dumps(held())
        found = check_connection(
            settings_of(sandbox.url, mode=mode, lists=["New"], custom_fields={"a": "b"}), BOTH
        )
        assert json.dumps(held()) == before
        assert set(access_of(found).values()) == {Access.ALLOWED}


def test_each_endpoint_is_asked_once(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    check()
    asked = [seen.endpoint for seen in sandbox.requests]
    assert len(asked) == len(set(asked))


def test_every_endpoint_that_any_sync_uses_can_be_asked() -> None:
    wanted = {
        need.endpoint
        for mode in Mode
        for need in needs_of(settings_of("https://example.com", mode=mode.value), BOTH)
    }
    wanted |= {
        need.endpoint
        for one in STREAM_OBJECTS.values()
        for mode in one.modes
        for need in needs_of(
            settings_of(
                "https://example.com", streams={one.name: {"object": one.name, "mode": mode.value}}
            ),
            BOTH,
        )
    }
    assert wanted | set(ELSE_ASKED.values()) == set(PROBES)


@pytest.mark.parametrize("endpoint", PROBES)
def test_no_probe_carries_a_record(endpoint: str) -> None:
    body = PROBES[endpoint].request.body or {}
    if endpoint.endswith("/search"):
        return
    allowed = {"run_dedupe", "async", "modality", "entity_ids", "label_names"}
    assert set(body) <= allowed
    assert not body.get("entity_ids")
    assert not body.get("label_names")
