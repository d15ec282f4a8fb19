"""The settings of target-apollo and of its mapper's rules, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from docs.tools.markdown import code, table
from target_apollo.config.schema import SCHEMA
from target_apollo.mapper.rules import ON_BY_DEFAULT
from target_apollo.mapper.settings import settings_schema

_FROM_THE_SDK = {
    "stream_maps",
    "stream_map_config",
    "faker_config",
    "flattening_enabled",
    "flattening_max_depth",
    "flattening_max_key_length",
    "flattening_separator",
    "validate_records",
}
#: What a default is called that is longer than a cell should be.
_LONGEST_DEFAULT = 60


def settings_table(schema: Mapping[str, Any] = SCHEMA) -> str:
    """The target's settings, in the order of the schema."""
    return table(
        ("setting", "default", "meaning"),
        (
            (
                f"`{name}`" + (" (secret)" if setting.get("secret") else ""),
                _default(setting),
                setting["description"],
            )
            for name, setting in schema["properties"].items()
            if "description" in setting and name not in _FROM_THE_SDK
        ),
    )


def rules_table() -> str:
    """The mapper's rules with their options, in the order in which they are applied."""
    return table(
        ("rule", "on by itself", "what it asks of a lead", "options and their defaults"),
        (
            (
                f"`{name}`",
                "yes" if name in ON_BY_DEFAULT else "no",
                _sentence(rule["description"]),
                "<br>".join(_options(rule)),
            )
            for name, rule in _rules().items()
        ),
    )


def _rules() -> Mapping[str, Mapping[str, Any]]:
    rules: Mapping[str, Mapping[str, Any]] = settings_schema()["properties"]["rules"]["properties"]
    return rules


def _options(rule: Mapping[str, Any]) -> list[str]:
    (described,) = (choice for choice in rule["anyOf"] if "properties" in choice)
    required = described.get("required", ())
    return [
        f"`{name}`" + (" (must be set)" if name in required else _after(_default(option)))
        for name, option in described["properties"].items()
    ]


def _after(default: str) -> str:
    return f": {default}" if default else ""


def _default(setting: Mapping[str, Any]) -> str:
    default = setting.get("default")
    if default is None:
        return ""
    written = default if isinstance(default, str) else json.dumps(default)
    return code(written) if len(written) <= _LONGEST_DEFAULT else "a list"


def _sentence(docstring: str) -> str:
    text = " ".join(docstring.split()).replace("``", "`")
    return text.removesuffix(" On by default.").removesuffix(" Off by default.").rstrip(".")
