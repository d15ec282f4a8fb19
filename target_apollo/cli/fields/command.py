"""The command `apollo-sync fields`: what can be mapped, and on request what is missing for it.

What can be mapped, as lines for a terminal and as JSON. Pure.

Both name colleagues and their addresses, to whoever asks for them; neither belongs in a log.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

from target_apollo.apollo import ApolloError, CustomField
from target_apollo.cli.fields.catalog import STDIN, StreamSchema, read_catalog, read_schemas
from target_apollo.cli.fields.missing import Missing, StandardField, find_missing, standard_fields
from target_apollo.cli.fields.workspace import Workspace, client_of, create_fields, read_workspace
from target_apollo.cli.options import add_object_argument, chosen_objects
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.model.objects import OBJECTS, ObjectKind
from target_apollo.model.suggestions import folded
from target_apollo.model.values import normaliser_of
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `fields` to a parser."""
    parser.description = (
        "Lists what a stream's properties can be mapped to: the fields of contacts and accounts "
        "with the modes and endpoints that write them, custom fields, stages, lists and owners. "
        "With --create-missing-fields it makes custom fields for properties that fit nowhere."
    )
    parser.epilog = (
        "Picklists can't be made through Apollo's API, and no field can be deleted through it. "
        "Exit codes: 0 all went well; 1 an error, or nothing was confirmed; 2 wrong settings or "
        "key; 3 out of quota."
    )
    add_config_argument(parser)
    add_object_argument(parser, "contacts or accounts, where not both are wanted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--create-missing-fields",
        action="store_true",
        help="make custom fields for the properties of --catalog or --schema that fit nowhere; "
        "what would be made is shown and asked about first",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--catalog", metavar="FILE", help="a tap's catalog; - for standard input")
    source.add_argument(
        "--schema", metavar="FILE", help="a tap's output with SCHEMA messages; - as above"
    )
    parser.add_argument("--yes", action="store_true", help="make the fields without asking")


def run(arguments: argparse.Namespace) -> int:
    """Lists or makes fields and returns the exit code; what went wrong is said on stderr."""
    try:
        _check_usage(arguments)
        settings = read_settings(arguments.config)
        kinds = chosen_objects(arguments)
        if arguments.create_missing_fields:
            return _create(arguments, settings, kinds)
        with client_of(settings, retries=True) as client:
            workspace = read_workspace(client, kinds)
    except SettingsError as wrong:
        return _say(wrong.problems, MISCONFIGURED)
    except ApolloError as problem:
        return _end(problem)
    if arguments.json:
        text = json.dumps(as_json(workspace, kinds), indent=2, ensure_ascii=False)
    else:
        text = "\n".join(as_lines(workspace, kinds))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return _say(workspace.problems, MISCONFIGURED if workspace.problems else OK)


def _check_usage(arguments: argparse.Namespace) -> None:
    source = arguments.catalog or arguments.schema
    if arguments.create_missing_fields:
        if source is None:
            raise SettingsError(
                ["--create-missing-fields needs a tap's --catalog or --schema, which says what "
                 "properties there are."]
            )  # fmt: skip
        if arguments.json:
            raise SettingsError(["--json lists what can be mapped; it makes no fields."])
    elif source is not None or arguments.yes:
        raise SettingsError(
            ["--catalog, --schema and --yes belong to --create-missing-fields: give that too."]
        )


def _create(arguments: argparse.Namespace, settings: Settings, kinds: Sequence[ObjectKind]) -> int:
    """Shows what is missing and makes it, if that is wanted.

    Raises:
        SettingsError: The catalog, or the settings, are wrong.
        ApolloError: Apollo can't be asked.
    """
    streams = (
        read_catalog(arguments.catalog)
        if arguments.catalog is not None
        else read_schemas(arguments.schema)
    )
    written, others = _of_objects(streams, settings, kinds)
    for stream in others:
        sys.stderr.write(f"Stream '{stream}' is left out: it is not of {_either(kinds)}.\n")
    with client_of(settings, retries=True) as client:
        known = {(field.modality, folded(field.label)) for field in client.custom_fields()}
    labels = settings.custom_fields
    missing = find_missing(
        written,
        lambda object_type, name: (object_type.singular, folded(labels.get(name, name))) in known,
        labels,
        passive=[settings.updated_at_field],
    )
    sys.stdout.write("\n".join(missing_lines(missing)) + "\n")
    sys.stdout.flush()
    if not missing.proposals:
        return OK
    if not arguments.yes and not _confirmed(len(missing.proposals), arguments):
        return _say(["Nothing was made."], FAILED)
    with client_of(settings, retries=False) as client:
        for made in create_fields(client, missing.proposals):
            sys.stdout.write(f"Made {made.object.singular} field '{made.label}' ({made.kind}).\n")
            sys.stdout.flush()
    return OK


def _of_objects(
    streams: Sequence[StreamSchema], settings: Settings, kinds: Sequence[ObjectKind]
) -> tuple[list[tuple[StreamSchema, ObjectKind]], list[str]]:
    written, others = [], []
    for stream in streams:
        try:
            kind = settings.of_stream(stream.name).kind
        except SettingsError:
            others.append(stream.name)
            continue
        if kind in kinds:
            written.append((stream, kind))
        else:
            others.append(stream.name)
    return written, others


def _confirmed(count: int, arguments: argparse.Namespace) -> bool:
    if STDIN in (arguments.catalog, arguments.schema):
        sys.stderr.write("Standard input is taken by the tap's output: confirm with --yes.\n")
        return False
    fields = "this custom field" if count == 1 else f"these {count} custom fields"
    sys.stderr.write(f"Make {fields} in Apollo? No API deletes them again. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _either(kinds: Sequence[ObjectKind]) -> str:
    return " or ".join(kind.value for kind in kinds)


def _say(sentences: Sequence[str], code: int) -> int:
    for sentence in sentences:
        sys.stderr.write(f"{sentence}\n")
    return code


def _end(problem: ApolloError) -> int:
    ending = ending_of(problem, 0)
    said = str(problem)
    if problem.maybe_written and "POST /fields" in problem.endpoint:
        said = "No answer to the last field: it may have been made. Run again, which looks first."
    return _say([said], FAILED if ending is None else ending.exit_code)
