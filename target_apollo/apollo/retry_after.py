"""How long a 429 asks to wait, by its headers or its text. Pure but for the clock."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from target_apollo.apollo.quota import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Apollo's longest window is 24 hours; a Retry-After far beyond it is a mistake.
LONGEST = timedelta(days=7).total_seconds()
_PER = re.compile(r"\bper (minute|hour|day)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{0,9})?")


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a 429 asks to wait; names of `headers` must be case-insensitive."""
    date = parse_http_date(headers.get("Date")) or datetime.now(timezone.utc)
    return parse_retry_after(headers.get("Retry-After"), date)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None where it says nothing usable.

    Whole and fractional seconds and HTTP dates are understood (RFC 9110, 10.2.3). Zero, the past,
    garbage and more than a week are not usable. `now` should be the answer's own `Date`, so that a
    wrong local clock does not stretch the wait.
    """
    text = (value or "").strip()
    seconds = float(text) if _NUMBER.fullmatch(text) else _seconds_until(text, now)
    if seconds is None or not math.isfinite(seconds) or not 0 < seconds <= LONGEST:
        return None
    return seconds


def parse_http_date(value: str | None) -> datetime | None:
    """Return an HTTP date as an aware time, or None where it is none."""
    try:
        moment = parsedate_to_datetime(value or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def window_named_in(message: str) -> float | None:
    """Return the seconds of the window that a 429's text names ("… is 600 times per hour. …")."""
    match = _PER.search(message)
    return SECONDS[match.group(1).lower()] if match else None


def _seconds_until(text: str, now: datetime) -> float | None:
    moment = parse_http_date(text)
    return None if moment is None else (moment - now).total_seconds()
