"""The command `apollo-sync fields`: what can be mapped, and on request what is missing for it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from target_apollo.apollo import ApolloError
from target_apollo.cli.fields.catalog import STDIN, StreamSchema, read_catalog, read_schemas
from target_apollo.cli.fields.creating import client_of, create_fields
from target_apollo.cli.fields.missing import find_missing
from target_apollo.cli.fields.report import as_json, as_lines, missing_lines
from target_apollo.cli.fields.workspace import read_workspace
from target_apollo.cli.options import add_object_argument, chosen_objects
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.model.objects import ObjectKind
from target_apollo.model.suggestions import folded
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of


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
        lambda target, name: (target.singular, folded(labels.get(name, name))) in known,
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
