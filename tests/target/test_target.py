"""The short way past the SDK, held against the SDK's own way on whatever release is installed."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import singer_sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.target.sinks import ApolloSink
from target_apollo.target.target import METADATA, TargetApollo

quick = settings(deadline=None, max_examples=25)

SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "email": {"type": ["string", "null"], "maxLength": 40},
        "title": {"type": ["string", "null"]},
        "score": {"type": ["number", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "place": {"type": ["object", "null"], "properties": {"city": {"type": "string"}}},
    },
}
CLOSED = {**SCHEMA, "additionalProperties": False}
#: Settings under which the SDK leaves records as they are, and such under which it does not.
STRAIGHT: list[dict[str, Any]] = [{}, {"validate_records": False}, {"flattening_enabled": False}]
NOT_STRAIGHT: list[dict[str, Any]] = [
    {"stream_maps": {"contacts": {"title": "email"}}},
    {"stream_maps": {"contacts": {"__filter__": "title"}}},
    {"stream_maps": {"contacts": {"__alias__": "crm-contacts"}}},
    {"stream_maps": {"crm-contacts": {"__source__": "contacts"}}},
    {"stream_maps": {"__else__": None}},
    {"flattening_enabled": True, "flattening_max_depth": 1},
]

texts = st.text(st.characters(exclude_categories=()), max_size=50) | st.none() | st.integers()
records = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers() | texts,
        "email": texts,
        "title": texts,
        "score": st.decimals(allow_nan=False, allow_infinity=False) | texts,
        "at": st.just("no date") | texts,
        "place": st.just({"city": "Ulm"}) | texts,
        "elsewhere": texts,
        **dict.fromkeys(METADATA, texts),
    },
)
schemas = st.sampled_from([SCHEMA, CLOSED])
keys = st.sampled_from([["id"], ["id", "email"], [], None])


def target_of(
    config: dict[str, Any], schema: dict[str, Any], key: list[str] | None
) -> TargetApollo:
    target = TargetApollo(
        config={
            "api_key": "key",
            "api_url": "http://127.0.0.1:1/api/v1",
            "rejects_path": str(Path(tempfile.mkdtemp()) / "rejects.singer"),
            "abort_rejected_percent": 100,
            **copy.deepcopy(config),
        }
    )
    message = {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": key}
    target._process_schema_message(copy.deepcopy(message))
    return target


def hand_over(target: TargetApollo, found: list[dict[str, Any]]) -> None:
    for record in found:
        message = {"type": "RECORD", "stream": "contacts", "record": copy.deepcopy(record)}
        target._process_record_message(message)


def state_of(target: TargetApollo) -> dict[str, Any]:
    """All that a record leaves behind in a target before it is written."""
    report = target.run.counts
    return {
        "outcomes": {name: dict(counts) for name, counts in report.outcomes.items()},
        "rejected": {name: dict(counts) for name, counts in report.rejected.items()},
        "sinks": {name: _state_of_sink(sink) for name, sink in target._sinks_active.items()},
    }


def _state_of_sink(sink: Any) -> dict[str, Any]:
    batch = sink._pending_batch
    kept = batch.get("records", []) if batch else []
    return {
        "records": [(r.number, r.stream, dict(r.record), record) for r, record in kept],
        "context": sorted(batch or {}),
        "size": sink.current_size,
        "full": sink.is_full,
        "oldest": sink.oldest_pending,
        "read": sink._total_records_read,
        "counted": sink.record_counter_metric.value,
    }


@pytest.mark.parametrize("config", [*STRAIGHT, *NOT_STRAIGHT])
@quick
@given(schemas, keys, st.lists(records, max_size=6))
def test_the_short_way_leaves_behind_what_the_sdk_s_way_does(
    config: dict[str, Any],
    schema: dict[str, Any],
    key: list[str] | None,
    found: list[dict[str, Any]],
) -> None:
    short, long = target_of(config, schema, key), target_of(config, schema, key)
    long._straight.clear()
    hand_over(short, found)
    hand_over(long, found)
    assert state_of(short) == state_of(long)


@pytest.mark.parametrize("config", STRAIGHT)
def test_records_of_a_stream_without_a_map_go_the_short_way(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(config, SCHEMA, ["id"])
    monkeypatch.setattr(singer_sdk.Target, "_process_record_message", _must_not_be_called)
    hand_over(target, [{"id": 1, "email": "ada@example.com"}])
    (sink,) = target._sinks_active.values()
    assert sink.current_size == 1


@pytest.mark.parametrize("config", NOT_STRAIGHT)
def test_records_that_the_sdk_changes_go_its_way(config: dict[str, Any]) -> None:
    assert target_of(config, SCHEMA, ["id"])._straight["contacts"] is None


def test_a_changed_schema_leads_to_the_sink_that_was_made_for_it() -> None:
    target = target_of({}, SCHEMA, ["id"])
    first = target._sinks_active["contacts"]
    wider = {"properties": {**SCHEMA["properties"], "wider": {"type": "string"}}}
    message = {"type": "SCHEMA", "stream": "contacts", "schema": wider, "key_properties": ["id"]}
    target._process_schema_message(message)
    hand_over(target, [{"id": 1, "wider": "yes"}])
    second = target._sinks_active["contacts"]
    assert (first.current_size, second.current_size) == (0, 1)


def test_a_full_sink_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def note(sink: ApolloSink, context: dict[str, Any]) -> None:
        written.append(len(context["records"]))

    monkeypatch.setattr(ApolloSink, "_start_flush", note)
    target = target_of({"batch_size": 2, "parallel_requests": 1}, SCHEMA, ["id"])
    size = target._sinks_active["contacts"].max_size
    hand_over(target, [{"id": number} for number in range(2 * size + 1)])
    assert written == [size, size]


def _must_not_be_called(*_: object) -> None:
    raise AssertionError("the record went the SDK's way")
