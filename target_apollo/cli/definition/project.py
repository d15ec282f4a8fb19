"""The command `apollo-sync project`: a sync from PostgreSQL, as the plugins of a `meltano.yml`.

A new Meltano project has no plugins, so what is printed goes to the end of its `meltano.yml`. The
tables are named in the command alone; where the database is and every secret stay in `.env`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from target_apollo.cli.definition.command import definition, own_pip_url
from target_apollo.cli.options import ApolloCommand, CommandFailed
from target_apollo.config.stream_maps import REMOVED
from target_apollo.model.objects.registry import STREAM_OBJECTS
from target_apollo.sync.exit import MISCONFIGURED, OK

_PROJECT_FILE: Final = "meltano.yml"
_HAS_PLUGINS: Final = re.compile(r"^plugins\s*:", re.MULTILINE)
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_$]*"
_TABLE: Final = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<name>{_NAME})=(?P<object>\w+)")
_COLUMN: Final = re.compile(
    rf"(?:(?P<table>(?:{_NAME}\.)?{_NAME})\.)?(?P<name>{_NAME})=(?P<field>{_NAME})"
)
_DEFAULT_SCHEMA: Final = "public"

#: What Meltano has to know of the tap, which is in nobody's project yet.
_TAP: Final[Mapping[str, Any]] = {
    "name": "tap-postgres",
    "namespace": "tap_postgres",
    "pip_url": "meltanolabs-tap-postgres~=0.10.0",
    "executable": "tap-postgres",
    "capabilities": ["catalog", "discover", "state", "stream-maps"],
    "settings": [
        {"name": "sqlalchemy_url", "sensitive": True},
        {"name": "filter_schemas", "kind": "array"},
        {"name": "max_record_count", "kind": "integer"},
        {"name": "emit_activate_version_messages", "kind": "boolean"},
        {"name": "ssl_enable", "kind": "boolean"},
        {"name": "ssl_mode"},
        {"name": "ssl_certificate_authority"},
    ],
}
#: Of the definition for the Hub, what a project needs.
_OF_THE_LOADER: Final = ("name", "namespace", "pip_url", "executable", "capabilities")
_OF_A_SETTING: Final = ("name", "kind", "sensitive", "options")
_OF_A_COMMAND: Final = ("executable", "args")


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view, and the object of Apollo that its rows are."""

    schema: str
    name: str
    object: str

    @property
    def stream(self) -> str:
        """The name that the tap gives its stream."""
        return f"{self.schema}-{self.name}"

    def is_called(self, name: str) -> bool:
        """Whether somebody who writes this name means the table."""
        return name in {self.name, f"{self.schema}.{self.name}"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is written to a field of another name; `table` may be empty."""

    table: str
    name: str
    field: str


@click.command(
    cls=ApolloCommand,
    epilog="""\b
In the folder of a new Meltano project:
  apollo-sync project sales.people=contacts --column mail=email >> meltano.yml

\b
Exit codes: 0 printed; 2 wrong usage, or the project has plugins already.""",
)
@click.argument("tables", nargs=-1, required=True, metavar="[SCHEMA.]TABLE=OBJECT…")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="[TABLE.]COLUMN=FIELD",
    help="the field of a column whose name is no field's, such as mail=email; with several tables "
    "the table before it",
)
@click.option(
    "--updated-at",
    metavar="COLUMN",
    help="the column that moves with each change of a row, so that a run reads only what changed "
    "(default: every run reads all rows)",
)
@click.option(
    "--pip-url",
    metavar="WHAT",
    help="what Meltano installs (default: as apollo-sync definition has it)",
)
def command(
    tables: Sequence[str], columns: Sequence[str], updated_at: str | None, pip_url: str | None
) -> int:
    """Prints a sync of PostgreSQL tables, for the meltano.yml of a new project."""
    named = [_table(text) for text in tables]
    maps = _stream_maps(named, [_column(text) for text in columns])
    project = Path(_PROJECT_FILE)
    if project.is_file() and _HAS_PLUGINS.search(project.read_text(encoding="utf-8")):
        raise CommandFailed(
            "The meltano.yml of this folder has plugins already, and a second list of them would "
            "hide the first: add target-apollo with `meltano add --from-ref`, as "
            "`apollo-sync definition --help` shows.",
            exit_code=MISCONFIGURED,
        )
    loader = _loader(definition("loader", pip_url if pip_url is not None else own_pip_url()))
    plugins = {
        "extractors": [_tap(named, updated_at)],
        "loaders": [{**loader, "config": _config(named, maps)}],
    }
    sys.stdout.write("\n" + msgspec.yaml.encode({"plugins": plugins}).decode())
    return OK


def _table(text: str) -> Table:
    found = _TABLE.fullmatch(text)
    objects = ("contacts", "accounts", *STREAM_OBJECTS)
    if found is None or found["object"] not in objects:
        raise click.UsageError(
            f"'{text}' does not say what its rows are: write [SCHEMA.]TABLE=OBJECT, such as "
            f"sales.people=contacts, where OBJECT is one of {', '.join(objects)}."
        )
    return Table(found["schema"] or _DEFAULT_SCHEMA, found["name"], found["object"])


def _column(text: str) -> Column:
    found = _COLUMN.fullmatch(text)
    if found is None:
        raise click.UsageError(
            f"--column {text}: write it as COLUMN=FIELD, such as mail=email, or with its table as "
            "TABLE.COLUMN=FIELD."
        )
    return Column(found["table"] or "", found["name"], found["field"])


def _stream_maps(tables: Sequence[Table], columns: Sequence[Column]) -> dict[str, dict[str, str]]:
    """The setting `stream_maps` by which each column goes to its field alone."""
    maps: dict[str, dict[str, str]] = {}
    for column in columns:
        meant = [one for one in tables if not column.table or one.is_called(column.table)]
        if len(meant) != 1:
            raise click.UsageError(
                f"--column {column.name}={column.field} does not say of which table: put the name "
                "of one of the tables before it, as in TABLE.COLUMN=FIELD."
            )
        own = maps.setdefault(meant[0].stream, {})
        own[column.field] = column.name
        # A column that gives its value to another is no field of its own, unless one gives to it.
        # Meltano loses a null.
        own.setdefault(column.name, REMOVED)
    return maps


def _tap(tables: Sequence[Table], updated_at: str | None) -> dict[str, Any]:
    tap = {
        **_TAP,
        "config": {"filter_schemas": sorted({table.schema for table in tables})},
        "select": [f"{table.stream}.*" for table in tables],
    }
    if updated_at is not None:
        changed = {"replication-method": "INCREMENTAL", "replication-key": updated_at}
        tap["metadata"] = {table.stream: changed for table in tables}
    return tap


def _config(tables: Sequence[Table], maps: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    config: dict[str, Any] = {"streams": {one.stream: {"object": one.object} for one in tables}}
    return {**config, "stream_maps": maps} if maps else config


def _loader(text: str) -> dict[str, Any]:
    """The loader as a project declares it: what the Hub has for readers is left out."""
    whole = msgspec.yaml.decode(text)
    return {
        **dict(_kept(whole, _OF_THE_LOADER)),
        "commands": {
            name: dict(_kept(one, _OF_A_COMMAND)) for name, one in whole["commands"].items()
        },
        "settings": [dict(_kept(one, _OF_A_SETTING)) for one in whole["settings"]],
    }


def _kept(whole: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    # Text is Meltano's kind by default.
    return ((n, whole[n]) for n in names if n in whole and (n, whole[n]) != ("kind", "string"))
