"""Text in columns for a terminal, with colour only where one is watched. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from target_apollo.reporting.words import Tone

_GAP = 2
_CODES = {Tone.GOOD: "32", Tone.WARN: "33", Tone.BAD: "31"}
#: Characters, where nobody's screen sets the width.
UNBOUNDED = 1000


@dataclass(frozen=True)
class Paint:
    """Colours a text, or leaves it alone."""

    on: bool = False

    @classmethod
    def for_output(cls, stream: TextIO, environment: Mapping[str, str]) -> Paint:
        """Colour for a terminal whose user has not refused it (https://no-color.org)."""
        wanted = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        return cls(wanted and stream.isatty())

    def tone(self, text: str, tone: Tone | None) -> str:
        """A text in the colour of its tone."""
        return self._code(text, _CODES[tone]) if tone else text

    def strong(self, text: str) -> str:
        """A heading."""
        return self._code(text, "1")

    def soft(self, text: str) -> str:
        """A text of less weight."""
        return self._code(text, "2")

    def _code(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


@dataclass(frozen=True)
class Cell:
    """A text with its tone; colour takes no room."""

    text: str
    tone: Tone | None = None


@dataclass(frozen=True)
class Column:
    """A heading, and the side to which its cells are put."""

    head: str
    right: bool = False


def width_of(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> int:
    """Characters that a table takes."""
    return sum(_widths(columns, rows)) + _GAP * (len(columns) - 1)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paint: Paint) -> list[str]:
    """A table's lines, headings first."""
    widths = _widths(columns, rows)

    def line(cells: Sequence[str], bare: Sequence[str]) -> str:
        parts = []
        for column, width, cell, text in zip(columns, widths, cells, bare, strict=True):
            blanks = " " * (width - len(text))
            parts.append(blanks + cell if column.right else cell + blanks)
        return (" " * _GAP).join(parts).rstrip()

    heads = [column.head for column in columns]
    return [
        line([paint.soft(head) for head in heads], heads),
        *(
            line([paint.tone(cell.text, cell.tone) for cell in row], [cell.text for cell in row])
            for row in rows
        ),
    ]


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A text in lines of at most a width; what has no blank is broken."""
    return textwrap.wrap(
        text,
        max(width, len(indent) + 20),
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [
        max(len(column.head), *(len(row[at].text) for row in rows), 0)
        for at, column in enumerate(columns)
    ]
