"""What a contact and an account are: their fields, and what each endpoint calls them. Pure.

The table is the one place that knows which endpoint takes which field (Apollo's OpenAPI document,
August 2026). A field that an endpoint does not document is never sent there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from target_apollo.model import values as normalising
from target_apollo.model.outcomes import Reason

Json = dict[str, object]


class ObjectKind(enum.Enum):
    """The two objects that are written, by the name that Apollo's paths and lists use."""

    CONTACTS = "contacts"
    ACCOUNTS = "accounts"


class Compare(enum.Enum):
    """How a record's value is compared with Apollo's."""

    TEXT = enum.auto()
    EMAIL = enum.auto()
    DOMAIN = enum.auto()
    PHONE = enum.auto()
    URL = enum.auto()
    #: Apollo never shows the value again, so that equality can't be seen.
    BLIND = enum.auto()


@dataclass(frozen=True)
class Field:
    """A property of a stream and its name at each endpoint; None where it is not taken.

    Attributes:
        name: The property's name in a stream.
        create: In an item of ``POST /…/bulk_create``.
        update: In ``PATCH /contacts/{id}`` and ``PUT /accounts/{id}``.
        bulk: In an item of ``POST /…/bulk_update``.
        read: In Apollo's answers.
        phone_type: The type under which Apollo answers a phone number; None for any.
        create_wide: An argument of the whole bulk_create request, not of an item.
        grouped: Endpoint that gives one value to many records.
        resolved: Apollo may show what it made of a value instead of the value, so that an old one
            in an answer is no sign that the new one was not taken.
    """

    name: str
    create: str | None = None
    update: str | None = None
    bulk: str | None = None
    read: str | None = None
    compare: Compare = Compare.TEXT
    normalise: Callable[[str, object], str | None] = normalising.text
    phone_type: str | None = None
    create_wide: bool = False
    grouped: str | None = None
    resolved: bool = False


def _everywhere(name: str, *, resolved: bool = False) -> Field:
    return Field(name, create=name, update=name, bulk=name, read=name, resolved=resolved)


def _create_only(name: str, *, read: str | None = None) -> Field:
    return Field(name, create=name, read=read or name)


def _contact_phone(name: str, phone_type: str) -> Field:
    # Only PATCH tells types of numbers apart; bulk_create has one `phone` without a type.
    return Field(name, update=name, compare=Compare.PHONE, phone_type=phone_type)


_ID = normalising.apollo_id

_CONTACT_FIELDS = (
    Field(
        "email",
        create="email",
        update="email",
        bulk="email",
        read="email",
        compare=Compare.EMAIL,
        normalise=normalising.email,
    ),
    _everywhere("first_name"),
    _everywhere("last_name"),
    _everywhere("title"),
    # The company's own name, where Apollo knows it; a place as Apollo's maps have it.
    _everywhere("organization_name", resolved=True),
    _everywhere("present_raw_address", resolved=True),
    Field("phone_number", create="phone", update="direct_phone", compare=Compare.PHONE),
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
    ),
    Field("website_url", update="website_url", compare=Compare.BLIND),
    Field(
        "owner_id",
        bulk="owner_id",
        read="owner_id",
        normalise=_ID,
        create_wide=True,
        grouped="POST /contacts/update_owners",
    ),
    Field(
        "contact_stage_id",
        create="contact_stage_id",
        update="contact_stage_id",
        read="contact_stage_id",
        normalise=_ID,
        grouped="POST /contacts/update_stages",
    ),
    Field(
        "account_id",
        create="account_id",
        update="account_id",
        bulk="account_id",
        read="account_id",
        normalise=_ID,
    ),
    _create_only("salesforce_id"),
    _create_only("salesforce_lead_id"),
    _create_only("salesforce_contact_id"),
    _create_only("salesforce_account_id"),
    _create_only("hubspot_id", read="hubspot_vid"),
    _create_only("outreach_id"),
    _create_only("salesloft_id"),
)

_ACCOUNT_FIELDS = (
    Field(
        "domain",
        create="domain",
        update="domain",
        read="domain",
        compare=Compare.DOMAIN,
        normalise=normalising.domain,
    ),
    _everywhere("name"),
    Field("phone_number", create="phone", update="phone", read="phone", compare=Compare.PHONE),
    Field(
        "raw_address",
        create="raw_address",
        update="raw_address",
        read="raw_address",
        resolved=True,
    ),
    Field("linkedin_url", create="linkedin_url", read="linkedin_url", compare=Compare.URL),
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
    _create_only("salesforce_id"),
    _create_only("hubspot_id"),
    # No endpoint takes an account's industry; it is written where a custom field has that label.
    Field("industry"),
)


@dataclass(frozen=True)
class ObjectType:
    """An object with its fields, its match key and the names its endpoints use.

    Attributes:
        match_field: What Apollo recognises a record by, and what a new one must have.
        crm_ids: Fields by which ``run_dedupe`` also recognises a record.
        create_endpoint: Label of the bulk_create endpoint, as in the rejects file.
        bulk_shows: Whether bulk_update answers with the values that it wrote.
    """

    kind: ObjectKind
    fields: Mapping[str, Field]
    match_field: str
    missing_match: Reason
    crm_ids: tuple[str, ...]
    create_endpoint: str
    update_endpoint: str
    bulk_endpoint: str
    bulk_shows: bool

    @property
    def singular(self) -> str:
        """ "contact" or "account", for sentences."""
        return self.kind.value.removesuffix("s")

    @cached_property
    def item_names(self) -> dict[str, str]:
        """What an item of a bulk_create request calls the fields that it takes."""
        return {
            name: place.create
            for name, place in self.fields.items()
            if place.create and not place.create_wide
        }


CONTACT = ObjectType(
    kind=ObjectKind.CONTACTS,
    fields={field.name: field for field in _CONTACT_FIELDS},
    match_field="email",
    missing_match=Reason.MISSING_EMAIL,
    crm_ids=("salesforce_lead_id", "salesforce_contact_id", "hubspot_id"),
    create_endpoint="POST /contacts/bulk_create",
    update_endpoint="PATCH /contacts/{id}",
    bulk_endpoint="POST /contacts/bulk_update",
    bulk_shows=True,
)
ACCOUNT = ObjectType(
    kind=ObjectKind.ACCOUNTS,
    fields={field.name: field for field in _ACCOUNT_FIELDS},
    match_field="domain",
    missing_match=Reason.MISSING_DOMAIN,
    crm_ids=("salesforce_id", "hubspot_id"),
    create_endpoint="POST /accounts/bulk_create",
    update_endpoint="PUT /accounts/{id}",
    bulk_endpoint="POST /accounts/bulk_update",
    bulk_shows=False,
)
OBJECTS = {ObjectKind.CONTACTS: CONTACT, ObjectKind.ACCOUNTS: ACCOUNT}

#: Properties that name something which Apollo knows by id, and the field that takes the id.
NAMED_FIELDS: Mapping[ObjectKind, Mapping[str, str]] = {
    ObjectKind.CONTACTS: {
        "owner_email": "owner_id",
        "contact_stage": "contact_stage_id",
        "account_domain": "account_id",
    },
    ObjectKind.ACCOUNTS: {"owner_email": "owner_id", "account_stage": "account_stage_id"},
}

#: Properties that are no fields of the object but say something about the record.
APOLLO_ID = "apollo_id"
LABEL_NAMES = "label_names"
