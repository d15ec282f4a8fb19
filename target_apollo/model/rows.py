"""The row: a record as it is planned and written, its key, and the settings for both. Pure."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from target_apollo.system.shown import may_be_address


class Mode(enum.Enum):
    """What a run does with the rows of a stream."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    #: Members are added to lists, and never removed.
    ADD = "add"
    #: A list or sequence has the members that its rows name, and loses others.
    MIRROR = "mirror"


#: The modes of contacts and accounts, and of the setting `mode`.
RECORD_MODES = (Mode.INSERT, Mode.UPDATE, Mode.UPSERT)


class UpdateMethod(enum.Enum):
    """The setting `update_method`."""

    INDIVIDUAL = "individual"
    BULK = "bulk"
    AUTO = "auto"


class NullPolicy(enum.Enum):
    """What a null in a record means for the field in Apollo."""

    IGNORE = "ignore"
    CLEAR = "clear"


class OnApolloDelete(enum.Enum):
    """What happens to a row after somebody deleted its record in Apollo without merging it."""

    LEAVE = "leave"
    RECREATE = "recreate"


class OnIdentityConflict(enum.Enum):
    """What happens to a new row for which Apollo has a record that shares only its name."""

    REJECT = "reject"
    CREATE = "create"


class Unresolved(enum.Enum):
    """What happens to a row with an owner, stage or other name that Apollo does not know."""

    REJECT = "reject"
    #: The row is written without that value.
    DROP = "drop"


class MissingAccounts(enum.Enum):
    """What happens to a link to an account that Apollo does not have."""

    SKIP = "skip"
    CREATE = "create"
    REJECT = "reject"


class KeyFlag(enum.Enum):
    """A boolean in the key of a row.

    For Python `True` is the number 1, and rows with the keys ``true`` and ``1`` would be one row.
    """

    TRUE = True
    FALSE = False


Values = dict[str, "str | None"]


class Row(msgspec.Struct, frozen=True, gc=False):
    """A record as it is planned and written.

    Attributes:
        number: The record's number among all that the target received, in order of arrival.
        key: Values of the source key; none of them is missing. A boolean is a `KeyFlag`.
        match_key: The first of its match keys, as `match_keys` spells them: the e-mail of a
            contact, the domain of an account, or a key that `match_on` names.
        more_keys: Its other match keys, in order.
        values: Field name -> value; None clears the field.
        custom: Custom field id (24 hex digits) -> value; None clears it.
        names: Field name -> the property with a name in place of the id, and that name, such as
            ``owner_id -> ("owner_email", "ada@team.example")``, until the id is looked up. A field
            is either in `values` or here.
        lists: Names of the lists that the record is added to.
        more_emails: Additional e-mail addresses, which only a new contact gets.
        apollo_id: The Apollo id in the record itself.
        supersedes: Numbers of earlier records with the same source key that this row replaces.
        changed_at: When the row last changed at its source, if a policy needs it.
        deleted: Whether the row was deleted at its source; `values` and `lists` are then the stage
            and lists that its record is moved to.
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
    more_emails: tuple[str, ...] = ()
    more_keys: tuple[str, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the records that get this row's outcome, in order of arrival."""
        return (*self.supersedes, self.number)


def key_text(key: Sequence[object]) -> str:
    """A source key as a log line may show it: only the hash of a value with an e-mail.

    >>> key_text((17,)), key_text(("eu", 4))
    ('17', 'eu/4')
    """
    return "/".join(_shown(value) for value in key)


def _shown(value: object) -> str:
    if isinstance(value, KeyFlag):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    written = str(value)
    if may_be_address(written):
        return f"sha256:{hashlib.sha256(written.strip().lower().encode()).hexdigest()[:12]}"
    return written if len(written) <= 80 and written.isprintable() else f"({len(written)} chars)"
