"""What the client returns, except for contacts and accounts, which stay JSON objects as sent."""

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
    """A user of the team. `email` is empty where Apollo gives none; deleted users own nothing."""

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
    """A list in Apollo's interface. `modality`: "contacts", "accounts" or "emailer_campaigns"."""

    id: str
    name: str
    modality: str


@dataclass(frozen=True)
class CustomField:
    """A custom field. `id` is 24 hex digits without a modality, as writes need it.

    `modality`: "contact", "account" or "opportunity"; `options` of a picklist: name -> option id.
    """

    id: str
    label: str
    modality: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BulkCreated:
    """The records of a bulk_create answer: created ones, and existing ones, which stay unmodified.

    Apollo promises no order in either list, and may return fewer records than were sent.
    `repeated`: an earlier try of the request may have created some of the records in `existing`.
    """

    created: list[JSON] = field(repr=False)
    existing: list[JSON] = field(repr=False)
    repeated: bool = False
