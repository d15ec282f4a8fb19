"""Reads the pages of one search one after another, while others change what it shows.

Records are in an order that stays, most of them in that of a time. New ones move others to later
pages, where they are read twice. Where some are deleted, the others move to earlier pages, where
they would be missed: so pages are read again once fewer records are left than before. A search that
an earlier run has begun goes on at the page where the records are now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from target_apollo.apollo.endpoints import MOST_PAGES, PER_PAGE, ObjectEndpoints
from target_apollo.apollo.record_reader import RecordReader, SearchPage, Selection
from target_apollo.model.objects.registry import Json
from target_apollo.model.times import moment


class Search(Protocol):
    """A search of Apollo, page by page."""

    def page(self, number: int) -> SearchPage:
        """Return a page of 100 records; raises the `ApolloError` family."""


@dataclass(frozen=True)
class RecordSearch:
    """A search for contacts or accounts."""

    reader: RecordReader
    of: ObjectEndpoints
    selection: Selection

    def page(self, number: int) -> SearchPage:
        """Return a page of 100 records."""
        return self.reader.page(self.of, self.selection, number)


@dataclass(frozen=True)
class DealSearch:
    """The search that shows all deals, in an order that Apollo does not document."""

    reader: RecordReader

    def page(self, number: int) -> SearchPage:
        """Return a page of 100 deals."""
        return self.reader.deals(number)


@dataclass(frozen=True)
class SequenceSearch:
    """The search that shows all sequences, in an order that Apollo does not document."""

    reader: RecordReader

    def page(self, number: int) -> SearchPage:
        """Return a page of 100 sequences."""
        return self.reader.sequences(number)


class PagesInOrder:
    """The pages of one search; for one thread.

    Args:
        time_field: The field of a record with the time by which the search sorts; empty where it is
            not known.
        ascending: Whether the earliest time comes first.
        page: The page to begin with.
        reached: The time up to which an earlier run has read; empty for the beginning.
        until: The time at which the search ends; None for its last page.

    Attributes:
        next_page, reached: Where to go on after the pages that were given.
        total: How many records the search has; None before the first page.
        is_cut: Whether Apollo shows no further page, though there are records.
    """

    def __init__(
        self,
        search: Search,
        time_field: str = "",
        *,
        ascending: bool = True,
        page: int = 1,
        reached: str = "",
        until: datetime | None = None,
    ) -> None:
        self._search = search
        self._ascending = ascending
        self._field = time_field
        self._until = until
        self.next_page = page
        self.reached = reached
        self.total: int | None = None
        self.is_cut = False
        #: How many records were deleted since the last page was read.
        self._gone = 0

    def read(self) -> Iterator[list[Json]]:
        """Yield the records of each page.

        Raises:
            ApolloError: Apollo could not be asked; the attributes tell where to go on.
        """
        number, answer = self._first()
        while True:
            gone, self._gone = self._gone, 0
            if gone:
                yield from self._again(number, gone)
            times = [text for record in answer.records if (text := self._time_of(record))]
            # Not where a page is empty: records of the pages behind it would be missed.
            has_ended = number >= answer.pages or self._is_behind(times)
            self.is_cut = not has_ended and number >= MOST_PAGES
            self.next_page = number + 1
            self.reached = times[-1] if times else self.reached
            yield answer.records
            if has_ended or self.is_cut:
                return
            number += 1
            answer = self._page(number)

    def _first(self) -> tuple[int, SearchPage]:
        """The page to begin with: the last one that was read, or where its records are now."""
        end = moment(self.reached)
        number = min(self.next_page, MOST_PAGES)
        if end is None:
            number = max(1, number - 1)
            return number, self._page(number)
        while True:
            number = max(1, number - 1)
            answer = self._page(number)
            first = next((at for one in answer.records if (at := moment(self._time_of(one)))), None)
            if number == 1 or (first is not None and not self._is_after(first, end)):
                return number, answer

    def _again(self, number: int, gone: int) -> Iterator[list[Json]]:
        """Yield pages before one, to which its records may have moved, backwards as they move.

        Args:
            gone: How many records were deleted since the page before that one was read.
        """
        again = number - 1
        while again > 0 and again >= number - -(-(gone + self._gone) // PER_PAGE):
            yield self._page(again).records
            again -= 1

    def _page(self, number: int) -> SearchPage:
        answer = self._search.page(number)
        if self.total is not None:
            self._gone += max(0, self.total - answer.total)
        self.total = answer.total
        return answer

    def _is_behind(self, times: list[str]) -> bool:
        last = moment(times[-1]) if times else None
        return self._until is not None and last is not None and self._is_after(last, self._until)

    def _is_after(self, one: datetime, other: datetime) -> bool:
        return one > other if self._ascending else one < other

    def _time_of(self, record: Json) -> str:
        told = record.get(self._field)
        return told if isinstance(told, str) and moment(told) is not None else ""
