"""The streams of a Singer catalog, or of the SCHEMA messages in a tap's output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from target_apollo.config.settings import SettingsError
from target_apollo.sync.source_schema import SourceSchema, UnusableSchema

STDIN = "-"


@dataclass(frozen=True)
class StreamSchema:
    """A stream with its selected properties.

    Attributes:
        name: The stream's name in the tap's messages.
        properties: Property -> its JSON schema.
        passive: Key properties and bookmark, which need no field in Apollo.
    """

    name: str
    properties: Mapping[str, Mapping[str, Any]]
    passive: frozenset[str] = frozenset()


def read_catalog(path: str) -> list[StreamSchema]:
    """The streams of a catalog, without deselected streams and properties.

    Raises:
        SettingsError: The file can't be read, or is no catalog.
    """
    with _opened(path, "catalog") as file:
        content = _json(file.read(), f"The catalog file {path} is no JSON.")
    try:
        return [
            _of_catalog(entry) for entry in content["streams"] if not _deselected(entry).get(())
        ]
    except (AttributeError, KeyError, TypeError):
        raise SettingsError(
            [f"The catalog file {path} is none: make one with the tap's --discover."]
        ) from None


def read_schemas(path: str) -> list[StreamSchema]:
    """The streams of a tap's output; if a stream has several SCHEMA messages, the last counts.

    Raises:
        SettingsError: The file can't be read, or has no SCHEMA message or a malformed one.
    """
    streams: dict[str, StreamSchema] = {}
    with _opened(path, "file") as file:
        for number, line in enumerate(_schema_lines(file), 1):
            message = _json(line, f"SCHEMA message {number} in {path} is no JSON.")
            try:
                if message["type"] == "SCHEMA":
                    streams[str(message["stream"])] = _of_message(message)
            except (AttributeError, KeyError, TypeError, UnusableSchema):
                raise SettingsError(
                    [f"SCHEMA message {number} in {path} lacks its stream or its schema."]
                ) from None
    if not streams:
        raise SettingsError([f"There is no SCHEMA message in {path}: give a tap's output."])
    return list(streams.values())


def _of_catalog(entry: Mapping[str, Any]) -> StreamSchema:
    deselected = _deselected(entry)
    about = _metadata(entry).get((), {})
    passive = [
        *(entry.get("key_properties") or about.get("table-key-properties") or ()),
        entry.get("replication_key") or about.get("replication-key"),
    ]
    properties = {
        name: _of_property(schema)
        for name, schema in entry["schema"]["properties"].items()
        if not deselected.get(("properties", name))
    }
    # Messages of the SDK's taps have the id as the stream's name; other taps have only one of both.
    name = str(entry.get("tap_stream_id") or entry["stream"])
    return StreamSchema(name, properties, frozenset(map(str, filter(None, passive))))


def _of_message(message: Mapping[str, Any]) -> StreamSchema:
    found = SourceSchema.of(message)
    return StreamSchema(
        str(message["stream"]),
        {name: _of_property(of) for name, of in found.schema["properties"].items()},
        frozenset((*found.key_properties, *found.bookmark_properties)),
    )


def _of_property(schema: object) -> Mapping[str, Any]:
    """A property's schema; one that says nothing where a tap writes null or a boolean."""
    return schema if isinstance(schema, dict) else {}


def _metadata(entry: Mapping[str, Any]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    return {tuple(item["breadcrumb"]): item["metadata"] for item in entry.get("metadata") or ()}


def _deselected(entry: Mapping[str, Any]) -> dict[tuple[str, ...], bool]:
    return {
        breadcrumb: about.get("selected") is False or about.get("inclusion") == "unsupported"
        for breadcrumb, about in _metadata(entry).items()
    }


def _schema_lines(file: Iterable[str]) -> Iterator[str]:
    # Lines with records are not parsed: there may be millions.
    return (line for line in file if '"SCHEMA"' in line)


def _json(text: str, otherwise: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError([otherwise]) from None


@contextmanager
def _opened(path: str, what: str) -> Iterator[IO[str]]:
    try:
        if path == STDIN:
            yield sys.stdin
        else:
            with Path(path).open(encoding="utf-8-sig") as file:
                yield file
    except OSError as problem:
        raise SettingsError([f"The {what} {path} can't be read: {problem.strerror}."]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"The {what} {path} is no text in UTF-8."]) from None
