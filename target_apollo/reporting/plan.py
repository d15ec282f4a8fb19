"""The plan of a dry run as lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from target_apollo.apollo.forecast import WINDOWS
from target_apollo.model.outcomes import Outcome
from target_apollo.reporting.terminal import Cell, Column, Paint, counted, table, wrapped
from target_apollo.reporting.words import Tone, duplicate_words, reason_words
from target_apollo.sync.dry_run.plan_sentences import (
    deletion_sentences,
    identity_sentences,
    time_sentences,
    unknown_sentences,
)
from target_apollo.sync.end_notices import left_out_sentences
from target_apollo.sync.sequences.enrolment_counts import enrolment_sentences
from target_apollo.sync.words import UNKNOWN, listed, number, plural
from target_apollo.system.shown import name_shown, printable

_KEYS, _GROUPS = 10, 10
_LONGEST_VALUE = 40
_TONES = {
    Outcome.CREATED: Tone.GOOD,
    Outcome.UPDATED: Tone.GOOD,
    Outcome.REJECTED: Tone.BAD,
}


def plan_lines(summary: Mapping[str, Any], width: int, paint: Paint) -> list[str]:
    """The whole plan for a terminal; it shows sampled values of records."""
    team = f" for Apollo team {name_shown(str(summary['team']))}" if summary.get("team") else ""
    lines = [paint.strong(f"Plan{team}: nothing was written.")]
    if summary["ended_because"]:
        lines += [paint.tone(line, Tone.BAD) for line in wrapped(summary["ended_because"], width)]
    for heading, body in _sections(summary, width, paint):
        if body:
            lines += ["", paint.strong(heading), *(f"  {line}".rstrip() for line in body)]
    return lines


def _sections(
    summary: Mapping[str, Any], width: int, paint: Paint
) -> Iterator[tuple[str, Sequence[str]]]:
    room = max(width - 2, 20)
    estimate = summary["estimate"]
    yield "Records", _outcomes(summary, paint)
    yield (
        "Requests",
        [
            *_requests(estimate, paint),
            *_paragraphs([*time_sentences(estimate), *unknown_sentences(estimate)], room),
        ],
    )
    yield "Rejected", _rejected(summary, room)
    yield "Identity changes", _paragraphs(identity_sentences(summary.get("identity", {})), room)
    enrolments = summary.get("enrolments") or {}
    yield "Sequences, which send e-mail", _paragraphs(enrolment_sentences(enrolments), room)
    yield "Deleted rows", _paragraphs(deletion_sentences(summary), room)
    yield "Left out", _paragraphs(left_out_sentences(summary.get("left_out", {})), room)
    yield "Duplicates", _duplicates(summary, room)
    yield "Protected by field_policy", _protected(summary, room)
    yield "Written without what Apollo does not know", _unresolved(summary, room)
    yield "Changes", _diffs(summary, paint)


def _outcomes(summary: Mapping[str, Any], paint: Paint) -> list[str]:
    met = [outcome for outcome in Outcome if summary["records"][outcome.value]]
    if not met:
        return ["There is nothing to do."]
    columns = [Column("stream"), *(Column(outcome.value, right=True) for outcome in met)]
    streams = dict(summary["streams"])
    if len(streams) > 1:
        streams["together"] = summary["records"]
    rows = [
        [
            Cell(name_shown(stream)),
            *(
                Cell(number(counts[one.value]), _TONES.get(one) if counts[one.value] else None)
                for one in met
            ),
        ]
        for stream, counts in streams.items()
    ]
    return table(columns, rows, paint)


def _requests(estimate: Mapping[str, Any], paint: Paint) -> list[str]:
    if not estimate["endpoints"]:
        return []
    columns = [Column("endpoint"), Column("requests", right=True)]
    columns += [Column(f"left this {name}", right=True) for name in WINDOWS]
    rows = [
        [
            Cell(endpoint),
            Cell(number(one["requests"])),
            *(_left(one.get(name)) for name in WINDOWS),
        ]
        for endpoint, one in estimate["endpoints"].items()
    ]
    return table(columns, rows, paint)


def _left(window: Mapping[str, Any] | None) -> Cell:
    if window is None or window["left"] is None:
        return Cell(UNKNOWN)
    return Cell(number(window["left"]), None if window["fits"] else Tone.WARN)


def _rejected(summary: Mapping[str, Any], width: int) -> list[str]:
    return [
        line
        for stream, counts in summary["streams"].items()
        for reason, count in counts["rejected_because"].items()
        for line in wrapped(
            f"{number(count)} of {name_shown(stream)}: {reason_words(reason)} ({reason})", width
        )
    ]


def _duplicates(summary: Mapping[str, Any], width: int) -> list[str]:
    found = summary["duplicates"]
    groups = found["listed"][:_GROUPS]
    lines = []
    for group in groups:
        accounts = group.get("apollo_ids")
        tail = f" (accounts {listed(accounts, _KEYS)})" if accounts else ""
        words = duplicate_words(group.get("kind", ""))
        text = f"{words}, {group['stream']}: {listed(group['keys'], _KEYS)}{tail}"
        lines += wrapped(printable(text), width)
    if found["found"] > len(groups):
        lines.append(f"and {number(found['found'] - len(groups))} more, in the summary")
    return lines


def _protected(summary: Mapping[str, Any], width: int) -> list[str]:
    return [
        line
        for kind, values in summary.get("protected", {}).items()
        if values
        for line in wrapped(
            f"{plural(sum(values.values()), 'value')} of {kind}: {counted(values.items())}", width
        )
    ]


def _unresolved(summary: Mapping[str, Any], width: int) -> list[str]:
    return [
        line
        for stream, names in summary.get("unresolved", {}).items()
        for line in wrapped(f"{name_shown(stream)}: {counted(names.items())}", width)
    ]


def _diffs(summary: Mapping[str, Any], paint: Paint) -> list[str]:
    diffs = summary.get("diffs") or []
    if not diffs:
        return []
    columns = [Column("stream"), Column("key"), Column("field"), Column("Apollo"), Column("new")]
    rows = [
        [
            Cell(name_shown(diff["stream"])),
            Cell(_shown(diff["key"])),
            Cell(name_shown(diff["field"])),
            Cell(_shown(diff["apollo"]), Tone.BAD),
            Cell(_shown(diff["new"]), Tone.GOOD),
        ]
        for diff in diffs
    ]
    return table(columns, rows, paint)


def _shown(value: object) -> str:
    if value is None:
        return UNKNOWN
    text = printable(str(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _paragraphs(texts: Sequence[str], width: int) -> list[str]:
    return [line for text in texts for line in wrapped(text, width)]
