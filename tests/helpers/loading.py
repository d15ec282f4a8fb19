"""A minimal Singer loader for tests of the tap: it checks messages and keeps their records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

Record = dict[str, Any]


@dataclass
class Loaded:
    """The data of a loader after some runs of a tap.

    Attributes:
        tables: Stream -> key -> its last record.
        records: Records of the latest run, by stream.
        state: The newest STATE.
    """

    tables: dict[str, dict[tuple[Any, ...], Record]] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    state: Any = None

    def load(self, lines: Iterable[str | bytes]) -> Loaded:
        """Loads the output of a run; raises an error for what a loader could not take."""
        self.records = {}
        schemas: dict[str, tuple[Draft202012Validator, list[str]]] = {}
        for line in lines:
            message = json.loads(line)
            kind, stream = message["type"], message.get("stream", "")
            if kind == "STATE":
                self.state = message["value"]
            elif kind == "SCHEMA":
                Draft202012Validator.check_schema(message["schema"])
                validator = Draft202012Validator(message["schema"], format_checker=FormatChecker())
                schemas[stream] = (validator, message["key_properties"])
                self.tables.setdefault(stream, {})
                self.records[stream] = []
            else:
                assert kind == "RECORD"
                validator, key = schemas[stream]
                record = message["record"]
                validator.validate(record)
                if set(record) - set(validator.schema["properties"]):
                    raise ValueError("a property that the SCHEMA lacks")
                self.tables[stream][tuple(record[name] for name in key)] = record
                self.records[stream].append(record)
        return self

    @property
    def results(self) -> dict[str, Record]:
        """Source key -> its record in the table of results."""
        table = self.tables["apollo_sync_results"]
        assert len({key[3] for key in table}) == len(table)
        return {key[3]: record for key, record in table.items()}

    @property
    def given(self) -> list[str]:
        """Source keys of the results in the latest run."""
        return [record["source_key"] for record in self.records["apollo_sync_results"]]

    @property
    def bookmark(self) -> str | None:
        """The bookmark of the results."""
        value: str | None = self.state["bookmarks"]["apollo_sync_results"].get(
            "replication_key_value"
        )
        return value
