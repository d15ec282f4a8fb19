"""What travels through the sandbox: an endpoint and a call of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.rate_windows import EndpointWindows
from target_apollo.sandbox.store import Store


@dataclass
class Call:
    """One request on its way to an endpoint, past authentication and limits.

    ``windows`` are the team's, by endpoint entry; ``now`` is in seconds since the epoch, ``stamp``
    the same moment as Apollo writes it.
    """

    endpoint: Endpoint
    store: Store
    options: SandboxOptions
    chance: random.Random
    windows: Mapping[str, EndpointWindows]
    endpoints: Sequence[Endpoint]
    user_id: str
    record_id: str
    query: Mapping[str, list[str]]
    body: dict[str, Any]
    now: float
    stamp: str


@dataclass(frozen=True)
class Endpoint:
    """A route of the API; ``answer`` returns what is sent as JSON with 200, or raises Refusal."""

    method: str
    path: str
    controller: str
    action: str
    scope: str
    answer: Callable[[Call], Any]

    @property
    def label(self) -> str:
        """As logs, counts and faults name it: ``PATCH /contacts/{id}``."""
        return f"{self.method} {self.path}"

    @property
    def entry(self) -> str:
        """As an API key's list of endpoints names it: ``api/v1/contacts/update``."""
        return f"{self.controller}/{self.action}"
