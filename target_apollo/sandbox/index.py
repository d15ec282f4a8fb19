"""An index from match keys to records: almost every key has one record, a few have several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Record = TypeVar("Record")


class KeyIndex(Generic[Record]):
    """Key -> the records that carry it, oldest first."""

    __slots__ = ("_only", "_several")

    def __init__(self) -> None:
        self._only: dict[str, Record] = {}
        self._several: dict[str, list[Record]] = {}

    def first(self, keys: Iterable[str]) -> Record | None:
        """The oldest record of the first key that has one."""
        only = self._only
        for key in keys:
            record = only.get(key)
            if record is not None:
                return record
        return None

    def every(self, key: str) -> list[Record]:
        """All records of a key, oldest first."""
        only = self._only.get(key)
        if only is None:
            return []
        return [only, *self._several.get(key, ())]

    def add(self, keys: Iterable[str], record: Record) -> None:
        """Enter a record under its keys."""
        only = self._only
        for key in keys:
            present = only.setdefault(key, record)
            if present is not record:
                self._several.setdefault(key, []).append(record)

    def remove(self, keys: Iterable[str], record: Record) -> None:
        """Take a record out of its keys."""
        for key in keys:
            others = self._several.get(key)
            if self._only.get(key) is record:
                if others:
                    self._only[key] = others.pop(0)
                else:
                    del self._only[key]
            elif others and record in others:
                others.remove(record)
            if others is not None and not others:
                del self._several[key]
