"""The command `apollo-sync fields`: the fields that can be mapped, and missing custom fields.

The output has the names and e-mail addresses of colleagues, both as lines for people and as JSON,
so it must not go into a log.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from typing import Any

import click

from target_apollo.apollo import ApolloError, CustomField
from target_apollo.cli.fields.catalog import STDIN, StreamSchema, read_catalog, read_schemas
from target_apollo.cli.fields.missing import (
    STRING,
    Missing,
    Proposal,
    StandardField,
    find_missing,
    standard_fields,
)
from target_apollo.cli.fields.workspace import Workspace, client_of, create_fields, read_workspace
from target_apollo.cli.options import (
    FILE,
    ApolloCommand,
    CommandFailed,
    config_option,
    json_option,
    object_option,
)
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import Source, read_settings
from target_apollo.model.objects.deal import DEAL
from target_apollo.model.objects.registry import OBJECTS, ObjectKind, RecordType
from target_apollo.model.texts.spelling import meant, value_of
from target_apollo.sync.exit import MISCONFIGURED, OK
from target_apollo.system.shown import escaped, name_shown, printable

_UNKNOWN = ["  not told: the key may not read them"]


@click.command(
    cls=ApolloCommand,
    epilog="Picklists can't be made through Apollo's API, and no field can be deleted through it. "
    "Exit codes: 0 all went well; 1 an error, or nothing was confirmed; 2 wrong settings or key; "
    "3 out of quota.",
)
@config_option
@object_option("contacts or accounts, where not both are wanted")
@json_option
@click.option(
    "--create-missing-fields",
    is_flag=True,
    help="make custom fields for the properties of --catalog or --schema that fit nowhere; what "
    "would be made is shown and asked about first",
)
@click.option("--catalog", type=FILE, metavar="FILE", help="a tap's catalog; - for standard input")
@click.option(
    "--schema", type=FILE, metavar="FILE", help="a tap's output with SCHEMA messages; - as above"
)
@click.option("--yes", is_flag=True, help="make the fields without asking")
def command(
    sources: Sequence[Source],
    kinds: list[ObjectKind],
    wants_json: bool,
    create_missing_fields: bool,
    catalog: str | None,
    schema: str | None,
    yes: bool,
) -> int:
    """Lists what a stream's properties can be mapped to.

    These are the fields of contacts and accounts with the modes and endpoints that write them,
    custom fields, stages, lists and owners. With --create-missing-fields it makes custom fields for
    properties that fit nowhere.
    """
    has_streams = catalog is not None or schema is not None
    if catalog is not None and schema is not None:
        raise click.UsageError("Give --catalog or --schema, not both.")
    if not create_missing_fields:
        if has_streams or yes:
            raise CommandFailed(
                "--catalog, --schema and --yes belong to --create-missing-fields: give that too.",
                exit_code=MISCONFIGURED,
            )
        return _list_fields(read_settings(sources), kinds, wants_json)
    if not has_streams:
        raise CommandFailed(
            "--create-missing-fields needs a tap's --catalog or --schema, which says what "
            "properties there are.",
            exit_code=MISCONFIGURED,
        )
    if wants_json:
        raise CommandFailed(
            "--json lists what can be mapped; it makes no fields.", exit_code=MISCONFIGURED
        )
    settings = read_settings(sources)
    streams = read_schemas(schema or "") if catalog is None else read_catalog(catalog)
    missing = _missing_of(streams, settings, kinds)
    sys.stdout.write("\n".join(missing_lines(missing)) + "\n")
    sys.stdout.flush()
    if missing.proposals:
        if not yes and not _confirmed(len(missing.proposals), STDIN in (catalog, schema)):
            raise CommandFailed("Nothing was made.")
        _create(missing.proposals, settings)
    return OK


def _list_fields(settings: Settings, kinds: Sequence[ObjectKind], wants_json: bool) -> int:
    """Prints the fields that can be mapped; returns the exit code.

    Raises:
        SettingsError: There are no usable credentials.
        ApolloError: Apollo can't be asked.
        CommandFailed: The key may not read some of the lists.
    """
    with client_of(settings, retries=True) as client:
        workspace = read_workspace(client, kinds)
    if wants_json:
        text = escaped(json.dumps(as_json(workspace, kinds), indent=2, ensure_ascii=False))
    else:
        text = "\n".join(as_lines(workspace, kinds))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    if workspace.problems:
        raise CommandFailed(*workspace.problems, exit_code=MISCONFIGURED)
    return OK


def _missing_of(
    streams: Sequence[StreamSchema], settings: Settings, kinds: Sequence[ObjectKind]
) -> Missing:
    """The custom fields that the streams' properties need and the team lacks.

    Raises:
        SettingsError: There are no usable credentials.
        ApolloError: Apollo can't be asked.
    """
    written, others = _of_objects(streams, settings, kinds)
    for stream in others:
        either = " or ".join(kind.value for kind in kinds)
        sys.stderr.write(f"Stream '{name_shown(stream)}' is left out: it is not of {either}.\n")
    with client_of(settings, retries=True) as client:
        existing: dict[str, list[str]] = {}
        for field in client.custom_fields():
            existing.setdefault(field.modality, []).append(field.label)
    labels = settings.custom_fields
    missing = find_missing(
        written,
        lambda object_type, name: bool(
            meant(value_of(labels, name) or name, existing.get(object_type.modality, []))
        ),
        labels,
        passive=[settings.updated_at_field],
    )
    deals = [stream.name for stream, object_type in written if object_type is DEAL]
    label = settings.deal_key_field
    if deals and not meant(label, existing.get(DEAL.modality, [])):
        more = [
            one
            for one in missing.proposals
            if one.object is not DEAL or not meant(label, [one.label])
        ]
        key_field = Proposal(DEAL, label, STRING, (f"the keys of {', '.join(deals)}",))
        return Missing((key_field, *more), missing.left_out)
    return missing


def _of_objects(
    streams: Sequence[StreamSchema], settings: Settings, kinds: Sequence[ObjectKind]
) -> tuple[list[tuple[StreamSchema, RecordType]], list[str]]:
    written: list[tuple[StreamSchema, RecordType]] = []
    others: list[str] = []
    for stream in streams:
        if settings.leaves_out(stream.name):
            others.append(stream.name)
            continue
        own = settings.object_stream(stream.name)
        if own is not None and own.stream_object.fields and len(kinds) == len(ObjectKind):
            written.append((stream, own.stream_object))
            continue
        try:
            kind = settings.of_stream(stream.name).kind
        except SettingsError:
            others.append(stream.name)
            continue
        if kind in kinds:
            written.append((stream, OBJECTS[kind]))
        else:
            others.append(stream.name)
    return written, others


def _confirmed(count: int, stdin_is_taken: bool) -> bool:
    if stdin_is_taken:
        sys.stderr.write("Standard input is taken by the tap's output: confirm with --yes.\n")
        return False
    fields = "this custom field" if count == 1 else f"these {count} custom fields"
    sys.stderr.write(f"Make {fields} in Apollo? No API deletes them again. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _create(proposals: Sequence[Proposal], settings: Settings) -> None:
    """Makes the fields one after another, and prints each field that Apollo confirms.

    Raises:
        SettingsError: There are no usable credentials.
        ApolloError: A field could not be made.
        CommandFailed: The answer to the last field was lost; it may have been made.
    """
    try:
        with client_of(settings, retries=False) as client:
            for field in create_fields(client, proposals):
                sys.stdout.write(
                    f"Made {field.object.singular} field '{name_shown(field.label)}' "
                    f"({name_shown(field.kind)}).\n"
                )
                sys.stdout.flush()
    except ApolloError as problem:
        if not (problem.maybe_written and "POST /fields" in problem.endpoint):
            raise
        raise CommandFailed(
            "No answer to the last field: it may have been made. Run again, which looks first."
        ) from None


def as_lines(workspace: Workspace, kinds: Collection[ObjectKind]) -> list[str]:
    """The lists as lines for people, each under a heading."""
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
                None if stages is None else [stage.display_name or stage.name for stage in stages],
            ),
            *_list(f"Lists of {name}", None if lists is None else [label.name for label in lists]),
        ]
    owners = workspace.owners
    lines += _list(
        "Owners",
        None if owners is None else _columns([(user.email, user.name, user.id) for user in owners]),
    )
    return lines[:-1]


def missing_lines(missing: Missing) -> list[str]:
    """The custom fields that could be made, and the properties for which none can be."""
    rows = [
        (field.object.singular, field.label, field.kind, f"for {', '.join(field.properties)}")
        for field in missing.proposals
    ]
    lines: list[str] = []
    if missing.left_out:
        lines += _list("No field can be made for", _columns(list(missing.left_out.items())))
    return [*lines, *_list("Custom fields that are missing", _columns(rows))][:-1]


def as_json(workspace: Workspace, kinds: Collection[ObjectKind]) -> dict[str, Any]:
    """The lists as one object; null for a list that the key may not read."""
    lists_of: dict[str, Any] = {}
    for kind in kinds:
        custom, lists = workspace.custom_fields, workspace.lists
        stages = workspace.stages[kind]
        lists_of[kind.value] = {
            "fields": [
                {
                    "name": field.name,
                    "names": field.names or None,
                    "modes": [mode.value for mode in field.modes],
                    "new": field.new,
                    "existing": list(field.existing),
                }
                for field in standard_fields(OBJECTS[kind])
            ],
            "custom_fields": None
            if custom is None
            else [_custom_json(custom_field) for custom_field in custom[kind]],
            "stages": None
            if stages is None
            else [{"id": stage.id, "name": stage.display_name or stage.name} for stage in stages],
            "lists": None
            if lists is None
            else [{"id": label.id, "name": label.name} for label in lists[kind]],
        }
    owners = workspace.owners
    lists_of["owners"] = (
        None
        if owners is None
        else [{"id": user.id, "name": user.name, "email": user.email} for user in owners]
    )
    lists_of["problems"] = list(workspace.problems)
    return lists_of


def _custom_json(field: CustomField) -> dict[str, Any]:
    return {
        "id": field.id,
        "label": field.label,
        "type": field.type,
        "options": list(field.options),
        "written": True,
    }


def _standard_lines(fields: Sequence[StandardField]) -> list[str]:
    rows = []
    for field in fields:
        modes = ", ".join(mode.value for mode in field.modes)
        written_by = ", ".join(dict.fromkeys((field.new, *field.existing)))
        meaning = f"; gives {field.names}" if field.names else ""
        rows.append((field.name, modes, written_by + meaning))
    return _columns(rows)


def _custom_lines(fields: Sequence[CustomField]) -> list[str]:
    return _columns([(field.label, field.type, _note(field)) for field in fields])


def _note(field: CustomField) -> str:
    return ", ".join(field.options)


def _list(heading: str, lines: Sequence[str] | None) -> list[str]:
    if lines is None:
        return [f"{heading}:", *_UNKNOWN, ""]
    # Names in Apollo may hold control sequences, which a terminal would carry out.
    return [f"{heading}:", *(f"  {printable(line)}" for line in lines or ["none"]), ""]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    rows = [[name_shown(cell) for cell in row[:-1]] + [row[-1]] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
