"""The settings as they were given: checked, and filled up with the defaults."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from singer_sdk.exceptions import ConfigValidationError

from target_apollo.config.settings import problems_of


def check_given(
    given: MutableMapping[str, Any], schema: dict[str, Any], *, raise_errors: bool
) -> list[str]:
    """Fills settings up with their defaults; the answer is a sentence for each that is wrong.

    The SDK's own check lets unknown settings pass and shows values, of secrets too.

    Raises:
        ConfigValidationError: Some are wrong, and `raise_errors` asks for it.
    """
    problems = problems_of(given, schema)
    if problems and raise_errors:
        raise ConfigValidationError("The settings are wrong.", errors=problems, schema=schema)
    for name, setting in schema["properties"].items():
        if "default" in setting and given.get(name) is None:
            given[name] = setting["default"]
    return problems
