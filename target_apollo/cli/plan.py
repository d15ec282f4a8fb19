"""The command `apollo-sync plan`: a dry run over Singer messages, and its plan on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from target_apollo.cli.dry_runs import (
    open_messages,
    run_and_show,
    source_of_input,
    source_option,
)
from target_apollo.cli.options import (
    FILE,
    ApolloCommand,
    config_option,
)
from target_apollo.config.sources import Source, read_config
from target_apollo.reporting.plan import plan_lines
from target_apollo.system import logs
from target_apollo.target.target import TargetApollo

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
@click.argument("messages", metavar="[INPUT]", required=False, type=FILE)
def command(
    sources: Sequence[Source], diffs: int | None, source: str | None, messages: str | None
) -> int:
    """Says what a run would do with the Singer messages of INPUT, and writes nothing.

    Does all that a run would do, except for the requests that write, and shows what would come of
    it: outcomes, rejects, duplicates, requests, and the time that Apollo's limits leave for them.
    Neither Apollo nor the ledger nor the rejects file is changed, and no STATE is printed. Without
    INPUT, the messages are read from standard input.
    """
    logs.to_stderr(TargetApollo.name)
    config = {**read_config(sources), **source_of_input(sources, source), "dry_run": True}
    if diffs is not None:
        config["sample_diffs"] = diffs
    with open_messages(messages) as rows:
        target = TargetApollo(config=config)
        exit_code = run_and_show(target, rows, plan_lines)
    target.exit_without_threads(exit_code)
    return exit_code
