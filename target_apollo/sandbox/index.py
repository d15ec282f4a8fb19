"""An index from match keys to records: almost every key has one record, a few have several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Record = TypeVar("Record")


class KeyIndex(Generic[Record]):
    """Key -> the records that carry it, oldest first.

    A key is kept as its 64-bit hash, which takes a third of its text's memory. That two of the four
    million keys of a million contacts have one hash has a chance of less than one in a million.
    """

    __slots__ = ("_only", "_several")

    def __init__(self) -> None:
        self._only: dict[int, Record] = {}
        self._several: dict[int, list[Record]] = {}

    def first(self, keys: Iterable[str]) -> Record | None:
        """The oldest record of the first key that has one."""
        only = self._only
        for key in keys:
            record = only.get(hash(key))
            if record is not None:
                return record
        return None

    def every(self, key: str) -> list[Record]:
        """All records of a key, oldest first."""
        code = hash(key)
        only = self._only.get(code)
        if only is None:
            return []
        return [only, *self._several.get(code, ())]

    def add(self, keys: Iterable[str], record: Record) -> None:
        """Enter a record under its keys."""
        only = self._only
        for key in keys:
            code = hash(key)
            present = only.setdefault(code, record)
            if present is not record:
                self._several.setdefault(code, []).append(record)

    def remove(self, keys: Iterable[str], record: Record) -> None:
        """Take a record out of its keys."""
        for code in map(hash, keys):
            others = self._several.get(code)
            if self._only.get(code) is record:
                if others:
                    self._only[code] = others.pop(0)
                else:
                    del self._only[code]
            elif others and record in others:
                others.remove(record)
            if others is not None and not others:
                del self._several[code]
