"""Settings from environment variables, by the SDK's rules but with sentences for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk.configuration._dict_config import parse_environment_config

from target_apollo.config.settings import SettingsError

PREFIX = "TARGET_APOLLO_"


def read_environment(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that stand in variables such as ``TARGET_APOLLO_API_KEY``.

    They are read one by one, so that one that can't be read is called by its name.

    Raises:
        SettingsError: A variable holds no value of its setting's type.
    """
    found: dict[str, Any] = {}
    for name, setting in schema["properties"].items():
        try:
            found |= parse_environment_config({"properties": {name: setting}}, PREFIX)
            # The SDK leaves numbers that may have a fraction as text.
            if "number" in setting.get("type", ()) and isinstance(found.get(name), str):
                found[name] = float(found[name])
        except ValueError:
            variable = f"{PREFIX}{name.upper()}"
            raise SettingsError(
                [f"The environment variable {variable} holds no value of its setting's type."]
            ) from None
    return found
