"""The setting `always`: leads that it names pass, and the rules that held against them are told."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.explain import explain
from target_apollo.mapper.keys import NamedLeads
from tests.helpers.leads import (
    APOLLO_USER,
    BARE_RULES,
    NOW,
    Message,
    bookmark,
    config,
    keys,
    pipeline,
    process,
    record,
    schema,
)
from tests.mapper.test_pipeline import messy_leads

COLD = {"stage": "Cold"}


def test_a_named_lead_passes_though_it_fails_rules() -> None:
    mapper = pipeline(config(always=[2]))
    out = process(mapper, schema(), record(id=1, **COLD), record(id=2, **COLD), record(id=3))
    assert keys(out) == [2, 3]


@pytest.mark.parametrize("key", [42, "42", " 42 ", 42.0])
@pytest.mark.parametrize("entry", [42, "42", 42.0, [42], ["42"]])
def test_a_key_may_be_text_or_a_number_on_both_sides(key: object, entry: object) -> None:
    mapper = pipeline(config(always=[entry]))
    assert keys(process(mapper, schema(), record(id=key, **COLD))) == [key]


@pytest.mark.parametrize("entry", ["eu,42", ["eu", 42], ["eu", "42"]])
def test_a_key_of_several_values_is_written_as_explain_does_or_as_a_list(entry: object) -> None:
    mapper = pipeline(config(always=[entry]))
    announced = schema(key_properties=["name", "id"])
    rows = [record(id=42, name=name, **COLD) for name in ("eu", "us")]
    out = process(mapper, announced, *rows)
    assert [one["record"]["name"] for one in out[1:]] == ["eu"]


def test_a_list_tells_apart_what_commas_can_not() -> None:
    mapper = pipeline(config(always=[["a,b", "c"]]))
    announced = schema(key_properties=["name", "domain"])
    rows = [record(name="a,b", domain="c"), record(name="a", domain="b,c")]
    out = process(mapper, announced, *rows)
    assert [one["record"]["name"] for one in out[1:]] == ["a,b"]


def test_an_entry_that_can_fit_no_key_of_the_stream_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mapper = pipeline(config(always=["42", ["eu", 1, 2], "eu,1"]))
    announced = schema(key_properties=["name", "id"])
    process(mapper, announced, announced)
    said = [entry.getMessage() for entry in caplog.records]
    assert [line.partition(":")[2].partition(".")[0] for line in said] == [
        " entry 1 has 1 value, and the key (name, id) has 2: it names no lead of stream 'leads'",
        " entry 2 has 3 values, and the key (name, id) has 2: it names no lead of stream 'leads'",
    ]


def test_a_stream_without_key_properties_is_refused() -> None:
    mapper = pipeline(config(always=[1]))
    with pytest.raises(SettingsError, match=r"^The setting always can't work on stream 'leads'"):
        process(mapper, schema(key_properties=[]))


def test_a_named_lead_is_not_held_and_keeps_no_bookmark_back() -> None:
    changed = (NOW - timedelta(minutes=1)).isoformat()
    at = bookmark(NOW.isoformat())
    out = process(pipeline(config(always=[1])), schema(), record(id=1, updated_at=changed), at)
    assert keys(out) == [1]
    assert out[-1] == at


def test_a_named_lead_without_a_mapped_owner_passes_without_an_owner() -> None:
    mapper = pipeline(config(always=[1]))
    announced = schema("leads", "owner_id")
    out = process(
        mapper, announced, record(id=1, user_id=8, owner_id="8"), record(id=2, owner_id="8")
    )
    assert "owner_id" not in out[1]["record"]
    assert out[2]["record"]["owner_id"] == APOLLO_USER


def test_a_named_lead_keeps_its_address(tmp_path: Path) -> None:
    rules = {**BARE_RULES, "email_status": {"match_on": ["domain"], "ledger_url": ""}}
    mapper = pipeline(config(rules, always=[1]))
    announced = schema("leads", "email", "email_status")
    rows = [record(id=key, email="a@acme.de", email_status="guessed") for key in (1, 2)]
    out = process(mapper, announced, *rows)
    assert [one["record"].get("email") for one in out[1:]] == ["a@acme.de", None]


def test_the_verdict_and_explain_say_which_rules_held_against_it(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    mapper = pipeline(config(always=[1], verdicts_path=str(path)))
    process(mapper, schema(), record(id=1, icp_fit="weak", **COLD), record(id=2))
    named, other = map(json.loads, path.read_text().splitlines())
    assert named["verdict"] == "passed"
    assert named["always"] is True
    assert [one["rule"] for one in named["failing"]] == ["icp_fit", "stage"]
    assert "always" not in other
    said = explain(path, "1")
    assert said.startswith("Lead 1 of leads was passed on")
    assert "\n  - the stage 'Cold' is below 'Interested' (rule stage)\n" in said
    assert "It went on to Apollo all the same, since the setting always names it" in said


def test_a_named_lead_that_meets_every_rule_passes_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "verdicts"
    mapper = pipeline(config(always=[1], verdicts_path=str(path)))
    process(mapper, schema(), record(id=1))
    assert "always" not in json.loads(path.read_text())


def test_the_end_of_a_run_counts_them_apart_from_the_rules(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    mapper = pipeline(config(always=[1, 7]))
    process(mapper, schema(), record(id=1, **COLD), record(id=2, **COLD), record(id=3))
    mapper.finish()
    said = "\n".join(entry.getMessage() for entry in caplog.records)
    assert "3 leads: 2 passed, 0 held, 1 dropped" in said
    assert "1 of them passed by the setting always, though they fail rules" in said
    assert "rule stage: 1 failed it first, 1 at all" in said
    assert "Setting always: 1 of the 2 leads that it names came." in said


@given(st.lists(messy_leads, max_size=8), st.sets(st.integers(0, 7)))
def test_whatever_the_rules_say_exactly_the_named_leads_pass_besides(
    messages: list[Message], named: set[int]
) -> None:
    for number, message in enumerate(messages):
        message["record"]["id"] = number
    end = bookmark(NOW.isoformat())
    by_rules = keys(process(pipeline(), schema(), *messages))
    *out, last = process(pipeline(config(always=sorted(named))), schema(), *messages, end)
    assert set(keys(out)) == {*by_rules, *(named & set(range(len(messages))))}
    others = [one for one in messages if one["record"]["id"] not in named]
    assert last == process(pipeline(), schema(), *others, end)[-1]


@given(st.lists(st.tuples(st.text(), st.text()), max_size=8), st.tuples(st.text(), st.text()))
def test_a_list_names_exactly_the_lead_of_its_values(
    named: list[tuple[str, str]], key: tuple[str, str]
) -> None:
    spelled = [tuple(part.strip() for part in one) for one in named]
    entries = [list(one) for one in spelled if all(one)]
    own = tuple(part.strip() or None for part in key)
    found = NamedLeads.of(entries).find(own)
    assert (found is not None) == (list(own) in entries)
