"""A stream as its tap describes it, and what the SDK's stream maps make of its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from singer_sdk.exceptions import MapExpressionError
from singer_sdk.mapper import SameRecordTransform, StreamMap
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.sync.rejects_file import without_reject

Record = dict[str, Any]

#: Properties that the SDK's targets take out of records, since they add them where that is asked
#: for. This target has no such setting.
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
    """The way of a stream's records through one stream map into the sink that it names.

    A stream has one route as a rule, and more where `stream_maps` makes several streams of it.

    Attributes:
        sink_name: The name of the stream after the map, by which its sink is known.
    """

    def __init__(self, stream_map: StreamMap) -> None:
        self.sink_name = stream_map.stream_alias
        leaves_alone = type(stream_map) is SameRecordTransform and not stream_map.flattening_enabled
        # Most streams have no map: their records need neither a copy nor the call.
        self._map = None if leaves_alone else stream_map

    def transform(self, record: Record) -> Record | None:
        """The record as the sink gets it; None where the map leaves it out.

        The record that is handed in stays as it is, for the rejects file.

        Raises:
            MapExpressionError: The map can't be applied to the record.
        """
        transformed: Record | None = record
        if self._map is not None:
            try:
                transformed = self._map.transform(dict(record))
            except MapExpressionError:
                raise
            except Exception as problem:  # noqa: BLE001 - an expression may raise anything
                # The SDK tells of faults that its evaluator finds, not of what Python's operators
                # raise (a text and a null added). The words of those may show a value.
                raise MapExpressionError(type(problem).__name__) from None
        if transformed is None or transformed.keys().isdisjoint(METADATA):
            return transformed
        return {name: value for name, value in transformed.items() if name not in METADATA}


@dataclass(frozen=True)
class SourceStream:
    """A stream as its tap describes it.

    Attributes:
        schema: JSON schema of its records, without the property that the rejects file adds; None
            as long as no SCHEMA has come.
        key_properties: The properties that tell its rows apart.
        bookmark_properties: Those by which the tap finds what changed; none where it sends the
            whole table each time.
        routes: One for each stream map that applies to it.
    """

    schema: Mapping[str, Any] | None = None
    key_properties: tuple[str, ...] = ()
    bookmark_properties: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> SourceStream:
        """Reads a SCHEMA message; routes are still missing.

        Raises:
            InvalidInputLine: It does not name the properties of records.
        """
        schema = message.get("schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise InvalidInputLine(
                f"The SCHEMA of stream '{message['stream']}' has no 'properties': mend the tap's "
                "catalog."
            )
        return cls(
            without_reject(schema),
            tuple(message.get("key_properties") or ()),
            tuple(message.get("bookmark_properties") or ()),
        )

    def with_routes(self, maps: Iterable[StreamMap]) -> SourceStream:
        """The same stream with a route for each of its stream maps."""
        return SourceStream(
            self.schema,
            self.key_properties,
            self.bookmark_properties,
            tuple(Route(stream_map) for stream_map in maps),
        )

    def has_schema_of(self, other: SourceStream) -> bool:
        """Whether schema and key are the same, so that its maps and sinks can stay."""
        return self.schema == other.schema and self.key_properties == other.key_properties
