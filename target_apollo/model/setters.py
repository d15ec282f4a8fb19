"""How the value of a property gets into a row: a setter for each kind of property. Pure.

A parser of rows chooses the setters of a stream's properties once, and calls them for each record.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from target_apollo.model import values
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.rows import Values
from target_apollo.model.values import Normalise


class Draft(msgspec.Struct):
    """The parts of a row while a record is read."""

    values: Values = {}
    custom: Values = {}
    names: dict[str, tuple[str, str]] = {}
    lists: tuple[str, ...] = ()
    apollo_id: str | None = None
    #: Addresses after the first in the property `email`, and those in `contact_emails`.
    more_emails: tuple[str, ...] = ()
    listed_emails: tuple[str, ...] = ()
    #: Raised if no other property has an address: why `contact_emails` has none.
    listed_fault: RecordError | None = None

    def names_without_id(self) -> dict[str, tuple[str, str]]:
        """The names whose field has no id in the record too: the id wins."""
        found = {name: named for name, named in self.names.items() if self.values.get(name) is None}
        for name in found:
            # An id that is null does not clear a field that also has a name.
            self.values.pop(name, None)
        return found


#: Takes a property's name and value, and the draft that gets it; raises RecordError.
Setter = Callable[[str, object, Draft], None]


class Shape(enum.Enum):
    """Fields whose usual values are taken as they are, without a call of their setter."""

    TEXT = enum.auto()
    #: Usual is one plain address.
    EMAIL = enum.auto()
    #: Usual is a number that ends in a digit.
    PHONE = enum.auto()
    #: Usual is an address with its scheme.
    URL = enum.auto()


#: Normaliser of a field -> its shape.
SHAPES: Mapping[Normalise, Shape] = {
    values.text: Shape.TEXT,
    values.phone: Shape.PHONE,
    values.url: Shape.URL,
}


def field_setter(field_name: str, normalise: Normalise, *, clears: bool) -> Setter:
    """The setter of a property that is a field; `clears`: whether a null empties the field."""

    def set_field(name: str, value: object, draft: Draft) -> None:
        if value is None and not clears:
            return
        normalised = normalise(name, value)
        if normalised is not None:
            draft.values[field_name] = normalised
        elif clears:
            # A property with a name may have set the id already.
            draft.values.setdefault(field_name, None)

    return set_field


def named_setter(named_by: str, field_name: str, normalise: Normalise, *, clears: bool) -> Setter:
    """The setter of a property with a name in place of an id, which is looked up later.

    Args:
        named_by: What the property is called, such as ``owner_email``.
        field_name: The field that takes the id, such as ``owner_id``.
        clears: Whether a null empties the field.
    """

    def set_by_name(name: str, value: object, draft: Draft) -> None:
        written = normalise(name, value)
        if written is not None:
            draft.names[field_name] = named_by, written
        elif clears:
            draft.values.setdefault(field_name, None)

    return set_by_name


def custom_setter(
    field_id: str, normalise: Normalise, *, clears: bool, drops: bool, dropped: Counter[str]
) -> Setter:
    """The setter of a property that is a custom field.

    Args:
        clears: Whether a null empties the field.
        drops: Whether the row is written without a value that is no option of the field.
        dropped: Counts such values by property.
    """

    def set_custom(name: str, value: object, draft: Draft) -> None:
        try:
            normalised = None if value is None else normalise(name, value)
        except RecordError as problem:
            if not drops or problem.rejection.reason is not Reason.UNKNOWN_NAME:
                raise
            dropped[name] += 1
            return
        if normalised is not None or clears:
            draft.custom[field_id] = normalised

    return set_custom


def set_lists(name: str, value: object, draft: Draft) -> None:
    """The setter of the property with the names of lists."""
    draft.lists = values.names(name, value)


def leave_out(name: str, value: object, draft: Draft) -> None:
    """The setter of a property whose field no row may write."""
