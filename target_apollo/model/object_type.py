"""What a kind of object is: its fields, what each endpoint calls them, its match key. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from target_apollo.apollo.endpoints import ObjectEndpoints
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


def everywhere(name: str, *, resolved: bool = False) -> Field:
    """A text that every endpoint takes and shows under its own name."""
    return Field(name, create=name, update=name, bulk=name, read=name, resolved=resolved)


def create_only(name: str, *, read: str | None = None) -> Field:
    """A text that only a creation takes; shown as `read`, or under its own name."""
    return Field(name, create=name, read=read or name)


@dataclass(frozen=True)
class ObjectType:
    """A kind of object with its fields, its match key and its endpoints.

    Attributes:
        endpoints: Its endpoints, and the words that they use.
        match_field: What Apollo recognises a record by, and what a new one must have.
        crm_ids: Fields by which ``run_dedupe`` also recognises a record.
        named_fields: Properties that name something which Apollo knows by id, and the field that
            takes the id.
        search_words: What to search for, one after another, to find a match key.
        bulk_shows: Whether bulk_update answers with the values that it wrote.
        shows_updated_at: Whether an answer tells when the record was changed.
        is_named_by_others: Whether rows of another type name a record by its match key, as
            contacts name their account.
        more_emails: Where an answer holds further e-mails of a record, by which it is recognised.
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
    def stage_name(self) -> str:
        """The property that names a record's stage."""
        return f"{self.singular}_stage"

    @cached_property
    def is_matched_by_domain(self) -> bool:
        """Whether Apollo recognises a record by a company's domain."""
        return self.fields[self.match_field].compare is Compare.DOMAIN

    @cached_property
    def item_names(self) -> dict[str, str]:
        """What an item of a bulk_create request calls the fields that it takes."""
        return {
            name: place.create
            for name, place in self.fields.items()
            if place.create and not place.create_wide
        }
