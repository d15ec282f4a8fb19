"""The page on qualifying leads names what there is, and its example is a valid configuration."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from target_apollo.mapper.errors import CLOCK_VARIABLE
from target_apollo.mapper.rules import RULES
from target_apollo.mapper.settings import read_settings, settings_schema

PAGE = (Path(__file__).parents[2] / "docs" / "qualify-leads.md").read_text(encoding="utf-8")


def tables() -> str:
    return "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))


def test_the_example_is_a_configuration_that_the_mapper_takes() -> None:
    example = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    (mapper,) = example["plugins"]["mappers"]
    (mapping,) = mapper["mappings"]
    read = read_settings(mapping["config"])
    assert mapping["name"] == "qualify-leads"
    assert {setting["name"] for setting in mapper["settings"]} == set(
        settings_schema()["properties"]
    )
    assert len(read.rules) == 9


def test_the_second_example_sets_each_rule_alone() -> None:
    rules = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])["rules"]
    read_settings({"rules": {**rules, "owner_mapped": False}})


def test_every_setting_rule_and_option_is_in_a_table() -> None:
    for setting in settings_schema()["properties"]:
        assert f"| `{setting}` |" in tables()
    for name, rule in RULES.items():
        (row,) = [line for line in tables().splitlines() if line.startswith(f"| `{name}` |")]
        assert set(re.findall(r"[{,] ?(\w+):", row.split(" | ")[1])) == set(rule.__struct_fields__)


def test_the_clock_for_tests_is_named() -> None:
    assert f"`{CLOCK_VARIABLE}`" in PAGE
