"""What is wrong with settings is said in a sentence that names the setting and shows no value."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings
from target_apollo.config.typed_values import with_types
from target_apollo.config.validation import problems_of
from target_apollo.target.target import TargetApollo
from tests.helpers.configs import SECRET, config

quick = settings(deadline=None, max_examples=30)

NAMES = tuple(SCHEMA["properties"])


def with_the_sdk_s_settings() -> dict[str, Any]:
    schema = {**SCHEMA, "properties": dict(SCHEMA["properties"])}
    TargetApollo.append_builtin_config(schema)
    return schema


secrets = st.sampled_from([SECRET, [SECRET], {"x": SECRET}, [{"x": [SECRET]}], f"http://{SECRET}"])
any_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    secrets,
)


def test_a_key_is_all_that_is_needed() -> None:
    assert problems_of({"api_key": SECRET}, SCHEMA) == []


def test_the_defaults_are_right() -> None:
    assert problems_of(config(), SCHEMA) == []


def test_a_missing_key_is_named() -> None:
    (problem,) = problems_of({}, SCHEMA)
    assert problem.startswith("The setting 'api_key' is missing: ")


@quick
@given(st.dictionaries(st.sampled_from(NAMES), any_values | secrets, max_size=6))
def test_a_sentence_never_shows_a_value(found: dict[str, Any]) -> None:
    assert SECRET not in " ".join(problems_of(found, with_the_sdk_s_settings()))


@quick
@given(st.sampled_from(NAMES), any_values)
def test_a_sentence_names_the_setting_that_is_wrong(name: str, value: object) -> None:
    problems = problems_of({"api_key": SECRET, name: value}, SCHEMA)
    assert all(name in problem for problem in problems)


@quick
@given(st.sampled_from(NAMES), any_values)
@example("streams", {"contacts": {"key": [SECRET]}})
@example("batch_size", 20.0)
def test_a_config_without_problems_can_be_used(name: str, value: object) -> None:
    found = {"api_key": SECRET, name: value}
    if problems_of(found, SCHEMA):
        return
    given_values = {name: one for name, one in found.items() if one is not None}
    Settings.of(config(**given_values)).of_stream("contacts")


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        (name, one["minimum"], one["maximum"])
        for name, one in SCHEMA["properties"].items()
        if "minimum" in one
    ],
)
def test_a_number_is_taken_between_its_bounds_and_not_beyond(
    name: str, low: int, high: int
) -> None:
    for good in (low, high):
        assert problems_of(config(**{name: good}), SCHEMA) == []
    assert problems_of(config(**{name: low - 1}), SCHEMA) == [
        f"The setting '{name}' must be at least {low}."
    ]
    assert problems_of(config(**{name: high + 1}), SCHEMA) == [
        f"The setting '{name}' must be at most {high}."
    ]


@pytest.mark.parametrize("name", ["batch_size", "max_retries"])
@pytest.mark.parametrize("value", [True, "5", 1.5, [5]])
def test_a_count_is_a_whole_number(name: str, value: object) -> None:
    assert problems_of(config(**{name: value}), SCHEMA) == [
        f"The setting '{name}' must be of type integer."
    ]


@pytest.mark.parametrize("value", ["many", "0", "17", "", "8 "])
def test_parallel_requests_are_auto_or_a_number(value: str) -> None:
    assert problems_of(config(parallel_requests=value), SCHEMA) == [
        "The setting 'parallel_requests' must be 'auto' or a whole number from 1 to 16."
    ]


@pytest.mark.parametrize(
    ("written", "meant"), [("auto", 16), (1, 1), (16, 16), ("7", 7), (4.0, 4), (Decimal(3), 3)]
)
def test_parallel_requests_are_a_number_in_the_typed_form(written: object, meant: int) -> None:
    given = with_types(config(parallel_requests=written), SCHEMA)
    assert problems_of(given, SCHEMA) == []
    assert Settings.of(given).parallel_requests == meant


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    assert problems_of(config(batchsize=3), SCHEMA) == [
        "There is no setting 'batchsize': did you mean 'batch_size'?"
    ]


def test_a_setting_that_resembles_none_is_sent_to_about() -> None:
    assert problems_of(config(zzz=3), SCHEMA) == [
        "There is no setting 'zzz': see --about for those there are."
    ]


def test_a_word_that_is_none_of_the_choices_is_told_the_choices() -> None:
    assert problems_of(config(mode="replace"), SCHEMA) == [
        "The setting 'mode' must be insert or update or upsert."
    ]


def test_an_unknown_part_of_a_stream_s_settings_is_named() -> None:
    (problem,) = problems_of(config(streams={"contacts": {"objekt": "contacts"}}), SCHEMA)
    assert "'streams.contacts'" in problem
    assert "'objekt'" in problem
    assert "object" in problem


def test_every_problem_has_a_sentence() -> None:
    wrong = config(mode="x", batch_size=0, lists="A", nonsense=1)
    assert len(problems_of(wrong, SCHEMA)) == 4


@pytest.mark.parametrize(
    "url", ["http://api.apollo.io/api/v1", "ftp://localhost", "apollo", "https://u:p@host/"]
)
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    (problem,) = problems_of(config(api_url=url), SCHEMA)
    assert "api_url" in problem
    assert url not in problem


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8700/api/v1", "http://localhost:1", "https://a.b"]
)
def test_plain_http_is_good_enough_for_this_machine(url: str) -> None:
    assert problems_of(config(api_url=url), SCHEMA) == []


def test_an_entry_of_streams_is_an_object_or_a_switch() -> None:
    (problem,) = problems_of(config(streams={"leads": "no"}), SCHEMA)
    assert problem == "The setting 'streams.leads' must be an object, true or false."


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"email": "never"}, "email: never.*create_only"),
        ({"domain": "never"}, "domain: never.*create_only"),
        ({"E-Mail": "never"}, "email: never.*create_only"),
        ({"label_names": "fill_if_empty"}, "label_names.*only ever added"),
    ],
)
def test_a_policy_that_nothing_can_follow_is_refused(policy: dict[str, str], said: str) -> None:
    (problem,) = problems_of(config(field_policy=policy), SCHEMA)
    assert re.search(said, problem)


@pytest.mark.parametrize("written", ["stage:", "list: ", "delete", "Stage:Lost", ""])
def test_on_delete_is_one_of_its_three_forms(written: str) -> None:
    (problem,) = problems_of(config(on_delete=written), SCHEMA)
    assert "'on_delete' must be" in problem


@pytest.mark.parametrize("entry", ["", "facebook", "ada@facebook.com"])
def test_a_host_that_is_none_is_named_by_its_place_and_not_shown(entry: str) -> None:
    (problem,) = problems_of(config(allow_domains=["facebook.com", entry]), SCHEMA)
    assert problem.startswith("A setting is wrong: entry 2 of 'allow_domains' is not a host")


@pytest.mark.parametrize("entry", ["mail", "custom:", "outreach_id"])
def test_an_unknown_key_is_named_with_its_place(entry: str) -> None:
    own = {"leads": {"object": "contacts", "match_on": [entry]}}
    (first,) = problems_of(config(match_on=["email", entry]), SCHEMA)
    (second,) = problems_of(config(streams=own), SCHEMA)
    assert first.startswith(f"The setting 'match_on' has an entry '{entry}', which is no key")
    assert second.startswith(f"The setting 'streams.leads.match_on' has an entry '{entry}'")


def test_what_no_name_of_a_key_looks_like_is_told_by_its_number() -> None:
    (problem,) = problems_of(config(match_on=["email", SECRET]), SCHEMA)
    assert problem.startswith("The setting 'match_on' has an entry (number 2), which is no key")
    assert SECRET not in problem


def test_a_setting_without_any_key_is_a_problem() -> None:
    assert problems_of(config(match_on=[]), SCHEMA) == [
        "The setting 'match_on' names no key: leave it out for the default."
    ]
