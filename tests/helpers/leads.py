"""Leads, Singer messages with them, and a mapper that runs in the process of the test."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from target_apollo.mapper.pipeline import Pipeline
from target_apollo.mapper.rules import Lead, StreamFacts
from target_apollo.mapper.settings import FixedClock, read_settings

Message = dict[str, Any]

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
STAGES = ["Cold", "Interested", "Qualified"]
APOLLO_USER = "64f00000000000000000000a"
FACTS = StreamFacts("leads", "leads", ("id",), FixedClock(NOW))

#: A lead that passes every rule.
GOOD: Lead = {
    "id": 1,
    "record_type": "company",
    "name": "Acme GmbH",
    "domain": "acme.de",
    "is_customer": False,
    "icp_fit": "strong",
    "stage": "Qualified",
    "quarantine_status": "active",
    "user_id": 7,
    "updated_at": "2026-11-20T09:00:00+00:00",
}
#: Settings that switch off the three rules that need settings or a ledger.
BARE_RULES: Message = {"stage": False, "owner_mapped": False, "not_synced": False}
RULES: Message = {
    "stage": {"order": STAGES, "minimum": "Interested"},
    "owner_mapped": {"map": {"7": APOLLO_USER}},
    "not_synced": False,
}


def lead(**changed: object) -> Message:
    return {**GOOD, **changed}


def config(rules: Message | None = None, **settings: Any) -> Message:
    return {"streams": ["leads"], "verdicts_path": "", "rules": rules or RULES, **settings}


def pipeline(settings: Message | None = None, log: logging.Logger | None = None) -> Pipeline:
    return Pipeline(
        read_settings(settings or config()), FixedClock(NOW), log or logging.getLogger("leads")
    )


def schema(
    stream: str = "leads",
    *more: str,
    key: str | None = "updated_at",
    key_properties: Iterable[str] = ("id",),
    without: Iterable[str] = (),
) -> Message:
    names = [name for name in (*GOOD, *more) if name not in without]
    message = {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": {name: {} for name in names}},
        "key_properties": list(key_properties),
    }
    return message | ({"bookmark_properties": [key]} if key else {})


def record(stream: str = "leads", **changed: object) -> Message:
    return {"type": "RECORD", "stream": stream, "record": lead(**changed)}


def state(value: Any) -> Message:
    return {"type": "STATE", "value": value}


def bookmark(value: object, stream: str = "leads", key: str = "updated_at") -> Message:
    return state({"bookmarks": {stream: {"replication_key": key, "replication_key_value": value}}})


def encode(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def process(mapper: Pipeline, *messages: Message | bytes) -> list[Message]:
    """The messages that the mapper passes on for these messages, given as one block."""
    return [
        json.loads(line) for line in mapper.process_lines([encode(message) for message in messages])
    ]


def keys(messages: Iterable[Message]) -> list[Any]:
    return [message["record"]["id"] for message in messages if message["type"] == "RECORD"]
