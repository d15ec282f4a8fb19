"""A stream as its tap describes it: its schema and its stream maps.

A record goes through a `Route` for each stream map; the route's sink validates the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from singer_sdk.exceptions import MapExpressionError
from singer_sdk.mapper import (
    CustomStreamMap,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from target_apollo.model.outcomes import Rejection
from target_apollo.sync.rejects.rejects_file import without_reject
from target_apollo.sync.source_schema import SourceSchema, UnusableSchema
from target_apollo.target.stream_maps import Definition, failure_of

Record = dict[str, Any]

#: Metadata properties that are removed from records. The SDK's targets remove them too, unless the
#: setting `add_record_metadata` is true; this target does not have that setting.
METADATA = frozenset(
    {
        "_sdc_batched_at",
        "_sdc_deleted_at",
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_sync_started_at",
        "_sdc_table_version",
    }
)


class Route:
    """Takes a stream's records through one stream map to a sink.

    A stream usually has one route, and several if `stream_maps` splits it into several streams.

    Attributes:
        sink_name: The name of the stream after the map, by which its sink is looked up.
        drops_all: Whether the map leaves all records out.
        leaves_alone: Whether records stay as they are, but for their `METADATA`.
    """

    def __init__(self, stream_map: StreamMap, definition: Definition | None = None) -> None:
        """`definition` is the entry of `stream_maps` that the stream map is made from."""
        self.sink_name = stream_map.stream_alias
        self.drops_all = isinstance(stream_map, RemoveRecordTransform)
        is_same = type(stream_map) is SameRecordTransform
        # Most streams have no map: their records are neither copied nor mapped.
        self.leaves_alone = is_same and not stream_map.flattening_enabled
        self._map = None if self.leaves_alone else stream_map
        self._definition = definition or Definition()

    def transform(self, record: Record) -> Record | None:
        """The record after the map; None if the map leaves it out.

        The argument is not changed: the rejects file needs the original.

        Raises:
            MapExpressionError: The map can't be applied to the record. The message says why, and
                shows no value.
        """
        transformed: Record | None = record
        if self._map is not None:
            try:
                transformed = self._map.transform(dict(record))
            except Exception:  # noqa: BLE001 - an expression may raise anything
                # The SDK wraps the errors of its evaluator, but not those of Python's operators,
                # such as a text plus a null. Their messages may show a value.
                raise MapExpressionError(self._why_not(record)) from None
        if transformed is None or METADATA.isdisjoint(transformed):
            return transformed
        return {name: value for name, value in transformed.items() if name not in METADATA}

    def _why_not(self, record: Record) -> str:
        why = None
        if isinstance(self._map, CustomStreamMap):
            why = failure_of(self._map, self._definition, record)
        return why or "a stream map can't be applied to it (setting stream_maps)"


def absent_sources(
    maps: Iterable[tuple[str, object]], sink_name: str, came: Collection[str]
) -> list[str]:
    """The streams that `stream_maps` names as sources of a sink and that did not come.

    Args:
        maps: The entries of the setting.
        came: Names of the streams that came, as the tap gives them.
    """
    absent = []
    for name, definition in maps:
        if not isinstance(definition, dict):
            continue
        source = str(definition.get("__source__", name))
        is_for_sink = sink_name in (name, definition.get("__alias__"))
        if is_for_sink and not any(fnmatch(one, source) for one in came):
            absent.append(source)
    return absent


def mapped_names(definitions: Iterable[object]) -> frozenset[str]:
    """The properties that stream maps set to another value.

    Args:
        definitions: The values of the setting `stream_maps`.
    """
    return frozenset(
        name
        for definition in definitions
        if isinstance(definition, dict)
        for name, expression in definition.items()
        if expression != name
    )


@dataclass(frozen=True)
class SourceStream:
    """A stream as its tap describes it.

    Attributes:
        schema: JSON schema of its records, without the property that the rejects file adds; None
            before the first SCHEMA message.
        key_properties: The properties that identify a row.
        bookmark_properties: Those by which the tap finds changed rows.
        changes_only: Whether the tap sends only changed rows, and never a whole table.
        routes: One for each stream map that applies to it.
        problem: Why none of its records can be taken, in a replay; None for other streams.
    """

    schema: Mapping[str, Any] | None = None
    key_properties: tuple[str, ...] = ()
    bookmark_properties: tuple[str, ...] = ()
    changes_only: bool = False
    routes: tuple[Route, ...] = ()
    problem: Rejection | None = None

    @classmethod
    def unusable(cls, message: Mapping[str, Any], problem: Rejection) -> SourceStream:
        """A stream whose records are rejected; they keep its SCHEMA if that can be kept."""
        try:
            stream = cls.from_message(message)
        except UnusableSchema:
            stream = cls()
        return replace(stream, problem=problem)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> SourceStream:
        """Creates a stream from a SCHEMA message, without routes yet.

        Raises:
            UnusableSchema: It has no properties, or its key properties are no names.
        """
        found = SourceSchema.of(message)
        return cls(
            without_reject(found.schema),
            found.key_properties,
            found.bookmark_properties,
            found.changes_only,
        )

    def with_routes(self, routes: Iterable[Route]) -> SourceStream:
        """The same stream with its routes."""
        return replace(self, routes=tuple(routes))

    def has_schema_of(self, other: SourceStream) -> bool:
        """Whether schema and key are equal, so that stream maps and sinks can be kept."""
        return self.schema == other.schema and self.key_properties == other.key_properties
