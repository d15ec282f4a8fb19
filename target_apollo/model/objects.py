"""The kinds of objects that are synced, and what properties mean on each of them. Pure."""

from __future__ import annotations

from target_apollo.model.account import ACCOUNT
from target_apollo.model.contact import CONTACT
from target_apollo.model.object_type import Compare, Field, Json, ObjectKind, ObjectType

__all__ = [
    "ACCOUNT",
    "APOLLO_ID",
    "CONTACT",
    "LABEL_NAMES",
    "OBJECTS",
    "Compare",
    "Field",
    "Json",
    "ObjectKind",
    "ObjectType",
]

OBJECTS = {object_type.kind: object_type for object_type in (CONTACT, ACCOUNT)}

#: Properties that are no fields of the object but say something about the record.
APOLLO_ID = "apollo_id"
LABEL_NAMES = "label_names"
