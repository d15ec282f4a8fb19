"""A stream as its tap describes it: what stream maps make of its records, and how they are checked.

A record goes through a `Route` for each stream map, and what comes out is checked by the
`CompiledValidator` of the sink to which the route leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from singer_sdk.exceptions import InvalidJSONSchema, InvalidRecord, MapExpressionError
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


class CompiledValidator:
    """Checks records against the schema of their stream, in compiled code.

    The SDK's own validator takes four fifths of a target's time; this one does the same checks,
    and its words never show a value.

    Raises:
        InvalidJSONSchema: The stream's schema is no JSON schema.
    """

    def __init__(self, stream: str, schema: dict[str, Any]) -> None:
        self._schema = schema
        try:
            self._validator = jsonschema_rs.validator_for(schema)
        except ValueError:
            raise InvalidJSONSchema(
                f"The SCHEMA of stream '{stream}' is not a valid JSON schema: mend it in the tap's "
                "catalog."
            ) from None

    def validate(self, record: dict[str, Any]) -> None:
        """Checks one record.

        Raises:
            InvalidRecord: Names the property and the rule, not the value.
        """
        try:
            self._validator.validate(record)
        except jsonschema_rs.ValidationError as error:
            where = _place(error.instance_path, self._schema)
            rule = str(error.schema_path[-1]) if error.schema_path else "schema"
            what = f"'{where}' breaks" if where else "the record breaks"
            raise InvalidRecord(f"{what} the rule '{rule}' of the stream's schema", {}) from None
        except ValueError as error:
            # A value that no JSON has, such as a lone surrogate from a stream map.
            raise InvalidRecord("the record holds a value that JSON can't carry", {}) from error


def _place(path: Sequence[str | int], schema: object) -> str:
    """A path in a record by the names that its schema has; others may be values, as in a map."""
    shown = []
    for step in path:
        inner = (
            schema.get("items" if isinstance(step, int) else "properties")
            if isinstance(schema, dict)
            else None
        )
        if isinstance(step, str):
            inner = inner.get(step) if isinstance(inner, dict) else None
        shown.append("…" if isinstance(step, str) and inner is None else str(step))
        schema = inner
    return ".".join(shown)
