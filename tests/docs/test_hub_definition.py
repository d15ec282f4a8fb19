"""docs/meltano: the plugins as Meltano Hub describes plugins."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.tools.hub_definition import FOLDER, extractor, hub_definitions, loader, mapper
from target_apollo.mapper.mapper import MapApolloLeads
from target_apollo.tap import tap as results_settings
from target_apollo.tap.tap import TapApolloSync
from target_apollo.target.target import TargetApollo

ROOT = Path(__file__).resolve().parents[2]
Definition = dict[str, Any]

#: What the Hub takes at the top of a definition, of a setting, and for the words it lists.
TOP = {
    "capabilities", "commands", "definition", "description", "docs", "domain_url", "executable",
    "hidden", "keywords", "label", "logo_url", "maintenance_status", "name", "namespace",
    "next_steps", "pip_url", "prereq", "python", "quality", "repo", "requires", "settings",
    "settings_group_validation", "settings_preamble", "usage", "variant",
}  # fmt: skip
TOP_OF_KIND = {
    "extractors": {"log_parser", "metadata", "schema", "select", "supported_python_versions"},
    "loaders": {"dialect", "log_parser", "supported_python_versions", "target_schema"},
    "mappers": {"mappings"},
}
SETTING = {
    "aliases", "description", "docs", "documentation", "env", "hidden", "kind", "label", "name",
    "oauth", "options", "placeholder", "sensitive", "tooltip", "value", "value_post_processor",
    "value_processor",
}  # fmt: skip
STATUSES = {"active", "beta", "development", "inactive", "unknown"}
PLUGINS = {path: yaml.safe_load(text) for path, text in hub_definitions().items()}
every_plugin = pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)


def settings_of(plugin: Definition) -> dict[str, Definition]:
    return {setting["name"]: setting for setting in plugin["settings"]}


def test_the_files_are_those_of_the_plugins() -> None:
    folder = ROOT / FOLDER
    written = {path.relative_to(folder): path.read_text() for path in folder.rglob("*.yml")}
    assert written == hub_definitions(), "run: python -m docs.tools.hub_definition"


@every_plugin
def test_a_definition_has_what_the_hub_asks_for_and_nothing_that_it_refuses(path: Path) -> None:
    plugin = PLUGINS[path]
    assert {"name", "namespace", "variant", "label", "description", "settings"} <= set(plugin)
    assert set(plugin) <= TOP | TOP_OF_KIND[path.parent.name]
    assert plugin["maintenance_status"] in STATUSES
    assert path.stem == plugin["name"]


@every_plugin
def test_every_setting_says_what_it_is_and_what_it_means(path: Path) -> None:
    for setting in PLUGINS[path]["settings"]:
        assert {"name", "label", "description", "kind"} <= set(setting) <= SETTING
        assert ("options" in setting) is (setting["kind"] == "options")


@every_plugin
def test_settings_stand_in_the_order_of_their_names(path: Path) -> None:
    names = [setting["name"] for setting in PLUGINS[path]["settings"]]
    assert names == sorted(names)


@every_plugin
def test_each_way_to_log_in_is_made_of_settings_that_there_are(path: Path) -> None:
    plugin = PLUGINS[path]
    for group in plugin["settings_group_validation"]:
        assert set(group) <= set(settings_of(plugin))


def test_the_loader_has_every_setting_of_the_target() -> None:
    schema = copy.deepcopy(TargetApollo.config_jsonschema)
    TargetApollo.append_builtin_config(schema)
    assert set(settings_of(loader())) == set(schema["properties"])


def test_the_mapper_has_every_setting_of_the_mapper() -> None:
    schema = MapApolloLeads.config_jsonschema
    assert set(settings_of(mapper())) == set(schema["properties"])


def test_the_extractor_has_every_setting_and_names_every_stream_of_the_tap() -> None:
    plugin = extractor()
    assert set(settings_of(plugin)) == set(results_settings.SCHEMA["properties"])
    tap = TapApolloSync(config={"ledger_url": "", "api_key": "sandbox"})
    assert len(tap.streams) > 1
    for stream in tap.streams:
        assert f"`{stream}`" in plugin["next_steps"]


def test_secrets_are_sensitive_and_have_no_value() -> None:
    for plugin in (loader(), extractor()):
        for name in ("api_key", "client_secret", "refresh_token"):
            setting = settings_of(plugin)[name]
            assert setting["sensitive"] is True
            assert "value" not in setting


def test_a_setting_keeps_its_default_and_its_choices() -> None:
    assert settings_of(loader())["mode"] == {
        "name": "mode",
        "label": "Mode",
        "description": TargetApollo.config_jsonschema["properties"]["mode"]["description"],
        "kind": "options",
        "options": [
            {"label": "Insert", "value": "insert"},
            {"label": "Update", "value": "update"},
            {"label": "Upsert", "value": "upsert"},
        ],
        "value": "upsert",
    }


@every_plugin
def test_the_loader_and_the_extractor_name_the_pythons_that_they_run_on(path: Path) -> None:
    if path.parent.name == "mappers":
        assert "supported_python_versions" not in PLUGINS[path]
    else:
        assert PLUGINS[path]["supported_python_versions"][:2] == ["3.10", "3.11"]


def test_no_address_is_named_that_is_not_apollos() -> None:
    for text in hub_definitions().values():
        hosts = {part.partition("/")[0] for part in text.split("://")[1:]}
        assert {host for host in hosts if not host.endswith("apollo.io")} <= {
            # The stream maps' own documentation, in the words of the SDK; a file is no host.
            "sdk.meltano.com", "faker.readthedocs.io", "",
        }  # fmt: skip
