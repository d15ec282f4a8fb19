"""Checks of settings and streams inside the test, against a team whose key may do everything."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from target_apollo.cli.check.run_check import CheckInput, RunCheck, RunFindings
from target_apollo.config.schema import SCHEMA, add_sdk_settings
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sandbox import Sandbox
from target_apollo.sync.remarks import Weight

Message = dict[str, Any]

TEXT: Mapping[str, Any] = {"type": ["string", "null"]}


def stream(name: str, *columns: str, key: Iterable[str] = ("id",), **typed: Any) -> Message:
    """A SCHEMA message with columns of text, and others with their JSON schema."""
    properties = {**dict.fromkeys(columns, TEXT), **typed}
    return {
        "type": "SCHEMA",
        "stream": name,
        "schema": {"type": "object", "properties": properties},
        "key_properties": [*key],
    }


def row(name: str, /, **values: Any) -> Message:
    """A RECORD message."""
    return {"type": "RECORD", "stream": name, "record": values}


@dataclass
class Team:
    """A team in the sandbox and the folder of a project."""

    sandbox: Sandbox
    folder: Path
    _files: int = field(default=0)

    def write(self, text: str) -> str:
        """Writes a file and gives its path."""
        self._files += 1
        path = self.folder / f"given-{self._files}"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def config(self, **settings: Any) -> Message:
        """Settings with all defaults."""
        schema: Message = {"properties": dict(SCHEMA["properties"])}
        add_sdk_settings(schema)
        named = schema["properties"].items()
        defaults = {name: one["default"] for name, one in named if "default" in one}
        return {
            **defaults,
            "api_url": self.sandbox.url,
            "api_key": "sandbox",
            "ledger_url": f"sqlite:///{self.folder / 'ledger.db'}",
            "rejects_path": str(self.folder / "rejects.singer"),
            **settings,
        }

    def check(
        self,
        *messages: Message,
        catalog: Message | None = None,
        leads: Message | None = None,
        kinds: Collection[ObjectKind] = tuple(ObjectKind),
        asks_apollo: bool = True,
        **settings: Any,
    ) -> RunFindings:
        """What a check finds."""
        source = CheckInput(
            None if catalog is None else self.write(json.dumps(catalog)),
            self.write("\n".join(map(json.dumps, messages))) if messages else None,
            None if leads is None else self.write(json.dumps(leads)),
        )
        run_check = RunCheck(self.config(**settings), kinds, source)
        return run_check.finish(asks_apollo=asks_apollo)


def faults(found: RunFindings) -> list[str]:
    """The sentences of what would end a run."""
    return [one.sentence for one in found.remarks if one.weight is Weight.FAULT]


def warnings(found: RunFindings) -> list[str]:
    """The sentences of what a run would go on with."""
    return [one.sentence for one in found.remarks if one.weight is Weight.WARNING]


def said(found: RunFindings) -> str:
    """All sentences."""
    return "\n".join(one.sentence for one in found.remarks)
