"""Which method updates an account: PUT or PATCH.

Apollo's reference had PUT /accounts/{id} before and has PATCH now. PUT is tried first; the answers
tell which one is taken, and a 404 can mean the route or the record:

    unknown --PUT: any answer of Apollo's but 404 and 405--> PUT
    unknown --PUT: 404 or 405, PATCH: any answer of Apollo's but 404 and 405--> PATCH
    unknown --PUT: 404, PATCH: 404--> unknown (the record is missing)
    PUT     --PUT: 405, PATCH: any answer of Apollo's but 404 and 405--> PATCH
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from target_apollo.apollo.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_apollo.apollo.bodies import JSON

    _Update = Callable[[str, JSON], JSON]

_NO_ROUTE = 405
_NO_ROUTE_OR_RECORD = 404


class AccountUpdate:
    """Carries updates of accounts out by the method that Apollo takes. Shared by all threads."""

    def __init__(self, *, put: _Update, patch: _Update) -> None:
        self._put = put
        self._patch = patch
        self._lock = threading.Lock()
        self._method: str | None = None

    def __call__(self, account_id: str, fields: JSON) -> JSON:
        """Update an account and return it."""
        if self._method == "PATCH":
            return self._patch(account_id, fields)
        try:
            account = self._put(account_id, fields)
        except RequestRefused as refusal:
            if refusal.status == _NO_ROUTE:
                return self._patch_instead(account_id, fields)
            if refusal.status == _NO_ROUTE_OR_RECORD:
                if self._method != "PUT":
                    return self._patch_instead(account_id, fields)
            elif refusal.from_apollo:
                self._decide("PUT")
            raise
        self._decide("PUT")
        return account

    def _patch_instead(self, account_id: str, fields: JSON) -> JSON:
        try:
            account = self._patch(account_id, fields)
        except RequestRefused as refusal:
            if refusal.from_apollo and refusal.status not in (_NO_ROUTE, _NO_ROUTE_OR_RECORD):
                self._decide("PATCH")
            raise
        self._decide("PATCH")
        return account

    def _decide(self, method: str) -> None:
        # PATCH overrules: it is decided only after a PUT was turned away, whereas PUT may be
        # decided by an answer that was under way meanwhile.
        with self._lock:
            if self._method is None or method == "PATCH":
                self._method = method
