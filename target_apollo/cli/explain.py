"""The command `apollo-sync explain`: why map-apollo-leads did not send a lead."""

from __future__ import annotations

import sys

import click

from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed
from target_apollo.mapper.explain import NoVerdict, explain
from target_apollo.mapper.settings import VERDICTS_PATH

#: The environment variable with the mapper's setting `verdicts_path`.
VERDICTS_VARIABLE = "MAP_APOLLO_LEADS_VERDICTS_PATH"


# A key may be a negative number, which click must not take for an option.
@click.command(cls=ApolloCommand, context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.option(
    "--verdicts",
    type=FILE,
    metavar="PATH",
    envvar=VERDICTS_VARIABLE,
    default=VERDICTS_PATH,
    help=f"the mapper's verdicts_path (default: ${VERDICTS_VARIABLE}, else {VERDICTS_PATH})",
)
def command(key: str, verdicts: str) -> int:
    """Says what map-apollo-leads decided last about the lead with this KEY.

    It names the rules that decided, and the values that they saw. A key of several properties is
    written with commas between its values. Exit codes: 0 told; 1 there is no verdict on that lead.
    """
    try:
        explanation = explain(verdicts, key)
    except NoVerdict as unknown:
        raise CommandFailed(str(unknown)) from None
    sys.stdout.write(f"{explanation}\n")
    return 0
