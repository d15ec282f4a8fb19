"""The content of a report on a run or one of its streams, for terminal, page and JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import msgspec

from target_apollo.ledger import WaitingField
from target_apollo.reporting.funnel import Funnel, receiving_stream
from target_apollo.reporting.past_runs import ByReason, PastRun, RejectedKeys
from target_apollo.reporting.summaries import Duplicates, Stream, Summary, Windows
from target_apollo.sync.dry_run.plan_sentences import identity_sentences
from target_apollo.sync.end_notices import left_out_sentences
from target_apollo.sync.rejects.causes import Cause
from target_apollo.sync.words import moment, plural
from target_apollo.system.shown import name_shown

Value = TypeVar("Value")


@dataclass(frozen=True)
class RejectRow:
    """Rejected records of one stream and reason.

    Attributes:
        kept: Keys of those that the run has put into the rejects file and that are still there.
        causes: Why they were rejected, with the number of records, the most first.
        has_earlier: Whether the run has rejected records of the stream that were rejected before as
            they are. An earlier run has put these into the file.
    """

    stream: str
    reason: str
    number: int
    kept: RejectedKeys
    has_earlier: bool = False
    causes: Sequence[tuple[Cause, int]] = ()


@dataclass(frozen=True)
class RequestRow:
    """Requests sent to one endpoint, and the rate limits of it.

    Attributes:
        estimated: Requests estimated before the run wrote anything; None without an estimate.
        windows: The limits in Apollo's last answer; None where it named none.
    """

    endpoint: str
    sent: int
    estimated: int | None
    windows: Windows | None


@dataclass(frozen=True)
class ProtectedRow:
    """Values of one object that a field policy kept as they are in Apollo."""

    kind: str
    fields: Sequence[tuple[str, int]]

    @property
    def number(self) -> int:
        """Values of all fields."""
        return sum(count for _, count in self.fields)


@dataclass(frozen=True)
class WaitingRow:
    """Values of one field that are still to be sent to records of a stream.

    Attributes:
        since: When the oldest of them was left to be sent.
        seconds: How long ago that was as the report was made.
    """

    kind: str
    stream: str
    field: str
    values: int
    since: datetime
    seconds: float

    @classmethod
    def of(cls, waiting: WaitingField, now: datetime) -> WaitingRow:
        """The row of what the ledger counts."""
        seconds = max(0.0, (now - waiting.since).total_seconds())
        kind, stream = waiting.object, waiting.stream
        return cls(kind, stream, waiting.field, waiting.values, waiting.since, seconds)


@dataclass(frozen=True)
class LeadsOutcome:
    """A funnel of leads, and their outcomes in the run.

    Attributes:
        stream: The stream of the run that received the leads; None if that is not known.
        outcomes: Those of that stream.
    """

    funnel: Funnel
    stream: str | None
    outcomes: Stream | None


@dataclass(frozen=True)
class Detail:
    """One run in detail. Without a summary, what comes from it is empty.

    Attributes:
        rejected_before: Rejected records that were rejected before, and have not changed since.
        deleted: Stream -> records moved because their rows were deleted at the source.
        removed: Stream -> members taken off lists because no row names them.
        returned: Stream -> moved records that were given back because their rows returned.
        following: Sentences on fields that were, or will be, sent after their rows.
        waiting: Values of all runs of the team that are still to be sent at present.
        identity: Sentences on rows whose key is not simply that of their record.
        left_out: Sentences on streams that the setting `streams` leaves out.
        not_placed: Stream -> properties that have no field in Apollo.
        not_writable: Contacts or accounts -> fields that Apollo can't change on existing records,
            with the number of rows.
    """

    run: PastRun
    streams: Mapping[str, Stream]
    rejects: Sequence[RejectRow]
    rejected_before: int
    requests: Sequence[RequestRow]
    protected: Sequence[ProtectedRow]
    deleted: Sequence[tuple[str, int]]
    removed: Sequence[tuple[str, int]]
    returned: Sequence[tuple[str, int]]
    following: Sequence[str]
    waiting: Sequence[WaitingRow]
    identity: Sequence[str]
    duplicates: Duplicates
    leads: Sequence[LeadsOutcome]
    left_out: Sequence[str]
    not_placed: Sequence[tuple[str, Sequence[str]]]
    not_writable: Sequence[tuple[str, Sequence[tuple[str, int]]]]

    @property
    def summary(self) -> Summary | None:
        """The summary of the run, if there is one."""
        return self.run.summary

    @property
    def reject_streams(self) -> Sequence[str]:
        """The streams that have rejected records, those with most first."""
        return list(dict.fromkeys(row.stream for row in self.rejects))


def detail_of(
    run: PastRun,
    kept: ByReason,
    funnels: Sequence[Funnel],
    waiting: Sequence[WaitingRow] = (),
) -> Detail:
    """Puts together the details of a run.

    Args:
        kept: Its records in the rejects file.
        funnels: Funnels of its leads, from the verdict file.
        waiting: Values of its team that are still to be sent.
    """
    summary = run.summary
    streams = summary.streams if summary else {}
    before = summary.rejected_before if summary else {}
    return Detail(
        run=run,
        streams=streams,
        rejects=_rejects(streams, kept, before, _causes(summary, kept)),
        rejected_before=sum(before.values()),
        requests=_requests(summary) if summary else (),
        protected=_protected(summary.protected) if summary else (),
        deleted=_most_first(summary.deleted) if summary else (),
        removed=_most_first(summary.removed) if summary else (),
        returned=_most_first(summary.returned) if summary else (),
        following=_following(summary) if summary else (),
        waiting=waiting,
        identity=identity_sentences(msgspec.to_builtins(summary.identity)) if summary else (),
        duplicates=summary.duplicates if summary else Duplicates(),
        leads=tuple(_leads_outcome(funnel, len(funnels), streams) for funnel in funnels),
        left_out=left_out_sentences(summary.left_out) if summary else (),
        not_placed=tuple((of, names) for of, names in summary.unknown_fields.items() if names)
        if summary
        else (),
        not_writable=tuple(
            (kind, _most_first(fields)) for kind, fields in summary.not_writable.items() if fields
        )
        if summary
        else (),
    )


_Causes = Mapping[tuple[str, str], Sequence[tuple[Cause, int]]]


def _causes(summary: Summary | None, kept: ByReason) -> _Causes:
    """Stream and reason -> causes: by the summary, else by the rejects file.

    The summary has those of a dry run too, and of records that were replayed since; runs of
    earlier versions and killed runs have left only the file.
    """
    found = {which: records.causes.most_common() for which, records in kept.items()}
    for stream, reasons in (summary.rejected_causes if summary else {}).items():
        for reason, causes in reasons.items():
            found[stream, reason] = [
                (Cause(one.column, one.sentence, one.answer), one.number) for one in causes
            ]
    return found


def _rejects(
    streams: Mapping[str, Stream], kept: ByReason, before: Mapping[str, int], causes: _Causes
) -> list[RejectRow]:
    numbers = {
        (name, reason): count
        for name, stream in streams.items()
        for reason, count in stream.rejected_because.items()
        if count
    }
    # A killed run has no summary, but its rejects are in the file.
    for which, records in kept.items():
        numbers.setdefault(which, records.number)
    rows = [
        RejectRow(
            stream,
            reason,
            count,
            kept.get((stream, reason)) or RejectedKeys(),
            has_earlier=bool(before.get(stream)),
            causes=causes.get((stream, reason), ()),
        )
        for (stream, reason), count in numbers.items()
    ]
    return sorted(rows, key=lambda row: (-row.number, row.stream, row.reason))


def _requests(summary: Summary) -> list[RequestRow]:
    sent, quota = summary.api.requests, summary.api.quota
    estimated = summary.estimate.requests if summary.estimate else {}
    rows = [
        RequestRow(
            endpoint,
            sent.get(endpoint, 0),
            estimated.get(endpoint),
            quota.get(endpoint),
        )
        for endpoint in dict.fromkeys((*sent, *estimated, *quota))
    ]
    return sorted(rows, key=lambda row: (-row.sent, row.endpoint))


def _protected(protected: Mapping[str, Mapping[str, int]]) -> list[ProtectedRow]:
    rows = [ProtectedRow(kind, _most_first(fields)) for kind, fields in protected.items()]
    return [row for row in rows if row.number]


def _most_first(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(
        ((name, count) for name, count in counts.items() if count),
        key=lambda entry: (-entry[1], entry[0]),
    )


def _leads_outcome(funnel: Funnel, of_run: int, streams: Mapping[str, Stream]) -> LeadsOutcome:
    stream = receiving_stream(funnel, of_run, streams)
    return LeadsOutcome(funnel, stream, None if stream is None else streams[stream])


def _following(summary: Summary) -> list[str]:
    """Sentences on fields that need a request for each record and are sent after their rows."""
    since = f", from {moment(summary.follow_from)} UTC" if summary.follow_from else ""
    ends = (
        (summary.to_follow, f"to follow in later runs{since}"),
        (summary.followed, "sent that had waited"),
        (summary.not_followed, "that had waited could not be written"),
    )
    return [
        f"{name_shown(stream)}: {plural(count, 'field')} {end}."
        for counts, end in ends
        for stream, count in counts.items()
        if count
    ]


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
