"""How Apollo writes ids, times, phone numbers, domains, addresses and empty objects. Pure."""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Any, TypeVar

_NO_DIGIT = re.compile(r"\D+")

_NO_ASCII_DIGITS = bytes(code for code in range(128) if not chr(code).isdigit())

_ID = re.compile(r"[0-9a-f]{24}\Z")

_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?\Z", re.ASCII
)

Parsed = TypeVar("Parsed")

# A strict reading: dots of the local part stand between characters, all of them ASCII, and the
# domain has at least two labels.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@[^@\s<>,;.]+(?:\.[^@\s<>,;.]+)+\Z")

FREE_DOMAINS = frozenset(
    [
        "aol.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "googlemail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "web.de",
        "yahoo.com",
        "yandex.com",
        "zoho.com",
    ]
)


def id_source() -> Callable[[], str]:
    """A function that makes new ids: 24 hex digits of time, machine and counter, as in MongoDB."""
    machine = secrets.token_hex(5)
    counter = itertools.count(secrets.randbelow(1 << 22))

    def new_id() -> str:
        return f"{int(time.time()):08x}{machine}{next(counter) & 0xFFFFFF:06x}"

    return new_id


def is_id(value: object) -> bool:
    """Whether a value is an Apollo id: 24 hex digits."""
    return isinstance(value, str) and _ID.match(value) is not None


def is_email(value: str) -> bool:
    """Whether a text is an e-mail address by a strict reading (see `_EMAIL`)."""
    return _EMAIL.match(value) is not None


def nearest_email(value: str) -> str | None:
    """The address without accents and stray dots in the local part; None if it is not valid yet."""
    local, sign, domain = value.partition("@")
    plain = unicodedata.normalize("NFKD", local).encode("ascii", "ignore").decode()
    respelled = ".".join(filter(None, plain.split(".")))[:64].rstrip(".") + sign + domain
    return respelled if is_email(respelled) else None


def timestamp(now: float) -> str:
    """``2026-05-18T11:16:41.359Z``, from seconds since the epoch."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def offset_time(stamp: str) -> str:
    """A time in the second form that Apollo writes: ``2026-10-15T00:00:00.000+00:00``."""
    return stamp.removesuffix("Z") + "+00:00"


def day_of(text: str) -> date | None:
    """The day of a text like ``2026-12-31``; None for any other text.

    The standard library reads other forms too, on some versions of Python.
    """
    return _parsed(date.fromisoformat, text) if _DAY.match(text) else None


def moment_of(text: str) -> datetime | None:
    """A time of ISO 8601 with its day, in UTC where it has no offset; None for any other text."""
    match = _MOMENT.match(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups("")
    clock = clock if len(clock) == 8 else f"{clock}:00"
    zone = "+00:00" if offset in ("", "Z") else f"{offset[:3]}:{offset[-2:]}"
    return _parsed(datetime.fromisoformat, f"{day}T{clock}.{fraction:0<6.6}{zone}")


def _parsed(parse: Callable[[str], Parsed], text: str) -> Parsed | None:
    try:
        return parse(text)
    except ValueError:
        return None


def bare_domain(value: str) -> str:
    """The domain in lower case without scheme, ``www.``, port and path."""
    host = value.strip().lower().partition("://")[2] or value.strip().lower()
    host = host.partition("/")[0].partition(":")[0]
    return host.removeprefix("www.")


def company_of(email: str) -> Mapping[str, str]:
    """The company that Apollo takes a contact with this address to be of, where it is told none.

    The sandbox knows no companies: the domain is the name, and always has the same id.
    """
    domain = email[email.rfind("@") + 1 :]
    company_id = hashlib.sha256(domain.encode()).hexdigest()[:24]
    return {"organization_name": domain, "organization_id": company_id}


def sanitized_phone(raw: str) -> str | None:
    """A phone number in E.164 form, American unless it names a country; None without digits."""
    if raw.isascii():
        digits = raw.encode().translate(None, _NO_ASCII_DIGITS).decode()
    else:
        digits = _NO_DIGIT.sub("", raw)
    if not digits:
        return None
    if raw.lstrip().startswith("+"):
        return f"+{digits}"
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+1{digits}" if len(digits) == 10 else f"+{digits}"


@lru_cache(maxsize=4096)
def address_parts(raw: str) -> Mapping[str, str | None]:
    """``city``, ``state`` and ``country`` of an address, split at its commas."""
    parts = [part.strip() for part in raw.split(",") if part.strip()]
    return {
        "city": parts[-3] if len(parts) > 2 else (parts[0] if len(parts) > 1 else None),
        "state": parts[-2] if len(parts) > 2 else None,
        "country": parts[-1] if parts else None,
    }


_MARKS: dict[str, Any] = {"+": True, "-": False, "0": 0}


def blank(names: str) -> dict[str, Any]:
    """An object with these keys and the values that their marks give.

    ``+`` is true, ``-`` false, ``0`` zero, ``[]`` and ``{}`` are empty; without a mark, null.
    """
    shape: dict[str, Any] = {}
    for name in names.split():
        if name.endswith(("[]", "{}")):
            shape[name[:-2]] = [] if name.endswith("[]") else {}
        elif name[-1] in _MARKS:
            shape[name[:-1]] = _MARKS[name[-1]]
        else:
            shape[name] = None
    return shape
