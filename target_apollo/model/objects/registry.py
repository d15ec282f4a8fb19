"""The objects that are synced: contacts and accounts, by kind; all others, by name. Pure."""

from __future__ import annotations

from target_apollo.model.objects.account import ACCOUNT
from target_apollo.model.objects.contact import CONTACT
from target_apollo.model.objects.deal import DEAL
from target_apollo.model.objects.list_member import LIST_MEMBER
from target_apollo.model.objects.object_type import (
    Compare,
    Field,
    Json,
    ObjectKind,
    ObjectType,
    RecordType,
)
from target_apollo.model.objects.sequence_member import SEQUENCE_MEMBER
from target_apollo.model.objects.stream_object import StreamObject
from target_apollo.model.objects.task import TASK

__all__ = [
    "ACCOUNT",
    "ACCOUNT_DOMAIN",
    "APOLLO_ID",
    "BY_EMAIL",
    "CONTACT",
    "LABEL_NAMES",
    "LINKS",
    "OBJECTS",
    "RECORD_TYPES",
    "STREAM_OBJECTS",
    "Compare",
    "Field",
    "Json",
    "ObjectKind",
    "ObjectType",
    "RecordType",
    "StreamObject",
]

#: Properties that link a record to an account by its domain.
ACCOUNT_DOMAIN = "account_domain"
LINKS = (ACCOUNT_DOMAIN, "parent_account_domain")
#: Used in place of `ACCOUNT_DOMAIN` where the domain is taken from a contact's e-mail address.
BY_EMAIL = "link_by_email_domain"

OBJECTS = {object_type.kind: object_type for object_type in (CONTACT, ACCOUNT)}

#: The objects besides these, by the name that the setting `streams` gives them.
STREAM_OBJECTS = {one.name: one for one in (LIST_MEMBER, SEQUENCE_MEMBER, DEAL, TASK)}

#: All objects that have fields of their own, which policies and custom fields are for.
RECORD_TYPES: tuple[RecordType, ...] = (
    *OBJECTS.values(),
    *(one for one in STREAM_OBJECTS.values() if one.fields),
)

#: Properties that are no fields: the record's id and its lists.
APOLLO_ID = "apollo_id"
LABEL_NAMES = "label_names"
