"""Turns Singer records into rows of an object besides contacts and accounts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from target_apollo.model.objects.stream_object import APOLLO_ID, Normalise, StreamObject
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.row_parser import key_of_record
from target_apollo.model.rows import NullPolicy, Row, Values
from target_apollo.model.setters import Draft, Setter, custom_setter
from target_apollo.model.texts.spelling import letters_of
from target_apollo.model.times import moment


def _no_custom_field(_name: str) -> tuple[str, Normalise] | None:
    return None


def _ignore(_name: str) -> NullPolicy:
    return NullPolicy.IGNORE


@dataclass(frozen=True)
class ObjectRowParser:
    """Reads the records of one sink.

    Attributes:
        key_properties: The source key; empty where neither SCHEMA nor settings name one.
        properties: Properties of the stream's schema.
        custom_field: Id and normaliser of the custom field for a property; None for none.
        null_policy: The null policy of a property.
        kept_out: Name of a field, or custom field id -> whether no row may write it.
        drops: Property -> whether an option that its custom field lacks is left out.
        dropped: Property -> number of values left out for that.
        updated_at_field: Property with the time of a row's last change; None if it is not needed.
    """

    stream_object: StreamObject
    key_properties: Sequence[str]
    properties: Sequence[str]
    custom_field: Callable[[str], tuple[str, Normalise] | None] = _no_custom_field
    null_policy: Callable[[str], NullPolicy] = _ignore
    kept_out: Callable[[str], bool] = frozenset[str]().__contains__
    drops: Callable[[str], bool] = frozenset[str]().__contains__
    dropped: Counter[str] = field(default_factory=Counter)
    updated_at_field: str | None = None

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Property -> name of its column; properties that are none are left out.

        A property of exactly a column's name goes before one of the same letters.
        """
        found = {name: name for name in self.stream_object.columns if name in self.properties}
        letters = {letters_of(name): name for name in self.stream_object.columns}
        for name in self.properties:
            column = letters.get(letters_of(name))
            if column is not None and column not in found.values():
                found[name] = column
        return found

    @cached_property
    def custom(self) -> Mapping[str, tuple[str, Normalise]]:
        """Property -> id and normaliser of its custom field.

        Raises:
            ApolloError: Apollo could not be asked for its custom fields.
        """
        found = {
            name: self.custom_field(name)
            for name in self.properties
            if name not in self.columns and name not in self.key_properties
        }
        return {name: one for name, one in found.items() if one is not None}

    def is_mapped(self, name: str) -> bool:
        """Whether a property is written."""
        return name in self.columns or name in self.custom

    def try_value(self, name: str, value: object) -> None:
        """Reads a value of a property as `read` does; nothing where it is not written.

        Raises:
            RecordError: No row with this value can be written.
        """
        if name in self.columns:
            self.stream_object.columns[self.columns[name]].normalise(name, value)
        elif name in self.custom:
            _, normalise = self.custom[name]
            normalise(name, value)

    def read(self, number: int, record: Mapping[str, object], *, deleted: bool = False) -> Row:
        """The row of a record.

        Args:
            deleted: Whether the row was deleted at its source: it then needs its key alone.

        Raises:
            RecordError: The record can't be written; the rest of the stream can.
        """
        if self.key_properties:
            key = key_of_record(self.key_properties, record)
        of = self.stream_object
        values: Values = {}
        names: dict[str, tuple[str, str]] = {}
        for name, column in self.columns.items():
            try:
                value = of.columns[column].normalise(name, record.get(name))
            except RecordError:
                if not deleted:
                    raise
                continue
            place = of.named_fields.get(column, column)
            if of.fields and self.kept_out(place):
                continue
            if place is not column:
                if value is not None:
                    names[place] = (column, value)
            elif value is not None or self._clears(name, column, record):
                values[column] = value
        missing = [name for name in self.stream_object.required if name not in values]
        if missing and not (deleted and self.key_properties):
            raise RecordError(
                Reason.MISSING_VALUE,
                f"a {self.stream_object.singular} needs {' and '.join(map(repr, missing))}, and "
                "the record has nothing there",
            )
        if not self.key_properties:
            key = tuple(values.get(name) or "" for name in self.stream_object.default_key)
        if not of.fields:
            return Row(number, key, None, values, deleted=deleted)
        changed_at = record.get(self.updated_at_field) if self.updated_at_field else None
        return Row(
            number,
            key,
            None,
            values,
            {} if deleted else self._custom_values(record),
            apollo_id=values.pop(APOLLO_ID, None),
            changed_at=moment(changed_at),
            deleted=deleted,
            # An id counts more than a name.
            names={place: name for place, name in names.items() if place not in values},
        )

    def _clears(self, name: str, column: str, record: Mapping[str, object]) -> bool:
        return (
            name in record
            and column in self.stream_object.clearable
            and self.null_policy(name) is NullPolicy.CLEAR
        )

    def _custom_values(self, record: Mapping[str, object]) -> Values:
        """Custom field id -> value.

        Raises:
            RecordError: A field does not take its value.
        """
        draft = Draft()
        for name, set_value in self._custom_setters.items():
            if name in record:
                set_value(name, record[name], draft)
        return draft.custom

    @cached_property
    def _custom_setters(self) -> Mapping[str, Setter]:
        return {
            name: custom_setter(
                field_id,
                normalise,
                clears=self.null_policy(name) is NullPolicy.CLEAR,
                drops=self.drops(name),
                dropped=self.dropped,
            )
            for name, (field_id, normalise) in self.custom.items()
            if not self.kept_out(field_id)
        }
