"""Sets up streams as their SCHEMA messages come: their stream maps, and a sink at the end of each.

A record enters none of this: it looks its stream and its sinks up by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from target_apollo.model.outcomes import Rejection
from target_apollo.sync.end_notices import unused_settings
from target_apollo.sync.objects.registry import ObjectSyncs
from target_apollo.sync.rejects.rejects_file import (
    NO_PROPERTIES,
    UNREADABLE_STREAM,
    is_placeholder,
)
from target_apollo.sync.source_schema import UnusableSchema
from target_apollo.target.mapping import MappedStream, is_removed, mapped_streams
from target_apollo.target.object_sinks import ObjectSink
from target_apollo.target.odd_lines import Message
from target_apollo.target.schema_rules import usable_schema
from target_apollo.target.sinks import StreamSink
from target_apollo.target.streams import Route, SourceStream, absent_sources, mapped_names

if TYPE_CHECKING:
    from target_apollo.target.target import TargetApollo


class StreamSetup:
    """The streams of a run and their sinks.

    Attributes:
        streams: Streams by the name that the tap gives them.
        sinks: Sinks by the name of their stream after stream maps, in the order of their creation.
        without_sink: Names, after stream maps, of streams without a sink: none of their records can
            be written.
        is_rejects_file: Whether the input is a rejects file, in which a stream that can't be used
            costs no other.
    """

    def __init__(self, target: TargetApollo) -> None:
        self.streams: dict[str, SourceStream] = {}
        self.sinks: dict[str, StreamSink] = {}
        self.without_sink: set[str] = set()
        self.is_rejects_file = False
        self._target = target
        self._run = target.run
        self._mapper = target.mapper
        self._object_syncs = ObjectSyncs(self._run)

    def announce(self, message: Message) -> SourceStream | None:
        """Sets up the stream of a SCHEMA message; None for one that only a rejects file has.

        Raises:
            SettingsError, UnusableSchema: The stream can't be used.
            ApolloError, RunError: The records of a former sink can't be written.
        """
        name = message["stream"]
        if name == UNREADABLE_STREAM or is_placeholder(message):
            return None
        try:
            stream = SourceStream.from_message(message)
        except UnusableSchema:
            if not is_removed(self._mapper, name) and not self._run.settings.leaves_out(name):
                raise
            stream = SourceStream(NO_PROPERTIES)
        known = self.streams.get(name)
        if known is not None and known.routes and stream.has_schema_of(known):
            stream = stream.with_routes(known.routes)
        else:
            stream = stream.with_routes(self._routes(name, stream))
        self.streams[name] = stream
        return stream

    def reject_stream(self, message: Message, rejection: Rejection) -> None:
        """Has all records of a stream rejected, since its SCHEMA message can't be used."""
        self.streams[message["stream"]] = SourceStream.unusable(message, rejection)

    @property
    def without_object(self) -> frozenset[str]:
        """Streams after stream maps that hold no known object, and that no setting leaves out."""
        settings = self._run.settings
        return frozenset(one for one in self.without_sink if not settings.leaves_out(one))

    def unused_settings(self) -> list[str]:
        """A sentence for each entry of a setting that is for none of the streams that came."""
        properties = [sink.schema.get("properties", {}) for sink in self.sinks.values()]
        return unused_settings(self._run.settings, {*self.sinks, *self.without_sink}, properties)

    def mapped(self, stream: str, record: dict[str, Any]) -> Iterator[tuple[StreamSink, Any]]:
        """Yields the sinks that a record goes to, each with the record after its stream map.

        Raises:
            MapExpressionError: A stream map can't be applied to it.
        """
        for route in self.streams[stream].routes if stream in self.streams else ():
            sink = self.sinks.get(route.sink_name)
            transformed = route.transform(record)
            if sink is not None and transformed is not None:
                yield sink, transformed

    @cached_property
    def mapped_names(self) -> frozenset[str]:
        """The properties that stream maps change."""
        return mapped_names(self._mapper.stream_maps_dict.values())

    def sources_of(self, sink_name: str) -> list[str]:
        """The names that taps give to the streams that feed a sink.

        Among them are those that `stream_maps` sends to it and that have not come in this run.
        """
        came = [
            name
            for name, stream in self.streams.items()
            if any(route.sink_name == sink_name and not route.drops_all for route in stream.routes)
        ]
        maps = self._mapper.stream_maps_dict.items()
        return came + absent_sources(maps, sink_name, self.streams)

    def _routes(self, name: str, stream: SourceStream) -> list[Route]:
        """The routes of a stream through its stream maps, each with a sink at its end.

        Raises:
            SettingsError: A stream map can't be applied to the stream.
            ApolloError, RunError: The records of a former sink can't be written.
        """
        usable = usable_schema(stream.schema or NO_PROPERTIES)
        validates = bool(self._target.config.get("validate_records", True))
        if validates:
            self._run.notices.rules_left_out(name, map(str, usable.left_out))
        mapped = mapped_streams(
            self._mapper, name, usable.schema, stream.key_properties, validates=validates
        )
        for one in mapped:
            if self._needs_sink(one.route):
                self._make_sink(one)
        return [one.route for one in mapped]

    def _needs_sink(self, route: Route) -> bool:
        """Whether records of a route are written, as far as it is known before they come.

        A tap may announce a stream whose records a map or a mapper leaves out. So a stream without
        an object is refused at its first record. A rejects file has only streams with records.

        Raises:
            SettingsError: A stream of a rejects file has no object.
        """
        name, settings = route.sink_name, self._run.settings
        if route.drops_all:
            return False
        if self._run.adoption is not None and settings.object_stream(name) is not None:
            # Only contacts and accounts are adopted.
            return False
        if not settings.leaves_out(name) and (settings.has_object(name) or self.is_rejects_file):
            return True
        self.without_sink.add(name)
        return False

    def _make_sink(self, mapped: MappedStream) -> None:
        """Creates the sink for the records of a stream map, unless its schema is unchanged.

        Raises:
            SettingsError: It is not known whether the stream holds contacts or accounts.
            ApolloError, RunError: The records of the former sink can't be written.
        """
        name, key_properties = mapped.route.sink_name, list(mapped.key_properties)
        former = self.sinks.get(name)
        if former is not None:
            known = (former.original_schema, list(former.key_properties))
            if known == (mapped.schema, key_properties):
                return
            self._run.logger.info("The SCHEMA of stream '%s' has changed.", name)
            # Written later, its records would overwrite newer values of the same rows.
            self._run.pending_flush.finish()
            self._target.drain_one(former)
            former.clean_up()
        sink = self._sink_of(name, deepcopy(mapped.schema), key_properties)
        if former is not None:
            sink.follow(former)
            # The new sink goes to the end of the dict. At the end of the input sinks are written
            # in this order, so that of two rows with one address the later one is written last.
            del self.sinks[name]
        self.sinks[name] = sink

    def _sink_of(
        self, name: str, schema: dict[str, Any], key_properties: Sequence[str]
    ) -> StreamSink:
        """A new sink for a stream, by the setting `streams` or by the stream's name.

        Raises:
            SettingsError: Neither tells which object the stream holds.
        """
        own = self._run.settings.object_stream(name)
        if own is not None:
            return ObjectSink(self._target, name, schema, key_properties, own, self._object_syncs)
        return self._target.get_sink_class(name)(self._target, name, schema, key_properties)
