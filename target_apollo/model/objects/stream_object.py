"""`StreamObject`: an object besides contacts and accounts that a stream can hold. Pure.

Contacts and accounts are an `ObjectType`, since Apollo itself recognises them by an address. The
others are known by the row's key alone: the ledger says what became of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from target_apollo.model import values
from target_apollo.model.objects.object_type import Field
from target_apollo.model.rows import Mode

#: Column with the Apollo id of the record that a row is written to.
APOLLO_ID = "apollo_id"

Normalise = Callable[[str, object], "str | None"]


@dataclass(frozen=True)
class Column:
    """A column of a stream.

    Attributes:
        name: Its name; a stream may spell it with other case and separators.
        normalise: Gives the value that is written, None for nothing; raises RecordError.
        is_required: Whether a row without it can't be written.
    """

    name: str
    normalise: Normalise = values.text
    is_required: bool = False


@dataclass(frozen=True)
class StreamObject:
    """A kind of object with its columns and modes.

    Attributes:
        name: As in the setting `streams`, such as ``list_members``.
        singular: As in the ledger and in sentences, such as ``list member``.
        columns: Name -> column.
        modes: The modes in which its streams can be written.
        default_mode: The mode without a setting of the stream's own; None: the setting `mode`.
        default_key: Columns that identify a row where neither SCHEMA nor setting names a key; those
            that a row leaves empty are left out.
        fields: Fields of an object that Apollo has records of, by name; empty for memberships. With
            fields it is a `RecordType`, with custom fields and policies.
        named_fields: Column with a name (``owner_email``) -> the field that takes the id.
        modality: Apollo's word for the object in its custom fields.
        needed_field: The field without which no record can be created.
        clearable: Fields that a null empties under the null policy `clear`.
        is_told_by_name: Whether a stream of this name needs no setting. Not for names that a table
            of another meaning may have, such as ``tasks``.
    """

    name: str
    singular: str
    columns: Mapping[str, Column]
    modes: tuple[Mode, ...]
    default_mode: Mode | None = None
    default_key: tuple[str, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=dict)
    named_fields: Mapping[str, str] = field(default_factory=dict)
    modality: str = ""
    needed_field: str = ""
    clearable: frozenset[str] = frozenset()
    is_told_by_name: bool = False

    #: Whether an answer tells when the record was changed.
    shows_updated_at = False

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns without which no row can be written."""
        return tuple(name for name, column in self.columns.items() if column.is_required)


def columns(*given: Column) -> dict[str, Column]:
    """Columns by name."""
    return {column.name: column for column in given}
