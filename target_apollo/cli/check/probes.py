"""How an endpoint is asked whether it may be used, without anything being changed. Pure.

Apollo checks the key before it reads a request: 403 where the key may not, and where it may, an
answer or the refusal of a request that asks for nothing. A probe counts as one request of its
endpoint's quota and costs no credits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from target_apollo.apollo import JSON, Request, RequestRefused, endpoints

#: Apollo's ids are MongoDB's, which begin with the second of their making: none is all zeros.
NO_RECORD: Final = "0" * 24

# Refusals that come behind the key's check: 400 malformed, 422 asks for nothing. 404 is one only
# where the path names a record; elsewhere it is the sign of a wrong address.
_REFUSED: Final = frozenset({400, 422})
_NO_SUCH_RECORD: Final = _REFUSED | {404}


@dataclass(frozen=True)
class Probe:
    """A request that changes nothing, and the refusals that show that the key was let in."""

    request: Request
    lets_in: frozenset[int]

    def may_use(self, refusal: RequestRefused) -> bool:
        """Whether a refusal is Apollo's word on the request, given after it accepted the key."""
        return refusal.from_apollo and refusal.status in self.lets_in


def _read(endpoint: str, **params: Any) -> Probe:
    # Reading changes nothing.
    method, path = endpoint.split(" ", 1)
    return Probe(Request(method, path, endpoint, params=params or None), _REFUSED)


def _post(endpoint: str, body: JSON) -> Probe:
    method, path = endpoint.split(" ", 1)
    return Probe(Request(method, path, endpoint, body), _REFUSED)


def _of_no_record(endpoint: str, body: JSON | None = None) -> Probe:
    # No record has this id; and if one had it, an empty body holds no field to change.
    method, path = endpoint.split(" ", 1)
    request = Request(method, path.replace("{id}", NO_RECORD), endpoint, body)
    return Probe(request, _NO_SUCH_RECORD)


PROBES: Final[Mapping[str, Probe]] = {
    probe.request.endpoint: probe
    for probe in (
        _read(endpoints.FIELDS, source="custom"),
        _read(endpoints.TYPED_CUSTOM_FIELDS),
        _read(endpoints.USERS, page=1, per_page=1),
        _read(endpoints.CONTACT_STAGES),
        _read(endpoints.ACCOUNT_STAGES),
        _read(endpoints.LABELS),
        # A search is a POST that only reads.
        _post(
            endpoints.SEARCH_ACCOUNTS,
            {"q_organization_name": "example", "page": 1, "per_page": 1},
        ),
        _post(endpoints.SEARCH_CONTACTS, {"q_keywords": "example", "page": 1, "per_page": 1}),
        _of_no_record(endpoints.READ_CONTACT),
        _of_no_record(endpoints.READ_ACCOUNT),
        _of_no_record(endpoints.UPDATE_CONTACT, {}),
        _of_no_record(endpoints.PUT_ACCOUNT, {}),
        _of_no_record(endpoints.PATCH_ACCOUNT, {}),
        # Without an array of records there is nothing to create: documented as 422. run_dedupe
        # stands here as in every bulk_create that is ever sent.
        _post(endpoints.CREATE_CONTACTS, {"run_dedupe": True}),
        _post(endpoints.CREATE_ACCOUNTS, {"run_dedupe": True}),
        # Names neither a contact nor a value: documented as 422.
        _post(endpoints.BULK_UPDATE_CONTACTS, {"async": False}),
        _post(endpoints.BULK_UPDATE_ACCOUNTS, {}),
        _post(endpoints.UPDATE_CONTACT_OWNERS, {}),
        _post(endpoints.UPDATE_CONTACT_STAGES, {}),
        # Names neither a record nor a list, so that no list is made either: documented as 200 with
        # the message that nothing was provided.
        _post(
            endpoints.ADD_TO_LISTS,
            {"entity_ids": [], "label_names": [], "modality": "contacts", "async": False},
        ),
    )
}

#: What is asked where an endpoint is no route (404 or 405), as the sync itself does.
ELSE_ASKED: Final[Mapping[str, str]] = {endpoints.PUT_ACCOUNT: endpoints.PATCH_ACCOUNT}
