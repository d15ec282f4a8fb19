"""The pipeline: which messages it passes on, in which order, and with which bytes."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.mapper.errors import InputError, SettingsError
from tests.helpers.leads import (
    APOLLO_USER,
    BARE_RULES,
    NOW,
    RULES,
    Message,
    bookmark,
    config,
    encode,
    keys,
    pipeline,
    process,
    record,
    schema,
    state,
)

UNSETTLED = (NOW - timedelta(minutes=1)).isoformat()
BARE = config({**BARE_RULES})


def test_a_lead_goes_through_when_all_rules_hold() -> None:
    out = process(pipeline(), schema(), record(id=1), record(id=2, stage="Cold"), record(id=3))
    assert keys(out) == [1, 3]


def test_a_record_that_passes_unchanged_keeps_its_bytes() -> None:
    line = encode(record()).replace(b'"id": 1', b'"id":  1, "price": 1.10, "big": 1e400')
    assert pipeline(BARE).process_lines([encode(schema()), line])[1] is line


def test_a_schema_that_nothing_changes_keeps_its_bytes() -> None:
    line = b' {"schema": {"properties": ' + encode(schema()["schema"]["properties"])
    line += b'}, "type":"SCHEMA", "stream":"leads", "key_properties":["id"]}'
    assert pipeline(BARE).process_lines([line]) == [line]


def test_messages_of_other_streams_pass_in_the_same_bytes_and_in_order() -> None:
    lines = [
        b'{"type":"SCHEMA",  "stream":"contacts","schema":{"properties":{}}}',
        b'{"type":"RECORD","stream":"contacts","record":{"x": 1.0}} ',
        encode(schema()),
        b'{ "type":"ACTIVATE_VERSION","stream":"contacts","version":1}',
        encode(record()),
        b'{"type":"BATCH","stream":"contacts","manifest":["a"]}',
        b'{"type":"STATE","value":{"bookmarks":{"contacts":{"id": 4}}}}',
        b'{"type":"SOMETHING_NEW","of":1}',
        b"this is no JSON",
    ]
    assert pipeline(BARE).process_lines(lines) == lines


def test_the_output_stream_has_a_new_name_in_each_of_its_messages() -> None:
    out = process(
        pipeline(config({**BARE_RULES}, output_stream="accounts")),
        *(schema(), record()),
        bookmark("2026-11-20T09:00:00Z"),
    )
    assert [message.get("stream") for message in out] == ["accounts", "accounts", None]
    # The tap uses only its own name for the stream.
    assert "leads" in out[2]["value"]["bookmarks"]


def test_what_says_that_a_table_came_whole_does_not_pass_since_not_all_its_leads_do() -> None:
    out = process(
        pipeline(),
        schema(),
        record(),
        {"type": "ACTIVATE_VERSION", "stream": "leads", "version": 1},
    )
    assert [message["type"] for message in out] == ["SCHEMA", "RECORD"]


def test_the_owner_is_in_the_record_and_in_the_schema() -> None:
    out = process(pipeline(), schema(), record())
    assert out[0]["schema"]["properties"]["owner_id"] == {"type": ["string", "null"]}
    assert out[1]["record"]["owner_id"] == APOLLO_USER
    assert "owner_email" not in out[0]["schema"]["properties"]


def test_an_owner_by_email_goes_into_owner_email() -> None:
    rules = {**BARE_RULES, "owner_mapped": {"map": {"7": "Ann@Corp.de"}}}
    out = process(pipeline(config(rules)), schema(), record())
    assert out[1]["record"]["owner_email"] == "ann@corp.de"


def test_the_source_s_own_owner_properties_make_way() -> None:
    given_schema = schema("leads", "owner_id", "owner_email")
    given_schema["schema"]["required"] = ["id", "owner_email"]
    out = process(pipeline(), given_schema, record(owner_id=5, owner_email="x@y.de", last=1))
    assert out[0]["schema"]["required"] == ["id"]
    assert out[1]["record"] == {**record(last=1)["record"], "owner_id": APOLLO_USER}


@pytest.mark.parametrize("spacing", [(",", ":"), (", ", ": "), (" ,\t", " : ")])
def test_a_changed_record_keeps_the_text_of_its_values(spacing: tuple[str, str]) -> None:
    message = {**record(), "time_extracted": "2026-11-20T00:00:00Z", "version": 3}
    line = json.dumps(message, separators=spacing).encode()
    line = line.replace(
        b'"Acme GmbH"', b'"Acme \\u0047mbH","exact":1.10,"big":12345678901234567890'
    )
    (_, out) = pipeline(config(output_stream="accounts")).process_lines([encode(schema()), line])
    assert b"Acme \\u0047mbH" in out
    assert b"1.10" in out
    assert b"12345678901234567890" in out
    read = json.loads(out)
    assert read["time_extracted"] == "2026-11-20T00:00:00Z"
    assert read["version"] == 3
    assert read["stream"] == "accounts"
    assert read["record"]["owner_id"] == APOLLO_USER


def test_members_in_another_order_are_no_hindrance() -> None:
    line = json.dumps(dict(reversed(record().items()))).encode()
    out = pipeline(config(output_stream="accounts")).process_lines([encode(schema()), line])
    assert json.loads(out[1])["record"]["owner_id"] == APOLLO_USER
    assert json.loads(out[1])["stream"] == "accounts"


def test_a_lead_that_only_lenient_readers_take_is_judged_all_the_same() -> None:
    good = encode(record(id=1)).replace(b'"id": 1', b'"id": 1, "score": NaN')
    bad = encode(record(id=2, stage="Cold")).replace(b'"id": 2', b'"id": 2, "x": "\\ud800"')
    out = process(pipeline(), schema(), good, bad)
    assert keys(out) == [1]
    assert out[1]["record"]["owner_id"] == APOLLO_USER


@pytest.mark.parametrize("stream", ["leads", "contacts"])
def test_a_null_passes_where_nan_was_and_every_other_value_as_it_was(stream: str) -> None:
    line = encode(record(id=1) | {"stream": stream}).replace(
        b'"id": 1', b'"id": 1, "score": NaN, "price": 1.10, "far": 1e99999999999999999999'
    )
    first, second = schema(), schema() | {"stream": "contacts"}
    out = pipeline(BARE).process_lines([encode(first), encode(second), line])
    read = msgspec.json.decode(out[2])["record"]
    assert (read["id"], read["score"], read["far"]) == (1, None, None)
    assert b'"price":1.10' in out[2]


def test_a_number_out_of_all_range_in_the_property_of_a_rule_is_no_value() -> None:
    line = encode(record(id=1)).replace(b'"Qualified"', b"1e99999999999999999999")
    assert pipeline().process_lines([encode(schema()), line])[1:] == []


def test_a_rule_on_a_property_that_the_schema_lacks_ends_the_run() -> None:
    with pytest.raises(SettingsError, match=r"The rule icp_fit names the property 'icp_fit'"):
        process(pipeline(), schema(without=["icp_fit"]))


def test_a_property_that_may_be_meant_is_named() -> None:
    misspelled = schema(without=["icp_fit"])
    misspelled["schema"]["properties"]["icp_fitt"] = {}
    with pytest.raises(SettingsError, match=r"did you mean 'icp_fitt'\?"):
        process(pipeline(), misspelled)


def _shouted(message: Message) -> Message:
    """A message whose columns are in upper case, with blanks."""
    if message["type"] == "RECORD":
        return {**message, "record": _upper(message["record"])}
    inner = message["schema"]
    key_properties = [*_upper(dict.fromkeys(message["key_properties"]))]
    changed = {**inner, "properties": _upper(inner["properties"])}
    return {**message, "schema": changed, "key_properties": key_properties}


def _upper(named: Message) -> Message:
    return {name.upper().replace("_", " "): value for name, value in named.items()}


def test_rules_find_columns_in_any_spelling() -> None:
    rules = {**RULES, "unique": {"by": ["domain"]}, "stage": {**RULES["stage"], "field": "Stage"}}
    sent = [record(id=1), record(id=2, stage="Cold"), record(id=3), record(id=4, domain="b.de")]
    plain = process(pipeline(config(rules)), schema(), *sent)
    shouted = process(pipeline(config(rules)), *map(_shouted, [schema(), *sent]))
    passed = [one["record"]["ID"] for one in shouted if one["type"] == "RECORD"]
    assert passed == keys(plain) == [1, 4]


def test_a_second_schema_may_spell_its_columns_anew() -> None:
    mapper = pipeline()
    out = process(mapper, schema(), record(id=1), _shouted(schema()), _shouted(record(id=2)))
    assert [one["type"] for one in out].count("RECORD") == 2


def test_such_a_rule_is_skipped_with_a_warning_where_the_settings_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mapper = pipeline(config(on_missing_field="skip"))
    sent = schema(without=["icp_fit"])
    assert keys(process(mapper, sent, sent, record(icp_fit="weak"))) == [1]
    assert [entry.levelname for entry in caplog.records] == ["WARNING"]
    assert "icp_fit" in caplog.text


def test_a_skipped_owner_rule_writes_no_owner() -> None:
    mapper = pipeline(config(on_missing_field="skip"))
    out = process(mapper, schema(without=["user_id"]), record())
    assert "owner_id" not in out[0]["schema"]["properties"]
    assert "owner_id" not in out[1]["record"]


def test_a_mapping_that_can_not_be_read_ends_the_run_before_anything_passes() -> None:
    with pytest.raises(SettingsError, match="map_path"):
        pipeline(config({**RULES, "owner_mapped": {"map_path": "/nonexistent/users.csv"}}))


def test_a_record_before_its_schema_is_refused() -> None:
    with pytest.raises(InputError, match="before its SCHEMA"):
        process(pipeline(), record())


def test_a_record_that_is_no_object_is_refused() -> None:
    with pytest.raises(InputError, match="holds no record"):
        process(pipeline(), schema(), {"type": "RECORD", "stream": "leads", "record": [1]})


def test_two_streams_can_not_go_on_under_one_name() -> None:
    mapper = pipeline(config(streams=["*leads"], output_stream="accounts"))
    with pytest.raises(SettingsError, match="under the name of another stream"):
        process(mapper, schema("eu-leads"), schema("us-leads"))


def test_a_setting_that_matches_no_stream_ends_the_run_with_an_error() -> None:
    mapper = pipeline(config(streams=["laeds"]))
    process(mapper, schema("leads"))
    with pytest.raises(SettingsError, match=r"matches no stream of this run \(leads came\)"):
        mapper.finish()


def test_only_a_lead_that_fails_nothing_else_is_held(tmp_path: Path) -> None:
    mapper = pipeline(config(verdicts_path=str(tmp_path / "verdicts")))
    rows = [record(id=1, updated_at=UNSETTLED), record(id=2, updated_at=UNSETTLED, stage="Cold")]
    process(mapper, schema(), *rows)
    lines = (tmp_path / "verdicts").read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["held", "dropped"]


def test_a_held_lead_keeps_state_at_its_place_and_not_a_dropped_one() -> None:
    held = (NOW - timedelta(minutes=2)).isoformat()
    dropped = record(updated_at=(NOW - timedelta(minutes=3)).isoformat(), stage="Cold")
    out = process(pipeline(), schema(), dropped, record(updated_at=held), bookmark(NOW.isoformat()))
    assert out[-1] == bookmark(held)


def test_state_passes_in_the_same_bytes_where_nothing_is_held() -> None:
    line = b'{"type":"STATE","value":{"bookmarks":{"leads":{"updated_at": "2026-11-20"}},"x":1.0}}'
    assert pipeline().process_lines([encode(schema()), line])[-1] is line


def test_numbers_of_a_state_that_is_set_back_stay_exact() -> None:
    line = b'{"type":"STATE","value":{"bookmarks":{"leads":{"replication_key_value":9},"x":1.10}}}'
    out = pipeline().process_lines(
        [encode(schema(key="id")), encode(record(updated_at=UNSETTLED, id=4)), line]
    )
    assert b'"replication_key_value":4' in out[-1]
    assert b"1.10" in out[-1]


def test_unmapped_leads_are_held_by_their_own_place() -> None:
    rules = {**BARE_RULES, "owner_mapped": {"map": {"7": APOLLO_USER}, "hold_unmapped": True}}
    old = "2026-03-01T00:00:00+00:00"
    out = process(
        pipeline(config(rules)), schema(), record(user_id=8, updated_at=old), bookmark("2026-11-20")
    )
    assert out[-1] == bookmark(old)


def test_without_a_rule_that_holds_any_replication_will_do() -> None:
    rules = {**BARE_RULES, "settled": False}
    sent = [schema(key="_sdc_lsn"), record(), state({"bookmarks": {"leads": {"lsn": 5}}})]
    assert process(pipeline(config(rules)), *sent)[1:] == sent[1:]


def test_the_end_of_a_run_says_how_many_leads_failed_each_rule(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mapper = pipeline()
    rows = [
        record(id=1),
        record(id=2, stage="Cold"),
        record(id=3, icp_fit="weak", stage="Cold"),
        record(id=4, updated_at=UNSETTLED),
    ]
    process(mapper, schema(), *rows)
    mapper.finish()
    said = "\n".join(entry.getMessage() for entry in caplog.records)
    assert "4 leads: 1 passed, 1 held, 2 dropped" in said
    assert "rule stage: 1 failed it first, 2 at all" in said
    assert "rule icp_fit: 1 failed it first, 1 at all" in said
    assert "rule company_only: 0 failed it first, 0 at all" in said


ages = st.sampled_from([0, 1, 4, 5, 6, 600])
messy_leads = st.builds(
    record,
    record_type=st.sampled_from(["company", "person", None, 3]),
    name=st.sampled_from(["Acme", " ", None, 5]),
    domain=st.sampled_from(["acme.de", "gmail.com", "nonsense", None, ["x"]]),
    is_customer=st.sampled_from([False, True, 0, "yes", "no", None]),
    icp_fit=st.sampled_from(["strong", "moderate", "weak", None]),
    stage=st.sampled_from(["Cold", "Interested", "Qualified", "Other", None]),
    quarantine_status=st.sampled_from(["active", "quarantined", None]),
    user_id=st.sampled_from([7, "7", 8, None]),
    updated_at=ages.map(lambda age: (NOW - timedelta(minutes=age)).isoformat()) | st.none(),
)


def meets_all_rules(record: Message) -> bool:
    """Whether a lead meets the rules, for the values that `messy_leads` makes."""
    changed = record["updated_at"]
    return (
        record["record_type"] == "company"
        and record["is_customer"] in (False, 0, "no", None)
        and record["icp_fit"] in ("moderate", "strong")
        and record["stage"] in ("Interested", "Qualified")
        and record["quarantine_status"] == "active"
        and record["name"] == "Acme"
        and record["domain"] == "acme.de"
        and record["user_id"] in (7, "7")
        and (changed is None or datetime.fromisoformat(changed) <= NOW - timedelta(minutes=5))
    )


@given(st.lists(messy_leads, max_size=12))
def test_the_leads_that_pass_are_those_of_a_plain_restatement(messages: list[Message]) -> None:
    for number, message in enumerate(messages):
        message["record"]["id"] = number
    wanted = [message["record"]["id"] for message in messages if meets_all_rules(message["record"])]
    assert keys(process(pipeline(), schema(), *messages)) == wanted


def sdk_state(value: object) -> Any:
    return {
        "bookmarks": {"leads": {"replication_key": "updated_at", "replication_key_value": value}}
    }


def classic_state(value: object) -> Any:
    return {"bookmarks": {"leads": {"updated_at": value}}, "currently_syncing": "leads"}


def partitioned_state(value: object) -> Any:
    entry = {"replication_key": "updated_at", "replication_key_value": value}
    return {"bookmarks": {"leads": {"partitions": [{"context": {"id": 1}, **entry}]}}}


def read_value(value: Any) -> str | None:
    entry = value["bookmarks"]["leads"]
    entry = entry.get("partitions", [entry])[0]
    found = entry.get("replication_key_value", entry.get("updated_at"))
    assert found is None or isinstance(found, str)
    return found


@given(
    sequence=st.lists(st.integers(0, 12).map(lambda age: age * 60) | st.none(), max_size=25),
    in_sets_of=st.integers(1, 30),
    shape=st.sampled_from([sdk_state, classic_state, partitioned_state]),
)
def test_whatever_the_interleaving_a_replay_from_the_emitted_state_reads_every_held_lead(
    sequence: list[int | None], in_sets_of: int, shape: Any
) -> None:
    """Entries are ages of leads in seconds, in any order, and None for a STATE."""
    messages: list[Message] = [schema()]
    ages: list[int] = []
    for entry in [*sequence, None]:
        if entry is not None:
            changed = (NOW - timedelta(seconds=entry)).isoformat()
            messages.append(record(id=len(ages), updated_at=changed))
            ages.append(entry)
        elif ages:
            messages.append(state(shape((NOW - timedelta(seconds=min(ages))).isoformat())))
    mapper = pipeline()
    held: list[str] = []
    for start in range(0, len(messages), in_sets_of):
        part = messages[start : start + in_sets_of]
        out = process(mapper, *part)
        states = iter([message for message in out if message["type"] == "STATE"])
        for message in part:
            if message["type"] == "RECORD":
                changed = message["record"]["updated_at"]
                if datetime.fromisoformat(changed) > NOW - timedelta(minutes=5):
                    held.append(changed)
            elif message["type"] == "STATE":
                emitted = read_value(next(states)["value"])
                assert emitted is not None
                assert all(
                    datetime.fromisoformat(one) >= datetime.fromisoformat(emitted) for one in held
                )
                # STATE is set back no further than to the held lead.
                assert emitted in (read_value(message["value"]), *held)
