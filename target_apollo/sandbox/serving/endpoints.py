"""The table of endpoints: route, name in API keys, OAuth scope, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from target_apollo.sandbox.routes import (
    accounts,
    contacts,
    contacts_bulk,
    deals,
    fields,
    labels,
    lookups,
    sequences,
    tasks,
)
from target_apollo.sandbox.serving.call import Call, Endpoint

# The lists of API keys name the endpoints of deals by a service of their own.
_DEALS = "deals/api/v1/opportunities"

# (method, path, controller and action in an API key's list, OAuth scope, function that answers)
_ROWS: tuple[tuple[str, str, str, str, str, Callable[[Call], Any]], ...] = (
    ("POST", "/contacts", "contacts", "create", "contact_write", contacts.create),
    ("POST", "/contacts/search", "contacts", "search", "contacts_search", contacts.search),
    ("POST", "/contacts/bulk_create", "contacts", "bulk_create", "contacts_bulk_create",
     contacts_bulk.bulk_create),
    ("POST", "/contacts/bulk_update", "contacts", "bulk_update", "contacts_bulk_update",
     contacts_bulk.bulk_update),
    ("POST", "/contacts/update_stages", "contacts", "update_stages", "contact_stages_update",
     contacts_bulk.update_stages),
    ("POST", "/contacts/update_owners", "contacts", "update_owners", "contact_owners_update",
     contacts_bulk.update_owners),
    ("PATCH", "/contacts/{id}", "contacts", "update", "contact_update", contacts.update),
    ("PUT", "/contacts/{id}", "contacts", "update", "contact_update", contacts.update),
    ("GET", "/contacts/{id}", "contacts", "show", "contact_read", contacts.show),
    ("POST", "/accounts", "accounts", "create", "account_write", accounts.create),
    ("POST", "/accounts/search", "accounts", "search", "accounts_search", accounts.search),
    ("POST", "/accounts/bulk_create", "accounts", "bulk_create", "account_bulk_create",
     accounts.bulk_create),
    ("POST", "/accounts/bulk_update", "accounts", "bulk_update", "account_stages_update",
     accounts.bulk_update),
    ("POST", "/accounts/update_owners", "accounts", "update_owners", "account_owners_update",
     accounts.update_owners),
    ("PATCH", "/accounts/{id}", "accounts", "update", "account_update", accounts.update),
    ("PUT", "/accounts/{id}", "accounts", "update", "account_update", accounts.update),
    ("GET", "/accounts/{id}", "accounts", "show", "account_read", accounts.show),
    ("POST", "/contacts/{id}/opportunities", _DEALS, "search", "opportunities_list",
     deals.of_contact),
    ("POST", "/opportunities", _DEALS, "create", "opportunity_write", deals.create),
    ("GET", "/opportunities/search", _DEALS, "search", "opportunities_list", deals.search),
    ("POST", "/opportunities/search", _DEALS, "search", "opportunities_list", deals.search),
    ("PATCH", "/opportunities/{id}", _DEALS, "update", "opportunity_update", deals.update),
    ("GET", "/opportunities/{id}", _DEALS, "show", "opportunity_read", deals.show),
    ("GET", "/opportunity_stages", "deals/api/v1/opportunity_stages", "index",
     "opportunity_stages_list", deals.stages),
    ("POST", "/emailer_campaigns/search", "emailer_campaigns", "search",
     "emailer_campaigns_search", sequences.search),
    ("POST", "/emailer_campaigns/remove_or_stop_contact_ids", "emailer_campaigns",
     "remove_or_stop_contact_ids", "emailer_campaigns_remove_or_stop_contact_ids",
     sequences.remove_or_stop),
    ("POST", "/emailer_campaigns/{id}/add_contact_ids", "emailer_campaigns", "add_contact_ids",
     "emailer_campaigns_add_contact_ids", sequences.add_contacts),
    ("GET", "/email_accounts", "email_accounts", "index", "email_accounts_list",
     sequences.email_accounts),
    ("POST", "/tasks", "tasks", "create", "tasks_create", tasks.create),
    ("POST", "/tasks/bulk_create", "tasks", "bulk_create", "tasks_create", tasks.bulk_create),
    ("POST", "/tasks/search", "tasks", "search", "tasks_list", tasks.search),
    ("POST", "/tasks/{id}/complete", "tasks", "complete", "tasks_create", tasks.complete),
    ("POST", "/tasks/{id}/skip", "tasks", "skip", "tasks_create", tasks.skip),
    ("GET", "/tasks/{id}", "tasks", "show", "tasks_list", tasks.show),
    ("PATCH", "/tasks/{id}", "tasks", "update", "tasks_create", tasks.update),
    ("GET", "/contact_stages", "contact_stages", "index", "contact_stages_list",
     lookups.contact_stages),
    ("GET", "/account_stages", "account_stages", "index", "account_stages_list",
     lookups.account_stages),
    ("GET", "/labels", "labels", "index", "tags_list", labels.index),
    ("POST", "/labels", "labels", "create", "lists_create", labels.create),
    ("POST", "/labels/add_entity_ids_to_label_names", "labels", "add_entity_ids_to_label_names",
     "lists_add_entities", labels.add_records),
    ("POST", "/labels/remove_entity_ids_from_label_names", "labels",
     "remove_entity_ids_from_label_names", "lists_remove_entities", labels.remove_records),
    ("PATCH", "/labels/{id}", "labels", "update", "lists_update", labels.update),
    ("GET", "/fields", "fields", "index", "custom_fields_list", fields.index),
    ("POST", "/fields", "fields", "create", "custom_field_write", fields.create),
    ("PATCH", "/fields", "fields", "update", "custom_field_write", fields.update),
    ("GET", "/typed_custom_fields", "typed_custom_fields", "index", "custom_fields_list",
     fields.typed_custom_fields),
    ("GET", "/users/search", "users", "search", "users_list", lookups.users),
    ("POST", "/users/search", "users", "search", "users_list", lookups.users),
    ("GET", "/users/api_profile", "users", "api_profile", "read_user_profile", lookups.profile),
    ("POST", "/usage_stats/api_usage_stats", "usage_stats", "api_usage_stats",
     "api_usage_stats_read", lookups.usage_stats),
    ("POST", "/usage_stats/credit_usage_stats", "usage_stats", "credit_usage_stats",
     "credit_usage_stats_read", lookups.credit_stats),
)  # fmt: skip

ENDPOINTS = tuple(
    Endpoint(
        method, path, controller if "/" in controller else f"api/v1/{controller}", action, scope,
        answer,
    )
    for method, path, controller, action, scope, answer in _ROWS
)  # fmt: skip
