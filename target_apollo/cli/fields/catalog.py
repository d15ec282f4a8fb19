"""The streams of a Singer catalog, or of the SCHEMA messages in a tap's output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from target_apollo.config.settings import SettingsError
from target_apollo.sync.source_schema import SourceSchema, UnusableSchema

STDIN = "-"
#: Most records of a tap's output that are read.
MOST_RECORDS = 1000


@dataclass(frozen=True)
class StreamSchema:
    """A stream with its selected properties.

    Attributes:
        name: The stream's name in the tap's messages.
        properties: Property -> its JSON schema.
        passive: Key properties and bookmark, which need no field in Apollo.
        message: Its SCHEMA message, as the tap sends it or would.
    """

    name: str
    properties: Mapping[str, Mapping[str, Any]]
    passive: frozenset[str] = frozenset()
    message: Mapping[str, Any] = field(default_factory=dict, compare=False)


def read_catalog(path: str) -> list[StreamSchema]:
    """The streams of a catalog, without deselected streams and properties.

    Raises:
        SettingsError: The file can't be read, is no catalog, or selects no stream.
    """
    with _opened(path, "catalog") as file:
        content = _json(file.read(), f"The catalog file {path} is no JSON.")
    try:
        entries = [one for one in content["streams"] if not _deselected(one).get(())]
        chosen = [one for one in entries if _metadata(one).get((), {}).get("selected") is True]
        # Where some are selected, a stream of which nothing is said is not.
        streams = [_of_catalog(entry) for entry in chosen or entries]
    except (AttributeError, KeyError, TypeError):
        raise SettingsError(
            [f"The catalog file {path} is none: make one with the tap's --discover."]
        ) from None
    if not streams:
        raise SettingsError([f"No stream is selected in the catalog file {path}: select one."])
    return streams


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


def read_messages(path: str) -> Iterator[Mapping[str, Any]]:
    """The SCHEMA messages of a tap's output, and the first RECORD messages, in their order.

    Raises:
        SettingsError: The file can't be read, or has no SCHEMA message or a malformed one.
    """
    has_schema, records = False, 0
    with _opened(path, "file") as file:
        for number, line in enumerate(file, 1):
            kind = '"SCHEMA"' in line or ('"RECORD"' in line and records < MOST_RECORDS)
            if not kind:
                continue
            message = _json(line, f"Line {number} of {path} is no JSON.")
            if not isinstance(message, dict) or not isinstance(message.get("stream"), str):
                continue
            if message.get("type") == "SCHEMA":
                has_schema = True
                yield message
            elif message.get("type") == "RECORD" and isinstance(message.get("record"), dict):
                records += 1
                yield message
    if not has_schema:
        raise SettingsError([f"There is no SCHEMA message in {path}: give a tap's output."])


def _of_catalog(entry: Mapping[str, Any]) -> StreamSchema:
    deselected = _deselected(entry)
    about = _metadata(entry).get((), {})
    named = ("table-key-properties", "view-key-properties")
    key = entry.get("key_properties") or next(filter(None, map(about.get, named)), ())
    bookmark = entry.get("replication_key") or about.get("replication-key")
    properties = {
        name: _of_property(schema)
        for name, schema in entry["schema"]["properties"].items()
        if not deselected.get(("properties", name))
    }
    # Messages of the SDK's taps have the id as the stream's name; other taps have only one of both.
    name = str(entry.get("tap_stream_id") or entry["stream"])
    message = {
        "type": "SCHEMA",
        "stream": name,
        "schema": {**entry["schema"], "properties": properties},
        "key_properties": list(key),
        "bookmark_properties": [bookmark] if bookmark else [],
    }
    passive = frozenset(map(str, filter(None, (*key, bookmark))))
    return StreamSchema(name, properties, passive, message)


def _of_message(message: Mapping[str, Any]) -> StreamSchema:
    found = SourceSchema.of(message)
    return StreamSchema(
        str(message["stream"]),
        {name: _of_property(of) for name, of in found.schema["properties"].items()},
        frozenset((*found.key_properties, *found.bookmark_properties)),
        message,
    )


def _of_property(schema: object) -> Mapping[str, Any]:
    """A property's schema; one that says nothing where a tap writes null or a boolean."""
    return schema if isinstance(schema, dict) else {}


def _metadata(entry: Mapping[str, Any]) -> dict[tuple[str, ...], Mapping[str, Any]]:
    return {tuple(item["breadcrumb"]): item["metadata"] for item in entry.get("metadata") or ()}


def _deselected(entry: Mapping[str, Any]) -> dict[tuple[str, ...], bool]:
    return {
        breadcrumb: about.get("inclusion") == "unsupported"
        or (about.get("selected") is False and about.get("inclusion") != "automatic")
        for breadcrumb, about in _metadata(entry).items()
    }


def _schema_lines(file: Iterable[str]) -> Iterator[str]:
    # Lines with records are not parsed: there may be millions.
    return (line for line in file if '"SCHEMA"' in line)


def _json(text: str, otherwise: str) -> Any:
    try:
        found = json.loads(text)
        if "\\ud" in text.lower():
            # A run reads half of a pair of code units as another character too.
            units = json.dumps(found, ensure_ascii=False).encode("utf-16", "surrogatepass")
            found = json.loads(units.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        raise SettingsError([otherwise]) from None
    return found


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
