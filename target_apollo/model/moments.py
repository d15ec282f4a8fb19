"""Times as Apollo and warehouses write them. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone

#: Python 3.10 reads fractions of three or six digits only, and no closing Z.
_FRACTION = re.compile(r"(?<=:\d\d)\.(\d+)")


def moment(written: object) -> datetime | None:
    """A time with its zone, UTC where it has none; None where it is no time.

    >>> moment("2026-01-01T12:00:00Z").isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    if not isinstance(written, str):
        return None
    text = written.strip().replace(" UTC", "Z")
    text = text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text
    text = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text)
    if re.search(r"[+-]\d\d$", text[11:]):
        text += ":00"  # PostgreSQL writes whole hours of offset without minutes
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
