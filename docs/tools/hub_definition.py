"""Writes the plugins' definitions for Meltano: ``python -m docs.tools.hub_definition``.

Each plugin has two. `PACKAGE_FOLDER` has the one that `apollo-sync definition` prints, for
``meltano add --from-ref``; it is a part of the wheel. `HUB_FOLDER` has the files for Meltano Hub,
at the places that they have in the Hub's repository, with what is to be added to its lists of
variants and maintainers. The keys are those of the Hub's schema for plugin definitions, the
settings come from the plugins' JSON schemas. Run it after a change of a setting; a test fails while
a file is out of date.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import msgspec

from docs.tools.package_settings import installing, repository_owner, urls
from target_apollo.cli import COMMANDS, NAME
from target_apollo.mapper.mapper import MapApolloLeads
from target_apollo.system.installation import PACKAGE
from target_apollo.tap import settings as results_settings
from target_apollo.tap.tap import TapApolloSync
from target_apollo.target.target import TargetApollo

PACKAGE_FOLDER = Path("target_apollo/cli/definition")
HUB_FOLDER = Path("docs/meltano")
#: The logo of each kind of plugin, below `HUB_FOLDER`: the Hub has a folder a kind.
LOGO = "static/assets/logos/{kind}/target-apollo.png"

#: Every combination of settings with which a run can log in to Apollo.
_CREDENTIALS = [["api_key"], ["client_id", "client_secret"]]
_KINDS = {
    "array": "array",
    "boolean": "boolean",
    "integer": "integer",
    # Meltano 4.4 can't pass on a setting of kind decimal that comes from the environment.
    "number": "string",
    "object": "object",
    "string": "string",
}
#: Commands of `apollo-sync` that need none of the loader's settings.
_NOT_OF_THE_LOADER = frozenset({"completion", "definition", "explain", "project", "sandbox"})
_SPELLINGS = {"api": "API", "id": "ID", "oauth": "OAuth", "url": "URL"}


def loader() -> dict[str, Any]:
    """The definition of target-apollo."""
    schema = copy.deepcopy(TargetApollo.config_jsonschema)
    TargetApollo.append_builtin_config(schema)
    return {
        **_plugin("target-apollo", "Apollo.io", sorted(map(str, TargetApollo.capabilities))),
        "description": "Syncs contacts and accounts into Apollo.io, without duplicates.",
        "definition": "writes contacts and accounts into Apollo.io: it inserts, updates or "
        "upserts them, a hundred a request, within Apollo's rate limits",
        "settings": _settings(schema["properties"]),
        "settings_group_validation": _CREDENTIALS,
        "commands": _commands(name for name in COMMANDS if name not in _NOT_OF_THE_LOADER),
        "next_steps": "Run `meltano invoke target-apollo:check`: it says whether the key can do "
        "what a sync needs, and writes nothing.",
        "supported_python_versions": _python_versions(),
    }


def mapper() -> dict[str, Any]:
    """The definition of map-apollo-leads."""
    properties = MapApolloLeads.config_jsonschema["properties"]
    return {
        **_plugin(
            "map-apollo-leads", "Apollo.io leads", sorted(map(str, MapApolloLeads.capabilities))
        ),
        "description": "Lets only qualified leads through on their way into Apollo.io.",
        "definition": "passes the leads that meet every rule, holds those that are not settled "
        "yet, and notes why the others were not sent",
        "settings": _settings(properties),
        # No setting is required.
        "settings_group_validation": [[]],
        "commands": _commands(["explain"]),
        "next_steps": "Give it a mapping with the `rules` that a lead must meet; `meltano invoke "
        "map-apollo-leads:explain KEY` says why a lead was not sent.",
    }


def extractor() -> dict[str, Any]:
    """The definition of tap-apollo-sync."""
    properties = results_settings.SCHEMA["properties"]
    streams = TapApolloSync(config={"ledger_url": ""}).streams
    opt_in = [name for name, stream in streams.items() if not stream.selected_by_default]
    return {
        **_plugin(
            "tap-apollo-sync",
            "Apollo.io sync results",
            sorted(map(str, TapApolloSync.capabilities)),
        ),
        "description": "Reads what became of each synced row, and Apollo's users, stages, "
        "custom fields and records.",
        "definition": "reads the outcome of each row that target-apollo synced, the users, stages "
        "and custom fields of the Apollo team, and its records where they are selected",
        "settings": _settings(properties),
        "settings_group_validation": _CREDENTIALS,
        # Meltano selects every stream of an extractor that does not name any.
        "select": [f"{stream}.*" for stream in streams if stream not in opt_in],
        "next_steps": "Give it the `ledger_url` of target-apollo. Its streams are "
        f"{_listed(name for name in streams if name not in opt_in)}; the first is read from the "
        f"ledger alone. Select {_listed(opt_in)} to read Apollo's records, a hundred a request.",
        "supported_python_versions": _python_versions(),
    }


def written_files() -> dict[Path, str]:
    """Path of each file, from the checkout's folder on -> its text."""
    plugins = {"extractors": extractor(), "loaders": loader(), "mappers": mapper()}
    files = {PACKAGE_FOLDER / f"{plugin['name']}.yml": _yaml(plugin) for plugin in plugins.values()}
    variant = repository_owner()
    places = HUB_FOLDER / "_data"
    for kind, plugin in plugins.items():
        path = places / "meltano" / kind / plugin["name"] / f"{variant}.yml"
        files[path] = _yaml(_for_the_hub(kind, plugin))
    variants = {kind: {plugin["name"]: variant} for kind, plugin in plugins.items()}
    files[places / "default_variants.yml"] = _yaml(variants)
    maintainer = {"label": variant, "name": variant, "url": urls()["Repository"].rpartition("/")[0]}
    files[places / "maintainers.yml"] = _yaml({variant: maintainer})
    return files


def _for_the_hub(kind: str, plugin: Mapping[str, Any]) -> dict[str, Any]:
    """A definition for all users: of the package in the index, with addresses that they reach."""
    return {
        **plugin,
        "docs": urls()["Documentation"],
        "logo_url": LOGO.format(kind=kind).removeprefix("static"),
        "pip_url": PACKAGE,
        "repo": urls()["Repository"],
        "variant": repository_owner(),
    }


def _plugin(name: str, label: str, capabilities: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": "original",
        "label": label,
        "pip_url": installing().beside.requirement(),
        "executable": name,
        "capabilities": list(capabilities),
        "domain_url": "https://docs.apollo.io/",
        "keywords": ["meltano_sdk", "api", "crm", "reverse-etl"],
        "maintenance_status": "beta",
        # The Hub rates the quality itself.
        "quality": "unknown",
    }


def _commands(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Commands of `apollo-sync` for ``meltano invoke PLUGIN:COMMAND``."""
    return {
        name: {"executable": NAME, "args": name, "description": _sentence(COMMANDS[name].summary)}
        for name in names
    }


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:]}."


def _listed(names: Iterable[str]) -> str:
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} and {last}"


def _settings(properties: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [_setting(name, properties[name]) for name in sorted(properties)]


def _setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    options = [value for value in schema.get("enum", ()) if value is not None]
    # One that takes a word or a number is text for Meltano.
    kind = next(kind for kind in schema["type"] if kind != "null")
    setting = {
        "name": name,
        "label": _label(name),
        "description": schema["description"],
        "kind": "options" if options else _KINDS[kind],
    }
    if options:
        setting["options"] = [{"label": _label(value), "value": value} for value in options]
    if schema.get("secret"):
        setting["sensitive"] = True
    # An empty default needs no value.
    default = schema.get("default")
    if default not in (None, {}, []):
        whole = isinstance(default, float) and default.is_integer()
        setting["value"] = int(default) if whole else default
    return setting


def _label(name: str) -> str:
    return " ".join(_SPELLINGS.get(word, word.capitalize()) for word in name.split("_"))


def _python_versions() -> list[str]:
    classifiers = metadata("target-apollo").get_all("Classifier") or []
    versions = [text.rpartition(" :: ")[2] for text in classifiers if " :: Python :: 3." in text]
    return sorted(versions, key=lambda version: int(version.partition(".")[2]))


def _yaml(plugin: Mapping[str, Any]) -> str:
    head = "# Made by `python -m docs.tools.hub_definition`; a change here is lost.\n"
    return head + msgspec.yaml.encode(plugin, order="sorted").decode()


if __name__ == "__main__":
    for path, text in written_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
