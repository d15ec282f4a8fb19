"""The command `apollo-sync results`, which is also the executable `tap-apollo-sync`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.singerlib import Catalog

from target_apollo import logs
from target_apollo.config.sdk import set_up_log
from target_apollo.config.settings import SettingsError
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of
from target_apollo.tap.tap import NAME, PREFIX, TapApolloSync, read_config, read_object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of a Singer tap to a parser."""
    parser.description = (
        "Prints, as Singer messages, what became of each row that was synced, and Apollo's users, "
        "stages and custom fields: for any Singer target to load into the warehouse."
    )
    parser.epilog = (
        "Exit codes: 0 all streams are complete; 2 wrong settings or key; 3 out of quota; 1 "
        "anything else. After each of them the next run goes on from the last STATE."
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="JSON file with settings, a later one wins; the target's own will do. ENV for the "
        f"environment variables {PREFIX}… and TARGET_APOLLO_… (the default without any --config)",
    )
    parser.add_argument("--discover", action="store_true", help="print the catalog")
    parser.add_argument(
        "--catalog",
        "--properties",
        metavar="FILE",
        help="catalog that says which streams and properties are wanted; all without one",
    )
    parser.add_argument("--state", metavar="FILE", help="the last STATE of the run before")
    parser.add_argument("--about", action="store_true", help="print settings and capabilities")
    parser.add_argument(
        "--format", choices=["json", "markdown"], help="the form of --about; plain text else"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints what was asked for and returns the exit code; what went wrong is in the log."""
    if arguments.about:
        TapApolloSync.print_about(arguments.format)
        return OK
    set_up_log(TapApolloSync)
    logger = logging.getLogger(NAME)
    try:
        tap = _tap(arguments)
    except SettingsError as wrong:
        return _refuse(logger, wrong.problems)
    except ConfigValidationError as wrong:
        return _refuse(logger, wrong.errors)
    if arguments.discover:
        sys.stdout.write(tap.catalog_json_text + "\n")
        return OK
    try:
        tap.sync_all()
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        logger.error("Nobody reads the messages any more: the loader has ended. Look at its log.")
        return FAILED
    except Exception as defect:  # noqa: BLE001 - its own words may show a record
        logger.error("%s", logs.defect_text(defect))
        return FAILED
    finally:
        tap.close()
    ending = ending_of(tap.problems[0] if tap.problems else None, 0)
    return FAILED if ending is None else ending.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``tap-apollo-sync``; returns the exit code."""
    parser = argparse.ArgumentParser(prog=NAME)
    add_arguments(parser)
    parser.add_argument("--version", action="version", version=f"{NAME} {version('target-apollo')}")
    try:
        return run(parser.parse_args(arguments))
    except KeyboardInterrupt:
        return 130


def _tap(arguments: argparse.Namespace) -> TapApolloSync:
    """The tap as it is asked for.

    Raises:
        SettingsError: A file can't be read, or the catalog is none.
        ConfigValidationError: A setting is wrong.
    """
    config = {} if arguments.discover and not arguments.config else read_config(arguments.config)
    catalog: Catalog | None = None
    if arguments.catalog is not None and not arguments.discover:
        content = read_object(arguments.catalog, "catalog")
        try:
            catalog = Catalog.from_dict({"streams": content["streams"]})
        except (AttributeError, KeyError, TypeError, ValueError):
            raise SettingsError(
                [
                    f"The catalog file {arguments.catalog} is none of a Singer tap: make one with "
                    "--discover."
                ]
            ) from None
    state = {} if arguments.state is None else read_object(arguments.state, "state")
    return TapApolloSync(config=config, catalog=catalog, state=state)


def _refuse(logger: logging.Logger, sentences: Sequence[str]) -> int:
    for sentence in sentences:
        logger.error("%s", sentence)
    return MISCONFIGURED
