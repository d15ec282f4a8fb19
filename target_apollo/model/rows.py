"""The row: a record as it is planned and written; and the settings with which rows are written."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec


class Mode(enum.Enum):
    """Whether records that Apollo lacks are created and those that it has are updated."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"


class UpdateMethod(enum.Enum):
    """The setting `update_method`."""

    INDIVIDUAL = "individual"
    BULK = "bulk"
    AUTO = "auto"


class NullPolicy(enum.Enum):
    """What a null in a record means for the field in Apollo."""

    IGNORE = "ignore"
    CLEAR = "clear"


class Unresolved(enum.Enum):
    """What becomes of a row with a name that Apollo does not know."""

    REJECT = "reject"
    #: It is written without that value.
    DROP = "drop"


class MissingAccounts(enum.Enum):
    """What becomes of a link to an account that Apollo does not have."""

    SKIP = "skip"
    CREATE = "create"
    REJECT = "reject"


Values = dict[str, "str | None"]


class Row(msgspec.Struct, frozen=True):
    """A record as it is planned and written.

    Attributes:
        number: The record's number among all that the target received, in order of arrival.
        key: Values of the source key.
        match_key: E-mail of a contact, domain of an account, by which Apollo recognises it.
        values: Field name -> value; None clears the field.
        custom: Custom field id (24 hex digits) -> value; None clears it.
        names: Field name -> the property that names its value and what it says, such as
            ``owner_id -> ("owner_email", "ada@team.example")``, until the id is looked up. A field
            stands in `values` or here.
        lists: Names of the lists that the record is added to.
        more_emails: Additional e-mail addresses, which only a new contact gets.
        apollo_id: The Apollo id in the record itself.
        supersedes: Numbers of earlier records with the same source key that this row replaces.
        changed_at: When the row last changed at its source, if a policy needs it.
        deleted: Whether the row was deleted at its source; `values` and `lists` then say where its
            record is moved.
    """

    number: int
    key: tuple[object, ...]
    match_key: str | None
    values: Values
    custom: Values = {}
    lists: tuple[str, ...] = ()
    apollo_id: str | None = None
    supersedes: tuple[int, ...] = ()
    changed_at: datetime | None = None
    deleted: bool = False
    names: Mapping[str, tuple[str, str]] = {}

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the records that get this row's outcome, in order of arrival."""
        return (*self.supersedes, self.number)


def key_text(key: Sequence[object]) -> str:
    """A source key as a log line may show it: a value with an e-mail as its hash only.

    >>> key_text((17,)), key_text(("eu", 4))
    ('17', 'eu/4')
    """
    return "/".join(_shown(value) for value in key)


def _shown(value: object) -> str:
    written = str(value)
    if "@" in written:
        return f"sha256:{hashlib.sha256(written.strip().lower().encode()).hexdigest()[:12]}"
    return written if len(written) <= 80 and written.isprintable() else f"({len(written)} chars)"
