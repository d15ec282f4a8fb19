"""What can be mapped, as lines for a terminal and as JSON. Pure.

Both name colleagues and their addresses, to whoever asks for them; neither belongs in a log.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from target_apollo.apollo import CustomField
from target_apollo.cli.fields.missing import Missing
from target_apollo.cli.fields.standard import StandardField, standard_fields
from target_apollo.cli.fields.workspace import Workspace
from target_apollo.model.custom_values import normaliser_of
from target_apollo.model.objects import OBJECTS, ObjectKind

_UNKNOWN = ["  not told: the key may not read them"]


def as_lines(workspace: Workspace, kinds: Collection[ObjectKind]) -> list[str]:
    """The lists, a heading above each."""
    lines: list[str] = []
    for kind in kinds:
        name = kind.value
        custom = None if workspace.custom_fields is None else workspace.custom_fields[kind]
        stages = workspace.stages[kind]
        lists = None if workspace.lists is None else workspace.lists[kind]
        lines += [
            *_list(f"Fields of {name}", _standard_lines(standard_fields(OBJECTS[kind]))),
            *_list(f"Custom fields of {name}", None if custom is None else _custom_lines(custom)),
            *_list(
                f"Stages of {name}",
                None if stages is None else [one.display_name or one.name for one in stages],
            ),
            *_list(f"Lists of {name}", None if lists is None else [one.name for one in lists]),
        ]
    owners = workspace.owners
    lines += _list(
        "Owners",
        None if owners is None else _columns([(one.email, one.name, one.id) for one in owners]),
    )
    return lines[:-1]


def missing_lines(missing: Missing) -> list[str]:
    """What would be made, and what can't be."""
    rows = [
        (one.object.singular, one.label, one.kind, f"for {', '.join(one.properties)}")
        for one in missing.proposals
    ]
    lines: list[str] = []
    if missing.left_out:
        lines += _list("No field can be made for", _columns(list(missing.left_out.items())))
    return [*lines, *_list("Custom fields that are missing", _columns(rows))][:-1]


def as_json(workspace: Workspace, kinds: Collection[ObjectKind]) -> dict[str, Any]:
    """The lists as one object; null for a list that the key may not read."""
    found: dict[str, Any] = {}
    for kind in kinds:
        custom, lists = workspace.custom_fields, workspace.lists
        stages = workspace.stages[kind]
        found[kind.value] = {
            "fields": [
                {
                    "name": one.name,
                    "names": one.names or None,
                    "modes": [mode.value for mode in one.modes],
                    "new": one.new,
                    "existing": list(one.existing),
                }
                for one in standard_fields(OBJECTS[kind])
            ],
            "custom_fields": None
            if custom is None
            else [_custom_json(one) for one in custom[kind]],
            "stages": None
            if stages is None
            else [{"id": one.id, "name": one.display_name or one.name} for one in stages],
            "lists": None
            if lists is None
            else [{"id": one.id, "name": one.name} for one in lists[kind]],
        }
    owners = workspace.owners
    found["owners"] = (
        None
        if owners is None
        else [{"id": one.id, "name": one.name, "email": one.email} for one in owners]
    )
    found["problems"] = list(workspace.problems)
    return found


def _custom_json(field: CustomField) -> dict[str, Any]:
    return {
        "id": field.id,
        "label": field.label,
        "type": field.type,
        "options": list(field.options),
        "written": normaliser_of(field) is not None,
    }


def _standard_lines(fields: Sequence[StandardField]) -> list[str]:
    rows = []
    for one in fields:
        modes = ", ".join(mode.value for mode in one.modes)
        ways = ", ".join(dict.fromkeys((one.new, *one.existing)))
        meant = f"; gives {one.names}" if one.names else ""
        rows.append((one.name, modes, ways + meant))
    return _columns(rows)


def _custom_lines(fields: Sequence[CustomField]) -> list[str]:
    return _columns([(one.label, one.type, _note(one)) for one in fields])


def _note(field: CustomField) -> str:
    if normaliser_of(field) is None:
        return "not written: Apollo documents no form for values of several options"
    return ", ".join(field.options)


def _list(heading: str, lines: Sequence[str] | None) -> list[str]:
    if lines is None:
        return [f"{heading}:", *_UNKNOWN, ""]
    return [f"{heading}:", *(f"  {_shown(line)}" for line in lines or ["none"]), ""]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _shown(line: str) -> str:
    # A name in Apollo may hold what a terminal would obey.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
