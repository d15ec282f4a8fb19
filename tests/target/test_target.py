"""The way of a record to its sink, held against the SDK's own on whatever release is installed."""

from __future__ import annotations

import copy
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk import Target
from singer_sdk.exceptions import MapExpressionError
from singer_sdk.sinks import BatchSink
from singer_sdk.sinks.core import BaseJSONSchemaValidator

from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.sync.exit import RECORD_ERRORS
from target_apollo.target import TargetApollo, sinks
from target_apollo.target.left_out import rejection_of
from target_apollo.target.record_sinks import RecordSink
from target_apollo.target.schema_rules import compiled, refusal_of
from target_apollo.target.streams import METADATA
from tests.helpers.tiers import sampled

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
#: Settings under which records stay as they are, and such under which they do not.
CONFIGS: list[dict[str, Any]] = [
    {},
    {"validate_records": False},
    {"flattening_enabled": False},
    {"stream_maps": {"contacts": {"title": "email"}}},
    {"stream_maps": {"contacts": {"title": "email + title"}}},
    {"stream_maps": {"contacts": {"score": "1 / int(score)"}}},
    {"stream_maps": {"contacts": {"__filter__": "title"}}},
    {"stream_maps": {"contacts": {"__filter__": "_sdc_deleted_at is None"}}},
    {"stream_maps": {"contacts": {"__alias__": "crm-contacts"}}},
    {"stream_maps": {"contacts": {"id": "id", "email": "email", "__else__": None}}},
    {"stream_maps": {"contacts": {"__key_properties__": ["email"]}}},
    {"stream_maps": {"contacts": {"__key_properties__": ["email"], "id": None}}},
    {"stream_maps": {"contacts": None}},
    {"stream_maps": {"crm-contacts": {"__source__": "contacts"}}},
    {
        "stream_maps": {
            "crm-contacts": {"__source__": "contacts", "__filter__": "score > 1"},
            "our-accounts": {"__source__": "contacts", "domain": "place['city']"},
        }
    },
    {"stream_maps": {"__else__": None}},
    {"flattening_enabled": True, "flattening_max_depth": 1},
    {
        "flattening_enabled": True,
        "flattening_max_depth": 1,
        "stream_maps": {"contacts": {"title": "email"}},
    },
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


class ReferenceValidator(BaseJSONSchemaValidator):
    """The same checks in the SDK's form."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__(schema)
        self.compiled = compiled(schema)

    def validate(self, record: dict[str, Any]) -> None:
        try:
            self.compiled.validate(record)
        except ValueError as fault:
            raise refusal_of(fault, self.schema) from None


class ReferenceSink(BatchSink):
    """Collects records as the SDK hands them in."""

    max_size = 1_000_000

    def get_validator(self) -> BaseJSONSchemaValidator | None:
        return ReferenceValidator(self.schema) if self.validate_schema else None

    def _parse_timestamps_in_record(self, *_: object, **__: object) -> None:
        """Dates are sent as they came."""

    def process_batch(self, context: dict[str, Any]) -> None:
        """Nothing is written."""


class ReferenceTarget(Target):
    """A target that leaves all to the SDK."""

    name = "target-reference"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    default_sink_class = ReferenceSink


def message_of(schema: dict[str, Any], key: list[str] | None) -> dict[str, Any]:
    return copy.deepcopy(
        {"type": "SCHEMA", "stream": "contacts", "schema": schema, "key_properties": key}
    )


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
    target._on_schema(message_of(schema, key))
    return target


def hand_over(target: TargetApollo, found: Sequence[dict[str, Any]]) -> None:
    for record in found:
        message = {"type": "RECORD", "stream": "contacts", "record": copy.deepcopy(record)}
        target._on_record(message)


def reached(target: TargetApollo) -> dict[str, Any]:
    """What became of records: those that each sink has, as it got them, and counts of others."""
    counts = target.run.counts
    # What the ledger may know as rejected before waits in its sink.
    waiting = Counter(why.reason for sink in target._sinks.values() for _, why in sink._rejected)
    return {
        "sinks": {name: sink._mapped for name, sink in target._sinks.items()},
        "skipped": sum(found[Outcome.SKIPPED] for found in counts.outcomes.values()),
        "rejected": dict(sum(map(Counter, counts.rejected.values()), waiting)),
    }


def reached_through_the_sdk(
    config: dict[str, Any],
    schema: dict[str, Any],
    key: list[str] | None,
    found: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    target = ReferenceTarget(config=copy.deepcopy(config))
    target._process_schema_message(message_of(schema, key))
    skipped, rejected = 0, Counter[Reason]()
    sinks: dict[str, list[dict[str, Any]]] = {name: [] for name in target._sinks_active}

    def taken() -> int:
        return sum(sink.current_size for sink in target._sinks_active.values())

    for record in found:
        before = taken()
        message = {"type": "RECORD", "stream": "contacts", "record": copy.deepcopy(record)}
        try:
            target._process_record_message(message)
        except Exception as problem:  # noqa: BLE001 - an expression may raise anything
            # What Python's operators raise in an expression passes through the SDK as it is.
            known = problem if isinstance(problem, RECORD_ERRORS) else MapExpressionError("")
            rejected[rejection_of(known, "contacts", ()).reason] += 1
        else:
            skipped += taken() == before
    for name, sink in target._sinks_active.items():
        sinks[name] = (sink._pending_batch or {}).get("records", [])
    maps = config.get("stream_maps") or {}
    if maps.get("contacts", {}) is None or maps == {"__else__": None}:
        # The SDK makes a sink that gets no records.
        sinks = {}
    return {"sinks": sinks, "skipped": skipped, "rejected": dict(rejected)}


@pytest.mark.parametrize("config", sampled(CONFIGS, 4))
@quick
@given(schemas, keys, st.lists(records, max_size=6))
def test_records_reach_the_sinks_as_they_would_through_the_sdk(
    config: dict[str, Any],
    schema: dict[str, Any],
    key: list[str] | None,
    found: list[dict[str, Any]],
) -> None:
    if "id" not in (key or ["id"]) or config.get("stream_maps", {}).get("contacts", {}) is None:
        key = ["id"]
    target = target_of(config, schema, key)

    hand_over(target, found)

    assert reached(target) == reached_through_the_sdk(config, schema, key, found)


@pytest.mark.parametrize("config", sampled(CONFIGS, 4))
@quick
@given(st.lists(records, max_size=6))
def test_the_record_as_it_came_in_stays_whole(
    config: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    target = target_of(config, SCHEMA, ["id"])

    hand_over(target, found)

    for sink in target._sinks.values():
        for source in sink._waiting:
            assert source.record == found[source.number - 1]
            assert source.deleted == bool(source.record.get("_sdc_deleted_at"))


@quick
@given(st.lists(records, max_size=6))
def test_a_sink_counts_what_it_holds(found: list[dict[str, Any]]) -> None:
    target = target_of({}, SCHEMA, ["id"])

    hand_over(target, found)

    sink = target._sinks["contacts"]
    taken = [source.number for source in sink._waiting]
    numbers = [*taken, *(source.number for source, _ in sink._rejected)]
    assert sink.current_size == len(numbers)
    assert sink.oldest_pending == min(numbers, default=None)
    assert taken == sorted(taken)
    sink.start_drain()
    assert (sink.current_size, sink.record_counter_metric.value) == (0, len(taken))


def test_a_record_that_a_map_changes_leaves_its_source_alone() -> None:
    config = {"stream_maps": {"contacts": {"title": "record.pop('email')"}}}
    target = target_of(config, SCHEMA, ["id"])

    hand_over(target, [{"id": 1, "email": "ada@example.com"}])

    sink = target._sinks["contacts"]
    (source,), (record,) = sink._waiting, sink._mapped
    assert (record["title"], source.record["email"]) == ("ada@example.com", "ada@example.com")


def test_a_changed_schema_leads_to_the_sink_that_was_made_for_it() -> None:
    target = target_of({}, SCHEMA, ["id"])
    first = target._sinks["contacts"]
    wider = {"properties": {**SCHEMA["properties"], "wider": {"type": "string"}}}
    target._on_schema(message_of(wider, ["id"]))
    hand_over(target, [{"id": 1, "wider": "yes"}])
    second = target._sinks["contacts"]
    assert second is not first
    assert (first.current_size, second.current_size) == (0, 1)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_schema_that_is_sent_again_leaves_the_sinks_in_place(config: dict[str, Any]) -> None:
    target = target_of(config, SCHEMA, ["id"])
    before = dict(target._sinks)

    target._on_schema(message_of(SCHEMA, ["id"]))
    hand_over(target, [{"id": 1, "email": "ada@example.com"}])

    assert target._sinks == before


def test_streams_that_share_a_sink_reach_the_one_made_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RecordSink, "_start_flush", lambda *_: None)
    target = target_of({"stream_maps": {"people": {"__alias__": "contacts"}}}, SCHEMA, ["id"])
    other = {**message_of({"properties": {"id": {"type": "integer"}}}, ["id"]), "stream": "people"}

    target._on_schema(other)
    hand_over(target, [{"id": 1}])

    assert target._sinks["contacts"].current_size == 1


def test_a_record_whose_stream_has_only_the_name_of_another_s_alias_has_no_schema() -> None:
    config = {"stream_maps": {"contacts": {"__alias__": "crm-contacts"}}}
    target = target_of(config, SCHEMA, ["id"])

    target._on_record({"type": "RECORD", "stream": "crm-contacts", "record": {"id": 1}})

    assert dict(target.run.counts.rejected["crm-contacts"]) == {Reason.NO_SCHEMA: 1}


def test_a_full_sink_is_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def note(sink: RecordSink, context: dict[str, Any]) -> None:
        written.append(len(context["records"]))

    monkeypatch.setattr(RecordSink, "_start_flush", note)
    target = target_of({"batch_size": 2, "parallel_requests": 1}, SCHEMA, ["id"])
    size = target._sinks["contacts"].max_size
    hand_over(target, [{"id": number} for number in range(2 * size + 1)])
    assert written == [size, size]


def test_records_of_many_streams_wait_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    written: Counter[str] = Counter()
    sizes: list[int] = []

    def note(sink: RecordSink, context: dict[str, Any]) -> None:
        written[sink.stream_name] += len(context["records"])
        sizes.append(len(context["records"]))

    monkeypatch.setattr(RecordSink, "_start_flush", note)
    monkeypatch.setattr(sinks, "_MOST_WAITING_BYTES", 60_000)
    monkeypatch.setattr(sinks, "_LOOK_EVERY", 600)
    names = [f"contacts_{number}" for number in range(20)]
    target = target_of(
        {"streams": {name: {"object": "contacts"} for name in names}}, SCHEMA, ["id"]
    )
    for name in names:
        target._on_schema(
            {"type": "SCHEMA", "stream": name, "schema": SCHEMA, "key_properties": ["id"]}
        )
    target._input.line_length = 60
    most = 0
    for number in range(200):
        for name in names:
            target._on_record({"type": "RECORD", "stream": name, "record": {"id": number}})
        most = max(most, sum(sink.current_size for sink in target._sinks.values()))

    assert most <= 1_500
    # The largest sinks are flushed, since their records share requests.
    assert min(sizes) >= 50
    assert sum(written.values()) >= 4_000 - 1_500
