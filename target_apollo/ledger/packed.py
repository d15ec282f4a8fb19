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
_HEX = 0
#: ``sha256:`` and hex digits: a match hash, or the key of a row that may be an address.
_SHA256 = 1
#: A text that begins with a byte that is none of a text's usual ones.
_ESCAPED = 2
#: A UUID in quotes, as `source_key` spells it.
_UUID = 3
#: A time as Apollo answers it: ``2024-05-01T12:34:56.789Z``.
_TIME = 4

_SHA256_PREFIX = "sha256:"
#: Shorter texts stay as they are, since the bytes of most are no fewer.
_SHORTEST_HEX = 12
_LENGTH_OF_UUID = 38
_LENGTH_OF_TIME = 24


# Both run for each of a row's columns, hence no calls for the usual shapes.
def pack(text: str) -> bytes:
    """The bytes of a text."""
    length = len(text)
    if length >= _SHORTEST_HEX:
        try:
            if text[0] == "s":
                raw = bytes.fromhex(text[7:])
                if _SHA256_PREFIX + raw.hex() == text:
                    return b"\x01" + raw
            elif length == _LENGTH_OF_UUID and text[0] == '"':
                return _if_it_comes_back(b"\x03" + bytes.fromhex(text[1:-1].replace("-", "")), text)
            elif length == _LENGTH_OF_TIME and text[-1] == "Z":
                digits = (
                    f"0{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}{text[17:19]}"
                    f"{text[20:23]}"
                )
                return _if_it_comes_back(b"\x04" + bytes.fromhex(digits), text)
            else:
                raw = bytes.fromhex(text)
                if raw.hex() == text:
                    return b"\x00" + raw
        except ValueError:
            pass
    return _plain(text)


def _if_it_comes_back(packed: bytes, text: str) -> bytes:
    # Capitals, blanks and digits at other places would not come back.
    return packed if unpack(packed) == text else _plain(text)


def _plain(text: str) -> bytes:
    plain = text.encode()
    return b"\x02" + plain if plain and plain[0] <= _TIME else plain


def unpack(packed: object) -> str:
    """The text of the bytes; raises ``UnreadableValue`` for a value of another type."""
    # Subclasses of bytes do not come from a database.
    if packed.__class__ is not bytes:
        raise UnreadableValue("an id or hash is none")
    value: bytes = packed
    shape = value[0] if value else _ESCAPED
    if shape == _HEX:
        return value[1:].hex()
    if shape > _TIME:
        return value.decode()
    if shape == _SHA256:
        return _SHA256_PREFIX + value[1:].hex()
    if shape == _ESCAPED:
        return value[1:].decode()
    digits = value.hex()
    if shape == _UUID:
        return f'"{digits[2:10]}-{digits[10:14]}-{digits[14:18]}-{digits[18:22]}-{digits[22:]}"'
    return (
        f"{digits[3:7]}-{digits[7:9]}-{digits[9:11]}T"
        f"{digits[11:13]}:{digits[13:15]}:{digits[15:17]}.{digits[17:]}Z"
    )


def packed_or_none(text: str | None) -> bytes | None:
    """As `pack`, and nothing for nothing."""
    return None if text is None else pack(text)


def unpacked_or_none(packed: object) -> str | None:
    """As `unpack`, and nothing for nothing."""
    return None if packed is None else unpack(packed)


@lru_cache(8)
def unpacked_run(packed: object) -> str | None:
    """As `unpacked_or_none`, for the ids of runs, of which each wrote thousands of links."""
    return unpacked_or_none(packed)


def match_start(match_hash: str) -> bytes:
    """The value of `tables.MATCH_START` for a match hash."""
    return pack(match_hash)[1:6]


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
