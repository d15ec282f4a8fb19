"""The way into Apollo as steps with bars: leads over the rules, or rows over the checks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.bars import bar, legend
from target_apollo.reporting.chart import LAYERS
from target_apollo.reporting.detail import Detail, LeadsPath
from target_apollo.reporting.funnel import Step
from target_apollo.reporting.glossary import rule_words
from target_apollo.reporting.html import Child, tag
from target_apollo.reporting.past_runs import OPEN, RECEIVED, PastRun
from target_apollo.reporting.summaries import Stream
from target_apollo.reporting.words import number, plural, printable

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
