"""The endpoints of Apollo that are used: the access each needs, whether it writes, its arguments.

The label of an endpoint is its method and path ("PATCH /contacts/{id}"). Source: the "Endpoint
essentials" of every operation in Apollo's API reference. An API key is either a master key or
carries a list of entries like `api/v1/contacts/bulk_create`; an OAuth token carries scopes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ProbeArguments:
    """What to send to an endpoint to learn whether the key may use it, without changing anything.

    Apollo checks the key before it reads a request. It answers 403 if the key may not use the
    endpoint; otherwise it answers, or refuses the request because it asks for nothing.
    """

    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Endpoint:
    """The access that an endpoint needs, and what a request to it does.

    `key_entry`: its entry in an API key's list, `scope`: its OAuth scope; None: not known. `reads`:
    a request to it changes nothing in Apollo. `probe`: None where `apollo-sync check` does not ask.
    """

    key_entry: str | None
    scope: str | None
    reads: bool = False
    probe: ProbeArguments | None = None


#: Records or ids in one request. bulk_create refuses more with 422.
MAX_BULK: Final = 100
#: Records on a page, of all searches.
PER_PAGE: Final = 100
#: Apollo shows no more pages of anything.
MOST_PAGES: Final = 500

PROFILE: Final = "GET /users/api_profile"
HEALTH: Final = "GET /auth/health"
USERS: Final = "GET /users/search"
CONTACT_STAGES: Final = "GET /contact_stages"
ACCOUNT_STAGES: Final = "GET /account_stages"
LABELS: Final = "GET /labels"
ADD_TO_LISTS: Final = "POST /labels/add_entity_ids_to_label_names"
REMOVE_FROM_LISTS: Final = "POST /labels/remove_entity_ids_from_label_names"
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

DEAL_STAGES: Final = "GET /opportunity_stages"
CREATE_DEAL: Final = "POST /opportunities"
READ_DEAL: Final = "GET /opportunities/{id}"
UPDATE_DEAL: Final = "PATCH /opportunities/{id}"
SEARCH_DEALS: Final = "GET /opportunities/search"
SEARCH_SEQUENCES: Final = "POST /emailer_campaigns/search"
ADD_TO_SEQUENCE: Final = "POST /emailer_campaigns/{id}/add_contact_ids"
LEAVE_SEQUENCES: Final = "POST /emailer_campaigns/remove_or_stop_contact_ids"
MAILBOXES: Final = "GET /email_accounts"

CREATE_TASK: Final = "POST /tasks"
READ_TASK: Final = "GET /tasks/{id}"
UPDATE_TASK: Final = "PATCH /tasks/{id}"
COMPLETE_TASK: Final = "POST /tasks/{id}/complete"
SKIP_TASK: Final = "POST /tasks/{id}/skip"
SEARCH_TASKS: Final = "POST /tasks/search"

#: A request without arguments: its answer only tells whether the key may use the endpoint.
_ASKS_FOR_NOTHING: Final = ProbeArguments(body={})

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType(
    {
        PROFILE: Endpoint("api/v1/users/api_profile", "read_user_profile", reads=True),
        HEALTH: Endpoint(None, None, reads=True),  # answers without credentials too
        USERS: Endpoint(
            "api/v1/users/search",
            "users_list",
            reads=True,
            probe=ProbeArguments(params={"page": 1, "per_page": 1}),
        ),
        CONTACT_STAGES: Endpoint(
            "api/v1/contact_stages/index", "contact_stages_list", reads=True, probe=ProbeArguments()
        ),
        ACCOUNT_STAGES: Endpoint(
            "api/v1/account_stages/index", "account_stages_list", reads=True, probe=ProbeArguments()
        ),
        LABELS: Endpoint("api/v1/labels/index", "tags_list", reads=True, probe=ProbeArguments()),
        REMOVE_FROM_LISTS: Endpoint(
            "api/v1/labels/remove_entity_ids_from_label_names",
            "lists_remove_entities",
            probe=ProbeArguments(
                {"entity_ids": [], "label_names": [], "modality": "contacts", "async": False}
            ),
        ),
        ADD_TO_LISTS: Endpoint(
            "api/v1/labels/add_entity_ids_to_label_names",
            "lists_add_entities",
            # No record and no list, so Apollo makes no list either: documented as a 200 with the
            # message that nothing was provided.
            probe=ProbeArguments(
                {"entity_ids": [], "label_names": [], "modality": "contacts", "async": False}
            ),
        ),
        FIELDS: Endpoint(
            "api/v1/fields/index",
            "custom_fields_list",
            reads=True,
            probe=ProbeArguments(params={"source": "custom"}),
        ),
        CREATE_FIELD: Endpoint("api/v1/fields/create", "custom_field_write"),
        TYPED_CUSTOM_FIELDS: Endpoint(
            "api/v1/typed_custom_fields/index",
            "custom_fields_list",
            reads=True,
            probe=ProbeArguments(),
        ),
        USAGE: Endpoint("api/v1/usage_stats/api_usage_stats", "api_usage_stats_read", reads=True),
        # Without an array of records there is nothing to create: documented as 422. run_dedupe is
        # in every bulk_create, the probe included.
        CREATE_CONTACTS: Endpoint(
            "api/v1/contacts/bulk_create",
            "contacts_bulk_create",
            probe=ProbeArguments({"run_dedupe": True}),
        ),
        READ_CONTACT: Endpoint(
            "api/v1/contacts/show", "contact_read", reads=True, probe=ProbeArguments()
        ),
        # An empty body holds no field to change.
        UPDATE_CONTACT: Endpoint(
            "api/v1/contacts/update", "contact_update", probe=_ASKS_FOR_NOTHING
        ),
        # No contact and no value: documented as 422, like the updates below.
        BULK_UPDATE_CONTACTS: Endpoint(
            "api/v1/contacts/bulk_update",
            "contacts_bulk_update",
            probe=ProbeArguments({"async": False}),
        ),
        UPDATE_CONTACT_OWNERS: Endpoint(
            "api/v1/contacts/update_owners", "contact_owners_update", probe=_ASKS_FOR_NOTHING
        ),
        UPDATE_CONTACT_STAGES: Endpoint(
            "api/v1/contacts/update_stages", "contact_stages_update", probe=_ASKS_FOR_NOTHING
        ),
        # A search is a POST that only reads.
        SEARCH_CONTACTS: Endpoint(
            "api/v1/contacts/search",
            "contacts_search",
            reads=True,
            probe=ProbeArguments({"q_keywords": "example", "page": 1, "per_page": 1}),
        ),
        CREATE_ACCOUNTS: Endpoint(
            "api/v1/accounts/bulk_create",
            "account_bulk_create",
            probe=ProbeArguments({"run_dedupe": True}),
        ),
        READ_ACCOUNT: Endpoint(
            "api/v1/accounts/show", "account_read", reads=True, probe=ProbeArguments()
        ),
        PATCH_ACCOUNT: Endpoint(
            "api/v1/accounts/update", "account_update", probe=_ASKS_FOR_NOTHING
        ),
        PUT_ACCOUNT: Endpoint("api/v1/accounts/update", "account_update", probe=_ASKS_FOR_NOTHING),
        # The scope is named after stages although the endpoint writes names, owners and fields too.
        BULK_UPDATE_ACCOUNTS: Endpoint(
            "api/v1/accounts/bulk_update", "account_stages_update", probe=_ASKS_FOR_NOTHING
        ),
        UPDATE_ACCOUNT_OWNERS: Endpoint("api/v1/accounts/update_owners", "account_owners_update"),
        SEARCH_ACCOUNTS: Endpoint(
            "api/v1/accounts/search",
            "accounts_search",
            reads=True,
            probe=ProbeArguments({"q_organization_name": "example", "page": 1, "per_page": 1}),
        ),
        DEAL_STAGES: Endpoint(
            "deals/api/v1/opportunity_stages/index",
            "opportunity_stages_list",
            reads=True,
            probe=ProbeArguments(),
        ),
        # A deal needs a name, so without one there is nothing to create.
        CREATE_DEAL: Endpoint(
            "deals/api/v1/opportunities/create", "opportunity_write", probe=_ASKS_FOR_NOTHING
        ),
        READ_DEAL: Endpoint(
            "deals/api/v1/opportunities/show",
            "opportunity_read",
            reads=True,
            probe=ProbeArguments(),
        ),
        UPDATE_DEAL: Endpoint(
            "deals/api/v1/opportunities/update", "opportunity_update", probe=_ASKS_FOR_NOTHING
        ),
        SEARCH_DEALS: Endpoint(
            "deals/api/v1/opportunities/search",
            "opportunities_list",
            reads=True,
            probe=ProbeArguments(params={"page": 1, "per_page": 1}),
        ),
        SEARCH_SEQUENCES: Endpoint(
            "api/v1/emailer_campaigns/search",
            "emailer_campaigns_search",
            reads=True,
            probe=ProbeArguments(params={"page": 1, "per_page": 1}),
        ),
        # Without a contact there is nobody to enrol: documented as 422.
        ADD_TO_SEQUENCE: Endpoint(
            "api/v1/emailer_campaigns/add_contact_ids",
            "emailer_campaigns_add_contact_ids",
            probe=ProbeArguments(),
        ),
        # A sequence that does not exist; Apollo answers 200 and changes nothing.
        LEAVE_SEQUENCES: Endpoint(
            "api/v1/emailer_campaigns/remove_or_stop_contact_ids",
            "emailer_campaigns_remove_or_stop_contact_ids",
            probe=ProbeArguments(
                params={
                    "emailer_campaign_ids[]": ["0" * 24],
                    "contact_ids[]": ["0" * 24],
                    "mode": "mark_as_finished",
                }
            ),
        ),
        MAILBOXES: Endpoint(
            "api/v1/email_accounts/index", "email_accounts_list", reads=True, probe=ProbeArguments()
        ),
        # A task needs a type and an owner, so without them there is nothing to create.
        CREATE_TASK: Endpoint("api/v1/tasks/create", "tasks_create", probe=_ASKS_FOR_NOTHING),
        READ_TASK: Endpoint("api/v1/tasks/show", "tasks_list", reads=True, probe=ProbeArguments()),
        UPDATE_TASK: Endpoint("api/v1/tasks/update", "tasks_create", probe=_ASKS_FOR_NOTHING),
        # For a task that does not exist, both are documented to answer 200 and that it is deleted.
        COMPLETE_TASK: Endpoint("api/v1/tasks/complete", "tasks_create", probe=_ASKS_FOR_NOTHING),
        SKIP_TASK: Endpoint("api/v1/tasks/skip", "tasks_create", probe=_ASKS_FOR_NOTHING),
        SEARCH_TASKS: Endpoint(
            "api/v1/tasks/search",
            "tasks_list",
            reads=True,
            probe=ProbeArguments(params={"page": 1, "per_page": 1}),
        ),
    }
)


#: The endpoints that change nothing, by their labels.
READING: Final = frozenset(label for label, endpoint in ENDPOINTS.items() if endpoint.reads)


def access_to(label: str) -> Endpoint:
    """Return an endpoint by its label; one that `ENDPOINTS` lacks has no key entry and no scope."""
    return ENDPOINTS.get(label, Endpoint(None, None))


def endpoints_of(key_entry: str) -> tuple[str, ...]:
    """Return the labels with the same key entry; Apollo counts their requests together."""
    return tuple(label for label, endpoint in ENDPOINTS.items() if endpoint.key_entry == key_entry)


@dataclass(frozen=True)
class ObjectEndpoints:
    """The endpoints of one kind of object, and the words that their requests and answers use.

    Attributes:
        singular, plural: "contact" and "contacts", as in paths and bodies.
        update: Changes one record.
        update_instead: Did the same before Apollo documented `update`; tried where Apollo refuses
            `update` as unknown.
        update_stages: Puts many records into one stage; None where there is no such endpoint.
        search_key: The argument of a search that takes words.
        created_key: The field that a search sorts by to show records in order of creation.
        updated_key: The same for the order of their last change.
        bulk_update_arguments: Arguments of a bulk_update request beside its records.
    """

    singular: str
    plural: str
    create: str
    read: str
    update: str
    bulk_update: str
    update_owners: str
    search: str
    stages: str
    search_key: str
    created_key: str
    updated_key: str
    update_instead: str | None = None
    update_stages: str | None = None
    bulk_update_arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attributes_key(self) -> str:
        """The argument with the records of a bulk_update request."""
        return f"{self.singular}_attributes"

    @property
    def ids_key(self) -> str:
        """The argument with the ids of the records that get one owner or stage."""
        return f"{self.singular}_ids"

    @property
    def stage_key(self) -> str:
        """The field with the id of a record's stage."""
        return f"{self.singular}_stage_id"

    @property
    def stages_key(self) -> str:
        """The name of the list in an answer with all stages."""
        return f"{self.singular}_stages"


CONTACT_ENDPOINTS: Final = ObjectEndpoints(
    singular="contact",
    plural="contacts",
    create=CREATE_CONTACTS,
    read=READ_CONTACT,
    update=UPDATE_CONTACT,
    bulk_update=BULK_UPDATE_CONTACTS,
    update_owners=UPDATE_CONTACT_OWNERS,
    update_stages=UPDATE_CONTACT_STAGES,
    search=SEARCH_CONTACTS,
    stages=CONTACT_STAGES,
    search_key="q_keywords",
    created_key="contact_created_at",
    updated_key="contact_updated_at",
    # Apollo does up to 100 before it answers. Above, it starts a job that no endpoint tells about.
    bulk_update_arguments={"async": False},
)
# Apollo's reference has PATCH and used to have PUT. Apollo refuses `async` in this bulk_update.
ACCOUNT_ENDPOINTS: Final = ObjectEndpoints(
    singular="account",
    plural="accounts",
    create=CREATE_ACCOUNTS,
    read=READ_ACCOUNT,
    update=PATCH_ACCOUNT,
    update_instead=PUT_ACCOUNT,
    bulk_update=BULK_UPDATE_ACCOUNTS,
    update_owners=UPDATE_ACCOUNT_OWNERS,
    search=SEARCH_ACCOUNTS,
    stages=ACCOUNT_STAGES,
    search_key="q_organization_name",
    created_key="account_created_at",
    updated_key="account_updated_at",
)
