"""A stream as its SCHEMA message describes it, in whatever form the tap writes that. Pure.

A SCHEMA that can't be read at all ends the run. Without it each record of its stream would be
rejected, and STATE would pass them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class UnusableSchema(Exception):
    """The SCHEMA of a stream can't be used; the message names the stream and what is wrong."""


@dataclass(frozen=True)
class SourceSchema:
    """A stream as its SCHEMA message describes it.

    Attributes:
        schema: JSON schema of the records, as received; its `properties` are an object.
        key_properties: The properties that identify a row.
        bookmark_properties: Those by which the tap finds changed rows.
        changes_only: Whether the tap sends only changed rows. Taps that read a database's log give
            null as the name of their bookmark: then there are changes only, and no such property.
    """

    schema: dict[str, Any]
    key_properties: tuple[str, ...] = ()
    bookmark_properties: tuple[str, ...] = ()
    changes_only: bool = False

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> SourceSchema:
        """Reads a SCHEMA message that has the name of its stream.

        Raises:
            UnusableSchema: It has no properties, or its key properties are no names.
        """
        stream = message["stream"]
        schema = message.get("schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise UnusableSchema(
                f"The SCHEMA of stream '{stream}' has no 'properties': mend the tap's catalog."
            )
        bookmarks = message.get("bookmark_properties")
        return cls(
            schema,
            tuple(_key_names(stream, message.get("key_properties"))),
            tuple(name for name in _members(bookmarks) if isinstance(name, str) and name),
            bookmarks is not None and bookmarks != [],
        )


def _key_names(stream: str, given: object) -> Iterator[str]:
    for name in _members(given):
        if isinstance(name, str):
            if name:
                yield name
        elif name is not None:
            raise UnusableSchema(
                f"The SCHEMA of stream '{stream}' has 'key_properties' that are no names of "
                "properties: mend the tap's catalog."
            )


def _members(given: object) -> Iterator[object]:
    """The members of a list, or of lists in it; a lone value counts as a list of one."""
    if isinstance(given, list):
        for member in given:
            yield from _members(member)
    else:
        yield given
