"""Settings: the error of a typo lists the known names, and every error names its setting."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.rules import ON_BY_DEFAULT, RULES
from target_apollo.mapper.settings import OnMissingField, read_settings, settings_schema
from tests.helpers.leads import RULES as NEEDED_RULES


def settings(rules: dict[str, Any] | None = None, **others: Any) -> Any:
    return read_settings({"rules": {**NEEDED_RULES, **(rules or {})}, **others})


def test_nine_rules_hold_without_being_named() -> None:
    on = {rule.rule for rule in settings({"not_synced": None}).rules}
    assert (
        on
        == ON_BY_DEFAULT
        == {
            *(
                "company_only",
                "not_customer",
                "icp_fit",
                "stage",
                "not_quarantined",
                "valid_company",
            ),
            *("owner_mapped", "not_synced", "settled"),
        }
    )


def test_false_switches_a_rule_off_and_true_on() -> None:
    on = {rule.rule for rule in settings({"settled": False, "valid_email": True}).rules}
    assert "settled" not in on
    assert "valid_email" in on


def test_the_defaults_are_those_of_the_documentation() -> None:
    read = settings()
    assert read.streams == ("*",)
    assert read.output_stream is None
    assert read.verdicts_path == ".target-apollo/verdicts.jsonl"
    assert read.on_missing_field is OnMissingField.ERROR


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"stream": "leads"},
            "Unknown setting 'stream'; did you mean 'streams'? Known: streams, output_stream, "
            "rules, always, verdicts_path, on_missing_field.",
        ),
        (
            {"rules": {"setled": {}}},
            f"Unknown rule 'setled'; did you mean 'settled'? Known: {', '.join(RULES)}.",
        ),
        ({"rules": {"zzz": {}}}, f"Unknown rule 'zzz'. Known: {', '.join(RULES)}."),
        (
            {"rules": {"always": [1]}},
            "Unknown rule 'always'; it is a setting of its own, beside `rules`. Known: "
            f"{', '.join(RULES)}.",
        ),
        (
            {"rules": {**NEEDED_RULES, "settled": {"minuts": 5}}},
            "Unknown option of rules.settled 'minuts'; did you mean 'minutes'? Known: field, "
            "minutes.",
        ),
        (
            {"rules": {**NEEDED_RULES, "stage_selected": {"allow": ["A"], "applies_to": "knew"}}},
            "Setting rules.stage_selected.applies_to: invalid value 'knew'; did you mean 'new'? "
            "Known: all, new.",
        ),
        (
            {
                "rules": {
                    **NEEDED_RULES,
                    "not_synced": {"ledger_url": ""},
                    "stage_selected": {"allow": ["A"], "applies_to": "new"},
                }
            },
            "Setting rules.stage_selected: `applies_to: new` needs the target's ledger, which "
            "tells the known leads from the new ones, and `ledger_url` is empty; set it, or set "
            "`applies_to: all`.",
        ),
        (
            {"rules": {**NEEDED_RULES, "email_status": {"match_on": ["email"]}}},
            "Setting rules.email_status: `match_on` names 'email', which is the address itself; "
            "name the keys by which the target finds a lead without it, such as linkedin_url.",
        ),
        ({"always": "eu"}, "Setting always: expected `array`, got `str`."),
        (
            {"rules": NEEDED_RULES, "always": [42, True]},
            "Setting always: entry 2 is no key: write it as a text or a number, or a key of "
            "several values as a list of these.",
        ),
        (
            {"rules": NEEDED_RULES, "always": [["eu", None]]},
            "Setting always: entry 1 is no key: write it as a text or a number, or a key of "
            "several values as a list of these.",
        ),
        (
            {"rules": {**NEEDED_RULES, "settled": {"minutes": "soon"}}},
            "Setting rules.settled.minutes: expected `float`, got `str`.",
        ),
        (
            {"rules": {**NEEDED_RULES, "settled": {"minutes": 0}}},
            "Setting rules.settled.minutes: expected `float` > 0.0.",
        ),
        (
            {"rules": {**NEEDED_RULES, "settled": 5}},
            "Setting rules.settled must be true, false, or an object of its options.",
        ),
        (
            {"rules": {**NEEDED_RULES, "stage": {"order": ["A", "B"], "minimum": "C"}}},
            "Setting rules.stage: `minimum` is 'C', which is not in `order` (A, B).",
        ),
        (
            {"rules": {**NEEDED_RULES, "stage": {"order": ["A", "a"], "minimum": "A"}}},
            "Setting rules.stage: `order` names the stage 'A' twice.",
        ),
        (
            {"rules": {**NEEDED_RULES, "stage_selected": True}},
            "Setting rules.stage_selected: needs `allow`.",
        ),
        (
            {"rules": {**NEEDED_RULES, "icp_fit": {"allow": []}}},
            "Setting rules.icp_fit.allow: expected `array` of length >= 1.",
        ),
        (
            {"rules": {**NEEDED_RULES, "valid_company": {"allow_domains": ["no host"]}}},
            "Setting rules.valid_company: entry 1 of 'allow_domains' is not a host such as "
            "facebook.com.",
        ),
        ({"streams": "leads"}, "Setting streams: expected `array`, got `str`."),
        ({"streams": []}, "Setting streams is empty: name the streams that hold leads."),
        (
            {"on_missing_field": "ignore"},
            "Setting on_missing_field: invalid value 'ignore'. Known: error, skip.",
        ),
    ],
)
def test_a_wrong_setting_is_said_in_a_sentence(config: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(config)
    assert str(caught.value) == said


@pytest.mark.parametrize("rule", ["stage", "owner_mapped"])
def test_a_rule_that_can_not_work_without_settings_says_what_to_do(rule: str) -> None:
    with pytest.raises(SettingsError, match=rf"^Setting rules\.{rule}: needs .* set the rule to f"):
        settings({rule: True})


def test_the_schema_for_meltano_takes_what_the_settings_take() -> None:
    schema = settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"streams": ["leads"], "rules": {**NEEDED_RULES, "settled": {"minutes": 2.5}}}
    assert not list(validator.iter_errors(good))
    for wrong in ({"stream": 1}, {"rules": {"setled": {}}}, {"rules": {"settled": {"minuts": 1}}}):
        assert list(validator.iter_errors(wrong))
    assert set(schema["properties"]["rules"]["properties"]) == set(RULES)
