"""Numbers, spans of time and lists of texts as a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from target_apollo.system.shown import name_shown

#: Shown in place of an unknown number.
UNKNOWN = "–"


def number(value: int | None) -> str:
    """A whole number.

    >>> number(12345), number(None)
    ('12,345', '–')
    """
    return UNKNOWN if value is None else f"{value:,}"


def compact(value: int) -> str:
    """A number where there is little room.

    >>> compact(950), compact(1240), compact(99_960), compact(3_400_000)
    ('950', '1.2k', '100k', '3.4M')
    """
    for unit, sign in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit * 0.9995:
            scaled = value / unit
            return f"{scaled:.0f}{sign}" if scaled >= 99.95 else f"{scaled:.1f}{sign}"
    return str(value)


def plural(count: int, one: str, many: str | None = None) -> str:
    """A number with its word.

    >>> plural(1, "value"), plural(2, "value"), plural(2, "retry", "retries")
    ('1 value', '2 values', '2 retries')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """A span of time.

    >>> duration(0.42), duration(75), duration(3 * 3600 + 61), duration(None)
    ('0.4 s', '1 min 15 s', '3 h 1 min', '–')
    """
    if seconds is None:
        return UNKNOWN
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(at: datetime) -> str:
    """A moment in UTC, to the minute: ``2026-03-01 09:30``."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def listed(texts: Sequence[str], limit: int, total: int | None = None) -> str:
    """Texts in a row, the rest as a number: ``17, 42 and 3 more``."""
    shown = [name_shown(text) for text in texts[:limit]]
    rest = (len(texts) if total is None else total) - len(shown)
    return ", ".join(shown) + (f" and {number(rest)} more" if rest > 0 else "")


def ended(text: str) -> str:
    """A text as a sentence, with a full stop unless it asks something.

    >>> ended("there is none"), ended("did you mean 'New'?")
    ('there is none.', "did you mean 'New'?")
    """
    return text if text.endswith(("?", ".")) else f"{text}."
