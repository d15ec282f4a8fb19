"""Tables of the page as values, which the template renders, and how their texts are written. Pure.

Texts come from whoever is being tested. The template escapes them; here they are cut, and lose the
signs that would turn the words beside them around.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Generic, TypeVar

#: Rows of one part of a table.
ROWS = 50
_LONGEST = 160

Item = TypeVar("Item")


class Look(str, enum.Enum):
    """How a text is set; the value is its CSS class."""

    PLAIN = ""
    SOFT = "soft"
    CODE = "code"
    CHIP = "chip"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Text:
    """A text of a cell, with the address that it leads to, if it does."""

    text: str
    look: Look = Look.PLAIN
    href: str = ""


@dataclass(frozen=True)
class Bar:
    """A window of a quota: how much of it is used."""

    used: int
    limit: int | None
    until: str

    @property
    def percent(self) -> float:
        """The share that is used."""
        if self.limit is None:
            return 0.0
        return min(100.0, 100.0 * self.used / self.limit) if self.limit else 100.0

    @property
    def look(self) -> str:
        """CSS class of the bar."""
        return "full" if self.percent >= 100 else "near" if self.percent >= 80 else "room"

    @property
    def words(self) -> str:
        """The same in words."""
        if self.limit is None:
            return f"{self.used:,} used, no limit"
        return f"{self.used:,} of {self.limit:,}{self.until}"


@dataclass(frozen=True)
class Cell:
    """A cell: its texts, one below the other, or side by side if they are chips; or a bar."""

    texts: Sequence[Text] = ()
    bar: Bar | None = None
    is_number: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it; a narrow screen leaves it out."""
        return self.bar is None and not any(text.text for text in self.texts)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: What its rows are, for people who do not see it.
        heads: The names of the columns.
        rows: The cells of each row; the first one names the row.
        total: How many rows there are in all parts.
        first: Number of the first row that is shown, from 1.
        part: Which part this is, from 1.
        parts: How many there are.
        none: The sentence in place of a table without rows.
    """

    name: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    none: str
    total: int = 0
    first: int = 1
    part: int = 1
    parts: int = 1

    @property
    def last(self) -> int:
        """Number of the last row that is shown."""
        return self.first + len(self.rows) - 1


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """The items of one part of a long sequence."""

    items: Sequence[Item]
    total: int
    first: int
    part: int
    parts: int


def sliced(items: Iterable[Item], total: int | None, part: int) -> Slice[Item]:
    """One part of the items.

    Args:
        items: All of them; only what is needed is read, if `total` is known.
        total: Their number; None to count them.
        part: Which part, from 1; one too large gives the last.
    """
    if total is None:
        found = list(items)
        items, total = found, len(found)
    parts = max(1, -(-total // ROWS))
    part = max(1, min(part, parts))
    start = (part - 1) * ROWS
    return Slice(list(itertools.islice(items, start, start + ROWS)), total, start + 1, part, parts)


def table_of(
    name: str, heads: Sequence[str], some: Slice[Item], rows: Iterable[Sequence[Cell]], none: str
) -> Table:
    """A table of one part's rows."""
    return Table(name, heads, [*rows], none, some.total, some.first, some.part, some.parts)


def cell(*texts: Text | str | None, number: bool = False) -> Cell:
    """A cell of these texts, without those that are empty."""
    made = (one if isinstance(one, Text) else Text(shown(one)) for one in texts if one)
    return Cell([text for text in made if text.text], is_number=number)


def shown(value: object, longest: int = _LONGEST) -> str:
    """A value as text: cut if it is long, with unprintable signs replaced.

    >>> shown("a\\u202eb"), shown(None), shown(["x", "y"])
    ('a�b', '', 'x, y')
    """
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        text = ", ".join(shown(one) for one in value)
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    if len(text) > longest:
        text = text[:longest] + "…"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def lines_shown(text: str, longest: int) -> str:
    """A text of several lines in the same way; its line ends stay."""
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "\n".join(shown(line, longest) for line in cut.split("\n"))


def clock(at: float) -> str:
    """A time of day in UTC."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%H:%M:%S}"


def stamp(at: float) -> str:
    """A moment in UTC, to the second."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def stamped(text: object) -> str:
    """A time as a record has it, to the minute: ``2026-03-01 09:30``."""
    written = shown(text)
    return written[:16].replace("T", " ") if written[10:11] == "T" else written


def took(seconds: float) -> str:
    """A short span of time."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its word."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted(count: int, name: str) -> str:
    """A number with the name of what is counted, which is in either number itself.

    >>> counted(1, "created contacts"), counted(2, "contact"), counted(3, "opportunity")
    ('1 created contact', '2 contacts', '3 opportunities')
    """
    one = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
    return plural(count, one, f"{one[:-1]}ies" if one.endswith("y") else f"{one}s")


def holds(text: str, words: Sequence[str]) -> bool:
    """Whether a text holds every word, which are in lower case, whatever its own case."""
    lower = text.lower()
    return all(word in lower for word in words)
