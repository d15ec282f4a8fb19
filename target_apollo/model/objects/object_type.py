"""`ObjectType`: an object's fields, their names at each endpoint, its match key. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from target_apollo.apollo.endpoints import ObjectEndpoints
from target_apollo.model import values
from target_apollo.model.outcomes import Reason

Json = dict[str, object]


class ObjectKind(enum.Enum):
    """The objects that are synced; the value is the name in Apollo's paths and lists."""

    CONTACTS = "contacts"
    ACCOUNTS = "accounts"


class Compare(enum.Enum):
    """How a row's value is compared with the value in Apollo."""

    TEXT = enum.auto()
    EMAIL = enum.auto()
    DOMAIN = enum.auto()
    PHONE = enum.auto()
    URL = enum.auto()
    NUMBER = enum.auto()
    #: A day; Apollo may answer it with a time.
    DATE = enum.auto()
    #: Not compared, since Apollo never shows the value.
    BLIND = enum.auto()


@dataclass(frozen=True)
class Field:
    """A property of a stream and its name at each endpoint; None: the endpoint does not take it.

    Attributes:
        name: The property's name in a stream.
        create: In an item of ``POST /…/bulk_create``.
        update: In ``PATCH /contacts/{id}`` and ``PATCH /accounts/{id}``.
        bulk: In an item of ``POST /…/bulk_update``.
        read: In Apollo's answers.
        phone_type: The type of the phone number in Apollo's answers; None for any.
        create_wide: Whether bulk_create takes it for the whole request, not for an item.
        grouped: Endpoint that writes one value to many records.
        resolved: Apollo may replace the value by one that it looks up, so an old value in an answer
            does not mean that Apollo did not take the new one.
        absent_if_empty: Whole records in Apollo's answers lack it where the record has no value.
    """

    name: str
    create: str | None = None
    update: str | None = None
    bulk: str | None = None
    read: str | None = None
    compare: Compare = Compare.TEXT
    normalise: Callable[[str, object], str | None] = values.text
    phone_type: str | None = None
    create_wide: bool = False
    grouped: str | None = None
    resolved: bool = False
    absent_if_empty: bool = False


def everywhere(name: str, *, resolved: bool = False) -> Field:
    """A text field that every endpoint takes and shows under the same name."""
    return Field(name, create=name, update=name, bulk=name, read=name, resolved=resolved)


def create_only(name: str, *, read: str | None = None) -> Field:
    """A text field that only bulk_create takes; answers show it as `read`, or else as `name`."""
    return Field(name, create=name, read=read or name)


class RecordType(Protocol):
    """What values and policies ask of a kind of record: its fields, and whose custom fields it has.

    Attributes:
        singular: What sentences call it.
        fields: Field name -> field.
        named_fields: Property with a name (``owner_email``) -> the field that takes the id.
        modality: Apollo's word for the object in its custom fields.
        needed_field: The field without which no record can be created.
        shows_updated_at: Whether an answer tells when the record was changed.
    """

    @property
    def singular(self) -> str: ...  # noqa: D102

    @property
    def fields(self) -> Mapping[str, Field]: ...  # noqa: D102

    @property
    def named_fields(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def modality(self) -> str: ...  # noqa: D102

    @property
    def needed_field(self) -> str: ...  # noqa: D102

    @property
    def shows_updated_at(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class ObjectType:
    """A kind of object with its fields, its match key and its endpoints.

    Attributes:
        endpoints: Its endpoints and the names of their arguments.
        match_field: The field by which Apollo recognises a record; a new record must have it.
        crm_ids: Fields by which ``run_dedupe`` also recognises a record.
        named_fields: Property with a name (``owner_email``) -> the field that takes the id.
        search_words: Match key -> texts to search for, one after another, to find its record.
        bulk_shows: Whether bulk_update answers with the values that it wrote.
        shows_updated_at: Whether an answer tells when the record was changed.
        is_named_by_others: Whether rows of another type name a record by its match key, as
            contacts name their account.
        more_emails: The property with additional e-mails, by which Apollo also recognises a record;
            bulk_create and answers use the same name.
    """

    kind: ObjectKind
    endpoints: ObjectEndpoints
    fields: Mapping[str, Field]
    match_field: str
    missing_match: Reason
    crm_ids: tuple[str, ...]
    named_fields: Mapping[str, str]
    search_words: Callable[[str], Sequence[str]]
    bulk_shows: bool
    shows_updated_at: bool
    is_named_by_others: bool = False
    more_emails: str | None = None

    @property
    def singular(self) -> str:
        """ "contact" or "account", for sentences."""
        return self.endpoints.singular

    @property
    def modality(self) -> str:
        """Apollo's word for the object in its custom fields."""
        return self.singular

    @property
    def needed_field(self) -> str:
        """The field without which no record can be created."""
        return self.match_field

    @property
    def stage_name(self) -> str:
        """The property that names a record's stage."""
        return f"{self.singular}_stage"

    @cached_property
    def is_matched_by_domain(self) -> bool:
        """Whether Apollo recognises a record by a company's domain."""
        return self.fields[self.match_field].compare is Compare.DOMAIN

    @cached_property
    def item_names(self) -> dict[str, str]:
        """Field name -> its name in an item of a bulk_create request, for fields that it takes."""
        return {
            name: place.create
            for name, place in self.fields.items()
            if place.create and not place.create_wide
        }
