"""Walks through all records of an object, or through those that changed, and can be continued.

A full walk reads the oldest records first, since that order moves no record while others change. A
walk through changes reads the last changed first, down to the time up to which an earlier walk has
read. Records that change meanwhile move to its beginning, behind it: the next walk reads them,
since it ends at the newest change that this one found at its start.

Where a walk stands is plain values (`Progress`), which a tap keeps in its STATE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from target_apollo.apollo import ApolloClient
from target_apollo.apollo.endpoints import ObjectEndpoints
from target_apollo.apollo.record_reader import RecordReader, Selection
from target_apollo.model.objects.registry import Json
from target_apollo.model.times import moment
from target_apollo.sync.reading.pages import PagesInOrder, RecordSearch
from target_apollo.sync.reading.parts import SHOWN, SHOWN_FROM_BOTH_ENDS, End, Part, parts_of

_CREATED, _UPDATED = "created_at", "updated_at"
#: A search may show a change later than a newer one, so changes are read from a little earlier on.
_OVERLAP = timedelta(minutes=10)


@dataclass
class Progress:
    """Where a walk stands.

    Attributes:
        parts: What a full walk has still to read, the present part first; None before its start,
            and in a walk through changes.
        page, reached: Where to go on in the present search, as in `PagesInOrder`.
        newest: The newest change when the walk began; empty where there was none, or no time.
        shown: How many records earlier runs have read in this walk.
        total: How many records there were when the walk began.
    """

    parts: list[Part] | None = None
    page: int = 1
    reached: str = ""
    newest: str = ""
    shown: int = 0
    total: int = 0

    def to_state(self) -> dict[str, Any]:
        """The progress as values for a STATE."""
        return {
            "parts": [
                [part.stage_id, part.label_id, part.end.value, part.until]
                for part in self.parts or ()
            ],
            "page": self.page,
            "reached": self.reached,
            "newest": self.newest,
            "shown": self.shown,
            "total": self.total,
        }

    @classmethod
    def of_state(cls, state: object) -> Progress | None:
        """The progress in a STATE; None where there is none, so that the walk begins anew."""
        if not isinstance(state, Mapping):
            return None
        try:
            parts = [
                Part(str(stage), str(label), End(end), str(until))
                for stage, label, end, until in state["parts"]
            ]
            page, shown, total = (int(state[name]) for name in ("page", "shown", "total"))
            reached, newest = (str(state[name]) for name in ("reached", "newest"))
        except (KeyError, TypeError, ValueError):
            return None
        return cls(parts or None, page, reached, newest, shown, total) if page > 0 else None


@dataclass
class RecordWalk:
    """A walk through the records of one object; for one thread.

    Attributes:
        progress: Where to go on after the page of records that was given last.
        too_many_changed: Whether more records changed than a search shows, so that only a full
            walk reads them all.
    """

    client: ApolloClient
    reader: RecordReader
    of: ObjectEndpoints
    progress: Progress = field(default_factory=Progress)
    too_many_changed: bool = False
    _seen: dict[str, object] = field(default_factory=dict, repr=False)

    @property
    def is_split(self) -> bool:
        """Whether one search does not show all records, by a full walk, which may be continued."""
        return self.progress.total > SHOWN

    @property
    def not_shown(self) -> int:
        """How many records Apollo did not show, after a full walk."""
        return max(0, self.progress.total - self.progress.shown)

    def note_newest(self) -> None:
        """Notes the newest change before a walk begins.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        newest = self.reader.page(self.of, Selection(self.of.updated_key, ascending=False), 1)
        times = (str(record.get(_UPDATED)) for record in newest.records)
        self.progress.newest = next((text for text in times if moment(text) is not None), "")

    def changed(self, since: datetime) -> Iterator[list[Json]]:
        """Yield the records that changed since a time, page by page, the last changed first.

        Raises:
            ApolloError: Apollo could not be asked; `progress` tells where to go on.
        """
        if not self.progress.newest:
            self.note_newest()
        selection = Selection(self.of.updated_key, ascending=False)
        pages = self._pages(selection, _UPDATED, until=since - _OVERLAP)
        yield from self._read(pages)
        self.too_many_changed = pages.is_cut

    def all(self) -> Iterator[list[Json]]:
        """Yield all records, page by page, each of them once unless it has changed meanwhile.

        Raises:
            ApolloError: Apollo could not be asked; `progress` tells where to go on.
        """
        progress = self.progress
        if progress.parts is None:
            progress.parts = [Part()]
        while progress.parts:
            part, is_new = progress.parts[0], progress.page == 1
            selection = Selection(
                self.of.created_key, part.end is End.OLDEST, part.stage_id, part.label_id
            )
            pages = self._pages(selection, _CREATED, until=moment(part.until))
            for records in self._read(pages):
                # Before the records are given: a walk that ends here begins anew with this page.
                parts = self._parts_of(part, pages.total or 0) if is_new else [part]
                if is_new and part == Part():
                    progress.total = pages.total or 0
                is_new = False
                if parts[0] != part:
                    progress.parts[:1], progress.page, progress.reached = parts, 1, ""
                    yield records
                    break
                progress.parts[:1] = parts
                yield records
            else:
                both = pages.is_cut and part.end is End.OLDEST
                progress.parts[:1] = [part.from_newest(pages.reached)] if both else []
            if progress.parts[:1] != [part]:
                progress.page, progress.reached = 1, ""

    def _parts_of(self, part: Part, total: int) -> list[Part]:
        """The parts that are read in place of one. Stages and lists are read only if needed."""
        if total <= SHOWN_FROM_BOTH_ENDS or part.end is End.NEWEST:
            return [part]
        stages = [stage.id for stage in self.client.stages(self.of)]
        lists = [label.id for label in self.client.labels() if label.modality == self.of.plural]
        return list(parts_of(part, total, stages, lists))

    def _pages(self, selection: Selection, field: str, until: datetime | None) -> PagesInOrder:
        return PagesInOrder(
            RecordSearch(self.reader, self.of, selection),
            field,
            ascending=selection.ascending,
            page=self.progress.page,
            reached=self.progress.reached,
            until=until,
        )

    def _read(self, pages: PagesInOrder) -> Iterator[list[Json]]:
        # An earlier run has counted the pages before.
        counted = self.progress.page
        for records in pages.read():
            self.progress.page, self.progress.reached = pages.next_page, pages.reached
            yield self._new(records, is_counted=pages.next_page <= counted)

    def _new(self, records: list[Json], *, is_counted: bool) -> list[Json]:
        """The records without those that were given as they are now."""
        new: list[Json] = []
        for record in records:
            apollo_id, changed_at = str(record["id"]), record.get(_UPDATED)
            if apollo_id not in self._seen:
                self.progress.shown += not is_counted
            elif self._seen[apollo_id] == changed_at:
                continue
            self._seen[apollo_id] = changed_at
            new.append(record)
        return new
