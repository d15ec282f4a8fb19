"""The sandbox of these tests, with a program whose runs the page can tell from each other."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.page import rendering
from tests.helpers.html_reader import Reader
from tests.sandbox.conftest import Client, apollo

__all__ = ["apollo"]


@pytest.fixture
def program(apollo: Sandbox) -> Client:
    """A program that begins each run by checking its key, as the target does."""
    client = Client(apollo)
    client._session.headers["user-agent"] = "target-apollo/1.0"
    return client


def seen(apollo: Sandbox, **query: str) -> Reader:
    """The page at an address with these parameters."""
    reader = Reader(rendering.page(apollo, query))
    assert reader.unclosed == []
    return reader


def by_hand(apollo: Sandbox, what: str, order: dict[str, Any]) -> Any:
    base = apollo.url.removesuffix("/api/v1")
    return requests.post(f"{base}/_sandbox/{what}", json=order, timeout=20).json()
