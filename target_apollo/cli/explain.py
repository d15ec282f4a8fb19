"""The command `apollo-sync explain`: why was this lead not sent?"""

from __future__ import annotations

import argparse
import os
import sys

from target_apollo.mapper.explain import NoVerdict, explain
from target_apollo.mapper.settings import VERDICTS_PATH

_VARIABLE = "MAP_APOLLO_LEADS_VERDICTS_PATH"
_UNKNOWN = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `explain` to a parser."""
    parser.description = (
        "Says what map-apollo-leads decided last about one lead, by which rules, and which values "
        "it saw. Exit codes: 0 told; 1 there is no verdict on that lead."
    )
    parser.add_argument(
        "key", help="the lead's key; values of several key properties with commas between"
    )
    parser.add_argument(
        "--verdicts",
        metavar="PATH",
        default=os.environ.get(_VARIABLE) or VERDICTS_PATH,
        help=f"the mapper's verdicts_path (default: ${_VARIABLE}, else {VERDICTS_PATH})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Tells, and returns the exit code."""
    try:
        told = explain(arguments.verdicts, arguments.key)
    except NoVerdict as unknown:
        sys.stderr.write(f"{unknown}\n")
        return _UNKNOWN
    sys.stdout.write(f"{told}\n")
    return 0
