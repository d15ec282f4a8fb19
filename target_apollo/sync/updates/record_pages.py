"""Reads the present values of many records from pages of a search, a hundred records a request.

Apollo's search has no filter by id, so pages of all records are read, the last changed first: the
records that an earlier run wrote come early. A page costs as much as the GET of one record, so
pages are read only while they show enough of the records that are needed; the others are read one
by one.

A search may show values that are seconds old. What a page shows is therefore used for a short time
only, never for a record that this run has just written, and not if it is older than what is known
of the record (`age_of`). A search that is found to be behind is not used again in the run.
"""

from __future__ import annotations

import enum
import time
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from target_apollo.apollo import ApolloClient, ApolloError, RecordPage
from target_apollo.apollo.endpoints import MOST_PAGES, PER_PAGE
from target_apollo.ledger import Link
from target_apollo.model.objects.registry import Json, ObjectType
from target_apollo.model.times import moment
from target_apollo.sync.concurrency import RequestPool
from target_apollo.sync.counts import RequestCounter
from target_apollo.sync.updates.bulk_requests import UpdateRoutes

#: So many records are read one by one, whatever the pages are.
FEW = 20
#: One page for so many records that are needed may show none of them.
_IN_VAIN = 10
#: Records that a page must show for the next one to be read.
_WORTH_A_PAGE = 2
#: Seconds for which a page is believed, and after which a search is expected to show a write.
_SECONDS = 120.0


_decode = msgspec.json.Decoder(list[dict[str, object]]).decode


class Age(enum.Enum):
    """How old a record is that a search shows."""

    PRESENT = enum.auto()
    #: A known write is missing, so the search is behind.
    BEHIND = enum.auto()
    #: It may lack a known write.
    UNKNOWN = enum.auto()


def age_of(
    object_type: ObjectType, shown: Json, before: Json | None, link: Link | None, now: datetime
) -> Age:
    """How old a record is that a search shows, by what else is known of it.

    The time of its last change tells. Accounts have none in the answers of a search: what an answer
    to a write has shown just now must then be the same, and the last write of the ledger must be
    long enough ago.

    Args:
        before: The record in an answer to a write of this batch; None if there is none.
        link: The link of the record's row in the ledger.
    """
    own = link if link is not None and link.apollo_id == shown.get("id") else None
    seen = moment(shown.get("updated_at"))
    known = [
        at
        for at in (
            moment((before or {}).get("updated_at")),
            moment(own.apollo_updated_at) if own is not None else None,
        )
        if at is not None
    ]
    if seen is not None and known:
        return Age.PRESENT if seen >= max(known) else Age.BEHIND
    if before is not None and any(
        place.read in before and place.read in shown and before[place.read] != shown[place.read]
        for place in object_type.fields.values()
        if place.read is not None
    ):
        return Age.UNKNOWN
    if own is not None and (
        own.last_synced_at is None or now - own.last_synced_at < timedelta(seconds=_SECONDS)
    ):
        return Age.UNKNOWN
    return Age.PRESENT


def most_pages(wanted: int, found: int, pages: int | None, reads_left: int | None) -> int:
    """How many pages may be read for a number of records, those already read included.

    If there are fewer pages than records, reading all of them can only save requests. Otherwise one
    page for every ten records may be read in vain, or one for every two if Apollo's limits are too
    low to read the records one by one.

    Args:
        found: How many of the records the pages have shown.
        pages: How many pages there are; None before the first was read.
        reads_left: How many single reads Apollo's limits still allow; None if unknown.
    """
    is_short = reads_left is not None and reads_left < wanted
    most = wanted // (_WORTH_A_PAGE if is_short else _IN_VAIN) + found // _WORTH_A_PAGE
    return max(most, pages) if pages is not None and pages < wanted else most


def searches_to_spend(left: int | None, *, is_short: bool) -> int:
    """How many of the searches that Apollo's limits still allow may be spent on pages.

    Some are left for searches that nothing can replace.

    Args:
        is_short: Whether the single reads would not fit Apollo's limits.
    """
    if left is None:
        return MOST_PAGES
    return left * 9 // 10 if is_short else left // 2


class RecordPages:
    """The records of one object that pages of a search have shown; for one thread, for a run."""

    def __init__(
        self,
        client: ApolloClient,
        object_type: ObjectType,
        pool: RequestPool,
        routes: UpdateRoutes,
        counter: RequestCounter,
        parallel_requests: int,
    ) -> None:
        self._client = client
        self._of = object_type.endpoints
        self._pool = pool
        self._routes = routes
        self._counter = counter
        self._parallel = parallel_requests
        self._is_closed = False
        #: Id -> number of the page that has shown the record last, for records that were not given
        #: yet. A record is given once, since it is then written.
        self._kept: dict[str, int] = {}
        #: The pages, by number, as compressed JSON: the records of one page are much alike, so all
        #: that Apollo shows takes a few megabytes.
        self._bodies: dict[int, bytes] = {}
        #: Id of a record that this run has lately written -> when, the oldest first.
        self._written: dict[str, float] = {}
        self._next = 1
        self._pages: int | None = None
        self._began_at = 0.0

    def __len__(self) -> int:
        """Number of records that are kept."""
        return len(self._kept)

    def note_written(self, ids: Iterable[str]) -> None:
        """Forgets records that this run has written; a search may not show the write yet."""
        now = time.monotonic()
        for apollo_id in ids:
            self._kept.pop(apollo_id, None)
            self._written.pop(apollo_id, None)
            self._written[apollo_id] = now
        self._forget_old(now)

    def close(self) -> None:
        """Ends the use of the search for the rest of the run."""
        self._is_closed = True
        self._start_again()

    def find(self, ids: Collection[str]) -> dict[str, Json]:
        """Id -> record, for those among them that pages show and that are not few.

        An error of Apollo ends the use of the search, and not the run.
        """
        self._forget_old(time.monotonic())
        missing = {*ids} - self._written.keys()
        found = self._take(missing)
        missing -= found.keys()
        if len(missing) > FEW and not self._is_closed:
            self._read(missing, found)
        return found

    def _take(self, ids: Collection[str]) -> dict[str, Json]:
        wanted: defaultdict[int, set[str]] = defaultdict(set)
        for one in ids:
            if one in self._kept:
                wanted[self._kept.pop(one)].add(one)
        return {
            str(record["id"]): record
            for number, some in wanted.items()
            for record in _decode(zlib.decompress(self._bodies[number]))
            if record["id"] in some
        }

    def _forget_old(self, now: float) -> None:
        while self._written:
            oldest = next(iter(self._written))
            if now - self._written[oldest] < _SECONDS:
                break
            del self._written[oldest]
        if now - self._began_at >= _SECONDS:
            self._start_again()

    def _start_again(self) -> None:
        self._kept.clear()
        self._bodies.clear()
        self._next, self._pages = 1, None

    def _read(self, missing: set[str], found: dict[str, Json]) -> None:
        """Reads pages after those already read, and moves records from `missing` to `found`."""
        reads_left = self._routes.requests_left(self._of.read)
        wanted, read = len(missing), 0
        is_short = reads_left is not None and reads_left < wanted
        searches = self._routes.requests_left(self._of.search)
        cap = searches_to_spend(searches, is_short=is_short)
        while missing:
            shown = wanted - len(missing)
            most = min(most_pages(wanted, shown, self._pages, reads_left), cap) - read
            rest = min(self._pages or 1, MOST_PAGES) - self._next + 1
            together = min(most, rest, self._parallel, -(-len(missing) // PER_PAGE))
            if together <= 0:
                return
            if self._next == 1:
                self._began_at = time.monotonic()
            read += together
            if not self._read_together(together, missing, found):
                return

    def _read_together(self, pages: int, missing: set[str], found: dict[str, Json]) -> bool:
        """Reads the next pages side by side; False if the search can't be used any more."""
        self._counter.plan_requests({self._of.search: pages})
        numbers = range(self._next, self._next + pages)
        ask = partial(self._client.last_changed, self._of)
        answers = self._pool.run([partial(ask, number) for number in numbers])
        for number, answer in zip(numbers, answers, strict=True):
            if isinstance(answer, ApolloError):
                # What is wrong with more than the search, the single reads will say.
                self.close()
                return False
            if isinstance(answer, Exception):
                raise answer
            self._take_page(number, answer, missing, found)
        self._next += pages
        return True

    def _take_page(
        self, number: int, page: RecordPage, missing: set[str], found: dict[str, Json]
    ) -> None:
        self._pages = page.pages
        others: list[Json] = []
        for record in page.records:
            apollo_id = str(record["id"])
            if apollo_id in missing:
                missing.discard(apollo_id)
                found[apollo_id] = record
            elif apollo_id not in found and apollo_id not in self._written:
                self._kept[apollo_id] = number
                others.append(record)
        self._bodies[number] = zlib.compress(msgspec.json.encode(others), 1)
