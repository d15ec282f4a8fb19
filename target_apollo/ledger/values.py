"""What the ledger stores of a row: its key, hashes and reason, as few bytes. Pure.

Keys and hashes are stable between releases. If either were spelled in another way, every known row
would look new or changed once, so the tests hold the exact texts.

The ledger holds no personal data, but for values that are still to be sent (``pending_fields``):
e-mail addresses in keys and reasons are hashed or left out.

Ids, hashes and most keys are hex digits, which need half the space as bytes. The first byte says
what the others are, so that every text comes back as it was, and equal texts are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite

import msgspec

from target_apollo.ledger.database_errors import UnreadableValue
from target_apollo.system.shown import may_be_address

#: In characters. A longer key is stored as its hash: PostgreSQL refuses index rows above 2.7 kB.
LONGEST_PLAIN_KEY = 500

#: Whole numbers below this are spelled as integers, others as digits and exponent, so that
#: ``Decimal("1E+999999")`` stays short and every integer fits 64 bits.
_PLAIN_INTEGERS_BELOW = 10**18

#: Match keys whose hash is cached: each hash is needed before and after the request of its batch,
#: and two batches of 1,600 rows are in memory at once.
_MATCHES_REMEMBERED = 4_000

_ONE_SPELLING = frozenset({str, type(None), bool})

_ENCODER = msgspec.json.Encoder(order="deterministic")


def source_key(values: Sequence[object]) -> str:
    """Spell the values of a record's key properties as the text that the ledger looks up.

    ``values`` are in the order of the stream's ``key_properties``. Strings are JSON strings in
    quotes, other values have no quotes, commas join the columns: ``42``, ``"42"``, ``7,"de"``,
    ``null``, ``true``, ``2024-05-01``. Whole Decimals and floats are spelled as the integer.
    A string that may be an address, with an ``@``, is stored as ``sha256:…`` of its JSON text, and
    so is a key of more than 500 characters in all.

    Raises ``ValueError`` if there is no value, or if one is a list, an object or bytes; the
    message never holds a value.
    """
    if len(values) == 1 and type(values[0]) is int and _is_plain(values[0]):
        # Most keys are one whole number, which needs no further call.
        return str(values[0])
    if not values:
        raise ValueError("a record without key properties has no source key")
    text = ",".join([_key_part(value) for value in values])
    return text if len(text) <= LONGEST_PLAIN_KEY else _sha256(text)


@lru_cache(maxsize=_MATCHES_REMEMBERED)
def match_hash(match_key: str) -> str:
    """Hash a normalised e-mail address, domain or other match key, to compare it in later runs."""
    return _sha256(match_key)


def payload_hash(payload: Mapping[str, object]) -> str:
    """Hash what would be sent to Apollo: 32 hex digits, equal for equal values.

    Payloads are equal whatever the order of their properties and the spelling of their numbers
    (``1``, ``1.0``, ``Decimal("1.00")``). ``1``, ``"1"`` and ``true`` differ, and so do lists in
    another order and strings in another Unicode form: Apollo would store another value.

    Raises ``ValueError`` for a value that JSON can't carry; the message never holds the value.
    """
    return _hash_of(payload, _one_spelling)


def payload_hash_of_texts(payload: Mapping[str, object]) -> str:
    """The same as ``payload_hash``, for a payload that holds only texts and nulls, at any depth.

    They have one spelling only. The search for other values takes most of a hash's time.
    """
    return _hash_of(payload, _as_it_is)


def _hash_of(payload: Mapping[str, object], spelled: Callable[[object], object]) -> str:
    try:
        encoded = _ENCODER.encode(spelled(payload))
    except UnicodeEncodeError:
        # A lone surrogate ("\ud83d" alone) is legal in JSON text and has no UTF-8 form.
        encoded = _ascii_json(payload)
    except (TypeError, OverflowError):
        raise ValueError("the payload holds a value that JSON can't carry") from None
    except RecursionError:
        raise ValueError("the payload is nested too deeply") from None
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def _key_part(value: object) -> str:
    if isinstance(value, str):
        text = json.dumps(value)
        return _sha256(text) if may_be_address(value) else text
    if value is None:
        return "null"
    if isinstance(value, Enum):
        # A boolean, which a row keeps apart from the number 1 so.
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return _number(value)
    if isinstance(value, datetime):
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    raise ValueError(
        f"a key property holds a value of type {type(value).__name__}; keys must be text, "
        "numbers, dates, booleans or null"
    )


def _is_plain(value: int) -> bool:
    return -_PLAIN_INTEGERS_BELOW < value < _PLAIN_INTEGERS_BELOW


def _sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _number(value: int | float | Decimal) -> str:
    """Spell equal numbers alike: whole ones as integers, others as digits and exponent."""
    if isinstance(value, int):
        if _is_plain(value):
            return str(int(value))
        exact = Decimal(value)
    elif isinstance(value, float):
        # repr is the shortest text that reads back as the same float: 0.1, as in the source.
        exact = Decimal(repr(value)) if isfinite(value) else Decimal(value)
    else:
        exact = value
    if not exact.is_finite():
        return "NaN" if exact.is_nan() else str(exact)
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - a letter only where it is not finite
    spelled = "".join(map(str, digits))
    significant = spelled.rstrip("0")
    if not significant:
        return "0"
    exponent += len(spelled) - len(significant)
    minus = "-" if sign else ""
    if exponent >= 0 and len(significant) + exponent <= 18:
        return minus + significant + "0" * exponent
    return f"{minus}{significant}E{exponent}"


def _as_it_is(value: object) -> object:
    return value


def _one_spelling(value: object) -> object:
    """Put numbers into one spelling, also inside lists and objects; leave the rest alone."""
    kind = type(value)
    if kind in _ONE_SPELLING:
        return value
    if kind is dict and _ONE_SPELLING.issuperset(map(type, value.values())):  # type: ignore[attr-defined]
        # The usual values, texts and nulls, without a copy.
        return value
    if kind is int and _is_plain(value):  # type: ignore[arg-type]
        return value
    if isinstance(value, (int, float, Decimal)):
        return msgspec.Raw(_number(value).encode("ascii"))
    if isinstance(value, Mapping):
        return {name: _one_spelling(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_one_spelling(inner) for inner in value]
    return value


def _ascii_json(payload: Mapping[str, object]) -> bytes:
    def bare(value: object) -> object:
        if isinstance(value, msgspec.Raw):
            return {"number": bytes(value).decode("ascii")}
        return str(value)

    spelled = {name: _one_spelling(value) for name, value in payload.items()}
    return json.dumps(spelled, sort_keys=True, default=bare).encode("ascii")


#: In characters.
LONGEST_REASON = 500

_ADDRESS = re.compile(r"[^\s\"'<>(),;:]*(?:[@\uff20\ufe6b]|%40)[^\s\"'<>(),;:]*")


def without_addresses(reason: str) -> str:
    """Remove e-mail addresses from a reason, which may quote Apollo's answer, and shorten it.

    Also removes what PostgreSQL can't store: NUL and half a surrogate pair.
    """
    # Shortened before the search too, since an answer may be megabytes long.
    storable = reason[: 4 * LONGEST_REASON].encode("utf-8", "replace").decode("utf-8")
    return _ADDRESS.sub("(address withheld)", storable.replace("\0", ""))[:LONGEST_REASON]


# --- as bytes and numbers

#: Hex digits alone, as Apollo's ids and payload hashes are.
_HEX = 0
#: ``sha256:`` and hex digits: a match hash, or the key of a row that may be an address.
_SHA256 = 1
#: A text whose first byte would be taken for one of these numbers.
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
_TIME_PARTS = re.compile(
    r"([0-9a-f]{4})-([0-9a-f]{2})-([0-9a-f]{2})"
    r"T([0-9a-f]{2}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f]{3})Z"
).fullmatch


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
            elif length == _LENGTH_OF_TIME and (parts := _TIME_PARTS(text)):
                return b"\x04" + bytes.fromhex("0" + "".join(parts.groups()))
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
