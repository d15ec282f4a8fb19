"""Each setting gets the type of its schema, whatever wrote it: file, variable, `.env`, library."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from target_apollo.config.environment import read_environment
from target_apollo.config.schema import SCHEMA
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import read_settings
from target_apollo.config.typed_values import type_of, with_types
from target_apollo.config.validation import problems_of, with_defaults
from target_apollo.mapper.settings import read_settings as read_mapper_settings
from target_apollo.tap.settings import SCHEMA as TAP_SCHEMA
from target_apollo.tap.tap import TapApolloSync

SECRET = "s3cr3t-that-must-not-be-seen"
OF_KIND: dict[str, list[str]] = {}
for _name, _setting in SCHEMA["properties"].items():
    OF_KIND.setdefault(type_of(_setting), []).append(_name)
NUMBERS = [*OF_KIND["integer"], *OF_KIND["number"]]

Write = Callable[..., list[str]]


@pytest.fixture(params=["file", "variable", "dotenv", "text in a file"])
def write(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes settings down somewhere; returns the values of `--config` that read them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TARGET_APOLLO_API_KEY", SECRET)

    def written(**settings: object) -> list[str]:
        variables = {f"TARGET_APOLLO_{name.upper()}": value for name, value in settings.items()}
        if request.param == "variable":
            for variable, value in variables.items():
                monkeypatch.setenv(variable, str(value))
            return ["ENV"]
        if request.param == "dotenv":
            for variable in variables:
                # Taken back at the end of the test, since the file sets the variable too.
                monkeypatch.setenv(variable, "")
            lines = [f"{variable}={value}\n" for variable, value in variables.items()]
            Path(".env").write_text("".join(lines), encoding="utf-8")
            return ["ENV"]
        if request.param == "text in a file":
            settings = {name: str(value) for name, value in settings.items()}
        Path("own.json").write_text(json.dumps(settings), encoding="utf-8")
        return ["own.json", "ENV"]

    return written


def bounds(name: str) -> tuple[float, float]:
    setting = SCHEMA["properties"][name]
    return setting.get("minimum", setting.get("exclusiveMinimum")), setting["maximum"]


def problems_in(sources: list[str]) -> str:
    with pytest.raises(SettingsError) as refused:
        read_settings(sources)
    return "\n".join(refused.value.problems)


def test_all_numbers_of_the_schema_are_looked_at() -> None:
    assert {"quota_share", "request_timeout_seconds", "quota_percent"} <= set(NUMBERS)
    assert len(NUMBERS) >= 15


def test_a_whole_number_within_its_range_arrives(write: Write) -> None:
    found = read_settings(write(**{name: bounds(name)[1] for name in NUMBERS}))
    for name in NUMBERS:
        assert getattr(found, name) == bounds(name)[1]
        assert type(getattr(found, name)) in (
            (int,) if name in OF_KIND["integer"] else (int, float)
        )


def test_a_fraction_within_its_range_arrives(write: Write) -> None:
    wanted = {name: bounds(name)[1] - 0.25 for name in OF_KIND["number"]}
    found = read_settings(write(**wanted))
    assert {name: getattr(found, name) for name in wanted} == wanted


def test_a_fraction_is_no_count(write: Write) -> None:
    said = problems_in(write(**{name: bounds(name)[0] + 0.5 for name in OF_KIND["integer"]}))
    for name in OF_KIND["integer"]:
        assert re.search(rf"(?i){name}.*(integer|whole number)", said)


@pytest.mark.parametrize("beyond", [False, True])
def test_a_number_out_of_range_is_named_with_its_limit(write: Write, beyond: bool) -> None:
    wrong = {name: bounds(name)[1] + 1 if beyond else bounds(name)[0] - 1 for name in NUMBERS}
    said = problems_in(write(**wrong))
    for name in NUMBERS:
        limit = "at most" if beyond else "(at least|more than)"
        assert re.search(rf"'{name}' must be {limit} \d", said)


@pytest.mark.parametrize("value", [SECRET, "NaN", "1_0", "0x10", "1,5"])
def test_text_that_is_no_number_is_named_and_not_shown(write: Write, value: object) -> None:
    said = problems_in(write(**dict.fromkeys(NUMBERS, value)))
    assert all(re.search(rf"(?i){name}\b", said) for name in NUMBERS)
    assert str(value) not in said


@pytest.mark.parametrize("name", NUMBERS)
def test_a_decimal_is_a_number_of_its_own_type(name: str) -> None:
    given = with_types({"api_key": SECRET, name: Decimal(bounds(name)[1])}, SCHEMA)
    assert problems_of(given, SCHEMA) == []
    assert type(getattr(Settings.of(with_defaults(given, SCHEMA)), name)) in (int, float)


@pytest.mark.parametrize("value", [math.nan, math.inf, Decimal("NaN")])
def test_nan_and_infinity_are_no_numbers(value: object) -> None:
    given = with_types({"api_key": SECRET, "quota_share": value}, SCHEMA)
    problems = problems_of(given, SCHEMA)
    assert "The setting 'quota_share' must be a number." in problems


def test_an_empty_value_counts_as_not_set(write: Write) -> None:
    names = [*NUMBERS, *OF_KIND["boolean"], "mode", "streams", "lists", "rejects_path"]
    found = read_settings(write(**dict.fromkeys(names, "")))
    usual = Settings.of(
        {name: one["default"] for name, one in SCHEMA["properties"].items() if "default" in one}
    )
    for name in names:
        assert getattr(found, name) == getattr(usual, name)


def test_an_empty_value_is_one_where_it_means_something(write: Write) -> None:
    found = read_settings(write(ledger_url="", source=""))
    assert (found.ledger_url, found.source) == ("", "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("true", True), ("True", True), ("1", True), ("yes", True), ("off", False), ("0", False)],
)
def test_yes_and_no_are_read_in_their_usual_words(write: Write, written: str, meant: bool) -> None:
    found = read_settings(write(**dict.fromkeys(OF_KIND["boolean"], written)))
    assert {getattr(found, name) for name in OF_KIND["boolean"]} == {meant}


def test_a_misspelt_yes_is_refused_and_not_taken_for_a_no(write: Write) -> None:
    said = problems_in(write(dry_run="ture"))
    assert re.search(r"(?i)dry_run.*(true or false|boolean)", said)


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("custom_fields", '{"score": "Score"}', {"score": "Score"}),
        ("streams", "null", {}),
        ("lists", '["A, B", "C"]', ("A, B", "C")),
    ],
)
def test_objects_and_arrays_are_read_as_json(
    name: str, write: Write, written: str, meant: object
) -> None:
    assert getattr(read_settings(write(**{name: written})), name) == meant


def test_a_variable_may_hold_names_with_commas_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OWN_LISTS", "A, B")
    assert read_environment(SCHEMA, "OWN_") == {"lists": ["A", "B"]}


def test_a_part_of_an_object_can_be_set_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_CUSTOM_FIELDS", '{"a": "A", "b": "B"}')
    monkeypatch.setenv("OWN_CUSTOM_FIELDS.b", "C")
    assert read_environment(SCHEMA, "OWN_") == {"custom_fields": {"a": "A", "b": "C"}}
    flat = {"custom_fields.score": "Score", "custom_fields.fit": "Fit", "unknown.part": 1}
    assert with_types(flat, SCHEMA) == {
        "custom_fields": {"score": "Score", "fit": "Fit"},
        "unknown.part": 1,
    }


def test_a_dotenv_file_that_can_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"TARGET_APOLLO_API_KEY=\xff")
    with pytest.raises(SettingsError, match=r"\.env with environment variables can't be read"):
        read_settings(["ENV"])


# --- quota_share and quota_percent


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ({"quota_percent": 70}, 0.7),
        ({"quota_share": 0.7}, 0.7),
        ({"quota_share": 0.7, "quota_percent": 70}, 0.7),
        ({"quota_share": 1, "quota_percent": 70}, 0.7),
        ({"quota_share": 0.7, "quota_percent": 100}, 0.7),
        ({}, 1.0),
    ],
)
def test_the_part_of_the_quota_is_a_fraction_or_a_percentage(
    given: Mapping[str, Any], share: float
) -> None:
    config = with_types({"api_key": SECRET, **given}, SCHEMA)
    assert problems_of(config, SCHEMA) == []
    assert Settings.of(with_defaults(config, SCHEMA)).quota_share == pytest.approx(share)


def test_two_different_parts_of_the_quota_are_refused() -> None:
    given = {"api_key": SECRET, "quota_share": "0.7", "quota_percent": 80}
    (problem,) = problems_of(with_types(given, SCHEMA), SCHEMA)
    assert problem.startswith("The settings 'quota_share' and 'quota_percent' contradict")


# --- mapper and tap


@pytest.mark.parametrize("minutes", [2.5, Decimal("2.5"), "2.5"])
def test_a_number_of_a_rule_of_the_mapper_has_its_type(minutes: object) -> None:
    rules = {"settled": {"minutes": minutes}, "stage": False, "owner_mapped": False}
    (settled,) = (
        rule for rule in read_mapper_settings({"rules": rules}).rules if rule.rule == "settled"
    )
    assert getattr(settled, "minutes", None) == 2.5


def test_the_rules_of_the_mapper_are_read_as_json() -> None:
    rules = '{"settled": {"minutes": 2.5}, "stage": false, "owner_mapped": false}'
    found = read_mapper_settings({"rules": rules, "streams": '["leads"]', "output_stream": ""})
    assert found.streams == ("leads",)
    assert found.output_stream is None
    assert "settled" in {rule.rule for rule in found.rules}


def test_the_tap_takes_the_numbers_of_the_target_in_all_their_forms() -> None:
    given = {"api_key": SECRET, **{name: str(bounds(name)[1]) for name in NUMBERS}}
    taken = TapApolloSync(config=given).config
    assert taken["api_key"] == SECRET
    own = [name for name in NUMBERS if name in TAP_SCHEMA["properties"]]
    assert {name: taken[name] for name in own} == {name: bounds(name)[1] for name in own}
    assert "quota_percent" in own
