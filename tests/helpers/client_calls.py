"""Calls of the methods of `ApolloClient`, and the request that each must send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from target_apollo.apollo import ACCOUNT_ENDPOINTS as ACCOUNTS
from target_apollo.apollo import CONTACT_ENDPOINTS as CONTACTS
from target_apollo.apollo import ApolloClient
from tests.helpers.http_server import Server

ID = "66e34b81740c50074e3d1bd4"
OTHER = "66e9abf95ac32901b20d1a0d"
OWNER = "66302798d03b9601c7934ebf"
STAGE = "6095a710bd01d100a506d4ae"


def last_request(server: Server) -> tuple[str, str, Any]:
    """The last request to the server: method, path below ``/api/v1``, and body or else query."""
    request = server.received[-1]
    path = request.path.removeprefix("/api/v1")
    return request.method, path, request.body if request.content else request.query


Call = tuple[Callable[[ApolloClient], Any], str, str, dict[str, Any]]
CHANGES: dict[str, Call] = {
    "bulk_update_contacts": (
        lambda client: client.bulk_update(CONTACTS, [{"id": ID, "title": "VP"}]),
        "contacts",
        "/contacts/bulk_update",
        {"contact_attributes": [{"id": ID, "title": "VP"}], "async": False},
    ),
    "bulk_update_accounts": (
        lambda client: client.bulk_update(ACCOUNTS, [{"id": ID, "name": "B"}]),
        "accounts",
        "/accounts/bulk_update",
        {"account_attributes": [{"id": ID, "name": "B"}]},
    ),
    "update_contact_owners": (
        lambda client: client.update_owners(CONTACTS, [ID], OWNER),
        "contacts",
        "/contacts/update_owners",
        {"contact_ids": [ID], "owner_id": OWNER},
    ),
    "update_account_owners": (
        lambda client: client.update_owners(ACCOUNTS, [ID], OWNER),
        "accounts",
        "/accounts/update_owners",
        {"account_ids": [ID], "owner_id": OWNER},
    ),
    "update_contact_stages": (
        lambda client: client.update_stages(CONTACTS, [ID], STAGE),
        "contacts",
        "/contacts/update_stages",
        {"contact_ids": [ID], "contact_stage_id": STAGE},
    ),
    "search_contacts": (
        lambda client: client.search(CONTACTS, "a@b.co"),
        "contacts",
        "/contacts/search",
        {"q_keywords": "a@b.co", "page": 1, "per_page": 100},
    ),
    "search_accounts": (
        lambda client: client.search(ACCOUNTS, "Acme", page=2, per_page=5),
        "accounts",
        "/accounts/search",
        {"q_organization_name": "Acme", "page": 2, "per_page": 5},
    ),
}
METHODS: dict[str, Callable[[ApolloClient], Any]] = {
    **{name: call[0] for name, call in CHANGES.items()},
    "profile": lambda client: client.profile(),
    "health": lambda client: client.health(),
    "users": lambda client: list(client.users()),
    "contact_stages": lambda client: client.stages(CONTACTS),
    "account_stages": lambda client: client.stages(ACCOUNTS),
    "labels": lambda client: client.labels(),
    "custom_fields": lambda client: client.custom_fields(),
    "usage": lambda client: client.usage(),
    "create_contacts": lambda client: client.create(CONTACTS, [{}]),
    "create_accounts": lambda client: client.create(ACCOUNTS, [{}]),
    "contact": lambda client: client.read(CONTACTS, ID),
    "account": lambda client: client.read(ACCOUNTS, ID),
    "update_contact": lambda client: client.update(CONTACTS, ID, {}),
    "update_account": lambda client: client.update(ACCOUNTS, ID, {}),
    "add_to_lists": lambda client: client.add_to_lists(CONTACTS, [ID], ["Fair"]),
}
