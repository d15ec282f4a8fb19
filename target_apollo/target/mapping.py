"""The streams that a stream becomes by `stream_maps` and flattening, with the SDK's mapper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from singer_sdk.exceptions import MappingError
from singer_sdk.mapper import (
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from target_apollo.config.settings import SettingsError
from target_apollo.target.mapped_schemas import flattenable, schema_after
from target_apollo.target.schema_rules import Schema
from target_apollo.target.stream_maps import Definition, definitions_of, wrong_expressions
from target_apollo.target.streams import Route


@dataclass(frozen=True)
class MappedStream:
    """A stream after one stream map.

    Attributes:
        route: The route of its records, with the name of their sink.
        schema: The schema of the records after the map; it can be compiled.
    """

    route: Route
    schema: Schema
    key_properties: tuple[str, ...]


def mapped_streams(
    mapper: PluginMapper,
    stream: str,
    schema: Schema,
    key_properties: Sequence[str],
    *,
    validates: bool,
) -> list[MappedStream]:
    """The streams that a stream becomes.

    Args:
        mapper: The SDK's; it gets to know the stream.
        schema: The schema of the stream, which can be compiled.
        validates: Whether records are of the types that the schema says.

    Raises:
        SettingsError: The setting `stream_maps` or flattening can't be applied to the stream.
    """
    definitions = definitions_of(mapper.stream_maps_dict, stream)
    maps = _registered(mapper, stream, schema, key_properties)
    pairs = list(zip(maps, definitions, strict=True))
    problems = [
        problem
        for stream_map, definition in pairs
        for problem in _problems(stream_map, definition, stream, schema, validates=validates)
    ]
    if problems:
        # Otherwise the SDK would take the stream for one that is known and fine.
        del mapper.stream_maps[stream]
        raise SettingsError(problems)
    return [
        MappedStream(
            Route(stream_map, definition),
            _schema_of(stream_map, definition, schema),
            tuple(stream_map.transformed_key_properties or ()),
        )
        for stream_map, definition in pairs
    ]


def is_removed(mapper: PluginMapper, stream: str) -> bool:
    """Whether `stream_maps` leaves all records of a stream out."""
    own, *others = definitions_of(mapper.stream_maps_dict, stream)
    by_default = not own.name and mapper.default_mapper_type is RemoveRecordTransform
    return not others and (own.removes or by_default)


def _registered(
    mapper: PluginMapper, stream: str, schema: Schema, key_properties: Sequence[str]
) -> list[StreamMap]:
    options = mapper.flattening_options
    flattens = options.enabled and options.max_level > 0
    given = flattenable(schema, options.max_level) if flattens else deepcopy(schema)
    mapper.stream_maps.pop(stream, None)
    try:
        mapper.register_raw_stream_schema(stream, given, list(key_properties))
    except MappingError as problem:
        why: object = problem
    except Exception as problem:  # noqa: BLE001 - an alias is an expression and may raise anything
        why = f"{type(problem).__name__}: {problem}"
    else:
        return mapper.stream_maps[stream]
    mapper.stream_maps.pop(stream, None)
    names = "'stream_maps' and 'flattening_enabled'" if flattens else "'stream_maps'"
    raise SettingsError([f"The setting {names} can't be applied to stream '{stream}': {why}"])


def _problems(
    stream_map: StreamMap,
    definition: Definition,
    stream: str,
    schema: Mapping[str, Any],
    *,
    validates: bool,
) -> Iterator[str]:
    if not isinstance(stream_map.stream_alias, str) or not stream_map.stream_alias:
        yield (
            f"The setting 'stream_maps.{definition.name}.__alias__' gives no name for stream "
            f"'{stream}': write one as it is, or as text in an expression."
        )
    if isinstance(stream_map, CustomStreamMap):
        yield from wrong_expressions(stream_map, definition, stream, schema, tries=validates)


def _schema_of(stream_map: StreamMap, definition: Definition, schema: Schema) -> Schema:
    if isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled:
        return schema
    return schema_after(stream_map.transformed_schema, schema, definition)
