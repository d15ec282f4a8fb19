"""The target, run inside the test against a sandbox, as the system tests run it."""

from __future__ import annotations

from tests.promises.conftest import apollo, sync, target_config

__all__ = ["apollo", "sync", "target_config"]
