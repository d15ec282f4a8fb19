"""Worlds for the tests of identity: a ledger of each kind, updates singly and in bulk.

The first world of a fixture is the fast one; the others have the marker ``full``, and ``chaos``
those whose ledger and method of updates another one has, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.databases import shared_server
from tests.helpers.worlds import World
from tests.ledger.conftest import own_schema
from tests.promises.conftest import Run

SQLITE, POSTGRESQL, NONE = "sqlite", "postgresql", "none"
SINGLE, BULK = "individual", "bulk"


def _params(*pairs: tuple[str, str]) -> list[object]:
    params = []
    ledgers, methods = set[str](), set[str]()
    for ledger, method in pairs:
        marks = [pytest.mark.full] if params else []
        if ledger in ledgers and method in methods:
            marks.append(pytest.mark.chaos)
        ledgers.add(ledger)
        methods.add(method)
        params.append(pytest.param((ledger, method), id=f"{ledger}-{method}", marks=marks))
    return params


@pytest.fixture(scope="session")
def identity_server() -> str:
    """URL of a PostgreSQL server: that of DATABASE_URL, or that of all tests."""
    return shared_server().url


@pytest.fixture
def identity_database(identity_server: str) -> Iterator[str]:
    with own_schema(identity_server) as url:
        yield url


def _world(request: pytest.FixtureRequest, apollo: Sandbox, sync: Run) -> World:
    ledger, method = request.param
    settings: dict[str, object] = {"update_method": method}
    if ledger == POSTGRESQL:
        settings["ledger_url"] = request.getfixturevalue("identity_database")
    elif ledger == NONE:
        settings["ledger_url"] = ""
    return World(apollo, sync, settings, has_ledger=ledger != NONE)


@pytest.fixture(
    params=_params((SQLITE, SINGLE), (POSTGRESQL, BULK), (SQLITE, BULK), (POSTGRESQL, SINGLE))
)
def world(request: pytest.FixtureRequest, apollo: Sandbox, sync: Run) -> World:
    """An empty team in Apollo, and a ledger."""
    return _world(request, apollo, sync)


@pytest.fixture(
    params=_params(
        (SQLITE, SINGLE), (NONE, SINGLE), (POSTGRESQL, BULK), (SQLITE, BULK), (NONE, BULK)
    )
)
def any_world(request: pytest.FixtureRequest, apollo: Sandbox, sync: Run) -> World:
    """An empty team in Apollo, with a ledger or without one."""
    return _world(request, apollo, sync)


@pytest.fixture(params=_params((NONE, SINGLE), (NONE, BULK)))
def bare_world(request: pytest.FixtureRequest, apollo: Sandbox, sync: Run) -> World:
    """An empty team in Apollo, and no ledger."""
    return _world(request, apollo, sync)
