"""The short way of a record to its sink, past steps of the SDK that would leave it as it is.

For every record the SDK makes a copy, applies a stream map, takes out seven properties that it
might have added itself, and calls ten methods more, which takes longer than to read the record and
to find it unchanged. A stream without a map and flattening needs little of that. Its records go
straight to the sink, as long as nothing is wrong with them: all others go the SDK's way, so that
there is one place that refuses records and one set of words.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from singer_sdk.mapper import PluginMapper, SameRecordTransform
from singer_sdk.sinks import Sink

from target_apollo.target.sinks import ApolloSink
from target_apollo.target.validation import CompiledValidator

#: Properties that the SDK takes out of records, since it adds them where that is asked for.
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
# Later releases of the SDK count the records of its metric when they are written.
_COUNTS_RECORDS_READ = tuple(map(int, version("singer-sdk").split(".")[:2])) < (0, 55)


class StraightWay:
    """The short way of one stream's records into one sink."""

    def __init__(self, sink: ApolloSink) -> None:
        validator = sink._validator
        self._sink = sink
        self._accepts = validator.accepts if isinstance(validator, CompiledValidator) else _anything
        self._key_properties = tuple(sink._key_properties)

    @classmethod
    def of(cls, stream: str, mapper: PluginMapper, sinks: Mapping[str, Sink]) -> StraightWay | None:
        """The short way for a stream, or None where the SDK does something to its records.

        Args:
            mapper: The SDK's mapper, after it took the SCHEMA of the stream in.
            sinks: The active sinks by the name of their stream.
        """
        maps = mapper.stream_maps.get(stream, [])
        sink = sinks.get(stream)
        if (
            not isinstance(sink, ApolloSink)
            or len(maps) != 1
            or type(maps[0]) is not SameRecordTransform
            or maps[0].stream_alias != stream
            or maps[0].flattening_enabled
            or sink.include_sdc_metadata_properties
            or not (sink._validator is None or isinstance(sink._validator, CompiledValidator))
        ):
            return None
        return cls(sink)

    def take(self, record: dict[str, Any]) -> ApolloSink | None:
        """Hands a record to the sink and returns the sink.

        Returns None where the record has to go the SDK's way; nothing has happened to it then.
        """
        if not record.keys().isdisjoint(METADATA):
            # The record itself stays whole, for the rejects file.
            record = {name: value for name, value in record.items() if name not in METADATA}
        for name in self._key_properties:
            if name not in record:
                return None
        if not self._accepts(record):
            return None
        sink = self._sink
        sink.tally_record_read()
        sink.process_record(record, sink._get_context(record))
        if _COUNTS_RECORDS_READ:
            sink.record_counter_metric.increment()
        return sink


def _anything(record: dict[str, Any]) -> bool:  # noqa: ARG001
    return True
