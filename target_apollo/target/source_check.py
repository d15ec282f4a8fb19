"""Checks streams before a run, by their SCHEMA messages and a few records, with a run's own code.

A `TargetApollo` in a dry run gets the messages, so that stream maps are applied and sinks made as
in a run. Then each sink is asked, and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.spelling import nearest_name
from target_apollo.sync.end_notices import unresolved_names
from target_apollo.sync.exit import RECORD_ERRORS
from target_apollo.sync.remarks import SETTINGS, Remarks
from target_apollo.sync.words import ended, plural
from target_apollo.target.left_out import rejection_of
from target_apollo.target.record_sinks import RecordSink
from target_apollo.target.sinks import StreamSink
from target_apollo.target.target import TargetApollo

#: Reasons by which a value can't be the field's, whatever Apollo has.
_OF_TYPE = {
    Reason.WRONG_TYPE,
    Reason.MALFORMED_EMAIL,
    Reason.MALFORMED_DOMAIN,
    Reason.MALFORMED_ID,
}
#: Type of a property, or its format -> values of it. A type is wrong for a field if none is taken.
_SAMPLES: Mapping[str, Sequence[object]] = {
    "boolean": (True, False),
    "integer": (1, 1_700_000_000, 4_930_123_456_789),
    "number": (1.5, 1_700_000_000.0),
    "object": ({"name": "a"},),
    "array": (["a@example.com"], ["a"], [1], [{"email": "a@example.com"}]),
    "date-time": ("2026-01-31T12:00:00+00:00",),
    "date": ("2026-01-31",),
    "time": ("12:00:00",),
}


@dataclass(frozen=True)
class CheckedStream:
    """A stream as a run would write it.

    Attributes:
        name: Its name after stream maps.
        object: What it holds, as the setting `streams` calls it.
        match_on: Kinds of keys by which Apollo's records are recognised; empty where none are.
        key: The properties that identify a row.
        places: Column -> the field, or the label of the custom field, that it is written to.
        not_written: Columns that fit nothing.
    """

    name: str
    object: str
    mode: str
    match_on: tuple[str, ...]
    key: tuple[str, ...]
    places: Mapping[str, str]
    not_written: tuple[str, ...]


class SourceCheck:
    """The check of the streams of one source.

    Args:
        target: In a dry run, and without input.
        remarks: Gets what is found. It also has to be a handler of the target's log.
    """

    def __init__(self, target: TargetApollo, remarks: Remarks) -> None:
        self._target = target
        self._remarks = remarks
        #: Stream after stream maps -> properties of its records.
        self._seen: dict[str, set[str]] = {}
        self._records: Counter[str] = Counter()
        #: Stream and why -> number of records.
        self._rejected: Counter[tuple[str, str]] = Counter()

    def announce(self, message: Mapping[str, Any]) -> None:
        """Takes a SCHEMA message."""
        with self._remarks.about(message["stream"]):
            self._target.setup.announce(dict(message))

    def read(self, stream: str, record: dict[str, Any]) -> None:
        """Takes a record; its SCHEMA message has come before."""
        with self._remarks.about(stream):
            try:
                for sink, mapped in self._target.setup.mapped(stream, record):
                    name = sink.stream_name
                    self._seen.setdefault(name, set()).update(mapped)
                    self._records[name] += 1
                    self._read(sink, mapped)
            except RECORD_ERRORS as problem:
                # Its stream map can't be applied, so it comes to no sink.
                self._records[stream] += 1
                self._rejected[stream, rejection_of(problem, stream, ()).detail] += 1

    def _read(self, sink: StreamSink, record: dict[str, Any]) -> None:
        try:
            sink.check(record)
            sink.try_record(record)
        except RecordError as problem:
            self._rejected[sink.stream_name, problem.rejection.detail] += 1
        except RECORD_ERRORS as problem:
            why = rejection_of(problem, sink.stream_name, sink.key_columns)
            self._rejected[sink.stream_name, why.detail] += 1

    @property
    def sinks(self) -> Mapping[str, StreamSink]:
        """The sinks of the streams that can be written, by name."""
        return self._target.setup.sinks

    def finish(self) -> tuple[CheckedStream, ...]:
        """Checks the streams after all messages; gives how each would be written."""
        settings = self._target.run.settings
        for stream in sorted(self._target.setup.without_object):
            with self._remarks.about(stream):
                settings.of_stream(stream)
        found = []
        for name, sink in self.sinks.items():
            for check in sink.checks():
                with self._remarks.about(name):
                    check()
            with self._remarks.about(name):
                if isinstance(sink, RecordSink):
                    sink.check_records(self._seen.get(name, ()))
            with self._remarks.about(name):
                self._check_key(sink)
                self._check_types(sink)
                found.append(self._checked(sink))
        self._warn_of_rejected()
        with self._remarks.about(SETTINGS):
            unresolved = self._target.run.counts.unresolved
            unknown = unresolved_names(unresolved, settings.default_owner)
            for sentence in (*self._target.setup.unused_settings(), *unknown):
                self._remarks.warning(sentence)
        return tuple(found)

    def _warn_of_rejected(self) -> None:
        for (stream, why), count in self._rejected.items():
            with self._remarks.about(stream):
                of_all = f"{count} of {plural(self._records[stream], 'record')}"
                self._remarks.warning(
                    f"Stream '{stream}': {of_all} would be rejected, as things are: {ended(why)}"
                )

    def _check_key(self, sink: StreamSink) -> None:
        properties = sink.schema.get("properties", {})
        known = {*properties, *self._seen.get(sink.stream_name, ())}
        for name in sink.key_columns:
            if name not in known:
                near = nearest_name(name, known)
                meant = "" if near is None else f" (did you mean '{near}'?)"
                self._remarks.fault(
                    f"The key of stream '{sink.stream_name}' has the column '{name}', which the "
                    f"stream lacks{meant}: each of its rows would be rejected. Correct 'key' in "
                    "the setting 'streams', or let the tap select the column."
                )

    def _check_types(self, sink: StreamSink) -> None:
        for name, schema in sink.schema.get("properties", {}).items():
            place = sink.places.get(name)
            kinds = [*_kinds(schema)]
            if place is None or not kinds:
                continue
            faults = [_why_wrong(sink, name, kind) for kind in kinds]
            if all(faults):
                self._remarks.fault(
                    f"Stream '{sink.stream_name}': the column '{name}' is of type "
                    f"{' or '.join(kinds)}, and '{place}' takes none of these ({faults[0]}): each "
                    "row with a value there would be rejected. Cast it in the warehouse, or "
                    "rename it in a stream map."
                )

    def _checked(self, sink: StreamSink) -> CheckedStream:
        name = sink.stream_name
        return CheckedStream(
            name,
            sink.object_name,
            sink.mode.value,
            sink.match_on if isinstance(sink, RecordSink) else (),
            tuple(sink.key_columns),
            sink.places,
            tuple(self._target.run.counts.unknown_fields.get(name, ())),
        )


def _kinds(schema: object) -> Iterator[str]:
    """The types of a property's values but for null; of texts the format, if they have one."""
    if not isinstance(schema, dict):
        return
    choices = [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    if choices:
        for choice in choices:
            yield from _kinds(choice)
        return
    types = schema.get("type")
    for kind in [types] if isinstance(types, str) else types or ():
        if kind == "string":
            yield str(schema.get("format") or kind)
        elif kind != "null":
            yield str(kind)


def _why_wrong(sink: StreamSink, name: str, kind: str) -> str:
    """Why no value of a type can be in a column; empty where one can, or where it is not known."""
    why = ""
    for value in _SAMPLES.get(kind, ()):
        try:
            sink.try_value(name, value)
        except RecordError as problem:
            if problem.rejection.reason not in _OF_TYPE:
                return ""
            why = problem.rejection.detail
        else:
            return ""
    return why
