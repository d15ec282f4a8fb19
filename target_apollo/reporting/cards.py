"""Tables whose rows become cards on a phone, and stay tables for a screen reader. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.html import Child, tag


@dataclass(frozen=True)
class Field:
    """A cell: what stands in it, its classes, and its name where it stands alone."""

    content: Child | Iterable[Child]
    class_: str = ""
    label: str = ""


Row = tuple[Element, Sequence[Field], str]
"""What a row is about, its cells, and its class."""


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
