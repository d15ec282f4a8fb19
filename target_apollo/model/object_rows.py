"""Turns Singer records into rows of an object besides contacts and accounts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.row_parser import key_of_record
from target_apollo.model.rows import Row, Values
from target_apollo.model.spelling import letters_of
from target_apollo.model.stream_object import StreamObject


@dataclass(frozen=True)
class ObjectRowParser:
    """Reads the records of one sink.

    Attributes:
        key_properties: The source key; empty where neither SCHEMA nor settings name one.
        properties: Properties of the stream's schema.
    """

    stream_object: StreamObject
    key_properties: Sequence[str]
    properties: Sequence[str]

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

    def is_mapped(self, name: str) -> bool:
        """Whether a property is written."""
        return name in self.columns

    def read(self, number: int, record: Mapping[str, object], *, deleted: bool = False) -> Row:
        """The row of a record.

        Args:
            deleted: Whether the row was deleted at its source: it then needs its key alone.

        Raises:
            RecordError: The record can't be written; the rest of the stream can.
        """
        if self.key_properties:
            key = key_of_record(self.key_properties, record)
        values: Values = {}
        for name, column in self.columns.items():
            try:
                value = self.stream_object.columns[column].normalise(name, record.get(name))
            except RecordError:
                if not deleted:
                    raise
                continue
            if value is not None:
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
        return Row(number, key, None, values, deleted=deleted)
