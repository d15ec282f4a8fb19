"""Secrets that stand in plain text in the files of a Meltano project.

Such a file is shared and usually in git. Meltano puts the value of a variable where a file has its
name, so a secret can stay in ``.env``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from target_apollo.apollo.urls import is_loopback

#: What the name of a setting ends with whose value is a secret, and in capitals that of a variable.
_SECRETS = ("api_key", "client_secret", "refresh_token")
#: What Meltano replaces by the value of a variable.
_REFERENCE = re.compile(r"\$(\w+|\{\w+\})")
_NULL = "tag:yaml.org,2002:null"


def secrets_in_plain_text(files: Iterable[Path]) -> Iterator[str]:
    """A sentence for each secret in the files, with its line and without its value.

    Args:
        files: Files in YAML. One that can't be read is passed over, since whoever needs it says so.
    """
    for path in files:
        try:
            content = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
            # An alias shows a part of the file a second time.
            found = dict.fromkeys(_secrets(content))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
            continue
        for line, name in found:
            yield (
                f"Line {line} of {path} has the value of '{name}' in plain text, so whoever gets "
                "the file gets the secret. Move it to .env, and name its variable there instead, "
                "such as $APOLLO_API_KEY. If others have the file already, replace the secret."
            )


def _secrets(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """The line and the name of each secret in a part of a file."""
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _secrets(one)
    elif isinstance(node, yaml.MappingNode):
        members = {_text(key) or "": value for key, value in node.value}
        of_sandbox = _is_on_this_machine(members.get("api_url"))
        for name, value in (*members.items(), *_default(members)):
            is_key = name.lower().endswith(_SECRETS) and not of_sandbox
            text = _plain_text(value)
            if text and (is_key or has_password(text)):
                yield value.start_mark.line + 1, name
        for name, value in members.items():
            # A column may have the name of a secret.
            if name != "stream_maps":
                yield from _secrets(value)


def _default(members: Mapping[str, yaml.Node]) -> list[tuple[str, yaml.Node]]:
    """The value that the definition of a setting gives to it."""
    name = _text(members.get("name"))
    return [(name, members["value"])] if name and "value" in members else []


def _plain_text(node: yaml.Node) -> str:
    """The text of a value; empty for null, for parts of the file, and where a variable is named."""
    text = "" if node.tag == _NULL else (_text(node) or "").strip()
    return "" if _REFERENCE.search(text) else text


def has_password(text: str) -> bool:
    """Whether a text is the address of a server, such as a database, with a password in it."""
    try:
        return bool(urlsplit(text).password)
    except ValueError:
        return False


def _is_on_this_machine(api_url: yaml.Node | None) -> bool:
    """Whether Apollo is a sandbox on this machine, whose key is no secret."""
    try:
        return is_loopback(urlsplit(_text(api_url) or "").hostname or "")
    except ValueError:
        return False


def _text(node: yaml.Node | None) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None
