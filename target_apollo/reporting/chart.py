"""The outcomes of the last runs: a picture of stacked bars, and its numbers as a table. Pure.

The way into Apollo as steps with bars: leads over the rules, or rows over the checks. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from math import floor, log10
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.detail import Detail, LeadsPath
from target_apollo.reporting.funnel import Step
from target_apollo.reporting.html import Child, Field, bar, card_table, legend, shares, tag
from target_apollo.reporting.past_runs import OPEN, OUTCOMES, RECEIVED, PastRun
from target_apollo.reporting.summaries import Stream
from target_apollo.reporting.words import amount, end_of, rule_words
from target_apollo.sync.words import compact, duration, moment, number, plural, printable

#: From the bottom of a bar to its top: class in the style sheet, words, name of the count.
LAYERS = (
    ("created", "created", "created"),
    ("updated", "updated", "updated"),
    ("unchanged", "unchanged", "unchanged"),
    ("existing", "existing", "existing"),
    ("skipped", "skipped", "skipped"),
    ("open", "left for the next run", OPEN),
    ("rejected", "rejected", "rejected"),
)

_FEWEST_SLOTS = 8

_MOST_LABELS = 12

_SLOT, _BAR = 10.0, 6.6


def outcomes_over_time(runs: Sequence[PastRun], chosen: PastRun) -> list[Element]:
    """The picture and the table.

    Args:
        runs: The newest first, as everywhere; the picture goes from the oldest to the newest.
        chosen: The run that the page is about, which both mark.
    """
    # A dry run wrote nothing: it is in the table, and no bar may say otherwise.
    wrote = [run for run in runs if not run.dry]
    if not wrote:
        return [_table(runs, chosen)]
    oldest_first = list(reversed(wrote))
    top = _round_top(max(_height(run) for run in wrote))
    slots = max(len(wrote), _FEWEST_SLOTS)
    totals = [
        (name, words, sum(run.count(count) or 0 for run in wrote)) for name, words, count in LAYERS
    ]
    figure = tag(
        "figure",
        tag(
            "div",
            _scale(top),
            _picture(oldest_first, top, slots),
            _labels(oldest_first, chosen, slots),
            class_="plot",
        ),
        tag("figcaption", legend([total for total in totals if total[2]])),
    )
    return [figure, _table(runs, chosen)]


def _picture(runs: Sequence[PastRun], top: int, slots: int) -> Element:
    wide = slots * _SLOT
    bars = [part for at, run in enumerate(runs) for part in _column(run, at, top)]
    return tag(
        "svg",
        tag("title", f"Outcomes of the last {plural(len(runs), 'run')}", id="chart-title"),
        tag("desc", _in_words(runs), id="chart-words"),
        [
            tag("line", class_="grid", x1=0, x2=wide, y1=height, y2=height)
            for height in (0, 50, 100)
        ],
        bars,
        viewBox=f"0 0 {wide:g} 100",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby="chart-title chart-words",
    )


def _column(run: PastRun, at: int, top: int) -> list[Element]:
    left = at * _SLOT + (_SLOT - _BAR) / 2
    place = {"x": f"{left:.2f}", "width": f"{_BAR:.2f}"}
    when = moment(run.started_at)
    if not run.counts:
        told = tag("title", f"{when}: {end_of(run).words}, counts not known")
        return [tag("rect", told, class_="unknown", y=88, height=12, **place)]
    counts = [max(0, run.count(count) or 0) for _, _, count in LAYERS]
    drawn: list[Element] = []
    floor_ = 100.0
    for (name, words, _), count, share in zip(LAYERS, counts, shares(counts, top), strict=True):
        if share:
            floor_ -= share
            told = tag("title", f"{when}: {number(count)} {words}")
            size = {"y": f"{floor_:.2f}", "height": f"{share:.2f}"}
            drawn.append(tag("rect", told, class_=name, **place, **size))
    return drawn


def _scale(top: int) -> Element:
    return tag(
        "div",
        [tag("span", compact(value)) for value in (top, top // 2, 0)],
        class_="scale",
        aria_hidden="true",
    )


def _labels(runs: Sequence[PastRun], chosen: PastRun, slots: int) -> Element:
    labels = []
    for at in range(slots):
        run = runs[at] if at < len(runs) else None
        ends = at in (0, len(runs) - 1)
        shown = run is not None and (ends or len(runs) <= _MOST_LABELS)
        names = ["now"] if run is not None and run.run_id == chosen.run_id else []
        names += ["end"] if at == len(runs) - 1 and at > 0 else []
        lines: list[Element | str] = []
        if run is not None and shown:
            at_utc = run.started_at.astimezone(timezone.utc)
            lines = [f"{at_utc.day} {at_utc:%b}", tag("br"), f"{at_utc:%H:%M}"]
        attributes = {"class_": " ".join(names)} if names else {}
        labels.append(tag("li", lines, **attributes))
    return tag("ol", labels, class_="labels", aria_hidden="true")


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


def _table(runs: Sequence[PastRun], chosen: PastRun) -> Element:
    counts = [name for name in (*OUTCOMES, OPEN) if any(run.count(name) for run in runs)]
    heads = ["begun (UTC)", "end", "took", "read"]
    heads += ["left" if name == OPEN else name for name in counts] + ["requests"]
    rows = []
    for run in runs:
        end = end_of(run)
        words = end.words + (" (dry run: nothing written)" if run.dry else "")
        fields = [
            Field(words, end.tone.value),
            _number("took", duration(run.seconds), known=run.seconds is not None),
            _number("read", amount(run, RECEIVED), known=bool(run.counts)),
        ]
        for name in counts:
            label = "left" if name == OPEN else name
            fields.append(_number(label, amount(run, name), known=bool(run.count(name))))
        known = run.requests is not None
        fields.append(_number("requests", number(run.requests), known=known))
        head = tag("span", _when(run.started_at), " ", tag("code", run.run_id), class_="run")
        rows.append((head, fields, "now-row" if run.run_id == chosen.run_id else ""))
    return card_table("The last runs, the newest first", heads, rows, numbers=(2, len(heads) - 2))


def _number(label: str, shown: str, *, known: bool) -> Field:
    return Field(shown, "n" if known else "n zero", label=label)


def _when(at: datetime) -> Element:
    return tag("time", moment(at), datetime=at.isoformat(timespec="seconds"))


def _height(run: PastRun) -> int:
    return sum(max(0, run.count(count) or 0) for _, _, count in LAYERS)


def _round_top(highest: int) -> int:
    """The end of a scale: an even number that is easily read, and at least 2."""
    if highest <= 2:
        return 2
    unit = int(10 ** floor(log10(highest)))
    for factor in (1, 2, 3, 4, 5, 6, 8, 10):
        top = factor * unit
        if top >= highest and top % 2 == 0:
            return top
    return 10 * unit


_IN_APOLLO = ("created", "updated", "unchanged", "existing")


def way_into_apollo(detail: Detail) -> list[Element]:
    """Steps for each stream of leads; without verdicts those of all rows of the run."""
    if detail.paths:
        several = len(detail.paths) > 1
        return [part for path in detail.paths for part in _leads(path, named=several)]
    if detail.run.counts.get(RECEIVED):
        return [tag("ol", _rows(detail.run), class_="steps")]
    return []


def hint_of(detail: Detail) -> str:
    """A sentence under the heading."""
    if detail.paths:
        return (
            "Each lead that was read, by the first rule that it did not meet. A held lead only "
            "waits: the next run looks at it again."
        )
    return "Every row that was read, and where it ended."


def _leads(path: LeadsPath, *, named: bool) -> Iterator[Element]:
    funnel = path.funnel
    if named:
        yield tag("h3", "Leads of ", tag("code", printable(funnel.stream)))
    steps = [_step("Leads read", funnel.read, funnel.read)]
    steps += [
        _step(rule_words(step.rule), step.remaining, funnel.read, _fell(step))
        for step in funnel.steps
    ]
    if path.outcomes is None:
        told = "What became of them in Apollo can't be told from the summary."
        steps.append(_step("Sent to Apollo", funnel.passed, funnel.read, told, last=True))
    else:
        steps.append(_arrived(path.outcomes, funnel.read, path.stream or ""))
    yield tag("ol", steps, class_="steps")


def _fell(step: Step) -> list[Child]:
    parts = [f"{number(step.dropped)} did not meet it"] if step.dropped else []
    parts += [f"{number(step.held)} held for a later run"] if step.held else []
    return [", ".join(parts), " · ", tag("code", step.rule)]


def _arrived(outcomes: Stream, whole: int, stream: str) -> Element:
    parts = [(name, getattr(outcomes, name)) for name, _, _ in LAYERS if name in _IN_APOLLO]
    others = [
        f"{number(count)} {words}"
        for words, count in (("rejected", outcomes.rejected), ("skipped", outcomes.skipped))
        if count
    ]
    note = [f"Stream {printable(stream)}"] + ([f"; {', '.join(others)}"] if others else [])
    return _end("In Apollo", parts, whole, "".join(note))


def _rows(run: PastRun) -> Iterator[Element]:
    whole = remaining = run.count(RECEIVED) or 0
    yield _step("Rows read", whole, whole)
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


def _step(
    name: str, count: int, whole: int, note: Child | Sequence[Child] = "", *, last: bool = False
) -> Element:
    told = tag("span", note, class_="note") if note else None
    attributes = {"class_": "last"} if last else {}
    return tag(
        "li",
        tag("span", name),
        tag("b", number(count)),
        bar([("mark", count)], whole, tall=True),
        told,
        **attributes,
    )


def _end(name: str, parts: Sequence[tuple[str, int]], whole: int, note: str) -> Element:
    met = [part for part in parts if part[1]]
    total = sum(count for _, count in met)
    return tag(
        "li",
        tag("span", tag("strong", name)),
        tag("b", number(total)),
        bar(met, whole, tall=True),
        tag("span", note, class_="note") if note else None,
        legend([(part, part, count) for part, count in met]) if met else None,
        class_="last",
    )


def heading_of(detail: Detail) -> str:
    """The section's heading."""
    if not detail.paths:
        return "From rows to Apollo"
    leads = sum(path.funnel.read for path in detail.paths)
    return f"From {plural(leads, 'lead')} to Apollo"
