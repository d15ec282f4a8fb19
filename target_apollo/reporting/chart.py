"""The charts of the HTML report as numbers: outcomes of the last runs, and steps into Apollo. Pure.

`page.html.j2` draws them: a stacked bar for each run, and a bar for each step that leads or rows
pass on their way into Apollo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timezone
from math import floor, log10

from target_apollo.reporting.detail import Detail, LeadsOutcome
from target_apollo.reporting.funnel import Step as RuleStep
from target_apollo.reporting.past_runs import OPEN, RECEIVED, SPLIT, PastRun
from target_apollo.reporting.summaries import Stream
from target_apollo.reporting.words import amount, end_of, rule_words
from target_apollo.sync.words import compact, moment, number, plural
from target_apollo.system.shown import name_shown

#: Parts of a run's bar from bottom to top: CSS class, words, name of the count.
LAYERS = (
    ("created", "created", "created"),
    ("updated", "updated", "updated"),
    ("unchanged", "unchanged", "unchanged"),
    ("existing", "existing", "existing"),
    ("skipped", "skipped", "skipped"),
    ("open", "left for the next run", OPEN),
    ("rejected", "rejected", "rejected"),
)
#: The smallest part of a bar that can be seen, in percent.
LEAST = 1.5

_FEWEST_SLOTS = 8
_MOST_LABELS = 12
_SLOT, _BAR = 10.0, 6.6
_IN_APOLLO = ("created", "updated", "unchanged", "existing")

#: A part of a bar: CSS class and count.
Part = tuple[str, int]


@dataclass(frozen=True)
class BarPart:
    """A part of a horizontal bar; `x` and `width` in percent of the bar."""

    name: str
    x: str
    width: str


def bar_parts(parts: Sequence[Part], whole: int) -> list[BarPart]:
    """The parts of a bar from left to right; the count `whole` fills it."""
    found: list[BarPart] = []
    place = 0.0
    for (name, _), share in zip(parts, shares([count for _, count in parts], whole), strict=True):
        if share:
            found.append(BarPart(name, f"{place:.2f}", f"{share:.2f}"))
            place += share
    return found


def shares(counts: Sequence[int], whole: int) -> list[float]:
    """Counts in percent of a whole; each that is not 0 is at least `LEAST`, the sum at most 100.

    >>> shares([50, 0, 1], 1000)
    [5.0, 0.0, 1.5]
    """
    if whole <= 0:
        return [0.0 for _ in counts]
    found = [max(LEAST, 100 * count / whole) if count > 0 else 0.0 for count in counts]
    total = sum(found)
    return [share * 100 / total for share in found] if total > 100 else found


# --- outcomes over time


@dataclass(frozen=True)
class Rect:
    """A part of a run's bar, in units of the chart; `title` is its tooltip."""

    name: str
    x: str
    width: str
    y: str
    height: str
    title: str


@dataclass(frozen=True)
class Label:
    """The text below a bar: day and time of the run, or nothing."""

    day: str = ""
    time: str = ""
    class_: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart of the last runs.

    Attributes:
        scale: Numbers of the axis, from top to bottom.
        wide: Its width in units.
        words: Its content in words, for screen readers.
        legend: CSS class, words and total of each outcome that occurs.
    """

    scale: Sequence[str]
    wide: str
    rects: Sequence[Rect]
    labels: Sequence[Label]
    title: str
    words: str
    legend: Sequence[tuple[str, str, int]]


def outcomes_over_time(runs: Sequence[PastRun], chosen: PastRun) -> Chart | None:
    """The chart of the last runs; None if all of them are dry runs.

    Args:
        runs: The newest first; the chart goes from the oldest to the newest.
        chosen: The run that the page is about; its label is marked.
    """
    # A dry run wrote nothing: it is in the table, but has no bar.
    wrote = [run for run in runs if not run.dry]
    if not wrote:
        return None
    oldest_first = list(reversed(wrote))
    top = _round_top(max(_height(run) for run in wrote))
    slots = max(len(wrote), _FEWEST_SLOTS)
    totals = [
        (name, words, sum(run.count(count) or 0 for run in wrote)) for name, words, count in LAYERS
    ]
    return Chart(
        scale=[compact(value) for value in (top, top // 2, 0)],
        wide=f"{slots * _SLOT:g}",
        rects=[rect for at, run in enumerate(oldest_first) for rect in _column(run, at, top)],
        labels=[_label(oldest_first, at, chosen) for at in range(slots)],
        title=f"Outcomes of the last {plural(len(wrote), 'run')}",
        words=_in_words(oldest_first),
        legend=[total for total in totals if total[2]],
    )


def _column(run: PastRun, at: int, top: int) -> list[Rect]:
    x, width = f"{at * _SLOT + (_SLOT - _BAR) / 2:.2f}", f"{_BAR:.2f}"
    when = moment(run.started_at)
    if not run.counts:
        title = f"{when}: {end_of(run).words}, counts not known"
        return [Rect("unknown", x, width, "88", "12", title)]
    counts = [max(0, run.count(count) or 0) for _, _, count in LAYERS]
    rects: list[Rect] = []
    bottom = 100.0
    for (name, words, _), count, share in zip(LAYERS, counts, shares(counts, top), strict=True):
        if share:
            bottom -= share
            title = f"{when}: {number(count)} {words}"
            rects.append(Rect(name, x, width, f"{bottom:.2f}", f"{share:.2f}", title))
    return rects


def _label(runs: Sequence[PastRun], at: int, chosen: PastRun) -> Label:
    if at >= len(runs):
        return Label()
    run = runs[at]
    names = ["now"] if run.run_id == chosen.run_id else []
    names += ["end"] if at == len(runs) - 1 and at > 0 else []
    if len(runs) > _MOST_LABELS and at not in (0, len(runs) - 1):
        return Label(class_=" ".join(names))
    utc = run.started_at.astimezone(timezone.utc)
    return Label(f"{utc.day} {utc:%b}", f"{utc:%H:%M}", " ".join(names))


def _in_words(runs: Sequence[PastRun]) -> str:
    if not runs:
        return "There is none."
    newest = runs[-1]
    return (
        f"One bar a run, from {moment(runs[0].started_at)} to {moment(newest.started_at)} UTC. "
        f"The newest read {amount(newest, RECEIVED)} rows: {amount(newest, 'created')} created, "
        f"{amount(newest, 'updated')} updated, {amount(newest, 'rejected')} rejected. "
        "The table below has the numbers of each."
    )


def _height(run: PastRun) -> int:
    return sum(max(0, run.count(count) or 0) for _, _, count in LAYERS)


def _round_top(highest: int) -> int:
    """The highest number of the axis: round, even and at least 2."""
    if highest <= 2:
        return 2
    unit = int(10 ** floor(log10(highest)))
    for factor in (1, 2, 3, 4, 5, 6, 8, 10):
        top = factor * unit
        if top >= highest and top % 2 == 0:
            return top
    return 10 * unit


# --- the way into Apollo


@dataclass(frozen=True)
class Step:
    """A step into Apollo: how many leads or rows remain, and why the others do not.

    Attributes:
        parts: Parts of its bar, which `whole` fills.
        rule: The rule that the others did not meet; empty for other steps.
        is_end: Whether it counts the records in Apollo.
    """

    name: str
    count: int
    whole: int
    parts: Sequence[Part]
    note: str = ""
    rule: str = ""
    is_last: bool = False
    is_end: bool = False

    @property
    def legend(self) -> list[tuple[str, str, int]]:
        """CSS class, words and count of each part of the bar."""
        return [(name, name, count) for name, count in self.parts]


@dataclass(frozen=True)
class StreamSteps:
    """The steps of one stream; `stream` is empty if there is only one."""

    stream: str
    steps: Sequence[Step]


@dataclass(frozen=True)
class StepsSection:
    """The steps into Apollo, with the heading of their section and a sentence below it."""

    heading: str
    hint: str
    streams: Sequence[StreamSteps]


def steps_into_apollo(detail: Detail) -> StepsSection | None:
    """The steps of each stream of leads or, without verdicts, of all rows of the run."""
    if detail.leads:
        leads = sum(one.funnel.read for one in detail.leads)
        several = len(detail.leads) > 1
        return StepsSection(
            f"From {plural(leads, 'lead')} to Apollo",
            "Each lead that was read, by the first rule that it did not meet. A held lead only "
            "waits: the next run looks at it again.",
            [
                StreamSteps(one.funnel.stream if several else "", _leads(one))
                for one in detail.leads
            ],
        )
    if detail.run.counts.get(RECEIVED):
        return StepsSection(
            "From rows to Apollo",
            "Every row that was read, and where it ended.",
            [StreamSteps("", list(_rows(detail.run)))],
        )
    return None


def _leads(one: LeadsOutcome) -> list[Step]:
    funnel = one.funnel
    steps = [_step("Leads read", funnel.read, funnel.read, "; ".join(funnel.remarks))]
    steps += [
        _step(rule_words(step.rule), step.remaining, funnel.read, _fell(step), step.rule)
        for step in funnel.steps
    ]
    if one.outcomes is None:
        note = "What became of them in Apollo can't be told from the summary."
        sent = [("mark", funnel.passed)]
        last = Step("Sent to Apollo", funnel.passed, funnel.read, sent, note, is_last=True)
        return [*steps, last]
    return [*steps, _arrived(one.outcomes, funnel.read, one.stream or "")]


def _fell(step: RuleStep) -> str:
    parts = [f"{number(step.dropped)} did not meet it"] if step.dropped else []
    parts += [f"{number(step.held)} held for a later run"] if step.held else []
    return ", ".join(parts)


def _arrived(outcomes: Stream, whole: int, stream: str) -> Step:
    parts = [(name, getattr(outcomes, name)) for name in _IN_APOLLO]
    others = [
        f"{number(count)} {words}"
        for words, count in (("rejected", outcomes.rejected), ("skipped", outcomes.skipped))
        if count
    ]
    note = f"Stream {name_shown(stream)}" + (f"; {', '.join(others)}" if others else "")
    return _end("In Apollo", parts, whole, note)


def _rows(run: PastRun) -> Iterator[Step]:
    split = run.count(SPLIT) or 0
    whole = remaining = (run.count(RECEIVED) or 0) + split
    note = f"{number(split)} more than were read: stream maps split them" if split else ""
    yield _step("Rows read", whole, whole, note)
    for name, words, note in (
        ("skipped", "Not left out", "left out by a stream map, or replaced by a later row"),
        ("rejected", "Could be written", "rejected"),
        (OPEN, "Got their turn", "left for the next run"),
    ):
        if fell := run.count(name) or 0:
            remaining -= fell
            yield _step(words, max(0, remaining), whole, f"{number(fell)} {note}")
    parts = [(name, run.count(name) or 0) for name in _IN_APOLLO]
    yield _end("To be in Apollo" if run.dry else "In Apollo", parts, whole, "")


def _step(name: str, count: int, whole: int, note: str = "", rule: str = "") -> Step:
    return Step(name, count, whole, [("mark", count)], note, rule)


def _end(name: str, parts: Sequence[Part], whole: int, note: str) -> Step:
    met = [part for part in parts if part[1]]
    total = sum(count for _, count in met)
    return Step(name, total, whole, met, note, is_last=True, is_end=True)
