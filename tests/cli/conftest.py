"""Fixtures that run the target inside the test against a sandbox, shared with the promises."""

from __future__ import annotations

from tests.promises.conftest import apollo, sync, target_config

__all__ = ["apollo", "sync", "target_config"]
