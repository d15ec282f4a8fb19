"""Generated SCHEMA messages: rows that are fine arrive, or the run ends before STATE moves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.mapper.errors import SettingsError
from target_apollo.sync.source_schema import UnusableSchema
from target_apollo.target import TargetApollo
from tests.helpers.leads import BARE_RULES, GOOD, config, pipeline, process
from tests.target.test_schema_rules import noise

quick = settings(deadline=None, max_examples=25)

names = st.sampled_from(["id", "email", None, ""])
keys = st.none() | names | st.lists(names | st.lists(names, max_size=2), max_size=3)
nonsense = st.sampled_from([True, 5, 1.5, [], {}, {"a": 1}, [5], [{"id": 1}]])
text = noise.map(lambda odd: {"type": ["string", "null"], **odd})
properties = st.fixed_dictionaries(
    {"id": noise, "email": text},
    optional={
        "title": text | st.sampled_from([None, True, {}, "string", ["string"], 5]),
        "place": st.sampled_from([{}, {"type": "object"}, {"$ref": "#"}, {"anyOf": [{}]}]),
    },
)
schemas = st.fixed_dictionaries(
    {"properties": properties},
    optional={
        "type": st.sampled_from(["object", ["object", "null"], None, "array", 5]),
        "required": st.sampled_from([["id"], ["gone"], True, None, "id", [5]]),
        "$schema": st.sampled_from([None, "http://json-schema.org/draft-04/schema#", "x", 5]),
        "definitions": st.sampled_from([None, {}, {"a": {"$ref": "#/definitions/a"}}, []]),
    },
)
messages = st.fixed_dictionaries(
    {"schema": schemas | nonsense | st.none() | st.just("object")},
    optional={"key_properties": keys | nonsense, "bookmark_properties": keys | nonsense},
)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"flattening_enabled": True, "flattening_max_depth": 2},
    {"stream_maps": {"contacts": {"title": "email", "__key_properties__": None}}},
]


def plain_rule(message: dict[str, Any]) -> bool:
    """Whether a SCHEMA can be used: it has properties, and no key that is no text."""

    def texts(given: Any) -> bool:
        if isinstance(given, list):
            return all(map(texts, given))
        return given is None or isinstance(given, str)

    schema = message["schema"]
    described = isinstance(schema, dict) and isinstance(schema.get("properties"), dict)
    return described and texts(message.get("key_properties"))


@quick
@given(messages, st.sampled_from(SETTINGS))
def test_a_row_that_is_fine_reaches_its_sink_under_each_schema_that_can_be_used(
    message: dict[str, Any], given_settings: dict[str, Any]
) -> None:
    target = TargetApollo(
        config={
            "api_key": "key",
            "api_url": "http://127.0.0.1:1/api/v1",
            "rejects_path": str(Path(tempfile.mkdtemp()) / "rejects.singer"),
            **given_settings,
        }
    )
    try:
        target._on_schema({"type": "SCHEMA", "stream": "contacts", **message})
    except UnusableSchema:
        assert not plain_rule(message)
        return
    assert plain_rule(message)
    record = {"id": 1, "email": "a@b.example", "title": "CEO"}
    target._on_record({"type": "RECORD", "stream": "contacts", "record": record})
    assert target._sinks["contacts"].current_size == 1


@quick
@given(messages)
def test_the_mapper_takes_the_same_schemas_as_the_target(message: dict[str, Any]) -> None:
    sent = {"type": "SCHEMA", "stream": "leads", **message}
    if plain_rule(message):
        sent["schema"]["properties"] |= {name: {} for name in GOOD}
    try:
        process(pipeline(config({**BARE_RULES, "settled": False})), sent)
    except SettingsError:
        assert not plain_rule(message)
    else:
        assert plain_rule(message)
