"""The command `apollo-sync results`, which is also the executable `tap-apollo-sync`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from target_apollo.config.meltano import MeltanoSettings
from target_apollo.config.meltano_project import PluginKind, Project
from target_apollo.config.paths import given_with, ledger_file, problems_of_files, token_file
from target_apollo.config.sdk import set_up_log
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import Source, read_object, source_in_meltano
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of
from target_apollo.system import crashes
from target_apollo.tap.settings import NAME, PREFIX, read_config
from target_apollo.tap.tap import OutputRefused, TapApolloSync

_INTERRUPTED = 130
#: A path that shells complete; click does not check it, since the code that opens it does.
_FILE = click.Path(readable=False)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all streams are complete; 2 wrong settings or key; 3 out of quota; 1 "
    "anything else. After each of them the next run goes on from the last STATE.",
)
@click.option(
    "--config",
    "sources",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="JSON file with settings, a later one wins; the target's own will do. ENV for the "
    f"environment variables {PREFIX}… and TARGET_APOLLO_…. Without any --config: the settings of "
    f"{NAME}, else of target-apollo, in the Meltano project around this folder; outside a project, "
    "the variables",
)
@click.option(
    "--plugin",
    metavar="NAME",
    help="the extractor or loader of the Meltano project, where it has several",
)
@click.option(
    "--environment",
    metavar="NAME",
    help="Meltano's environment (default: $MELTANO_ENVIRONMENT, else the project's default)",
)
@click.option("--discover", is_flag=True, help="print the catalog")
@click.option(
    "--catalog",
    "--properties",
    type=_FILE,
    metavar="FILE",
    help="catalog that says which streams and properties are wanted; without one, all but the "
    "records of Apollo",
)
@click.option("--state", type=_FILE, metavar="FILE", help="the last STATE of the previous run")
@click.option("--about", is_flag=True, help="print settings and capabilities")
@click.option(
    "--format",
    "about_format",
    type=click.Choice(["json", "markdown"]),
    help="the form of --about (default: plain text)",
)
@click.version_option(
    package_name="target-apollo",
    prog_name=NAME,
    message="%(prog)s %(version)s",
    help="print the version",
)
def command(
    sources: Sequence[Source],
    plugin: str | None,
    environment: str | None,
    discover: bool,
    catalog: str | None,
    state: str | None,
    about: bool,
    about_format: str | None,
) -> int:
    """Prints what became of each row that was synced, as Singer messages.

    They are for any Singer target to load into the warehouse, and so are Apollo's users, stages and
    custom fields. A catalog may also select its contacts, accounts, deals, lists and sequences.
    """
    if about:
        TapApolloSync.print_about(about_format)
        return OK
    set_up_log(TapApolloSync)
    logger = logging.getLogger(NAME)
    try:
        if not sources and not discover:
            found = _in_meltano(plugin, environment)
            if found is not None:
                logger.info("%s", found.told)
                here = Path.cwd()
                catalog, state = (str(here / one) if one else one for one in (catalog, state))
                os.chdir(found.project.root)
                sources = (found,)
        # The streams are the same with all settings, so discovery asks for none.
        config = {} if discover and not sources else read_config(sources)
        tap = _tap(config, None if discover else catalog, state)
        unfit = problems_of_files(
            [
                *given_with("--config", sources),
                *given_with("--catalog", filter(None, [catalog])),
                *given_with("--state", filter(None, [state])),
                *ledger_file(tap.config.get("ledger_url") or "", is_written=False),
                *token_file(tap.config),
            ]
        )
        if unfit:
            return _refuse(logger, unfit)
    except SettingsError as wrong:
        return _refuse(logger, wrong.problems)
    except ConfigValidationError as wrong:
        return _refuse(logger, wrong.errors)
    if discover:
        sys.stdout.write(tap.catalog_json_text + "\n")
        return OK
    try:
        tap.sync_all()
    except OutputRefused as problem:
        logger.error("%s", problem)
        return FAILED
    except Exception as defect:  # noqa: BLE001 - its message may show a record
        logger.error("%s", crashes.text_of(defect))
        return FAILED
    finally:
        tap.close()
    ending = ending_of(tap.problems[0] if tap.problems else None, 0)
    return FAILED if ending is None else ending.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``tap-apollo-sync``; returns the exit code, which is 2 for wrong usage."""
    try:
        return int(command.main(arguments, prog_name=NAME, standalone_mode=False) or 0)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except click.Abort:
        return _INTERRUPTED


def _in_meltano(plugin: str | None, environment: str | None) -> MeltanoSettings | None:
    """The settings of the tap in the Meltano project around this folder, else of the target.

    Raises:
        SettingsError: As `source_in_meltano`.
    """
    project = Project.around_here()
    taps = project.own_plugins(PluginKind.EXTRACTOR) if project is not None else []
    is_tap = bool(taps) if plugin is None else plugin in taps
    kind = PluginKind.EXTRACTOR if is_tap else PluginKind.LOADER
    return source_in_meltano(plugin, environment, kind)


def _tap(config: dict[str, Any], catalog_path: str | None, state_path: str | None) -> TapApolloSync:
    """The tap for the streams of a catalog, which continues from a state.

    Raises:
        SettingsError: A file can't be read, or is no catalog.
        ConfigValidationError: A setting is wrong.
    """
    catalog: Catalog | None = None
    if catalog_path is not None:
        content = read_object(catalog_path, "catalog")
        try:
            catalog = Catalog.from_dict({"streams": content["streams"]})
        except (AttributeError, KeyError, TypeError, ValueError):
            raise SettingsError(
                [
                    f"The catalog file {catalog_path} is none of a Singer tap: make one with "
                    "--discover."
                ]
            ) from None
    return TapApolloSync(config=config, catalog=catalog, state=_state(state_path))


def _state(path: str | None) -> dict[str, Any]:
    """The state in a file, without streams that have none.

    Raises:
        SettingsError: The file can't be read, or is no state.
    """
    state = {} if path is None else read_object(path, "state")
    bookmarks = state.get("bookmarks")
    if bookmarks is None:
        bookmarks = {}
    if not isinstance(bookmarks, dict) or not all(
        isinstance(of_stream, dict) for of_stream in bookmarks.values() if of_stream is not None
    ):
        raise SettingsError(
            [f"The state file {path} is none of a Singer tap: give its last STATE."]
        )
    given = {name: of_stream for name, of_stream in bookmarks.items() if of_stream is not None}
    return {**state, "bookmarks": given}


def _refuse(logger: logging.Logger, sentences: Sequence[str]) -> int:
    for sentence in sentences:
        logger.error("%s", sentence)
    return MISCONFIGURED
