"""Fixtures: a new strict sandbox without limits, and a simple client for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox

_numbers = itertools.count(1)


class Client:
    """Sends requests with the first API key. ``call`` returns the response, other methods JSON."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["x-api-key"] = sandbox.api_key

    def use(self, api_key: str) -> None:
        """Send another API key from now on."""
        self._session.headers["x-api-key"] = api_key

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self._session.request(method, self.sandbox.url + path, json=body, timeout=20, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self._good(self.call("POST", path, body, **more))

    def patch(self, path: str, body: Any) -> Any:
        return self._good(self.call("PATCH", path, body))

    def get(self, path: str, **more: Any) -> Any:
        return self._good(self.call("GET", path, **more))

    def error(self, method: str, path: str, body: Any = None, *, status: int = 422) -> Any:
        """Send a request that must be refused with this status; returns the body."""
        response = self.call(method, path, body)
        assert response.status_code == status, response.text
        return response.json()

    def bulk_create(self, *contacts: dict[str, Any], **more: Any) -> Any:
        return self.post(
            "/contacts/bulk_create", {"contacts": list(contacts), "run_dedupe": True, **more}
        )

    def bulk_accounts(self, *accounts: dict[str, Any], **more: Any) -> Any:
        return self.post(
            "/accounts/bulk_create", {"accounts": list(accounts), "run_dedupe": True, **more}
        )

    @staticmethod
    def _good(response: requests.Response) -> Any:
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


@pytest.fixture
def client(apollo: Sandbox) -> Client:
    return Client(apollo)


def fresh(name: str = "person", domain: str = "fresh.example") -> str:
    """An e-mail address that no other test uses."""
    return f"{name}{next(_numbers)}@{domain}"
