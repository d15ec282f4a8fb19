"""The contact: the table of its fields. Pure.

Only this table says which endpoint takes which field (source: Apollo's OpenAPI document, August
2026). A field is never sent to an endpoint whose documentation does not name it.
"""

from __future__ import annotations

from target_apollo.apollo.endpoints import (
    CONTACT_ENDPOINTS,
    UPDATE_CONTACT_OWNERS,
    UPDATE_CONTACT_STAGES,
)
from target_apollo.model import values
from target_apollo.model.objects.object_type import (
    Compare,
    Field,
    ObjectKind,
    ObjectType,
    create_only,
    everywhere,
)
from target_apollo.model.outcomes import Reason
from target_apollo.model.texts import emails

_ID = values.apollo_id


def _contact_phone(name: str, phone_type: str) -> Field:
    # Only PATCH knows types of phone numbers; bulk_create has one `phone` without a type.
    return Field(
        name,
        update=name,
        compare=Compare.PHONE,
        normalise=values.phone,
        phone_type=phone_type,
    )


_FIELDS = (
    Field(
        "email",
        create="email",
        update="email",
        bulk="email",
        read="email",
        compare=Compare.EMAIL,
        normalise=emails.email,
    ),
    everywhere("first_name"),
    everywhere("last_name"),
    everywhere("title"),
    # Apollo replaces a company's name by the one it knows, and an address by that of a map service.
    everywhere("organization_name", resolved=True),
    everywhere("present_raw_address", resolved=True),
    Field(
        "phone_number",
        create="phone",
        update="direct_phone",
        compare=Compare.PHONE,
        normalise=values.phone,
    ),
    _contact_phone("direct_phone", "work_direct"),
    _contact_phone("corporate_phone", "work_hq"),
    _contact_phone("mobile_phone", "mobile"),
    _contact_phone("home_phone", "home"),
    _contact_phone("other_phone", "other"),
    Field(
        "linkedin_url",
        create="linkedin_url",
        bulk="linkedin_url",
        read="linkedin_url",
        compare=Compare.URL,
        normalise=values.url,
    ),
    Field("website_url", update="website_url", compare=Compare.BLIND, normalise=values.url),
    Field(
        "owner_id",
        bulk="owner_id",
        read="owner_id",
        normalise=_ID,
        create_wide=True,
        grouped=UPDATE_CONTACT_OWNERS,
    ),
    Field(
        "contact_stage_id",
        create="contact_stage_id",
        update="contact_stage_id",
        read="contact_stage_id",
        normalise=_ID,
        grouped=UPDATE_CONTACT_STAGES,
    ),
    Field(
        "account_id",
        create="account_id",
        update="account_id",
        bulk="account_id",
        read="account_id",
        normalise=_ID,
    ),
    create_only("salesforce_id"),
    create_only("salesforce_lead_id"),
    create_only("salesforce_contact_id"),
    create_only("salesforce_account_id"),
    create_only("hubspot_id", read="hubspot_vid"),
    create_only("outreach_id"),
    create_only("salesloft_id"),
)


def _search_words(email: str) -> tuple[str, ...]:
    return (email,)


CONTACT = ObjectType(
    kind=ObjectKind.CONTACTS,
    endpoints=CONTACT_ENDPOINTS,
    fields={field.name: field for field in _FIELDS},
    match_field="email",
    missing_match=Reason.MISSING_EMAIL,
    crm_ids=("salesforce_lead_id", "salesforce_contact_id", "hubspot_id"),
    named_fields={
        "owner_email": "owner_id",
        "contact_stage": "contact_stage_id",
        "account_domain": "account_id",
    },
    search_words=_search_words,
    bulk_shows=True,
    shows_updated_at=True,
    more_emails="contact_emails",
)
