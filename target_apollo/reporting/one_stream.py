"""A run narrowed to one of its streams, for a report on that stream alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import msgspec

from target_apollo.reporting.detail import Detail, WaitingRow, detail_of
from target_apollo.reporting.past_runs import ByReason, PastRun
from target_apollo.reporting.summaries import Duplicates, Summary

Value = TypeVar("Value")


def streams_of(run: PastRun, kept: ByReason) -> list[str]:
    """The streams of a run: of its summary, and of its records in the rejects file."""
    named = run.summary.streams if run.summary else {}
    return [*dict.fromkeys((*named, *(stream for stream, _ in kept)))]


def detail_of_stream(
    run: PastRun, kept: ByReason, waiting: Sequence[WaitingRow], stream: str
) -> Detail:
    """The details of one stream of a run. What is counted for the whole run stays as it is.

    Args:
        run: The run.
        kept: Its records in the rejects file.
        waiting: Values of its team that are still to be sent.
        stream: The name of the stream.
    """
    narrowed = replace(run, summary=_of_stream(run.summary, stream) if run.summary else None)
    return detail_of(
        narrowed,
        {which: records for which, records in kept.items() if which[0] == stream},
        (),
        [one for one in waiting if one.stream == stream],
    )


def _of_stream(summary: Summary, stream: str) -> Summary:
    def only(counts: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in counts.items() if name == stream}

    groups = tuple(group for group in summary.duplicates.listed if group.stream == stream)
    diffs = summary.diffs
    return msgspec.structs.replace(
        summary,
        streams=only(summary.streams),
        left_out=only(summary.left_out),
        rejected_before=only(summary.rejected_before),
        rejected_causes=only(summary.rejected_causes),
        unknown_fields=only(summary.unknown_fields),
        unresolved=only(summary.unresolved),
        deleted=only(summary.deleted),
        removed=only(summary.removed),
        returned=only(summary.returned),
        to_follow=only(summary.to_follow),
        followed=only(summary.followed),
        not_followed=only(summary.not_followed),
        identity=only(summary.identity),
        duplicates=Duplicates(found=len(groups), listed=groups),
        diffs=None if diffs is None else tuple(one for one in diffs if one.stream == stream),
    )
