"""HTML as a tree of elements, so that every text in it is escaped when it is written. Pure.

Tables whose rows become cards on a phone, and stay tables for a screen reader. Pure.

Bars as small inline pictures that stretch with their place. Pure.

Their numbers stand beside them as text, so they are hidden from screen readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring  # nosec B405

from target_apollo.sync.words import number, printable

Child = Element | str | None


def tag(
    name: str, /, *children: Child | Iterable[Child], **attributes: str | int | float
) -> Element:
    """An element with its children; None is left out.

    Args:
        attributes: ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``.
    """
    element = Element(
        name,
        {
            attribute.rstrip("_").replace("_", "-"): printable(str(value))
            for attribute, value in attributes.items()
        },
    )
    for child in children:
        _put(element, child)
    return element


def document(root: Element) -> str:
    """The text of an HTML file."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _put(element: Element, child: Child | Iterable[Child]) -> None:
    if child is None:
        return
    if isinstance(child, Element):
        element.append(child)
    elif isinstance(child, str):
        _put_text(element, child)
    else:
        for one in child:
            _put(element, one)


def _put_text(element: Element, text: str) -> None:
    # A style sheet has lines; whatever comes from files has none that matter.
    shown = text if element.tag == "style" else printable(text)
    if len(element):
        element[-1].tail = (element[-1].tail or "") + shown
    else:
        element.text = (element.text or "") + shown


@dataclass(frozen=True)
class Field:
    """A cell: what stands in it, its classes, and its name where it stands alone."""

    content: Child | Iterable[Child]
    class_: str = ""
    label: str = ""


#: What a row is about, its cells, and its class.
Row = tuple[Element, Sequence[Field], str]


def card_table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Row],
    *,
    numbers: tuple[int, int] = (0, 0),
    class_: str = "cards",
) -> Element:
    """A table with a name for screen readers.

    Args:
        numbers: The first column of numbers, counted from 0, and how many there are.
    """
    of_numbers = range(numbers[0], sum(numbers))
    # Browsers forget what a table is once its rows are laid out otherwise: the roles keep it.
    return tag(
        "table",
        tag(
            "thead",
            tag(
                "tr",
                [
                    tag(
                        "th",
                        head,
                        role="columnheader",
                        scope="col",
                        **({"class_": "n"} if at in of_numbers else {}),
                    )
                    for at, head in enumerate(heads)
                ],
                role="row",
            ),
            role="rowgroup",
        ),
        tag("tbody", [_row(*row) for row in rows], role="rowgroup"),
        role="table",
        class_=class_,
        aria_label=caption,
    )


def _row(head: Element, fields: Sequence[Field], class_: str) -> Element:
    named = {"class_": class_} if class_ else {}
    return tag(
        "tr",
        tag("th", head, role="rowheader", scope="row"),
        [_cell(field) for field in fields],
        role="row",
        **named,
    )


def _cell(field: Field) -> Element:
    attributes = {"role": "cell"}
    if field.class_:
        attributes["class_"] = field.class_
    if field.label:
        attributes["data_label"] = field.label
    return tag("td", field.content, **attributes)


#: Part of a bar below which nothing would be seen, in percent.
LEAST = 1.5

#: What a part of a bar is called, which is its class too, and its count.
Part = tuple[str, int]


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
