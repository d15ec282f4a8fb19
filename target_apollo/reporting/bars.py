"""Bars as small inline pictures that stretch with their place. Pure.

Their numbers stand beside them as text, so they are hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.html import tag
from target_apollo.reporting.words import number

#: Part of a bar below which nothing would be seen, in percent.
LEAST = 1.5

Part = tuple[str, int]
"""What a part of a bar is called, which is its class too, and its count."""


def bar(parts: Sequence[Part], whole: int, *, tall: bool = False) -> Element:
    """A bar whose full length stands for `whole`."""
    place = 0.0
    rects = [tag("rect", class_="track", width=100, height=8)]
    for (name, _), share in zip(parts, shares([count for _, count in parts], whole), strict=True):
        if share:
            rects.append(tag("rect", class_=name, x=f"{place:.2f}", width=f"{share:.2f}", height=8))
            place += share
    return tag(
        "svg",
        rects,
        class_="bar tall" if tall else "bar",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )


def legend(parts: Sequence[tuple[str, str, int]]) -> Element:
    """What the parts of a bar mean: class, words and count of each."""
    return tag(
        "ul",
        [
            tag("li", swatch(name), tag("span", words, " ", tag("strong", number(count))))
            for name, words, count in parts
        ],
        class_="legend",
    )


def swatch(name: str) -> Element:
    """A patch of a part's colour."""
    return tag(
        "svg",
        tag("rect", class_=name, width=10, height=10),
        class_="swatch",
        viewBox="0 0 10 10",
        aria_hidden="true",
        focusable="false",
    )


def shares(counts: Sequence[int], whole: int) -> list[float]:
    """Counts in percent of a whole; none that is there is too small to be seen, none is beyond.

    >>> shares([50, 0, 1], 1000)
    [5.0, 0.0, 1.5]
    """
    if whole <= 0:
        return [0.0 for _ in counts]
    found = [max(LEAST, 100 * count / whole) if count > 0 else 0.0 for count in counts]
    total = sum(found)
    return [share * 100 / total for share in found] if total > 100 else found
