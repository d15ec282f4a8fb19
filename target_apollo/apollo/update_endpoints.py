"""Which of the two update endpoints of an object Apollo takes, by its answers.

Apollo documents PATCH for accounts, and used to document PUT. A 404 can mean that the route is
missing or that the record is:

    unknown --PATCH: any answer of Apollo's but 404 and 405--> PATCH
    unknown --PATCH: 404 or 405, PUT: any answer of Apollo's but 404 and 405--> PUT
    unknown --PATCH: 404, PUT: 404--> unknown (the record is missing)
    unknown --PATCH: 404, PUT: 405--> PATCH (the record is missing)
    PATCH   --PATCH: 405, PUT: any answer of Apollo's but 404 and 405--> PUT

With PUT from an earlier run (`begin_with`) the two change places.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_apollo.apollo.endpoints import ObjectEndpoints
    from target_apollo.apollo.errors import RequestRefused

_NO_ROUTE = 405
_NO_ROUTE_OR_RECORD = 404


class UpdateEndpoints:
    """What is known of the update endpoints so far. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Plural of an object -> the endpoint that Apollo takes, once known.
        self._taken: dict[str, str] = {}
        #: Plural of an object -> the endpoint that an earlier run has found to be taken.
        self._taken_before: dict[str, str] = {}

    def begin_with(self, of: ObjectEndpoints, endpoint: str) -> None:
        """Try first the endpoint that an earlier run has found to be taken.

        Apollo may have changed since: if it refuses the endpoint, the other one is tried. Any
        other label is ignored.
        """
        if endpoint == of.update_instead:
            self._taken_before[of.plural] = endpoint

    def taken(self, of: ObjectEndpoints) -> str | None:
        """Return the endpoint that Apollo's answers have shown to be taken; None if unknown."""
        return self._taken.get(of.plural)

    def in_order(self, of: ObjectEndpoints) -> tuple[str, str]:
        """Return the two endpoints of an object, in the order in which they are tried."""
        other = of.update_instead or of.update
        is_turned = self._taken_before.get(of.plural) == other
        return (other, of.update) if is_turned else (of.update, other)

    def may_lack_first(self, of: ObjectEndpoints, refusal: RequestRefused) -> bool:
        """Return whether a refusal of the first endpoint may mean that the route is missing."""
        is_open = self.taken(of) != self.in_order(of)[0]
        return refusal.status == _NO_ROUTE or (is_open and refusal.status == _NO_ROUTE_OR_RECORD)

    def note_refused(self, of: ObjectEndpoints, endpoint: str, refusal: RequestRefused) -> None:
        """Note a refusal, which shows that the route is there unless it may be about that."""
        if refusal.from_apollo and refusal.status not in (_NO_ROUTE, _NO_ROUTE_OR_RECORD):
            self.note_taken(of, endpoint)

    def note_taken(self, of: ObjectEndpoints, endpoint: str) -> None:
        """Note that Apollo has taken an endpoint.

        The second endpoint wins: it is tried only after Apollo has turned the first away, whereas
        the first may be noted late, by an answer that was outstanding meanwhile.
        """
        with self._lock:
            if of.plural not in self._taken or endpoint != self.in_order(of)[0]:
                self._taken[of.plural] = endpoint


def lacks_second_only(by_first: RequestRefused, by_second: RequestRefused) -> bool:
    """Return whether both refused, but only the second has no route: then the record is missing."""
    return by_first.status != by_second.status and by_second.status == _NO_ROUTE
