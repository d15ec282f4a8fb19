"""The rule that a lead's user has an Apollo user, and the mapping of both: inline or a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import msgspec
from typing_extensions import override

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.keys import key_text
from target_apollo.mapper.rules.base import (
    Check,
    FieldRule,
    Lead,
    NotYet,
    StreamFacts,
    caseless,
    kind,
    shown,
)
from target_apollo.model.values import is_apollo_id

OWNER_ID = "owner_id"
OWNER_EMAIL = "owner_email"


@dataclass(frozen=True)
class Owner:
    """An Apollo user as a property for the target: `OWNER_ID` or `OWNER_EMAIL`, with its value."""

    field: str
    value: str


class Owners:
    """The Apollo user of each user of the warehouse.

    User ids are compared as text, without regard to case.
    """

    def __init__(self, owners: Mapping[str, Owner]) -> None:
        self._owners = {caseless(user): owner for user, owner in owners.items()}
        self.fields = frozenset(owner.field for owner in owners.values())
        """Those of `OWNER_ID` and `OWNER_EMAIL` that some entry has."""
        # Few users own many leads. With typed=True, 1, 1.0 and True are different keys.
        self._of = lru_cache(maxsize=4096, typed=True)(self._find)

    def all(self) -> Iterable[Owner]:
        """Each Apollo user of the mapping."""
        return self._owners.values()

    def items(self) -> Iterable[tuple[str, Owner]]:
        """Each user of the warehouse with its Apollo user."""
        return self._owners.items()

    def of(self, user: object) -> Owner | None:
        """The Apollo user of a user id, which is text or a number; None if there is no entry."""
        try:
            return self._of(user)
        except TypeError:
            # A list or an object, which has no hash and is no id.
            return None

    def _find(self, user: object) -> Owner | None:
        written = key_text(user)
        return None if written is None else self._owners.get(caseless(written))


def read_owners(inline: Mapping[str, str], path: str | None) -> Owners:
    """Join the inline mapping with the CSV file's; an inline entry wins.

    The file has two columns, the user's id and the Apollo user's id or e-mail, in UTF-8; a first
    line whose second cell is neither is taken for the header.

    Raises:
        SettingsError: The file can't be read, an entry is neither an Apollo id nor an e-mail, or
            there is none.
    """
    entries = dict(_rows(Path(path))) if path else {}
    for user, apollo_user in inline.items():
        owner = _owner(apollo_user)
        if owner is None:
            raise SettingsError(
                f"Setting rules.owner_mapped.map: the entry of user '{user}' is neither an Apollo "
                "user id (24 hex digits) nor an e-mail address."
            )
        entries[user.strip()] = owner
    if not entries:
        raise SettingsError(f"Setting rules.owner_mapped.map_path: {path} maps no user.")
    return Owners(entries)


def _rows(path: Path) -> Iterable[tuple[str, Owner]]:
    try:
        # utf-8-sig, since spreadsheets put a byte order mark before the first cell.
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                cells = [cell.strip() for cell in row]
                if not any(cells):
                    continue
                owner = _owner(cells[1]) if len(cells) > 1 else None
                if owner is not None and cells[0]:
                    yield cells[0], owner
                elif number > 1 or len(cells) < 2:
                    raise SettingsError(
                        f"Setting rules.owner_mapped.map_path: line {number} of {path} must hold a "
                        "user id, a comma, and an Apollo user id (24 hex digits) or an e-mail "
                        "address."
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no CSV file in UTF-8"
        raise SettingsError(
            f"Setting rules.owner_mapped.map_path: {path} can't be read: {why}."
        ) from None


def _owner(written: str) -> Owner | None:
    written = written.strip()
    if is_apollo_id(written.lower()):
        return Owner(OWNER_ID, written.lower())
    before, at, after = written.partition("@")
    if at and before and "." in after and not any(mark.isspace() for mark in written):
        return Owner(OWNER_EMAIL, written.lower())
    return None


class OwnerMapped(FieldRule, frozen=True, kw_only=True):
    """A user is assigned who has an Apollo user in the mapping."""

    rule: ClassVar[str] = "owner_mapped"

    field: str = "user_id"
    map: dict[str, str] = msgspec.field(default_factory=dict)
    map_path: str | None = None
    hold_unmapped: bool = False

    def __post_init__(self) -> None:
        """Check that there is a mapping."""
        if not self.map and not self.map_path:
            raise ValueError(
                "needs `map` (user id: Apollo user id or e-mail) or `map_path` (a CSV file of the "
                "same); set one, or set the rule to false"
            )

    def owners(self) -> Owners:
        """Read the mapping.

        Raises:
            SettingsError: It can't be read, or an entry is not valid.
        """
        return read_owners(self.map, self.map_path)

    @override
    def may_hold(self) -> bool:
        """Whether a lead is held until its user is in the mapping: `hold_unmapped`."""
        return self.hold_unmapped

    @override
    def check(self, stream: StreamFacts) -> Check:
        """The check that the lead's user is in the rule's mapping."""
        return self.check_with(self.owners())

    def check_with(self, owners: Owners) -> Check:
        """The check that the lead's user is in a mapping that was read before."""
        field = self.field
        reason: type[str] = NotYet if self.hold_unmapped else str

        def check(lead: Lead) -> str | None:
            user = lead.get(field)
            if owners.of(user) is not None:
                return None
            if key_text(user) is not None:
                return reason(f"user {shown(user)} has no Apollo user in the mapping")
            if user is None or isinstance(user, str):
                return "no user is assigned"
            return f"the user is {kind(user)}, not an id"

        return check
