"""A record as it is planned and written, and what the settings say of all of them."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec


class Mode(enum.Enum):
    """What happens to records that Apollo has already, and to those that it has not."""

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


Values = dict[str, "str | None"]


class Row(msgspec.Struct, frozen=True):
    """A record as it is planned and written.

    Attributes:
        number: Place of the record among all that the target received; orders rows.
        key: Values of the source key.
        match_key: E-mail of a contact, domain of an account; what Apollo recognises it by.
        values: Field name -> value; None clears the field.
        custom: Custom field id (24 hex digits) -> value; None clears it.
        lists: Names of the lists it is added to.
        apollo_id: The id that the record itself carries.
        supersedes: Numbers of earlier records of the same source key that it stands for.
        changed_at: When the row last changed at its source, where a policy asks for it.
        deleted: Whether it was deleted at its source; its values say where its record is moved.
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

    @property
    def numbers(self) -> tuple[int, ...]:
        """The records that this row decides about, in order of arrival."""
        return (*self.supersedes, self.number)


def key_text(key: Sequence[object]) -> str:
    """A source key as it may stand in a log line: an e-mail in it is shown as its hash only.

    >>> key_text((17,)), key_text(("eu", 4))
    ('17', 'eu/4')
    """
    return "/".join(_shown(value) for value in key)


def _shown(value: object) -> str:
    written = str(value)
    if "@" in written:
        return f"sha256:{hashlib.sha256(written.strip().lower().encode()).hexdigest()[:12]}"
    return written if len(written) <= 80 and written.isprintable() else f"({len(written)} chars)"
