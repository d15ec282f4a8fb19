"""A SCHEMA that a tap writes oddly costs no row; one that can't be used ends the run."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_apollo.mapper.errors import SettingsError
from target_apollo.sandbox import Sandbox
from tests.helpers.leads import config, keys, pipeline, process
from tests.helpers.leads import record as lead
from tests.helpers.leads import schema as lead_schema
from tests.promises.conftest import (
    CONTACT_SCHEMA,
    Message,
    Run,
    contact,
    lines_of,
    record,
    schema,
    state,
)

TWO = [contact(1, title="CEO"), contact(2, title="CTO"), state(2)]


def announced(**members: Any) -> Message:
    """A SCHEMA message of contacts; a member of None is left out."""
    message = {**schema("contacts"), **members}
    return {name: value for name, value in message.items() if value is not ...}


def with_rule(rule: Any) -> Message:
    properties = {**CONTACT_SCHEMA["properties"], "title": rule}
    return announced(schema={"properties": properties})


@pytest.mark.parametrize(
    ("bookmarks", "moved"), [([], 1), (None, 1), ([None], 0), ("id", 0), ([["id"], None], 0)]
)
def test_a_bookmark_of_null_means_changes_only(
    sync: Run, apollo: Sandbox, bookmarks: Any, moved: int
) -> None:
    whole = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
    sent = announced(bookmark_properties=bookmarks)
    sync([sent, *TWO, whole, state(2)], on_delete="list:Gone")
    done = sync([sent, TWO[0], whole, state(3)], on_delete="list:Gone")
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 3)
    assert sum(bool(one["label_ids"]) for one in apollo.store.contacts()) == moved


def test_a_column_of_numbers_as_draft_4_describes_it_costs_no_row(sync: Run) -> None:
    number = {
        "type": ["null", "number"],
        "exclusiveMaximum": True,
        "maximum": 10000000000,
        "multipleOf": 0.01,
        "exclusiveMinimum": True,
        "minimum": -10000000000,
    }
    properties = {**CONTACT_SCHEMA["properties"], "lead_score": number}
    good, bad = contact(1, lead_score=12.34), contact(2, lead_score=10000000000)
    done = sync([announced(schema={"properties": properties}), good, bad, state(2)])
    assert (done.reasons, done.records["created"], done.last_state) == (["schema_mismatch"], 1, 2)
    assert "rules that can't be used" not in done.log


@pytest.mark.full
def test_such_a_schema_ends_the_process_with_a_sentence(run_target: Run) -> None:
    done = run_target([announced(schema=None), *TWO])
    assert (done.exit_code, done.states) == (2, [])
    assert "The SCHEMA of stream 'contacts' has no 'properties'" in done.log
    assert "Traceback" not in done.log


@pytest.mark.full
def test_a_plan_reads_and_refuses_the_same_schemas(
    apollo: Sandbox, target_config: Callable[..., Path]
) -> None:
    def plan(sent: Message) -> subprocess.CompletedProcess[bytes]:
        command = Path(sys.executable).with_name("apollo-sync")
        return subprocess.run(
            [command, "plan", "--config", target_config(apollo)],
            input=lines_of([sent, *TWO]),
            capture_output=True,
            timeout=120,
            check=False,
        )

    assert plan({**with_rule({"pattern": "("}), "key_properties": "id"}).returncode == 0
    refused = plan(announced(key_properties=[5]))
    assert (refused.returncode, b"no names of properties" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "members",
    [
        {"key_properties": "id"},
        {"key_properties": ["id", None]},
        {"key_properties": [["id"]]},
        {"bookmark_properties": "updated_at"},
        {"bookmark_properties": [None, "updated_at"]},
        {"bookmark_properties": [["updated_at"]]},
        {"bookmark_properties": 5},
        {"bookmark_properties": {"updated_at": True}},
        {"schema": {**CONTACT_SCHEMA, "type": None}},
        {"schema": {**CONTACT_SCHEMA, "type": "array"}},
        {"schema": {**CONTACT_SCHEMA, "$schema": "http://json-schema.org/draft-03/schema#"}},
        {"schema": {**CONTACT_SCHEMA, "required": ["id", "a_column_that_is_deselected"]}},
        {"schema": {**CONTACT_SCHEMA, "required": True}},
    ],
    ids=str,
)
def test_odd_members_of_a_schema_are_read_leniently(
    sync: Run, apollo: Sandbox, members: Message
) -> None:
    done = sync([announced(**members), *TWO])
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 2)
    assert done.records == {"received": 2, "created": 2}


@pytest.mark.parametrize(
    "members",
    [
        {"schema": None},
        {"schema": ...},
        {"schema": True},
        {"schema": "object"},
        {"schema": {}},
        {"schema": {"properties": None}},
        {"schema": {"properties": []}},
        {"key_properties": [5]},
        {"key_properties": {"id": True}},
    ],
    ids=str,
)
def test_a_schema_that_can_t_be_used_ends_the_run_before_state_moves(
    sync: Run, apollo: Sandbox, members: Message
) -> None:
    done = sync([announced(**members), *TWO])
    assert (done.exit_code, done.last_state, done.rejects) == (2, None, [])
    assert "The SCHEMA of stream 'contacts' has" in done.log
    assert "Traceback" not in done.log
    assert apollo.store.contacts() == []


def test_a_schema_of_a_stream_that_is_left_out_need_not_be_readable(sync: Run) -> None:
    broken = {"type": "SCHEMA", "stream": "old-contacts", "schema": None}
    messages = [broken, record("old-contacts", id=1), schema("contacts"), *TWO]
    done = sync(messages, stream_maps={"old-contacts": None})
    assert (done.exit_code, done.last_state) == (0, 2)


@pytest.mark.parametrize(
    "line",
    [
        {**schema("contacts"), "stream": ...},
        {**schema("contacts"), "stream": None},
        '{"type": "SCHEMA", "stream": "contacts", "schema": {"properties": {"id"',
    ],
    ids=["no stream", "null", "cut"],
)
def test_records_after_a_schema_that_could_not_be_read_end_the_run(
    sync: Run, line: Message | str
) -> None:
    sent = line if isinstance(line, str) else {k: v for k, v in line.items() if v is not ...}
    done = sync([sent, *TWO])
    assert (done.exit_code, done.last_state) == (2, None)
    assert "line 1" in done.log


#: Rules of a column of text that taps write, and whether a row of text keeps them.
RULES: dict[str, Any] = {
    "draft 4": {"type": "string", "maxLength": 9, "exclusiveMaximum": True, "maximum": 5},
    "id": {"$id": "#title", "type": "string"},
    "items as a list": {"type": "string", "items": [{"type": "string"}]},
    "no description": {"type": "string", "description": None},
    "no value": {"enum": []},
    "draft 3": {"type": "string", "required": True, "divisibleBy": 0.1},
    "no type": {"type": []},
    "unknown type": {"type": "varchar"},
    "null beside types": {"type": ["string", None]},
    "twice": {"type": ["string", "string", "null"]},
    "pattern of Python": {"type": "string", "pattern": r"(?P<a>\w+)\Z"},
    "no pattern": {"type": "string", "pattern": "("},
    "unknown format": {"type": "string", "format": "uuid4ish"},
    "no format": {"type": "string", "format": 5},
    "length": {"type": "string", "maxLength": -1},
    "minimum": {"type": ["string", "number"], "minimum": "5"},
    "anyOf": {"anyOf": []},
    "not": {"not": {"pattern": "("}},
    "oneOf": {"oneOf": [{"pattern": "("}, {"type": "string"}]},
    "true": True,
    "null": None,
    "text": "string",
    "list": ["null", "string"],
    "nowhere": {"$ref": "#/definitions/nowhere"},
    "file": {"$ref": "file:///etc/hostname"},
    "circle": {"$ref": "#/properties/title"},
    "whole record": {"anyOf": [{"type": "string"}, {"$ref": "#"}]},
}


MAPPED: Message = {
    "flattening_enabled": True,
    "flattening_max_depth": 2,
    "stream_maps": {"contacts": {"title": "title", "first_name": "title + '!'"}},
}


@pytest.mark.parametrize("more", [{}, MAPPED], ids=["as it is", "mapped"])
def test_no_odd_rule_of_any_column_costs_a_row(sync: Run, more: Message) -> None:
    odd = {f"column {number}": rule for number, rule in enumerate(RULES.values())}
    sent = announced(schema={"properties": {**CONTACT_SCHEMA["properties"], **odd}})
    rows = [contact(number, title="CEO", **dict.fromkeys(odd, "CEO")) for number in (1, 2)]
    done = sync([sent, *rows, state(2)], **more)
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 2)


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_that_can_t_be_compiled_costs_no_row(sync: Run, rule: Any) -> None:
    done = sync([with_rule(rule), *TWO])
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 2)


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_stream_maps_and_flattening_take_such_a_schema_too(sync: Run, rule: Any) -> None:
    done = sync([with_rule(rule), *TWO], **MAPPED)
    assert (done.exit_code, done.rejects, done.last_state) == (0, [], 2)


def test_a_rule_that_is_left_out_is_said_once(sync: Run) -> None:
    sent = with_rule({"type": "string", "pattern": "(", "maxLength": -1})
    again = announced(schema={**sent["schema"], "description": "sent again"})
    done = sync([sent, contact(1), again, contact(2), state(2)])
    assert done.log.count("'pattern' of title") == 1
    assert done.log.count("'maxLength' of title") == 1


def test_the_other_rules_of_such_a_schema_still_hold(sync: Run) -> None:
    sent = with_rule({"type": "string", "pattern": "(", "maxLength": 3})
    done = sync([sent, contact(1, title="CEO"), contact(2, title="Chief"), state(2)])
    assert (done.reasons, done.records["created"]) == (["schema_mismatch"], 1)


def test_no_address_of_a_schema_is_fetched(sync: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        sent = with_rule({"$ref": address})
        sent["schema"]["$schema"] = f"{address}#"
        done = sync([sent, *TWO], flattening_enabled=True, flattening_max_depth=1)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (done.exit_code, done.rejects) == (0, [])
    assert "'$ref' of title" in done.log


def test_columns_that_are_flattened_are_checked_by_their_own_rules(sync: Run) -> None:
    person = {
        "type": "object",
        "properties": {
            "first_name": {"$ref": "#/definitions/name"},
            "title": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["first_name"],
    }
    sent = announced(
        schema={
            "properties": {
                "id": {"type": "integer"},
                "email": {"type": "string"},
                "at": {"$ref": "#/definitions/person"},
            },
            "required": ["id", "at"],
            "definitions": {"person": person, "name": {"type": "string", "maxLength": 4}},
        }
    )
    rows = [contact(1, at={"first_name": "Ada"}), contact(2, at={"first_name": "Augusta"})]
    done = sync(
        [sent, *rows, state(2)],
        flattening_enabled=True,
        flattening_max_depth=2,
        stream_maps={"contacts": {"first_name": "at['first_name']"}},
    )
    assert (done.exit_code, done.reasons, done.last_state) == (0, ["schema_mismatch"], 2)
    assert "at__first_name" in done.rejects[0]["record"]["_reject"]["detail"]


def test_two_columns_that_flatten_into_one_are_a_wrong_setting(sync: Run) -> None:
    sent = announced(
        schema={
            "properties": {
                "id": {"type": "integer"},
                "a__b": {"type": "string"},
                "a": {"type": "object", "properties": {"b": {"type": "string"}}},
            }
        }
    )
    done = sync([sent, *TWO], flattening_enabled=True, flattening_max_depth=1)
    assert (done.exit_code, done.last_state) == (2, None)
    assert "a__b" in done.log


@pytest.mark.parametrize(
    "members",
    [
        {"key_properties": "id"},
        {"key_properties": [["id"], None]},
        {"bookmark_properties": "updated_at"},
        {"bookmark_properties": [["updated_at"], None]},
    ],
    ids=str,
)
def test_the_mapper_reads_odd_members_as_the_target_does(members: Message) -> None:
    assert keys(process(pipeline(), {**lead_schema(), **members}, lead(id=1))) == [1]


@pytest.mark.parametrize(
    "given", [None, True, "object", [], {}, {"properties": None}, {"properties": []}], ids=str
)
def test_the_mapper_ends_with_a_sentence_where_a_schema_can_t_be_used(given: Any) -> None:
    with pytest.raises(SettingsError, match="The SCHEMA of stream 'leads' has no 'properties'"):
        process(pipeline(), {**lead_schema(), "schema": given})


def test_the_mapper_adds_the_owner_to_a_schema_of_any_shape() -> None:
    sent = lead_schema()
    sent["schema"] = {**sent["schema"], "required": True}
    sent["schema"]["properties"]["owner_id"] = None
    out = process(pipeline(config()), sent, lead(id=1))
    assert "owner_id" in out[0]["schema"]["properties"]


def test_a_replay_takes_the_same_odd_schemas(sync: Run, tmp_path: Path) -> None:
    sent = {**with_rule({"type": "string", "pattern": "("}), "bookmark_properties": [None]}
    done = sync([sent, contact(1, title=5), state(1)])
    assert done.reasons == ["schema_mismatch"]
    rejects = (tmp_path / "rejects.singer").read_bytes().replace(b'"title":5', b'"title":"CEO"')
    again = sync(rejects)
    assert (again.exit_code, again.records) == (0, {"received": 1, "created": 1})
