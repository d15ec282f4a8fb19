"""An Apollo in memory that shows pages of its records, while a test changes them between pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest

from target_apollo.apollo import ApolloClient, Label, QuotaExhausted, Stage
from target_apollo.apollo.endpoints import CONTACT_ENDPOINTS, ObjectEndpoints
from target_apollo.apollo.record_reader import RecordReader, SearchPage, Selection
from target_apollo.sync.reading import pages, parts, walk
from target_apollo.sync.reading.walk import Progress, RecordWalk

_BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)


@cache
def at(seconds: int) -> str:
    return (_BEGAN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@dataclass
class PagedApollo(RecordReader, ApolloClient):
    """Attributes:
    asked: The selection and number of each page that was read.
    meanwhile: Called before each page, with its number in the walk.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    stage_ids: tuple[str, ...] = ("s1", "s2")
    asked: list[tuple[Selection, int]] = field(default_factory=list)
    meanwhile: Callable[[int], None] = lambda number: None
    quota: int = 10_000
    most_pages: int = 500
    #: Numbers of pages that it shows without their records.
    empty: frozenset[int] = frozenset()
    _sorted: dict[Selection, list[dict[str, Any]]] = field(default_factory=dict)

    def put(self, number: int, changed: int = 0, **more: Any) -> None:
        record = {
            "id": f"{number:024x}", "created_at": at(number), "updated_at": at(changed or number),
            "contact_stage_id": "s1", "label_ids": [], **more,
        }  # fmt: skip
        self.records[record["id"]] = record
        self._sorted.clear()

    def drop(self, *numbers: int) -> None:
        for number in numbers:
            del self.records[f"{number:024x}"]
        self._sorted.clear()

    def page(self, of: ObjectEndpoints, selection: Selection, number: int) -> SearchPage:
        self.meanwhile(len(self.asked))
        if len(self.asked) == self.quota:
            raise QuotaExhausted(of.search, retry_at=datetime.now(timezone.utc))
        self.asked.append((selection, number))
        if selection not in self._sorted:
            self._sorted[selection] = self._select(selection)
        found = self._sorted[selection]
        assert number <= self.most_pages
        return SearchPage(
            found[number * 100 - 100 : number * 100], -(-len(found) // 100), len(found)
        )

    def _select(self, selection: Selection) -> list[dict[str, Any]]:
        key = "created_at" if selection.sort_by == "contact_created_at" else "updated_at"
        found = [
            record
            for record in self.records.values()
            if selection.stage_id in ("", record["contact_stage_id"])
            and (not selection.label_id or selection.label_id in record["label_ids"])
        ]
        return sorted(found, key=lambda one: one[key], reverse=not selection.ascending)

    def stages(self, of: ObjectEndpoints) -> list[Stage]:
        return [Stage(one, one, one) for one in self.stage_ids]

    def labels(self) -> list[Label]:
        return [Label("l1", "First", "contacts"), Label("l2", "Firms", "accounts")]

    def walk(self, progress: Progress | None = None) -> RecordWalk:
        return RecordWalk(self, self, CONTACT_ENDPOINTS, progress or Progress())


@pytest.fixture
def apollo() -> PagedApollo:
    return PagedApollo()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> PagedApollo:
    """One that shows 5 pages of a search instead of 500."""
    monkeypatch.setattr(pages, "MOST_PAGES", 5)
    for module in (parts, walk):
        monkeypatch.setattr(module, "SHOWN", 500)
        monkeypatch.setattr(module, "SHOWN_FROM_BOTH_ENDS", 1000)
    return PagedApollo(most_pages=5)
