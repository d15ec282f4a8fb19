"""Keeps an expression of `stream_maps` that fails on one record from ending the run.

The SDK tells that it can't apply a map only where the evaluator finds fault with the expression;
what Python's own operators raise (a text and a null added, a division by zero) would pass for a
defect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from singer_sdk.exceptions import MapExpressionError
from singer_sdk.mapper import CustomStreamMap, StreamMap

Record = dict[str, Any]


def guard_maps(maps: Iterable[StreamMap]) -> None:
    """Has each map of a stream refuse a record, whatever its expressions raise for it."""
    for stream_map in maps:
        if isinstance(stream_map, CustomStreamMap):
            # An attribute of the map itself goes before the method of its class.
            vars(stream_map)["transform"] = _guarded(stream_map.transform)


def _guarded(transform: Callable[[Record], Record | None]) -> Callable[[Record], Record | None]:
    def refuse_what_fails(record: Record) -> Record | None:
        try:
            return transform(record)
        except MapExpressionError:
            raise
        except Exception as problem:  # noqa: BLE001 - an expression may raise anything
            # Its words may show a value.
            raise MapExpressionError(type(problem).__name__) from None

    return refuse_what_fails
