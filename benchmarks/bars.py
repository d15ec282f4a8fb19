"""A bar: a goal and the measured figure, as benchmarks print it and `bench.py` reads it."""

from __future__ import annotations

from dataclasses import dataclass

_MARK = "bar: "


@dataclass(frozen=True)
class Bar:
    """One line of the table.

    Attributes:
        what: What is measured.
        bar: The goal.
        measured: The figure.
        met: Whether the figure reaches the goal; None for a figure without a goal.
    """

    what: str
    bar: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "NOT MET", None: ""}[self.met]

    @property
    def line(self) -> str:
        return _MARK + " | ".join((self.what, self.bar, self.measured, self.verdict))


def bars_in(output: str) -> list[Bar]:
    """The bars in the output of a benchmark."""
    bars = []
    for line in output.splitlines():
        if line.startswith(_MARK):
            what, bar, measured, verdict = line.removeprefix(_MARK).split(" | ")
            met = {"met": True, "NOT MET": False, "": None}[verdict]
            bars.append(Bar(what, bar, measured, met))
    return bars


def markdown(bars: list[Bar]) -> str:
    """The bars as a Markdown table."""
    rows = [f"| {bar.what} | {bar.bar} | {bar.measured} | {bar.verdict} |" for bar in bars]
    return "\n".join(["| what | bar | measured | |", "|---|---|---|---|", *rows])
