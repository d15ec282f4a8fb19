"""The page on qualifying leads names what there is, and its example is a valid configuration."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from target_apollo.mapper.explain import explain
from target_apollo.mapper.rules import RULES
from target_apollo.mapper.settings import CLOCK_VARIABLE, read_settings, settings_schema
from tests.helpers.leads import Message, pipeline, process, record, schema

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "qualify-leads.md").read_text(
    encoding="utf-8"
)


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


BLOCKS = [yaml.safe_load(found) for found in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
OFF = dict.fromkeys(RULES, False)


def judged(block: Message, folder: Path, *leads: Message) -> list[Message]:
    """What passes under the settings of a block, with no other rules than its own."""
    settings = {
        "streams": ["public-leads"],
        "verdicts_path": str(folder / "verdicts.jsonl"),
        **block,
        "rules": {**OFF, **block["rules"]},
    }
    more = ("email", "email_status", "linkedin_url", "region")
    announced = schema("public-leads", *more)
    out = process(pipeline(settings), announced, *(record("public-leads", **one) for one in leads))
    return [one["record"] for one in out[1:]]


def test_the_example_for_new_leads_lets_the_chosen_stages_pass(tmp_path: Path) -> None:
    (block,) = (one for one in BLOCKS[2:] if "stage_selected" in one["rules"])
    rows = [{"id": 1, "stage": "Interested"}, {"id": 2, "stage": "Cold"}]
    assert [lead["id"] for lead in judged(block, tmp_path, *rows)] == [1]


def test_the_example_for_addresses_withholds_the_unverified_one(tmp_path: Path) -> None:
    (block,) = (one for one in BLOCKS[2:] if "email_status" in one["rules"])
    own = {"email": "ada@acme.de", "linkedin_url": "http://www.linkedin.com/in/ada"}
    statuses = ("verified", "guessed")
    rows = [{"id": at, "email_status": one, **own} for at, one in enumerate(statuses)]
    passed = judged(block, tmp_path, *rows, {"id": 2, "email": "bob@acme.de"})
    assert [lead.get("email") for lead in passed] == ["ada@acme.de", None]


def test_the_example_for_named_leads_is_explained_as_the_page_says(tmp_path: Path) -> None:
    (block,) = (one for one in BLOCKS[2:] if "always" in one)
    rows = [{"id": 42, "stage": "Cold"}, {"id": 43, "stage": "Cold"}]
    assert [lead["id"] for lead in judged(block, tmp_path, *rows)] == [42]
    (shown,) = re.findall(r"```text explain 42\n(.*?)```", PAGE, re.DOTALL)
    assert explain(tmp_path / "verdicts.jsonl", "42").startswith(shown)


def test_every_setting_rule_and_option_is_in_a_table() -> None:
    for setting in settings_schema()["properties"]:
        assert f"| `{setting}` |" in tables()
    for name, rule in RULES.items():
        (row,) = [line for line in tables().splitlines() if line.startswith(f"| `{name}` |")]
        assert set(re.findall(r"[{,] ?(\w+):", row.split(" | ")[1])) == set(rule.__struct_fields__)


def test_the_clock_for_tests_is_named() -> None:
    assert f"`{CLOCK_VARIABLE}`" in PAGE
