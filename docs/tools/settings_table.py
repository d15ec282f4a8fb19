"""Writes the README's table of settings: ``python -m docs.tools.settings_table``.

Run it after a change of a setting; a test fails while the README is out of date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from target_apollo.config.schema import SCHEMA

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def settings_table(schema: Mapping[str, Any] = SCHEMA) -> str:
    """The settings as a Markdown table, in the order of the schema."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, setting in schema["properties"].items():
        if "description" not in setting or name in _FROM_THE_SDK:
            continue
        shown = f"`{name}`" + (" (secret)" if setting.get("secret") else "")
        default = setting.get("default")
        written = "" if default is None else f"`{_plain(default)}`"
        lines.append(f"| {shown} | {written} | {setting['description']} |")
    return "\n".join(lines)


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


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def with_table(readme: str) -> str:
    """The text of the README with a new table.

    Raises:
        ValueError: The text lacks the lines `BEGIN` and `END`.
    """
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"the README lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path("README.md")
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
