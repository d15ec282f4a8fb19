"""The command `apollo-sync adopt`: fills the ledger from Apollo without a write to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from target_apollo.cli.dry_runs import (
    dry_run_config,
    messages_argument,
    run_and_show,
    source_option,
)
from target_apollo.cli.options import (
    ApolloCommand,
    CommandFailed,
    config_option,
)
from target_apollo.config.sources import Source
from target_apollo.reporting.terminal import Paint, wrapped
from target_apollo.reporting.words import Tone
from target_apollo.sync.adopt.adoption import Fate
from target_apollo.sync.exit import MISCONFIGURED
from target_apollo.system.shown import name_shown

#: Settings of each adoption. It is a dry run as far as Apollo goes; no row ends it, and what the
#: first run would make or move is left to that run.
_AS_ADOPTION: Mapping[str, object] = {
    "full_resync": False,
    "missing_accounts": "skip",
    "on_delete": "ignore",
    "on_record_error": "reject",
    "abort_rejected_percent": 100,
    "max_rejected_percent": 100,
    "sample_diffs": 0,
}
#: An adoption that is cut off begins again, so it waits for the next hour of Apollo's rate limit.
_LEAST_WAIT_SECONDS = 3_700


@click.command(
    cls=ApolloCommand,
    epilog="Exit codes as those of target-apollo. What was linked before an error stays; the next "
    "call continues from there.",
)
@config_option
@source_option
@messages_argument
def command(sources: Sequence[Source], source: str | None, messages: str | None) -> int:
    """Links the rows of INPUT to the records that Apollo has already, and writes nothing there.

    For a team that comes from another tool. It reads all records of Apollo, a hundred a request,
    and finds the record of each row by its match keys. A row whose record has the same values is
    linked in the ledger as if this tool had written it: the first run sends nothing for it. A row
    whose record has other values is linked too, and the first run writes it. Links that the ledger
    has stay as they are. INPUT holds the Singer messages of a tap; without it, they are read from
    standard input.
    """
    config = {**dry_run_config(sources, source), **_AS_ADOPTION}
    config.pop("max_records", None)
    if not config["ledger_url"]:
        raise CommandFailed(
            "There is no ledger to fill: the setting ledger_url is empty.",
            exit_code=MISCONFIGURED,
        )
    config["max_wait_seconds"] = max(config["max_wait_seconds"], _LEAST_WAIT_SECONDS)
    return run_and_show(config, messages, adoption_lines, adopts=True)


#: What follows the number of rows.
_MEANINGS = {
    Fate.EQUAL: "have a record with their values: the first run sends nothing for them",
    Fate.DIFFERENT: "have a record with other values: the first run writes them",
    Fate.MISSING: "are not in Apollo: the first run creates them, unless its mode is update",
    Fate.AMBIGUOUS: "are not linked, since several records have their keys, or the record may be "
    "another's: the first run decides them one by one",
    Fate.KNOWN: "were in the ledger before, and their links stay",
    Fate.REJECTED: "can't be read, or name what Apollo does not know: the first run rejects them",
}
_TO_LOOK_AT = {Fate.AMBIGUOUS, Fate.REJECTED}


def adoption_lines(summary: Mapping[str, Any], width: int, paint: Paint) -> list[str]:
    """The whole result for a terminal; it shows keys of rows as the ledger spells them."""
    team = f" of Apollo team {name_shown(str(summary['team']))}" if summary.get("team") else ""
    lines = [paint.strong(f"Rows linked to the records{team}; nothing was written to Apollo.")]
    if summary["ended_because"]:
        lines += [paint.tone(line, Tone.BAD) for line in wrapped(summary["ended_because"], width)]
    adopted = summary["adopted"]
    for stream, fates in adopted["streams"].items():
        lines += ["", paint.strong(name_shown(stream)), *_fates(stream, fates, summary, paint)]
    if not adopted["streams"]:
        lines += ["", "There were no rows."]
    for kind, number in adopted["not_shown"].items():
        lines += ["", f"Apollo does not show {number} of its {kind}: rows of them are not linked."]
    requests = sum(summary["api"]["requests"].values())
    return [*lines, "", f"{requests} requests."]


def _fates(
    stream: str, fates: Mapping[str, int], summary: Mapping[str, Any], paint: Paint
) -> Iterator[str]:
    width = max((len(f"{number:,}") for number in fates.values()), default=1)
    for fate in Fate:
        number = fates.get(fate.value, 0)
        if not number:
            continue
        line = f"  {number:>{width},} {_MEANINGS[fate]}"
        yield paint.tone(line, Tone.BAD) if fate in _TO_LOOK_AT else line
        keys = summary["adopted"]["keys"].get(stream, {}).get(fate.value)
        if fate in _TO_LOOK_AT and keys:
            more = ", …" if number > len(keys) else ""
            yield f"  {'':>{width}} keys: {', '.join(map(name_shown, keys))}{more}"
