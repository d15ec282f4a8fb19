"""The worlds of the tests on identity: each kind of ledger, and none."""

from tests.promises.identity.conftest import (
    any_world,
    bare_world,
    identity_database,
    identity_server,
    world,
)

__all__ = ["any_world", "bare_world", "identity_database", "identity_server", "world"]
