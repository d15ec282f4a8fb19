"""A stream as its tap describes it: its schema, its stream maps and the validation of its records.

A record goes through a `Route` for each stream map; the `CompiledValidator` of the route's sink
checks the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

import jsonschema_rs
from singer_sdk.exceptions import InvalidRecord, MapExpressionError
from singer_sdk.mapper import (
    CustomStreamMap,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from target_apollo.model.outcomes import Rejection
from target_apollo.sync.rejects_file import without_reject
from target_apollo.sync.source_schema import SourceSchema, UnusableSchema
from target_apollo.target.schema_rules import compiled
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
    """

    def __init__(self, stream_map: StreamMap, definition: Definition | None = None) -> None:
        """`definition` is the entry of `stream_maps` that the stream map is made of."""
        self.sink_name = stream_map.stream_alias
        self.drops_all = isinstance(stream_map, RemoveRecordTransform)
        leaves_alone = type(stream_map) is SameRecordTransform and not stream_map.flattening_enabled
        # Most streams have no map: their records are neither copied nor mapped.
        self._map = None if leaves_alone else stream_map
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


class CompiledValidator:
    """Checks records against the schema of their stream, in compiled code.

    The SDK's own validator takes four fifths of a target's time; this one does the same checks,
    and its messages never show a value.

    Args:
        schema: A schema that can be compiled, as `schema_rules.usable_schema` gives it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = compiled(schema)

    def validate(self, record: dict[str, Any]) -> None:
        """Checks one record.

        Raises:
            InvalidRecord: It breaks a rule; the message shows property and rule, not the value.
        """
        try:
            self._validator.validate(record)
        except jsonschema_rs.ValidationError as error:
            where = _shown_path(error.instance_path, self._schema)
            rule = str(error.schema_path[-1]) if error.schema_path else "schema"
            what = f"'{where}' breaks" if where else "the record breaks"
            raise InvalidRecord(f"{what} the rule '{rule}' of the stream's schema", {}) from None
        except ValueError as error:
            # A value that JSON can't hold, such as a lone surrogate from a stream map.
            raise InvalidRecord("the record holds a value that JSON can't carry", {}) from error


def _shown_path(path: Sequence[str | int], schema: object) -> str:
    """The path to a value as text; names that the schema lacks may be values and show as ``…``."""
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
