"""What `apollo-sync adopt` prints: how many rows have which fate, and what their first run does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from target_apollo.reporting.terminal import Paint, wrapped
from target_apollo.reporting.words import Tone
from target_apollo.sync.adopt.adoption import Fate
from target_apollo.system.shown import name_shown

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
_MIND = {Fate.AMBIGUOUS, Fate.REJECTED}


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
        yield paint.tone(line, Tone.BAD) if fate in _MIND else line
        keys = summary["adopted"]["keys"].get(stream, {}).get(fate.value)
        if fate in _MIND and keys:
            more = ", …" if number > len(keys) else ""
            yield f"  {'':>{width}} keys: {', '.join(map(name_shown, keys))}{more}"
