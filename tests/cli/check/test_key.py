"""The user and team of the key, and whether Apollo knows the key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from target_apollo.cli.check.command import as_lines
from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.findings import Check
from target_apollo.config.settings import SettingsError
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.helpers.http_server import Received, Reply, Server
from tests.helpers.keys import BOTH, CONTACTS, CREATE, PROFILE, settings_of


def test_a_wrong_key_ends_the_check_at_once(sandbox: Sandbox, check: Callable[..., Check]) -> None:
    found = check("wrong")
    exit_code, because = found.verdict
    assert (found.key_valid, exit_code) == (False, 2)
    assert "api_key" in because
    assert len(sandbox.requests) == 1


def test_a_key_that_may_not_ask_who_it_is_is_valid(check: Callable[..., Check]) -> None:
    found = check("nameless", CONTACTS)
    assert found.key_valid is True
    assert found.profile is None
    assert found.verdict[0] == 0
    line = next(line for line in as_lines(found) if line.split()[:1] == ["forbidden"])
    assert "GET /users/api_profile" in line
    assert f"add {PROFILE} to the key's list" in line


def test_a_key_that_may_do_nothing_is_valid_and_not_usable(check: Callable[..., Check]) -> None:
    found = check("nothing")
    assert found.key_valid is True
    assert found.verdict[0] == 2


def test_a_key_with_a_blank_is_refused_before_anything_is_sent(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    with pytest.raises(SettingsError, match="api_key") as refused:
        check("secret key")
    assert "secret key" not in str(refused.value)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("logged_in", "exit_code", "key_valid"), [(False, 2, False), (True, 1, True)]
)
def test_without_a_profile_the_key_is_judged_by_is_logged_in(
    logged_in: bool, exit_code: int, key_valid: bool
) -> None:
    def answer(request: Received) -> Reply:
        if request.path.endswith("/auth/health"):
            return Reply(200, {"healthy": True, "is_logged_in": logged_in})
        return Reply(500, "<html>", content_type="text/html")

    server = Server()
    server.default = answer
    try:
        found = check_connection(settings_of(server.url), BOTH)
    finally:
        server.close()
    assert found.key_valid is key_valid
    assert found.verdict[0] == exit_code


def test_a_403_without_a_word_of_apollo_proves_no_key() -> None:
    server = Server()
    server.default = lambda _: Reply(403, "<html>", content_type="text/html")
    try:
        found = check_connection(settings_of(server.url), BOTH)
    finally:
        server.close()
    assert found.key_valid is None
    assert found.verdict[0] == 1
    assert "api_url" in found.verdict[1]


def test_a_key_that_is_revoked_during_the_check_is_not_valid(
    sandbox: Sandbox, check: Callable[..., Check]
) -> None:
    sandbox.inject(Fault(CREATE, FaultKind.ERROR_BEFORE_WRITE, status=401, body={"error": "gone"}))
    found = check()
    assert (found.key_valid, found.verdict[0]) == (False, 2)
