"""The endpoints in use, and what a key or a token needs to reach each.

Source: the "Endpoint essentials" of every operation in Apollo's API reference. An API key is either
a master key or carries a list of entries like `api/v1/contacts/bulk_create`; an OAuth token carries
scopes.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Access:
    """What an endpoint asks for: an entry in a key's list, an OAuth scope; None: not known."""

    key_entry: str | None
    scope: str | None


PROFILE: Final = "GET /users/api_profile"
HEALTH: Final = "GET /auth/health"
USERS: Final = "GET /users/search"
CONTACT_STAGES: Final = "GET /contact_stages"
ACCOUNT_STAGES: Final = "GET /account_stages"
LABELS: Final = "GET /labels"
ADD_TO_LISTS: Final = "POST /labels/add_entity_ids_to_label_names"
FIELDS: Final = "GET /fields"
CREATE_FIELD: Final = "POST /fields"
TYPED_CUSTOM_FIELDS: Final = "GET /typed_custom_fields"
USAGE: Final = "POST /usage_stats/api_usage_stats"

CREATE_CONTACTS: Final = "POST /contacts/bulk_create"
READ_CONTACT: Final = "GET /contacts/{id}"
UPDATE_CONTACT: Final = "PATCH /contacts/{id}"
BULK_UPDATE_CONTACTS: Final = "POST /contacts/bulk_update"
UPDATE_CONTACT_OWNERS: Final = "POST /contacts/update_owners"
UPDATE_CONTACT_STAGES: Final = "POST /contacts/update_stages"
SEARCH_CONTACTS: Final = "POST /contacts/search"

CREATE_ACCOUNTS: Final = "POST /accounts/bulk_create"
READ_ACCOUNT: Final = "GET /accounts/{id}"
PUT_ACCOUNT: Final = "PUT /accounts/{id}"
PATCH_ACCOUNT: Final = "PATCH /accounts/{id}"
BULK_UPDATE_ACCOUNTS: Final = "POST /accounts/bulk_update"
UPDATE_ACCOUNT_OWNERS: Final = "POST /accounts/update_owners"
SEARCH_ACCOUNTS: Final = "POST /accounts/search"

ENDPOINTS: Final[Mapping[str, Access]] = MappingProxyType(
    {
        PROFILE: Access("api/v1/users/api_profile", "read_user_profile"),
        HEALTH: Access(None, None),  # answers without credentials too
        USERS: Access("api/v1/users/search", "users_list"),
        CONTACT_STAGES: Access("api/v1/contact_stages/index", "contact_stages_list"),
        ACCOUNT_STAGES: Access("api/v1/account_stages/index", "account_stages_list"),
        LABELS: Access("api/v1/labels/index", "tags_list"),
        ADD_TO_LISTS: Access("api/v1/labels/add_entity_ids_to_label_names", "lists_add_entities"),
        FIELDS: Access("api/v1/fields/index", "custom_fields_list"),
        CREATE_FIELD: Access("api/v1/fields/create", "custom_field_write"),
        TYPED_CUSTOM_FIELDS: Access("api/v1/typed_custom_fields/index", "custom_fields_list"),
        USAGE: Access("api/v1/usage_stats/api_usage_stats", "api_usage_stats_read"),
        CREATE_CONTACTS: Access("api/v1/contacts/bulk_create", "contacts_bulk_create"),
        READ_CONTACT: Access("api/v1/contacts/show", "contact_read"),
        UPDATE_CONTACT: Access("api/v1/contacts/update", "contact_update"),
        BULK_UPDATE_CONTACTS: Access("api/v1/contacts/bulk_update", "contacts_bulk_update"),
        UPDATE_CONTACT_OWNERS: Access("api/v1/contacts/update_owners", "contact_owners_update"),
        UPDATE_CONTACT_STAGES: Access("api/v1/contacts/update_stages", "contact_stages_update"),
        SEARCH_CONTACTS: Access("api/v1/contacts/search", "contacts_search"),
        CREATE_ACCOUNTS: Access("api/v1/accounts/bulk_create", "account_bulk_create"),
        READ_ACCOUNT: Access("api/v1/accounts/show", "account_read"),
        PUT_ACCOUNT: Access("api/v1/accounts/update", "account_update"),
        PATCH_ACCOUNT: Access("api/v1/accounts/update", "account_update"),
        # The scope is named after stages although the endpoint writes names, owners and fields too.
        BULK_UPDATE_ACCOUNTS: Access("api/v1/accounts/bulk_update", "account_stages_update"),
        UPDATE_ACCOUNT_OWNERS: Access("api/v1/accounts/update_owners", "account_owners_update"),
        SEARCH_ACCOUNTS: Access("api/v1/accounts/search", "accounts_search"),
    }
)


def access_to(endpoint: str) -> Access:
    """Return what an endpoint (a label such as "PATCH /contacts/{id}") asks for."""
    return ENDPOINTS.get(endpoint, Access(None, None))


def endpoints_of(key_entry: str) -> tuple[str, ...]:
    """Return the labels that share a key's list entry; Apollo counts their requests together."""
    return tuple(label for label, access in ENDPOINTS.items() if access.key_entry == key_entry)
