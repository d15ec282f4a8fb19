"""HTML as a tree of elements, so that every text in it is escaped when it is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable

# Builds a tree; nothing is parsed.
from xml.etree.ElementTree import Element, tostring  # nosec B405

from target_apollo.reporting.words import printable

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
