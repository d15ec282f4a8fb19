"""Tables in Markdown, and their places in a page: between two comments with a table's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

Tables = Mapping[str, Callable[[], str]]

_PLACE = re.compile(r"<!-- (\w+): begin -->\n.*?<!-- \1: end -->", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown."""
    lines = [_line(head), "|" + "---|" * len(head)]
    lines += [_line(cells) for cells in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def code(*texts: str) -> str:
    """Texts as code, with commas between them."""
    return ", ".join(f"`{text}`" for text in texts)


def with_tables(page: str, tables: Tables) -> str:
    """A page whose places hold the tables as they are now.

    Raises:
        KeyError: A place names a table that there is not.
    """
    return _PLACE.sub(lambda place: _filled(place[1], tables[place[1]]()), page)


def places_of(page: str) -> list[str]:
    """The names of the tables that a page has places for."""
    return [place[1] for place in _PLACE.finditer(page)]


def _filled(name: str, text: str) -> str:
    return f"<!-- {name}: begin -->\n{text}\n<!-- {name}: end -->"
