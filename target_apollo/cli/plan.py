"""The command `apollo-sync plan`: a dry run over Singer messages, and its plan on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from target_apollo.cli.dry_runs import (
    dry_run_config,
    messages_argument,
    run_and_show,
    source_option,
)
from target_apollo.cli.options import (
    ApolloCommand,
    config_option,
)
from target_apollo.config.sources import Source
from target_apollo.reporting.plan import plan_lines

_MOST_DIFFS = 20


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes as those of target-apollo: the one that the run would have.",
)
@config_option
@click.option(
    "--diffs",
    type=click.IntRange(0, _MOST_DIFFS),
    metavar="N",
    help=f"show up to N changed fields of existing records, with their values (0 to "
    f"{_MOST_DIFFS}; default: the setting sample_diffs)",
)
@source_option
@messages_argument
def command(
    sources: Sequence[Source], diffs: int | None, source: str | None, messages: str | None
) -> int:
    """Says what a run would do with the Singer messages of INPUT, and writes nothing.

    Does all that a run would do, except for the requests that write, and shows what would come of
    it: outcomes, rejects, duplicates, requests, and the time that Apollo's limits leave for them.
    Neither Apollo nor the ledger nor the rejects file is changed, and no STATE is printed. Without
    INPUT, the messages are read from standard input.
    """
    config = dry_run_config(sources, source)
    if diffs is not None:
        config["sample_diffs"] = diffs
    return run_and_show(config, messages, plan_lines)
