"""Which lines are Singer messages: odd JSON that is read all the same, and why one is none. Pure.

A plain RECORD in strict JSON, as nearly all lines are, is decoded in `stdin` without this module.
No sentence shows a line: an e-mail address may be in it.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any

import msgspec
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.model.texts.lenient_json import NUMBERS, read_lenient
from target_apollo.system.batch_files import LONGEST_ROW

Message = dict[str, Any]

#: Bytes of the longest line that is read.
LONGEST_LINE = LONGEST_ROW

#: Bytes of the longest STATE that is passed on. It takes four times its length in memory.
LONGEST_STATE = 256 << 20

#: Most levels of arrays and objects in a message: code that walks it recurses once a level.
DEEPEST_LEVEL = 100

#: Reads strict JSON; numbers with a fraction become Decimals.
DECODER = msgspec.json.Decoder(float_hook=NUMBERS.create_decimal)

_TOO_DEEP = f"nested more than {DEEPEST_LEVEL} levels deep"


@dataclass(frozen=True)
class LongValue:
    """The value of a STATE that is longer than `LONGEST_LINE`, as the tap wrote it."""

    text: str


class _LongState(msgspec.Struct):
    type: str
    value: msgspec.Raw


_STATE_DECODER = msgspec.json.Decoder(_LongState)


def too_long() -> str:
    """The end of a sentence about a line that was skipped, for log, rejects file and exceptions."""
    return f"longer than {LONGEST_LINE >> 20} MB and was skipped"


def decode_leniently(line: bytes, refused: Exception) -> Any:
    """The value of a line that `DECODER` refuses.

    Raises:
        InvalidInputLine: It can't be read so either.
    """
    if isinstance(refused, RecursionError):
        raise InvalidInputLine(_TOO_DEEP) from None
    # The strict reader's words say where the fault is, and never show the text around it. Where it
    # met a number out of all range, only the lenient reader has met the fault after that.
    is_strict = isinstance(refused, msgspec.DecodeError)
    try:
        return read_lenient(line)
    except RecursionError:
        raise InvalidInputLine(_TOO_DEEP) from None
    except UnicodeDecodeError:
        if not is_strict:
            raise InvalidInputLine("not JSON (not UTF-8)") from None
    except ValueError:
        pass
    why = str(refused) if is_strict else "JSON is malformed"
    raise InvalidInputLine(f"not JSON ({why})") from None


def check_depth(message: object) -> None:
    """Checks that code may walk a message by recursion.

    Raises:
        InvalidInputLine: It is nested more than `DEEPEST_LEVEL` levels deep.
    """
    level: list[object] = [message]
    for _ in range(DEEPEST_LEVEL):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise InvalidInputLine(_TOO_DEEP)


def check_shape(message: object) -> None:
    """Checks that a value is a message and has the members that its type needs.

    Raises:
        InvalidInputLine: It lacks one.
    """
    fault = _shape_fault(message)
    if fault is not None:
        raise InvalidInputLine(f"not a Singer message: {fault}")


def _shape_fault(message: object) -> str | None:
    if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
        return "it has no 'type'"
    has_stream = isinstance(message.get("stream"), str)
    if kind in ("RECORD", "SCHEMA", "BATCH") and not has_stream:
        return f"a {kind} without 'stream'"
    if kind == "ACTIVATE_VERSION" and not has_stream:
        return "an ACTIVATE_VERSION without 'stream'"
    if kind == "RECORD" and not isinstance(message.get("record"), dict):
        return "a RECORD whose 'record' is no object"
    if kind == "STATE" and "value" not in message:
        return "a STATE without 'value'"
    return None


def long_state_value(line: bytes) -> LongValue | None:
    """The value of a long STATE, which is not decoded; None if the line is no STATE."""
    try:
        message = _STATE_DECODER.decode(line.removeprefix(codecs.BOM_UTF8))
        if message.type == "STATE":
            return LongValue(str(memoryview(message.value), "utf-8"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return None
