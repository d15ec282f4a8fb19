"""The report as lines for a terminal: columns, wrapped text and colour.

Pure, but for a look at the output: its width, and whether it takes colour.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from target_apollo.reporting.detail import Detail, LeadsOutcome, RejectRow, RequestRow
from target_apollo.reporting.past_runs import OPEN, OUTCOMES, RECEIVED, PastRun
from target_apollo.reporting.summaries import Stream, Window
from target_apollo.reporting.words import (
    Tone,
    amount,
    duplicate_words,
    end_of,
    estimate_in_words,
    not_kept,
    remedy_words,
    run_in_words,
    waiting_words,
)
from target_apollo.sync.words import duration, listed, moment, number, plural
from target_apollo.system.shown import name_shown, printable

_GAP = 2

_CODES = {Tone.GOOD: "32", Tone.WARN: "33", Tone.BAD: "31"}
#: Width in characters if the output is not a terminal.
UNBOUNDED = 1000


def line_width(output: TextIO) -> int:
    """Characters of a line of the output; `UNBOUNDED` if it is no terminal."""
    return shutil.get_terminal_size().columns if output.isatty() else UNBOUNDED


@dataclass(frozen=True)
class Paint:
    """Adds colour to a text, if `on`."""

    on: bool = False

    @classmethod
    def for_output(cls, stream: TextIO, environment: Mapping[str, str]) -> Paint:
        """Colour for a terminal whose user has not refused it (https://no-color.org)."""
        wanted = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        return cls(wanted and stream.isatty())

    def tone(self, text: str, tone: Tone | None) -> str:
        """A text in the colour of its tone."""
        return self._code(text, _CODES[tone]) if tone else text

    def strong(self, text: str) -> str:
        """A heading."""
        return self._code(text, "1")

    def soft(self, text: str) -> str:
        """A dimmed text."""
        return self._code(text, "2")

    def _code(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


@dataclass(frozen=True)
class Cell:
    """A text with its tone; colour does not count to its width."""

    text: str
    tone: Tone | None = None


@dataclass(frozen=True)
class Column:
    """A heading, and whether the cells are aligned right."""

    head: str
    right: bool = False


def width_of(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> int:
    """Characters that a table takes."""
    return sum(_widths(columns, rows)) + _GAP * (len(columns) - 1)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paint: Paint) -> list[str]:
    """A table's lines, headings first."""
    widths = _widths(columns, rows)

    def line(cells: Sequence[str], bare: Sequence[str]) -> str:
        parts = []
        for column, width, cell, text in zip(columns, widths, cells, bare, strict=True):
            blanks = " " * (width - len(text))
            parts.append(blanks + cell if column.right else cell + blanks)
        return (" " * _GAP).join(parts).rstrip()

    heads = [column.head for column in columns]
    return [
        line([paint.soft(head) for head in heads], heads),
        *(
            line([paint.tone(cell.text, cell.tone) for cell in row], [cell.text for cell in row])
            for row in rows
        ),
    ]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A text in lines of at most a width; words that are too long are broken."""
    return textwrap.wrap(
        text,
        max(width, len(indent) + 20),
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def counted(counts: Iterable[tuple[str, int]]) -> str:
    """Names with their numbers, as in ``title 12, phone 3``."""
    return ", ".join(f"{name_shown(name)} {number(count)}" for name, count in counts)


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [
        max(len(column.head), *(len(row[at].text) for row in rows), 0)
        for at, column in enumerate(columns)
    ]


_KEYS, _CAUSES = 10, 5

_GROUPS = 10

_COUNTS = (RECEIVED, *OUTCOMES, OPEN)
#: Headings of the requests left in each of Apollo's windows.
_WINDOWS = {"minute": "left/min", "hour": "left/h", "day": "left/day"}

_HEADS = {OPEN: "left"}


def run_lines(runs: Sequence[PastRun], width: int, paint: Paint) -> list[str]:
    """The runs as a table; if too wide, without columns of zeros; else a few lines a run."""
    counts = [name for name in _COUNTS if name != OPEN or any(run.count(OPEN) for run in runs)]
    met = [name for name in counts if any(run.count(name) for run in runs)]
    for shown in (counts, met):
        columns, rows = _run_table(runs, shown)
        if width_of(columns, rows) <= width:
            return table(columns, rows, paint)
    return [line for run in runs for line in _run_block(run, width, paint)]


def detail_lines(detail: Detail, rejects_path: str, width: int, paint: Paint) -> list[str]:
    """One run in detail."""
    run = detail.run
    end = end_of(run)
    began = f"{moment(run.started_at)} UTC"
    lines = [paint.strong(f"Run {name_shown(run.run_id)}, {began}: ") + paint.tone(*_end(run))]
    lines += wrapped(run_in_words(run), width)
    if run.because:
        lines += [paint.tone(line, end.tone) for line in wrapped(printable(run.because), width)]
    facts = [f"Team {name_shown(run.team)}"] if run.team else []
    facts += [f"mode {name_shown(run.mode)}"] if run.mode else []
    if run.summary is None:
        facts.append("there is no summary of it, so only the ledger's counts are known")
    elif not run.in_ledger:
        facts.append("the ledger does not know it")
    if facts:
        lines += [paint.soft(line) for line in wrapped(f"{', '.join(facts)}.", width)]
    for heading, body in _sections(detail, rejects_path, width, paint):
        lines += ["", paint.strong(heading), *(f"  {line}".rstrip() for line in body)]
    return lines


def _run_table(
    runs: Sequence[PastRun], counts: Sequence[str]
) -> tuple[list[Column], list[list[Cell]]]:
    columns = [Column("begun (UTC)"), Column("run"), Column("end"), Column("took", right=True)]
    columns += [Column(_HEADS.get(name, name), right=True) for name in counts]
    columns.append(Column("requests", right=True))
    rows = [
        [
            Cell(moment(run.started_at)),
            Cell(name_shown(run.run_id)),
            Cell(*_end(run)),
            Cell(duration(run.seconds)),
            *(Cell(amount(run, name), _tone_of(name, run.count(name))) for name in counts),
            Cell(number(run.requests)),
        ]
        for run in runs
    ]
    return columns, rows


def _run_block(run: PastRun, width: int, paint: Paint) -> list[str]:
    head = f"{moment(run.started_at)}  {name_shown(run.run_id)}  "
    counts = [f"{_HEADS.get(name, name)} {number(n)}" for name in _COUNTS if (n := run.count(name))]
    if run.requests is not None:
        counts.append(plural(run.requests, "request"))
    said = ", ".join([duration(run.seconds), *counts] if run.ended_at else counts)
    body = wrapped(f"  {said}", width, "  ") if said else []
    return [head + paint.tone(*_end(run)), *body]


def _sections(
    detail: Detail, rejects_path: str, width: int, paint: Paint
) -> Iterator[tuple[str, list[str]]]:
    inner = width - 2
    if detail.streams:
        yield "Streams", _streams(detail.streams, inner, paint)
    for one in detail.leads:
        yield f"Leads of {name_shown(one.funnel.stream)}", _leads(one, paint)
    if detail.rejects:
        number_rejected = sum(row.number for row in detail.rejects)
        before = detail.rejected_before
        again = f", {number(before)} of them as before" if before else ""
        heading = f"{plural(number_rejected, 'rejected record')}{again}, kept in {rejects_path}"
        yield heading, _rejects(detail, inner, paint)
    if detail.requests:
        yield "Requests, and what Apollo's limits leave", _requests(detail, paint)
    if detail.left_out:
        yield "Left out", [line for one in detail.left_out for line in wrapped(one, inner)]
    if detail.identity:
        yield "Identity changes", [line for one in detail.identity for line in wrapped(one, inner)]
    for protected in detail.protected:
        of = name_shown(protected.kind)
        heading = f"Protected {plural(protected.number, 'value')} of {of}"
        yield heading, wrapped(counted(protected.fields), inner)
    for stream, names in (detail.summary.unresolved if detail.summary else {}).items():
        heading = f"Unknown to Apollo in rows of {name_shown(stream)}"
        yield heading, wrapped(counted(names.items()), inner)
    if detail.deleted:
        yield "Deleted at the source, moved in Apollo", wrapped(counted(detail.deleted), inner)
    if detail.removed:
        yield "Members taken off lists", wrapped(counted(detail.removed), inner)
    if detail.returned:
        yield "Back at the source, given back in Apollo", wrapped(counted(detail.returned), inner)
    if detail.following:
        lines = [line for one in detail.following for line in wrapped(one, inner)]
        yield "Fields with a request for each record", lines
    if detail.waiting:
        said = map(waiting_words, detail.waiting)
        yield "On its way at present", [line for one in said for line in wrapped(one, inner)]
    if detail.duplicates.found:
        yield (
            plural(detail.duplicates.found, "group of duplicates", "groups of duplicates"),
            [*_duplicates(detail, inner)],
        )
    if not_written := _fields_not_written(detail, inner):
        yield "Fields that were not written", not_written
    if detail.summary and detail.summary.diffs:
        many = plural(len(detail.summary.diffs), "difference")
        yield f"{many} to Apollo's values", ["--html FILE shows them."]


def _streams(streams: Mapping[str, Stream], width: int, paint: Paint) -> list[str]:
    met = [name for name in OUTCOMES if any(getattr(of, name) for of in streams.values())]
    columns, rows = _stream_table(streams, OUTCOMES)
    if width_of(columns, rows) > width:
        columns, rows = _stream_table(streams, met)
    return table(columns, rows, paint)


def _stream_table(
    streams: Mapping[str, Stream], outcomes: Sequence[str]
) -> tuple[list[Column], list[list[Cell]]]:
    columns = [Column("stream"), *(Column(name, right=True) for name in outcomes)]
    rows = []
    for name, stream in streams.items():
        counts = [(outcome, getattr(stream, outcome)) for outcome in outcomes]
        cells = [Cell(number(count), _tone_of(outcome, count)) for outcome, count in counts]
        rows.append([Cell(name_shown(name)), *cells])
    return columns, rows


def _leads(one: LeadsOutcome, paint: Paint) -> list[str]:
    funnel = one.funnel
    columns = [Column(""), *(Column(head, right=True) for head in ("remain", "dropped", "held"))]
    rows = [[Cell("read"), Cell(number(funnel.read)), Cell(""), Cell("")]]
    rows += [
        [
            Cell(f"rule {name_shown(step.rule)}"),
            Cell(number(step.remaining)),
            Cell(number(step.dropped) if step.dropped else ""),
            Cell(number(step.held) if step.held else ""),
        ]
        for step in funnel.steps
    ]
    lines = [*table(columns, rows, paint), *(f"{said}." for said in funnel.remarks)]
    if one.outcomes is None:
        return [*lines, "What became of them in Apollo can't be told from the summary."]
    counts = ", ".join(
        f"{outcome} {number(count)}"
        for outcome in OUTCOMES
        if (count := getattr(one.outcomes, outcome))
    )
    return [*lines, f"In Apollo, stream {name_shown(one.stream or '')}: {counts or 'nothing yet'}"]


def _rejects(detail: Detail, width: int, paint: Paint) -> list[str]:
    lines: list[str] = []
    digits = max(len(number(row.number)) for row in detail.rejects)
    for row in detail.rejects:
        head = f"{number(row.number):>{digits}}  "
        what = f"{name_shown(row.reason)}  {name_shown(row.stream)}"
        lines.append(paint.tone(head, Tone.BAD) + what)
        blank = " " * len(head)
        for said in _causes(row):
            lines += wrapped(blank + said, width, blank + "  ")
        keys = f"keys {listed(row.kept.keys, _KEYS, row.kept.number)}" if row.kept.keys else ""
        keys = "; ".join(part for part in (keys, not_kept(row)) if part)
        lines += [paint.soft(line) for line in wrapped(blank + keys, width, blank)]
        lines += wrapped(f"{blank}to do: {remedy_words(row.reason)}", width, blank)
    return lines


def _causes(row: RejectRow) -> Iterator[str]:
    told = row.causes[:_CAUSES]
    for cause, count in told:
        column = f"{cause.column}: " if cause.column else ""
        answer = f" ({cause.answer})" if cause.answer else ""
        yield f"{number(count)} × {column}{cause.sentence or 'no cause is noted'}{answer}"
    others = row.number - sum(count for _, count in told)
    if told and others > 0:
        yield f"{number(others)} × other causes"


def _requests(detail: Detail, paint: Paint) -> list[str]:
    rows = detail.requests
    estimated = any(row.estimated is not None for row in rows)
    told = [name for name in _WINDOWS if any(_left(row, name) is not None for row in rows)]
    columns = [Column("endpoint"), Column("sent", right=True)]
    columns += [Column("estimate", right=True)] if estimated else []
    columns += [Column(_WINDOWS[name], right=True) for name in told]
    cells = []
    for row in rows:
        line = [Cell(name_shown(row.endpoint)), Cell(number(row.sent))]
        line += [Cell(number(row.estimated))] if estimated else []
        cells.append(line + [Cell(number(_left(row, name))) for name in told])
    lines = table(columns, cells, paint)
    if detail.summary is None:
        return lines
    api = detail.summary.api
    if api.retries or api.rate_limited or api.seconds_waited:
        lines.append(
            f"{plural(api.retries, 'retry', 'retries')}, {number(api.rate_limited)} refused for "
            f"the rate limit, {duration(api.seconds_waited)} waited"
        )
    outlook = estimate_in_words(detail.summary)
    return [*lines, outlook] if outlook else lines


def _left(row: RequestRow, window: str) -> int | None:
    if row.windows is None:
        return None
    found: Window = getattr(row.windows, window)
    return found.left


def _duplicates(detail: Detail, width: int) -> Iterator[str]:
    groups = detail.duplicates.listed
    for group in groups[:_GROUPS]:
        said = f"{name_shown(group.stream)} {listed(group.keys, _KEYS)}"
        yield from wrapped(f"{duplicate_words(group.kind)}: {said}", width, "  ")
    rest = detail.duplicates.found - len(groups[:_GROUPS])
    if rest > 0:
        yield f"and {plural(rest, 'further group')}"


def _fields_not_written(detail: Detail, width: int) -> list[str]:
    said = [
        f"{name_shown(of)} has no place for {listed(list(names), 30)}"
        for of, names in detail.not_placed
    ]
    said += [
        f"{name_shown(kind)} that exist can't be given "
        + ", ".join(f"{name_shown(name)} ({number(count)})" for name, count in fields)
        for kind, fields in detail.not_writable
    ]
    return [line for sentence in said for line in wrapped(sentence, width, "  ")]


def _end(run: PastRun) -> tuple[str, Tone]:
    end = end_of(run)
    return end.words + (" (dry: nothing written)" if run.dry else ""), end.tone


def _tone_of(name: str, count: int | None) -> Tone | None:
    if not count:
        return None
    return {"rejected": Tone.BAD, OPEN: Tone.WARN}.get(name)
