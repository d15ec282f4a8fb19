"""An endpoint of the API and a call of it, with the values that the call sends."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.sandbox.checks import strict
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.options import SandboxOptions
from target_apollo.sandbox.serving.errors import Refusal, unprocessable
from target_apollo.sandbox.serving.rate_windows import EndpointWindows


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

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, or None."""
        values = self.query.get(name)
        return values[0] if values else None

    def text(self, name: str) -> str:
        """A value of the JSON body or else of the query, as text; empty if it is missing."""
        return str(self.body.get(name) or self.parameter(name) or "")

    def required(self, name: str) -> str:
        """The same value; raises Refusal (422) if it is missing."""
        value = self.text(name)
        if not value:
            raise _missing(name)
        return value

    def listed(self, name: str) -> list[str]:
        """The texts under ``name`` in the JSON body, or under ``name[]`` in the query."""
        sent = self.body.get(name)
        values = sent if isinstance(sent, list) else self.query.get(f"{name}[]", ())
        return [str(value) for value in values]

    def names(self, name: str) -> list[str]:
        """The names in a list of the JSON body, trimmed and without repeats; none if it is none."""
        sent = self.body.get(name)
        names = sent if isinstance(sent, list) else ()
        return list(dict.fromkeys(filter(None, (one.strip() for one in names if type(one) is str))))

    def ids(self, name: str) -> list[str]:
        """The same texts; raises Refusal (422) if there are none."""
        ids = self.listed(name)
        if not ids:
            raise _missing(name)
        return ids

    def number(self, name: str, default: int) -> int:
        """A whole number of the JSON body or else of the query; other values are the default.

        Raises:
            Refusal: 422 in strict mode, for such a value.
        """
        sent = self.body.get(name) or self.parameter(name) or default
        try:
            return int(sent)
        except (TypeError, ValueError, OverflowError):
            if self.options.strict:
                problem = f"`{name}` must be a whole number"
                raise strict.refusal(self.endpoint.label, problem) from None
            return default


def _missing(name: str) -> Refusal:
    return unprocessable(f"Required parameter '{name}' missing")
