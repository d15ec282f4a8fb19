"""The endpoint of an API and a call of it: what the code of each endpoint is given."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.rate_windows import EndpointWindows


@dataclass
class Call:
    """One request to an endpoint that has passed authentication and the rate limits.

    Attributes:
        endpoint: The endpoint that is called.
        store: The records.
        options: The options of the sandbox at the time of the request.
        chance: Source of random choices.
        windows: Rate windows by `Endpoint.entry`.
        endpoints: All endpoints of the API.
        user_id: The user on whose behalf the credentials act.
        record_id: The id in the path; empty where the path has none.
        query: Query parameter -> its values.
        body: The decoded JSON body; empty if it was no object.
        now: Time of the request, in epoch seconds.
        stamp: The same time as Apollo writes it.
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
    """A route of the API.

    Attributes:
        method: HTTP method.
        path: Path below ``/api/v1``, such as ``/contacts/{id}``.
        controller: First part of `entry`, such as ``api/v1/contacts``.
        action: Last part of `entry`, such as ``update``.
        scope: The OAuth scope that it needs.
        answer: Returns the value that is sent as JSON with status 200, or raises Refusal.
    """

    method: str
    path: str
    controller: str
    action: str
    scope: str
    answer: Callable[[Call], Any]

    @property
    def label(self) -> str:
        """Its name in logs, counts and faults: ``PATCH /contacts/{id}``."""
        return f"{self.method} {self.path}"

    @property
    def entry(self) -> str:
        """Its name in an API key's list of endpoints: ``api/v1/contacts/update``."""
        return f"{self.controller}/{self.action}"
