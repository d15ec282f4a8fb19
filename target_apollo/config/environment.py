"""Settings from environment variables such as ``TARGET_APOLLO_API_KEY``, and from a file ``.env``.

The SDK's own reader takes each unknown word for false, leaves fractions as text and ends with a
traceback where a number can't be read. One setting has its default from a variable of Meltano's:
`source`, where the rows come from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from dotenv import find_dotenv, load_dotenv

from target_apollo.config.settings import SettingsError
from target_apollo.config.typed_values import ALLOWED, type_of, typed_value, with_types

#: What a command line has in place of a file's path to name the environment variables.
ENVIRONMENT = "ENV"

#: Meltano gives it to the loader and to the mapper of `meltano run`, `el` and `elt`.
_EXTRACTOR = "MELTANO_EXTRACTOR_NAME"


def prefix_of(plugin: str) -> str:
    """The beginning of the variables of a plugin, such as ``TARGET_APOLLO_``."""
    return f"{plugin.upper().replace('-', '_')}_"


def read_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings that variables set, typed.

    A file ``.env`` in the working directory or above it sets variables first, as with each plugin
    of the SDK. An array is given as JSON or as names with commas between them; an object as JSON,
    or by a variable for each part, whose name ends in a point and the name of the part.

    Raises:
        SettingsError: Values of variables are not of their settings' types (a sentence for each),
            or the file can't be read.
    """
    _load_file()
    given: dict[str, Any] = {}
    problems: list[str] = []
    for name, setting in schema["properties"].items():
        variable = f"{prefix}{name.upper().replace('-', '_')}"
        if variable in os.environ:
            value = typed_value(name, os.environ[variable], setting)
            kind = type_of(setting)
            if isinstance(value, str) and kind == "array" and not value.lstrip().startswith("["):
                value = [one.strip() for one in value.split(",")]
            elif isinstance(value, str) and kind != "string":
                problems.append(
                    f"The environment variable {variable} holds no value of its setting's type: "
                    f"it must be {ALLOWED[kind]}."
                )
            given[name] = value
        if type_of(setting) == "object":
            given |= {
                f"{name}.{found[len(variable) + 1 :]}": value
                for found, value in os.environ.items()
                if found.startswith(f"{variable}.")
            }
    if problems:
        raise SettingsError(problems)
    return with_types(given, schema)


def source_by_default() -> str:
    """Meltano's name of the extractor; empty in a process that no pipeline of Meltano runs."""
    return os.environ.get(_EXTRACTOR, "")


def add_source(config: MutableMapping[str, Any]) -> None:
    """Adds the setting `source` to a target's settings where they have none.

    An empty source stays empty.
    """
    if config.get("source") is None:
        config["source"] = source_by_default()


def _load_file() -> None:
    try:
        path = find_dotenv(usecwd=True)
    except FileNotFoundError:
        # The working directory is gone.
        path = ""
    # The SDK's plugins look for it above the place where they are installed.
    path = path or find_dotenv()
    try:
        load_dotenv(path, override=True)
    except OSError as problem:
        why = problem.strerror or "no such file"
    except UnicodeDecodeError:
        why = "it is no text in UTF-8"
    else:
        return
    raise SettingsError([f"The file {path} with environment variables can't be read: {why}."])
