"""The command `apollo-sync explain`: why map-apollo-leads did not send a lead."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from target_apollo.cli.options import FILE, ApolloCommand, CommandFailed
from target_apollo.cli.verdicts import VERDICTS_VARIABLE, verdicts_path
from target_apollo.mapper.explain import NoVerdict, explain
from target_apollo.mapper.settings import VERDICTS_PATH


# A key may be a negative number, which click must not take for an option.
@click.command(cls=ApolloCommand, context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.option(
    "--verdicts",
    type=FILE,
    metavar="PATH",
    help="the mapper's verdicts_path (default: that of the mapper in the Meltano project around "
    f"this folder; outside a project ${VERDICTS_VARIABLE}, else {VERDICTS_PATH})",
)
@click.option(
    "--environment",
    metavar="NAME",
    help="Meltano's environment (default: $MELTANO_ENVIRONMENT, else the project's default)",
)
def command(key: str, verdicts: str | None, environment: str | None) -> int:
    """Says what map-apollo-leads decided last about the lead with this KEY.

    It names the rules that decided, and the values that they saw. A key of several properties is
    written with commas between its values. Exit codes: 0 told; 1 there is no verdict on that lead.
    """
    path = Path(verdicts) if verdicts is not None else verdicts_path(environment)
    try:
        explanation = explain(path, key)
    except NoVerdict as unknown:
        raise CommandFailed(str(unknown)) from None
    sys.stdout.write(f"{explanation}\n")
    return 0
