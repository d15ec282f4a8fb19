"""Reads e-mail addresses from values, checks their form and normalises them. Pure.

The package `email-validator` decides which addresses are valid, by their form alone; no server is
asked. Target and mapper both use this module, so the target writes every lead that the mapper
passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.characters import bare, visible
from target_apollo.model.texts.placeholders import is_placeholder
from target_apollo.model.values import text

#: Matches an address, trimmed and in lower case, of the shape that nearly all have. The package
#: accepts every address of this shape, so it is not called for them: it needs 20 microseconds, this
#: pattern one. In an address of at most 64 characters no part can be too long.
is_plain: Final = re.compile(
    r"(?=.{1,64}\Z)[a-z0-9_+'-]+(?:\.[a-z0-9_+'-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)\Z)[a-z]{2,}"
).fullmatch
_LONGEST = 254

#: A query as in ``mailto:ann@acme.example?subject=Hello``.
_QUERY = re.compile(r"(mailto:[^\s?<>;,]*)\?[^<>;\n]*", re.IGNORECASE)
#: Text up to a comma, semicolon or line end that is not in quotes or angle brackets.
_PART = re.compile(r'(?:"[^"]*"|<[^<>]*>|[^,;\n\r\t])+')

_IN_BRACKETS = re.compile(r"<([^<>]*)>")

_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Addresses:
    """The addresses in one value, in their order, each once.

    Attributes:
        valid: In lower case, the domain in ASCII.
        malformed: Number of texts with an @ that are no valid address.
    """

    valid: tuple[str, ...] = ()
    malformed: int = 0


def plain(value: object) -> str | None:
    """The value if it is one address of the usual shape, as most values are; else None."""
    if type(value) is str:
        address = value.strip().lower()
        if is_plain(address):
            return address
    return None


def spelled(address: str) -> str | None:
    """An address in lower case and with its domain in ASCII; None where it is not valid.

    >>> spelled("Ann@Müller.example"), spelled("ann@acme")
    ('ann@xn--mller-kva.example', None)

    Letters before the @ must be ASCII, since Apollo does not document that it stores others.
    """
    return plain(address) or _by_package(address.strip().lower())


@lru_cache(maxsize=10_000)
def _by_package(address: str) -> str | None:
    if len(address) > _LONGEST or "@" not in address:
        return None
    # Imported here, since it takes 0.1 s and most runs do not need it.
    from email_validator import EmailNotValidError, validate_email

    try:
        # `test_environment` makes it accept .test, which is reserved for tests as .example is.
        valid = validate_email(
            address, check_deliverability=False, test_environment=True, allow_smtputf8=False
        )
    except EmailNotValidError:
        return None
    found = (valid.ascii_email or "").lower()
    return found if "." in found.rpartition("@")[2] and len(found) <= _LONGEST else None


def compared(address: object) -> str:
    """An address from an answer of Apollo, spelled as in rows, even if it is not valid."""
    if found := plain(address):
        return found
    written = bare(str(address)).lower()
    return written if written.isascii() else spelled(written) or written


def email(name: str, value: object) -> str | None:
    """The first address in a value; None for null and blanks.

    Raises:
        RecordError: The value holds something, and no valid address.
    """
    return plain(value) or next(iter(addresses(name, value).valid), None)


def addresses(name: str, value: object) -> Addresses:
    """The addresses in a text, or in an array of texts or of objects with an ``email``.

    Commas, semicolons, line ends or blanks separate the addresses of a text. Each may be a
    ``mailto:`` link or have a person's name, as in ``"Ann Lee" <ann@acme.example>``. A text may
    also be such an array in JSON.

    Raises:
        RecordError: The value holds something, and no valid address.
    """
    written = list(_texts(name, value))
    candidates = [one for entry in written for one in _candidates(entry)]
    valid = [spelled(one) for one in candidates]
    found = tuple(dict.fromkeys(address for address in valid if address))
    malformed = [
        one for one, address in zip(candidates, valid, strict=True) if not address and "@" in one
    ]
    if written and not found:
        raise RecordError(Reason.MALFORMED_EMAIL, _fault(name, malformed))
    return Addresses(found, len(malformed))


def _fault(name: str, malformed: list[str]) -> str:
    if not malformed:
        return f"'{name}' holds no e-mail address; leave it empty where there is none"
    if not malformed[0].rpartition("@")[0].isascii():
        return f"'{name}' is an e-mail address with letters before the @ that are not ASCII"
    return f"'{name}' is not an e-mail address"


def _texts(name: str, value: object) -> Iterator[str]:
    """The texts of a value that may hold addresses, without blanks and placeholders."""
    if isinstance(value, str):
        value = _of_array(visible(value))
    for entry in _in_order(value) if isinstance(value, list) else [value]:
        inner = entry["email"] if isinstance(entry, dict) and "email" in entry else entry
        if (written := text(name, inner)) and not is_placeholder(written):
            yield written


def _of_array(written: str) -> object:
    """The parsed value of a JSON array or object; of a database's array, the text in brackets."""
    if written[:1] not in ("[", "{") or written[-1:] not in ("]", "}"):
        return written
    try:
        # An empty array of PostgreSQL looks like an empty object.
        return msgspec.json.decode(written) or None
    except (ValueError, RecursionError):
        return written[1:-1]


def _in_order(entries: list[object]) -> Iterable[object]:
    """Entries of an array, sorted by their ``position`` if all of them have one."""
    positions = [entry.get("position") for entry in entries if isinstance(entry, dict)]
    if len(positions) < len(entries) or not all(type(one) is int for one in positions):
        return entries
    order = sorted(zip(positions, range(len(entries)), strict=True))
    return [entries[index] for _, index in order]


def _candidates(written: str) -> Iterator[str]:
    """The parts of a text that may be addresses, valid or not."""
    for part in _PART.findall(_QUERY.sub(r"\1", written)):
        bracketed = _IN_BRACKETS.findall(part)
        words = _QUOTED.sub(" ", _IN_BRACKETS.sub(" ", part)).split() if bracketed else part.split()
        if bracketed:
            # Outside the brackets is a name, or an address used as a name.
            words = [*bracketed, *(word for word in words if "@" in word)]
        elif not all("@" in word for word in words):
            # Malformed as a whole: in "ann lee@acme.example" the last word may be a wrong address.
            words = [part]
        yield from map(_unwrapped, words)


def _unwrapped(word: str) -> str:
    address = word.strip()
    if address[:1] in ('"', "'") and address[-1:] == address[:1]:
        address = address[1:-1].strip()
    if address[:7].lower() == "mailto:":
        address = unquote(address[7:].partition("?")[0]).strip()
    return address
