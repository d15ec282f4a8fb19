"""Which fields each endpoint takes. It ignores all others, or refuses them in strict mode.

The source is the request schemas of Apollo's OpenAPI document. Fields that only its prose names
(those by which POST /contacts and bulk_create match) are taken too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SINGLE_PHONES = {
    "direct_phone": "work_direct",
    "corporate_phone": "work_hq",
    "mobile_phone": "mobile",
    "home_phone": "home",
    "other_phone": "other",
}
"""Input field of a single contact -> type of the phone number."""

# The prose says that a create matches by these fields; no schema lists them.
_MATCHED = _names("id person_id salesforce_lead_id salesforce_contact_id hubspot_vid")

UPDATE_CONTACT = _names(
    "first_name last_name organization_name title account_id email website_url label_names "
    "contact_stage_id present_raw_address typed_custom_fields"
) | frozenset(SINGLE_PHONES)

CREATE_CONTACT = UPDATE_CONTACT | {"run_dedupe"} | _MATCHED

BULK_CREATE_CONTACT = (
    _names(
        "first_name last_name email title primary_title organization_name phone "
        "present_raw_address linkedin_url facebook_url twitter_url photo_url account_id "
        "organization_id contact_stage_id "
        "salesforce_id hubspot_id salesforce_lead_id salesforce_contact_id salesforce_account_id "
        "outreach_id salesloft_id phone_status_cd typed_custom_fields contact_emails phone_numbers "
        "contact_role_type_ids"
    )
    | _MATCHED
)

BULK_CREATE_CONTACTS = _names("contacts append_label_names owner_id run_dedupe")

BULK_UPDATE_CONTACT = _names(
    "id first_name last_name email title organization_name owner_id account_id present_raw_address "
    "linkedin_url typed_custom_fields"
)

BULK_UPDATE_CONTACTS = (BULK_UPDATE_CONTACT - {"id"}) | _names(
    "contact_ids contact_attributes async visible_entity_ids"
)

CREATE_ACCOUNT = _names(
    "name domain owner_id account_stage_id phone raw_address typed_custom_fields"
)

UPDATE_ACCOUNT = CREATE_ACCOUNT

BULK_CREATE_ACCOUNT = _names(
    "name domain owner_id phone phone_status_cd raw_address linkedin_url facebook_url twitter_url "
    "salesforce_id hubspot_id merged_crm_ids organization_id parent_account_id account_stage_id "
    "typed_custom_fields"
)

BULK_CREATE_ACCOUNTS = _names("accounts append_label_names run_dedupe")

BULK_UPDATE_ACCOUNT = _names("id name owner_id account_stage_id typed_custom_fields")

BULK_UPDATE_ACCOUNTS = _names("account_ids account_attributes name owner_id account_stage_id async")

UPDATE_DEAL = _names("name owner_id amount opportunity_stage_id closed_date typed_custom_fields")

CREATE_DEAL = UPDATE_DEAL | {"account_id"}

SEQUENCE_FLAGS = _names(
    "sequence_no_email sequence_unverified_email sequence_job_change "
    "sequence_active_in_other_campaigns sequence_finished_in_other_campaigns "
    "sequence_same_company_in_same_campaign contacts_without_ownership_permission add_if_in_queue "
    "contact_verification_skipped"
)
"""Parameters of an enrolment, each of which adds contacts that are skipped without it."""

_ENROLMENT = SEQUENCE_FLAGS | _names(
    "emailer_campaign_id send_email_from_email_account_id send_email_from_email_address user_id "
    "status auto_unpause_at"
)

_TASK = _names("user_id type priority status due_at note")

CREATE_TASK = _TASK | _names("contact_id title")

BULK_CREATE_TASKS = _TASK | {"contact_ids"}

UPDATE_TASK = CREATE_TASK | _names("creator_id priority_cd call_script relevant_fields")

UPDATE_FIELD = _names(
    "id modality type label field_group_id autorun_downstream_enrichment schedule meta"
)

CONTACT_SCALARS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "title": "title",
    "organization_name": "organization_name",
    "linkedin_url": "linkedin_url",
    "facebook_url": "facebook_url",
    "twitter_url": "twitter_url",
    "photo_url": "photo_url",
    "account_id": "account_id",
    "organization_id": "organization_id",
    "person_id": "person_id",
    "contact_stage_id": "contact_stage_id",
    "owner_id": "owner_id",
    "salesforce_id": "salesforce_id",
    "salesforce_lead_id": "salesforce_lead_id",
    "salesforce_contact_id": "salesforce_contact_id",
    "salesforce_account_id": "salesforce_account_id",
    "hubspot_id": "hubspot_vid",
    "hubspot_vid": "hubspot_vid",
    "present_raw_address": "present_raw_address",
}
"""Input field -> key of the contact object that gets the value as text."""

CONTACT_HIDDEN = _names(
    "website_url outreach_id salesloft_id phone_status_cd contact_role_type_ids"
)
"""Input fields that Apollo takes and no answer shows."""

ACCOUNT_SCALARS = {
    name: name
    for name in [
        "name",
        "owner_id",
        "account_stage_id",
        "linkedin_url",
        "facebook_url",
        "twitter_url",
        "salesforce_id",
        "hubspot_id",
        "organization_id",
        "parent_account_id",
    ]
}
"""Input field -> key of the account object that gets the value as text."""

# The types of input fields. A field that none of these sets names is text.
LISTS_OF_TEXT = _names(
    "label_names append_label_names merged_crm_ids contact_role_type_ids contact_ids account_ids "
    "visible_entity_ids entity_ids contact_stage_ids contact_label_ids account_stage_ids "
    "account_label_ids emailer_campaign_ids relevant_fields open_factor_names"
)

LISTS_OF_OBJECTS = _names(
    "contacts accounts contact_attributes account_attributes contact_emails phone_numbers fields"
)

BOOLEANS = SEQUENCE_FLAGS | _names("run_dedupe async sort_ascending book_of_business on_task_page")

NUMBERS = _names("page per_page position")

# The id of the mailbox may be one text or a list; of the priority's code the document says no type.
OBJECTS = _names("typed_custom_fields meta schedule send_email_from_email_account_id priority_cd")


@dataclass(frozen=True)
class Taken:
    """The names that an endpoint takes.

    Attributes:
        body: Fields of the JSON body.
        records: Name of a list in the body -> fields of the records in it.
        query: Query parameters.
        modality: ``contact``, ``account`` or ``opportunity``, of which the custom fields must be.
    """

    body: frozenset[str] = frozenset()
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)
    query: frozenset[str] = frozenset()
    modality: str = ""


_LISTING = Taken(_names("entity_ids label_names modality async"))

TAKEN: dict[str, Taken] = {
    "POST /contacts": Taken(CREATE_CONTACT, modality="contact"),
    "PATCH /contacts/{id}": Taken(UPDATE_CONTACT, modality="contact"),
    "PUT /contacts/{id}": Taken(UPDATE_CONTACT, modality="contact"),
    "POST /contacts/search": Taken(
        _names(
            "q_keywords contact_stage_ids contact_label_ids sort_by_field sort_ascending page "
            "per_page"
        )
    ),
    "POST /contacts/bulk_create": Taken(
        BULK_CREATE_CONTACTS, {"contacts": BULK_CREATE_CONTACT}, modality="contact"
    ),
    "POST /contacts/bulk_update": Taken(
        BULK_UPDATE_CONTACTS,
        {"contact_attributes": BULK_UPDATE_CONTACT},
        modality="contact",
    ),
    "POST /contacts/update_stages": Taken(
        _names("contact_ids contact_stage_id"), query=_names("contact_ids[] contact_stage_id")
    ),
    "POST /contacts/update_owners": Taken(
        _names("contact_ids owner_id"), query=_names("contact_ids[] owner_id")
    ),
    "POST /accounts": Taken(CREATE_ACCOUNT, modality="account"),
    "PATCH /accounts/{id}": Taken(UPDATE_ACCOUNT, modality="account"),
    "PUT /accounts/{id}": Taken(UPDATE_ACCOUNT, modality="account"),
    "POST /accounts/search": Taken(
        _names(
            "q_organization_name account_stage_ids account_label_ids sort_by_field sort_ascending "
            "page per_page"
        )
    ),
    "POST /accounts/bulk_create": Taken(
        BULK_CREATE_ACCOUNTS, {"accounts": BULK_CREATE_ACCOUNT}, modality="account"
    ),
    "POST /accounts/bulk_update": Taken(
        BULK_UPDATE_ACCOUNTS,
        {"account_attributes": BULK_UPDATE_ACCOUNT},
        modality="account",
    ),
    "POST /accounts/update_owners": Taken(
        _names("account_ids owner_id"), query=_names("account_ids[] owner_id")
    ),
    "POST /contacts/{id}/opportunities": Taken(),
    "POST /opportunities": Taken(CREATE_DEAL, modality="opportunity"),
    "PATCH /opportunities/{id}": Taken(UPDATE_DEAL, modality="opportunity"),
    "GET /opportunities/search": Taken(query=_names("sort_by_field page per_page")),
    "POST /opportunities/search": Taken(
        _names("q_opportunity_name sort_by_field page per_page"),
        query=_names("sort_by_field page per_page"),
    ),
    "POST /emailer_campaigns/search": Taken(
        _names("q_name page per_page"), query=_names("q_name page per_page")
    ),
    "POST /emailer_campaigns/{id}/add_contact_ids": Taken(
        _ENROLMENT | _names("contact_ids label_names"),
        query=_ENROLMENT | _names("contact_ids[] label_names[]"),
    ),
    "POST /emailer_campaigns/remove_or_stop_contact_ids": Taken(
        _names("emailer_campaign_ids contact_ids mode"),
        query=_names("emailer_campaign_ids[] contact_ids[] mode"),
    ),
    "POST /tasks": Taken(CREATE_TASK),
    "POST /tasks/bulk_create": Taken(BULK_CREATE_TASKS),
    "PATCH /tasks/{id}": Taken(UPDATE_TASK),
    "POST /tasks/{id}/complete": Taken(_names("note")),
    "POST /tasks/{id}/skip": Taken(_names("note on_task_page")),
    "POST /tasks/search": Taken(
        _names("sort_by_field open_factor_names page per_page"),
        query=_names("sort_by_field open_factor_names[] page per_page"),
    ),
    "POST /labels": Taken(_names("name modality book_of_business")),
    "PATCH /labels/{id}": Taken(_names("name book_of_business")),
    "POST /labels/add_entity_ids_to_label_names": _LISTING,
    "POST /labels/remove_entity_ids_from_label_names": _LISTING,
    "POST /fields": Taken(_names("label modality type meta")),
    "PATCH /fields": Taken(_names("fields"), {"fields": UPDATE_FIELD}),
    "GET /fields": Taken(query=_names("source")),
    "POST /users/search": Taken(_names("page per_page"), query=_names("page per_page")),
    "GET /users/search": Taken(query=_names("page per_page")),
    "GET /users/api_profile": Taken(query=_names("include_credit_usage")),
}


def taken_fields(body: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The fields of a body that an endpoint takes; it ignores the others."""
    return {name: value for name, value in body.items() if name in names}
