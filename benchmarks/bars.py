"""A bar and what was measured against it, as the benchmarks print it and `bench.py` reads it."""

from __future__ import annotations

from dataclasses import dataclass

_MARK = "bar: "


@dataclass(frozen=True)
class Bar:
    """What is measured, what it should be, what it is. `met` is None for a figure without a bar."""

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
    """The bars that a benchmark printed."""
    found = []
    for line in output.splitlines():
        if line.startswith(_MARK):
            what, bar, measured, verdict = line.removeprefix(_MARK).split(" | ")
            met = {"met": True, "NOT MET": False, "": None}[verdict]
            found.append(Bar(what, bar, measured, met))
    return found


def markdown(bars: list[Bar]) -> str:
    """A table of all of them."""
    rows = [f"| {bar.what} | {bar.bar} | {bar.measured} | {bar.verdict} |" for bar in bars]
    return "\n".join(["| what | bar | measured | |", "|---|---|---|---|", *rows])
