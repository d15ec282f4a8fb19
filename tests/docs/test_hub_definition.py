"""The definitions of the plugins: those in the package, and those for Meltano Hub."""

from __future__ import annotations

import copy
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.tools.hub_definition import (
    HUB_FOLDER,
    LOGO,
    PACKAGE_FOLDER,
    extractor,
    loader,
    mapper,
    written_files,
)
from docs.tools.package_settings import installing, repository_owner, urls
from target_apollo.cli.definition.command import PLUGINS as PRINTED
from target_apollo.mapper.mapper import MapApolloLeads
from target_apollo.tap import settings as results_settings
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
CAPABILITIES = {
    "extractors": {
        "about", "activate-version", "batch", "catalog", "discover", "log-based", "properties",
        "schema-flattening", "state", "stream-maps", "structured-logging", "test",
    },
    "loaders": {
        "about", "activate-version", "batch", "datatype-failsafe", "hard-delete",
        "schema-flattening", "soft-delete", "stream-maps", "structured-logging", "target-schema",
        "validate-records",
    },
    "mappers": {"about", "schema-flattening", "stream-maps", "structured-logging"},
}  # fmt: skip
KINDS = {
    "array", "boolean", "date_iso8601", "decimal", "email", "file", "hidden", "integer", "oauth",
    "object", "options", "password", "string",
}  # fmt: skip
FILES = written_files()
DATA = HUB_FOLDER / "_data"
HUB = {
    path: yaml.safe_load(text) for path, text in FILES.items() if (DATA / "meltano") in path.parents
}
PACKAGE = {
    path: yaml.safe_load(text) for path, text in FILES.items() if path.parent == PACKAGE_FOLDER
}
PLUGINS = {**HUB, **PACKAGE}
#: The folder of the Hub's repository, whose own schemas are then asked; they are no part of this.
HUB_CHECKOUT = "MELTANO_HUB"
every_plugin = pytest.mark.parametrize("path", PLUGINS, ids=lambda path: "-".join(path.parts[-3:]))
every_hub_plugin = pytest.mark.parametrize("path", HUB, ids=lambda path: path.parts[-2])


def kind_of(plugin: Definition) -> str:
    prefix = plugin["name"].partition("-")[0]
    return {"tap": "extractors", "target": "loaders", "map": "mappers"}[prefix]


def settings_of(plugin: Definition) -> dict[str, Definition]:
    return {setting["name"]: setting for setting in plugin["settings"]}


def test_the_files_are_those_of_the_plugins() -> None:
    written = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8")
        for folder in (PACKAGE_FOLDER, HUB_FOLDER)
        for path in (ROOT / folder).rglob("*.yml")
    }
    assert written == FILES, "run: python -m docs.tools.hub_definition"


@every_plugin
def test_a_definition_has_what_the_hub_asks_for_and_nothing_that_it_refuses(path: Path) -> None:
    plugin = PLUGINS[path]
    assert {"name", "namespace", "variant", "label", "description", "settings"} <= set(plugin)
    assert set(plugin) <= TOP | TOP_OF_KIND[kind_of(plugin)]
    assert plugin["maintenance_status"] in STATUSES
    assert set(plugin["capabilities"]) <= CAPABILITIES[kind_of(plugin)]


@every_plugin
def test_every_setting_says_what_it_is_and_what_it_means(path: Path) -> None:
    for setting in PLUGINS[path]["settings"]:
        assert {"name", "label", "description", "kind"} <= set(setting) <= SETTING
        assert setting["kind"] in KINDS
        assert ("options" in setting) is (setting["kind"] == "options")
        assert all(isinstance(option["value"], str) for option in setting.get("options", ()))


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
    if kind_of(PLUGINS[path]) == "mappers":
        assert "supported_python_versions" not in PLUGINS[path]
    else:
        assert PLUGINS[path]["supported_python_versions"][:2] == ["3.10", "3.11"]


def test_the_package_has_the_definition_of_each_plugin_that_is_printed() -> None:
    assert {plugin["name"] for plugin in PACKAGE.values()} == {*PRINTED.values()}
    assert all(path.stem == plugin["name"] for path, plugin in PACKAGE.items())


def test_a_definition_in_the_package_installs_from_where_the_pages_say() -> None:
    for plugin in PACKAGE.values():
        assert plugin["pip_url"] == installing().beside.requirement()


def test_no_address_is_named_that_is_not_apollos_or_the_projects_own() -> None:
    own = {url.split("/")[2] for url in urls().values()}
    for text in FILES.values():
        hosts = {part.partition("/")[0] for part in text.split("://")[1:]}
        assert {host for host in hosts - own if not host.endswith("apollo.io")} <= {
            # The stream maps' own documentation, in the words of the SDK; a file is no host.
            "sdk.meltano.com", "faker.readthedocs.io", "",
        }  # fmt: skip


# --- for the Hub


@every_hub_plugin
def test_the_hub_finds_a_definition_at_its_kind_name_and_variant(path: Path) -> None:
    plugin = HUB[path]
    place = DATA / "meltano" / kind_of(plugin) / plugin["name"] / f"{plugin['variant']}.yml"
    assert path == place


@every_hub_plugin
def test_the_hub_knows_each_variant_as_the_default_and_its_maintainer(path: Path) -> None:
    plugin = HUB[path]
    variants = yaml.safe_load(FILES[DATA / "default_variants.yml"])
    assert variants[kind_of(plugin)][plugin["name"]] == plugin["variant"]
    maintainer = yaml.safe_load(FILES[DATA / "maintainers.yml"])[plugin["variant"]]
    assert maintainer["name"] == plugin["variant"] == plugin["variant"].lower()
    assert plugin["repo"].startswith(maintainer["url"])


@every_hub_plugin
def test_the_hub_gets_the_package_of_the_index_and_the_projects_addresses(path: Path) -> None:
    plugin = HUB[path]
    assert plugin["pip_url"] == "target-apollo"
    assert plugin["repo"] == urls()["Repository"]
    assert plugin["variant"] == repository_owner()


@every_hub_plugin
def test_the_hub_gets_a_logo_that_is_small_and_square(path: Path) -> None:
    plugin = HUB[path]
    logo = ROOT / HUB_FOLDER / LOGO.format(kind=kind_of(plugin))
    assert plugin["logo_url"] == "/" + logo.relative_to(ROOT / HUB_FOLDER / "static").as_posix()
    png = logo.read_bytes()
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width == height == 512
    assert len(png) < 50_000


def test_every_key_stands_in_the_order_of_the_alphabet() -> None:
    for plugin in HUB.values():
        assert [*plugin] == sorted(plugin)
        for setting in plugin["settings"]:
            assert [*setting] == sorted(setting)


@every_hub_plugin
def test_the_hubs_own_schema_takes_a_definition(path: Path) -> None:
    if not os.environ.get(HUB_CHECKOUT):
        pytest.skip(f"{HUB_CHECKOUT} does not name a checkout of the Hub's repository")
    from jsonschema import Draft7Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    folder = Path(os.environ[HUB_CHECKOUT]) / "schemas"
    schemas = {
        schema["$id"]: schema
        for part in ("common", "plugin_definitions")
        for file in (folder / part).glob("*.json")
        for schema in [json.loads(file.read_text(encoding="utf-8"))]
    }
    resources = {name: Resource(schema, DRAFT7) for name, schema in schemas.items()}
    registry: Registry[Any] = Registry().with_resources(resources.items())
    schema = schemas[f"{kind_of(HUB[path])}.schema.json"]
    assert [*Draft7Validator(schema, registry=registry).iter_errors(HUB[path])] == []


def test_the_logo_shows_nothing_of_apollos() -> None:
    drawing = (ROOT / HUB_FOLDER / "logo.svg").read_text(encoding="utf-8")
    assert not re.search(r"<image|href|<text|font", drawing)
