"""The command `apollo-sync check`: arguments in, report on stdout, the verdict's exit code out."""

from __future__ import annotations

import argparse
import json
import sys

from target_apollo.cli.check.connection import check_connection
from target_apollo.cli.check.report import as_json, as_lines
from target_apollo.cli.options import add_object_argument, chosen_objects
from target_apollo.config.settings import SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.sync.exit import MISCONFIGURED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `check` to a parser."""
    parser.description = (
        "Says whether a sync with these settings can work: the address, the key, the team, every "
        "endpoint that the mode uses and the quota left. Nothing is written; each endpoint "
        "is asked once."
    )
    parser.epilog = (
        "Exit codes: 0 usable; 2 wrong settings or key, or an endpoint that every run needs is "
        "forbidden; 3 out of quota for longer than max_wait_seconds; 1 anything else, such as no "
        "connection."
    )
    add_config_argument(parser)
    add_object_argument(
        parser, "what will be synced, where that is not both: the key needs no more than that"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> int:
    """Checks, reports, and returns the exit code; wrong settings are said on stderr."""
    kinds = chosen_objects(arguments)
    try:
        check = check_connection(read_settings(arguments.config), kinds)
    except SettingsError as wrong:
        sys.stderr.write("\n".join(wrong.problems) + "\n")
        return MISCONFIGURED
    exit_code, because = check.verdict
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(check), indent=2, ensure_ascii=False) + "\n")
    else:
        verdict = [] if exit_code else ["", because]
        sys.stdout.write("\n".join([*as_lines(check), *verdict]) + "\n")
    if exit_code:
        sys.stdout.flush()
        sys.stderr.write(f"{because}\n")
    return exit_code
