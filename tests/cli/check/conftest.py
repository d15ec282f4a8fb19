"""Checks against a sandbox that knows the keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.findings import Check
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sandbox import Sandbox, SandboxOptions
from tests.helpers.checking import Team
from tests.helpers.keys import BOTH, KEYS, settings_of
from tests.helpers.new_sandbox import new_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, api_keys=KEYS)) as sandbox:
        yield sandbox


@pytest.fixture
def check(sandbox: Sandbox) -> Callable[..., Check]:
    def check(key: str = "sandbox", kinds: Collection[ObjectKind] = BOTH, **more: Any) -> Check:
        return check_connection(settings_of(sandbox.url, key, **more), kinds)

    return check


@pytest.fixture(scope="module")
def crm() -> Iterator[Sandbox]:
    """A team with custom fields, lists, users and a sequence; nothing of a check changes it."""
    with new_sandbox(SandboxOptions(strict=True)) as sandbox:
        store = sandbox.store
        store.add_custom_field("contact", "Lead Score", "number")
        store.add_custom_field("contact", "Tier", "picklist", ["Gold", "Silver"])
        store.add_custom_field("account", "ERP id", "string")
        store.add_user(email="robin.repp@team.example", first_name="Robin", last_name="Repp")
        store.add_contact(email="ada@example.com", label_names=["Customers"])
        store.sequences.add("Spring")
        yield sandbox


@pytest.fixture
def team(crm: Sandbox, tmp_path: Path) -> Team:
    return Team(crm, tmp_path)
