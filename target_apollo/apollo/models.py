"""What the client hands out besides contacts and accounts, which stay objects as Apollo sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_apollo.apollo.decoding import JSON


@dataclass(frozen=True)
class Profile:
    """The user behind the credentials. `team_id` tells one Apollo workspace from another."""

    id: str
    team_id: str
    name: str = field(repr=False)


@dataclass(frozen=True)
class User:
    """A member of the team. `email` is empty where Apollo gives none; deleted users own nothing."""

    id: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    deleted: bool


@dataclass(frozen=True)
class Stage:
    """A contact stage or an account stage."""

    id: str
    name: str
    display_name: str


@dataclass(frozen=True)
class Label:
    """A list, as people call it. `modality`: "contacts", "accounts" or "emailer_campaigns"."""

    id: str
    name: str
    modality: str


@dataclass(frozen=True)
class CustomField:
    """A custom field. `id` is the bare 24-hex id, the only form that writes understand.

    `modality`: "contact", "account" or "opportunity"; `options` of a picklist: name -> option id.
    """

    id: str
    label: str
    modality: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BulkCreated:
    """The records of a bulk_create: new ones, and ones that were there before and stay unmodified.

    Neither list has a promised order, and fewer records than were sent may come back. `repeated`
    says that an earlier try of the request may have created some of those in `existing`.
    """

    created: list[JSON] = field(repr=False)
    existing: list[JSON] = field(repr=False)
    repeated: bool = False
