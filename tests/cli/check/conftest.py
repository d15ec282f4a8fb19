"""Checks against a sandbox that knows the keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from target_apollo.cli.check.connection import Check, check_connection
from target_apollo.model.objects import ObjectKind
from target_apollo.sandbox import Sandbox, SandboxOptions
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
