"""The account: the table of its fields, like that of `model.objects.contact`. Pure."""

from __future__ import annotations

from target_apollo.apollo.endpoints import ACCOUNT_ENDPOINTS
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
from target_apollo.model.texts import domains

_ID = values.apollo_id

_FIELDS = (
    Field(
        "domain",
        create="domain",
        update="domain",
        read="domain",
        compare=Compare.DOMAIN,
        normalise=domains.domain,
    ),
    everywhere("name"),
    Field(
        "phone_number",
        create="phone",
        update="phone",
        read="phone",
        compare=Compare.PHONE,
        normalise=values.phone,
    ),
    Field(
        "raw_address",
        create="raw_address",
        update="raw_address",
        read="raw_address",
        resolved=True,
        absent_if_empty=True,
    ),
    Field(
        "linkedin_url",
        create="linkedin_url",
        read="linkedin_url",
        compare=Compare.URL,
        normalise=values.url,
    ),
    Field(
        "owner_id",
        create="owner_id",
        update="owner_id",
        bulk="owner_id",
        read="owner_id",
        normalise=_ID,
    ),
    Field(
        "account_stage_id",
        create="account_stage_id",
        update="account_stage_id",
        bulk="account_stage_id",
        read="account_stage_id",
        normalise=_ID,
    ),
    Field(
        "parent_account_id",
        create="parent_account_id",
        read="parent_account_id",
        normalise=_ID,
    ),
    create_only("salesforce_id"),
    create_only("hubspot_id"),
    # No endpoint takes an account's industry; it is written to a custom field with that label.
    Field("industry"),
)


def _search_words(domain: str) -> tuple[str, ...]:
    # Apollo's search finds accounts only by a part of their name, which may hold the domain or its
    # first part.
    return (domain, domain.split(".", 1)[0])


ACCOUNT = ObjectType(
    kind=ObjectKind.ACCOUNTS,
    endpoints=ACCOUNT_ENDPOINTS,
    fields={field.name: field for field in _FIELDS},
    match_field="domain",
    missing_match=Reason.MISSING_DOMAIN,
    crm_ids=("salesforce_id", "hubspot_id"),
    named_fields={
        "owner_email": "owner_id",
        "account_stage": "account_stage_id",
        "parent_account_domain": "parent_account_id",
    },
    search_words=_search_words,
    bulk_shows=False,
    shows_updated_at=False,
    is_named_by_others=True,
)
