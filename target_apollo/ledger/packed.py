"""How links are stored: texts as few bytes, moments and statuses as numbers.

Ids, hashes and most keys are hex digits, which need half the space as bytes. The first byte says
what the others are, so that every text comes back as it was, and equal texts are equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from target_apollo.ledger.failures import UnreadableValue
from target_apollo.ledger.links import LinkStatus

#: Hex digits alone, as Apollo's ids and payload hashes are.
_HEX = b"\x00"
#: ``sha256:`` and hex digits: a match hash, or the key of a row that may be an address.
_SHA256 = b"\x01"
#: A text that begins with one of these bytes.
_ESCAPED = b"\x02"
#: A UUID in quotes, as `keys.source_key` spells it.
_UUID = b"\x03"
#: A time as Apollo answers it: ``2024-05-01T12:34:56.789Z``.
_TIME = b"\x04"

_SHA256_PREFIX = "sha256:"
#: Shorter texts stay as they are, since the bytes of most are no fewer.
_SHORTEST_HEX = 12
_LENGTH_OF_UUID = 38
_LENGTH_OF_TIME = 24


def pack(text: str) -> bytes:
    """The bytes of a text."""
    length = len(text)
    if length < _SHORTEST_HEX:
        packed = None
    elif text[0] == "s" and text.startswith(_SHA256_PREFIX):
        packed = _packed(_SHA256, text[len(_SHA256_PREFIX) :], text)
    elif length == _LENGTH_OF_UUID and text[0] == '"':
        packed = _packed(_UUID, text[1:-1].replace("-", ""), text)
    elif length == _LENGTH_OF_TIME and text[-1] == "Z":
        digits = text[:-1].replace("-", "").replace("T", "").replace(":", "").replace(".", "")
        packed = _packed(_TIME, f"0{digits}", text)
    else:
        packed = _packed(_HEX, text, text)
    if packed is not None:
        return packed
    plain = text.encode()
    return _ESCAPED + plain if plain[:1] <= _TIME and plain else plain


def _packed(shape: bytes, digits: str, text: str) -> bytes | None:
    try:
        packed = shape + bytes.fromhex(digits)
    except ValueError:
        return None
    # Capitals, blanks and digits at other places would not come back.
    return packed if unpack(packed) == text else None


def unpack(packed: object) -> str:
    """The text of the bytes; raises ``UnreadableValue`` for a value of another type."""
    # Subclasses of bytes do not come from a database.
    if packed.__class__ is not bytes:
        raise UnreadableValue("an id or hash is none")
    value: bytes = packed
    shape = value[:1]
    if shape == _HEX:
        return value[1:].hex()
    if shape > _TIME or not shape:
        return value.decode()
    if shape == _SHA256:
        return _SHA256_PREFIX + value[1:].hex()
    if shape == _ESCAPED:
        return value[1:].decode()
    digits = value[1:].hex()
    if shape == _UUID:
        return f'"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"'
    return (
        f"{digits[1:5]}-{digits[5:7]}-{digits[7:9]}T"
        f"{digits[9:11]}:{digits[11:13]}:{digits[13:15]}.{digits[15:]}Z"
    )


def packed_or_none(text: str | None) -> bytes | None:
    """As `pack`, and nothing for nothing."""
    return None if text is None else pack(text)


def unpacked_or_none(packed: object) -> str | None:
    """As `unpack`, and nothing for nothing."""
    return None if packed is None else unpack(packed)


def match_start(match_hash: str) -> bytes:
    """The value of `tables.MATCH_START` for a match hash."""
    return pack(match_hash)[1:9]


_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
#: Thousands of rows have the moment of one batch or one run.
_REMEMBERED = 1000


@lru_cache(_REMEMBERED)
def number_of_moment(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment; the zone of a naive one is unknown."""
    if moment.tzinfo is None:
        raise ValueError("the ledger takes moments with a time zone only")
    return (moment - _BEGINNING) // _MICROSECOND


@lru_cache(_REMEMBERED)
def moment_of_number(number: object) -> datetime | None:
    """The moment in UTC; raises ``UnreadableValue`` for what is none."""
    if number is None:
        return None
    if not isinstance(number, int):
        raise UnreadableValue("a time in it is none that target-apollo writes")
    try:
        return _BEGINNING + timedelta(microseconds=number)
    except OverflowError:
        raise UnreadableValue("a time in it is none that target-apollo writes") from None


#: The numbers never change; a new status gets a new one.
STATUS_NUMBERS: Mapping[LinkStatus, int] = {
    LinkStatus.PENDING: 1,
    LinkStatus.CREATED: 2,
    LinkStatus.UPDATED: 3,
    LinkStatus.UNCHANGED: 4,
    LinkStatus.EXISTING: 5,
    LinkStatus.ERROR: 6,
    LinkStatus.GONE: 7,
}


class _Statuses(dict[object, LinkStatus]):
    def __missing__(self, number: object) -> LinkStatus:
        raise UnreadableValue("the status of a link is none that target-apollo writes")


#: Number -> status.
STATUSES: Mapping[object, LinkStatus] = _Statuses(
    {number: status for status, number in STATUS_NUMBERS.items()}
)
