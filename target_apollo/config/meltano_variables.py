"""The settings that Meltano gives to a command of a plugin, as variables of its process. Pure.

``meltano invoke target-apollo:check`` runs ``apollo-sync check`` with all settings of the loader in
variables ``MELTANO_LOAD_…``, whatever the loader is called. An object is one variable with JSON,
whose keys may be paths: ``{"crm-contacts.key": "id"}``. Besides it there is a variable for each
part, in whose name ``crm-contacts`` has become ``CRM_CONTACTS``: enough to compare, too little to
read. Meltano puts no dots into the paths but its own: it escapes those of a name with a backslash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from target_apollo.config.settings import SettingsError
from target_apollo.config.typed_values import type_of

PREFIX = "MELTANO_LOAD_"
_PLUGIN = "MELTANO_LOADER_NAME"
_DOT = re.compile(r"(?<!\\)\.")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]")


def loader_of_command(environ: Mapping[str, str]) -> str:
    """The loader whose command this process is; empty in any other process."""
    return environ.get(_PLUGIN, "")


def read_variables(schema: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings of the loader, not typed yet.

    Raises:
        SettingsError: The variable of an object lacks parts that a run would have.
    """
    given: dict[str, Any] = {}
    problems: list[str] = []
    for name, setting in schema["properties"].items():
        variable = PREFIX + _variable_part(name)
        if variable not in environ:
            continue
        given[name] = environ[variable]
        if type_of(setting) != "object":
            continue
        try:
            value = json.loads(environ[variable])
        except (ValueError, RecursionError):
            # The check of the settings says so.
            continue
        if not isinstance(value, dict):
            continue
        given[name] = nested(value)
        # By the paths as they are given: the backslash of a name is in that of its variable too.
        parts = {_variable_part(path): text for path, text in _parts(value, "")}
        own = {
            found[len(variable) + 1 :]: text
            for found, text in environ.items()
            if found.startswith(f"{variable}_")
        }
        if any(parts.get(part) != text for part, text in own.items()):
            problems.append(
                f"The variable {variable} lacks parts of the setting {name!r} that a run would "
                "have, since a variable of yours stands over a part of meltano.yml. Run "
                "`apollo-sync` itself in the project's folder: it asks Meltano for the whole."
            )
    if problems:
        raise SettingsError(problems)
    return given


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """An object whose keys are paths, with an object for each step of a path."""
    whole: dict[str, Any] = {}
    for path, value in flat.items():
        *steps, last = (step.replace("\\.", ".") for step in _DOT.split(path))
        place = whole
        for step in steps:
            inner = place.get(step)
            if not isinstance(inner, dict):
                inner = place[step] = {}
            place = inner
        place[last] = nested(value) if isinstance(value, dict) else value
    return whole


def _parts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The path of each part of an object, and the text that Meltano makes of it."""
    if path:
        yield path, value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _parts(inner, f"{path}_{name}" if path else name)


def _variable_part(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name).upper()
