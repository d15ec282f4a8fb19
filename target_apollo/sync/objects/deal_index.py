"""Finds the deals of rows: one pass through all deals of Apollo reads their marks.

A row whose creation was not confirmed needs a pass that began after it.

Apollo documents no order of the deals: one may move to a page that was read already. A pass is
complete when it has seen as many deals as there were when it began, and none was deleted meanwhile;
if not, they are read once more. Deals that others make meanwhile are of no row.

Apollo's limits may stop a pass, and the next run goes on with it. Deals that were deleted since
have moved the others to earlier pages, whatever their number is now. So a run first goes back to a
page with a deal that the pass has read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from target_apollo.apollo import RequestRefused, endpoints
from target_apollo.apollo.endpoints import MOST_PAGES, PER_PAGE
from target_apollo.apollo.object_clients import CountedPage, DealClient
from target_apollo.ledger import Walk
from target_apollo.model.compare import CUSTOM_FIELDS, shows_custom
from target_apollo.model.objects.deal_values import kept_part
from target_apollo.model.objects.registry import Json
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.mark_index import MarkIndex
from target_apollo.sync.refusals import says_gone
from target_apollo.sync.run import SyncRun

_PASSES = 2
#: Kept of a pass after which some deals are not known, since Apollo shows no more pages.
_PART = "part"
#: Of so few deals each is read by itself.
_FEW = 5
#: Most deals that are read one by one because a search does not show their custom fields.
_MOST_UNCLEAR = 20
_NO_CUSTOM_FIELDS = (
    "Apollo shows deals without their custom fields: nothing tells which rows have a deal already, "
    "and none is made. Run again later; if that does not help, ask Apollo's support."
)


@dataclass
class _Pass:
    """How far the deals were read.

    Attributes:
        began: Start of the run in which the pass began.
        seen: Number of deals that earlier runs have seen in it.
        deals: Number of deals that there were at first, and later if there were fewer; None before
            the first page.
        total: Number of deals as the last page of this run told it.
        lost_some: Whether deals were deleted between two pages, so that others moved to pages that
            were read.
        last_ids: The id of the last deal of each page that was read.
        is_joined: Whether no deal is unread before the next page.
    """

    next_page: int
    began: datetime
    seen: int = 0
    deals: int | None = None
    total: int = 0
    lost_some: bool = False
    last_ids: dict[str, None] = field(default_factory=dict)
    is_joined: bool = True

    @classmethod
    def of(cls, walk: Walk | None) -> _Pass | None:
        """The pass that the ledger keeps, unless it has come to its end."""
        parts = (walk.newest or "").split() if walk is not None else []
        # Earlier releases kept fewer parts: nothing tells where to go on, so a new pass begins.
        if walk is None or walk.next_page < 2 or len(parts) != 6:
            return None
        began, numbers = _moment(parts[0]), parts[1:5]
        if began is None or not all(map(str.isdigit, numbers)):
            return None
        seen, deals, lost_some, total = map(int, numbers)
        last_ids = dict.fromkeys(parts[5].split(","))
        # A changed deal may stand behind others now, so that many deletions count all the same.
        least = max(0, total - PER_PAGE)
        found = cls(walk.next_page, began, seen, deals, least, bool(lost_some), last_ids, False)
        found.go_back()
        return found

    def text(self, seen: int) -> str:
        """What the ledger keeps of it beside the page.

        Args:
            seen: Number of deals that this run has seen in it.
        """
        numbers = f"{self.seen + seen} {self.deals or 0} {int(self.lost_some)} {self.total}"
        return f"{self.began.isoformat()} {numbers} {','.join(self.last_ids)}"

    def go_back(self) -> None:
        """Goes back by one page, which will be read again."""
        self.next_page -= 1
        self.seen = max(0, self.seen - PER_PAGE)

    def joins(self, deals: Sequence[Json]) -> bool:
        """Whether all deals before the next page were read, which has these deals."""
        if not self.is_joined:
            known = any(str(deal["id"]) in self.last_ids for deal in deals)
            self.is_joined = known or self.next_page == 1
            if self.next_page == 1:
                # All deals are read anew.
                self.total = 0
        return self.is_joined

    def note(self, page: CountedPage) -> None:
        """Notes a page, which also tells how many deals there are."""
        self.lost_some = self.lost_some or page.total < self.total
        self.total = page.total
        self.deals = page.total if self.deals is None else min(page.total, self.deals)
        if page.records:
            self.last_ids[str(page.records[-1]["id"])] = None


class DealIndex(MarkIndex):
    """The deals of one team by their marks; for one thread.

    Attributes:
        has_all: Whether Apollo shows all deals; if not, an unknown mark proves nothing.
    """

    def __init__(self, run: SyncRun, client: DealClient, field_id: str) -> None:
        super().__init__(run)
        self._client = client
        self._field_id = field_id
        self.has_all = True
        #: Start of the run in which the last whole pass began; None if there was none.
        self._reached: datetime | None = None
        self._has_asked_ledger = False
        self._seen: set[str] = set()
        #: Number of deals that a search has shown without their custom fields.
        self._unclear = 0

    # --- deals by mark

    def find(self, marks: Collection[str], since: datetime | None) -> dict[str, tuple[str, ...]]:
        """Mark -> ids of the deals that have it; marks of no deal are left out.

        Args:
            since: The pass through the deals must have begun in a run that started later; None for
                any pass.

        Raises:
            ApolloError: Apollo could not be asked, or its limits do not allow the whole pass.
            LedgerError: The ledger can't be read or written.
            RunError: Apollo did not show all deals, or not their custom fields.
        """
        if not marks:
            return {}
        self._ask_ledger()
        if self._reached is None or (since is not None and self._reached <= since):
            self._read_all(since)
        return self._known_ids(marks)

    def learn(self, mark: str, deal: Json) -> None:
        """Notes a deal that this run wrote."""
        deal_id = str(deal["id"])
        self._note_id(mark, deal_id)
        if deal_id in self._records or self._run.ledger is None:
            self._records[deal_id] = kept_part(deal)

    # --- deals by id

    def read(self, deal_ids: Sequence[str]) -> dict[str, Json]:
        """Deals by id, of those that Apollo has; a pass through all of them, or one by one.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        left = dict.fromkeys(one for one in deal_ids if one not in self._records)
        if len(left) > _FEW:
            page, pages = 1, 1
            # As long as the remaining pages cost less than the remaining deals one by one.
            while page <= pages and pages - page < len(left):
                answer = self._page(page)
                pages = min(answer.pages, MOST_PAGES)
                for deal in answer.records:
                    if deal["id"] in left:
                        self._records[str(deal["id"])] = kept_part(deal)
                        del left[deal["id"]]
                page += 1
        self._run.request_counter.plan_requests({endpoints.READ_DEAL: len(left)})
        calls = [partial(self._client.read, one) for one in left]
        for deal_id, answered in zip(left, self._run.pool.run(calls), strict=True):
            # A GET of a deal that is not there is documented as a 404 that names none.
            if isinstance(answered, RequestRefused) and (
                says_gone(answered, deal_id) or (answered.status == 404 and answered.says_missing)
            ):
                continue
            if isinstance(answered, Exception):
                raise answered
            self._records[deal_id] = kept_part(answered)
        return {one: self._records[one] for one in deal_ids if one in self._records}

    # --- the pass

    @property
    def _place(self) -> str:
        """Named after the field too, since another field has other marks."""
        return f"{self._run.connection}/deals/{self._field_id}"

    def _ask_ledger(self) -> None:
        if not self._has_asked_ledger:
            self._has_asked_ledger = True
            walk = self._kept_walk()
            self._reached = _moment(walk.reached) if walk is not None else None
            self.has_all = walk is None or walk.newest != _PART

    def _begun(self, since: datetime | None) -> _Pass:
        """The pass that an earlier run began, if it is of use, or a new one."""
        found = _Pass.of(self._kept_walk())
        if found is not None and (since is None or found.began > since):
            return found
        return _Pass(1, self._run.counts.started_at)

    def _read_all(self, since: datetime | None) -> None:
        if since is not None:
            self._wait_until_shown()
        current = self._begun(since)
        for number in range(_PASSES):
            self._read_pages(current)
            seen = current.seen + len(self._seen)
            is_whole = seen >= (current.deals or 0)
            if (is_whole and (number or not current.lost_some)) or not self.has_all:
                break
            deals, current = current.deals, _Pass(1, current.began)
        else:
            if self.has_all:
                raise RunError(
                    f"The search for deals showed {seen} of {deals}, twice: nothing tells which "
                    "rows have a deal already, and none is made. Run again when nobody changes "
                    "deals."
                )
        self._reached = current.began
        newest = None if self.has_all else _PART
        self._save_walk(Walk(1, newest, current.began.isoformat()))

    def _read_pages(self, current: _Pass) -> None:
        """Reads the pages that a pass has not read yet."""
        while True:
            answer = self._page(current.next_page)
            if not current.joins(answer.records):
                current.go_back()
                continue
            self._note(answer.records)
            current.note(answer)
            self.has_all = answer.pages <= MOST_PAGES
            if not answer.records or current.next_page >= min(answer.pages, MOST_PAGES):
                return
            current.next_page += 1
            reached = self._reached.isoformat() if self._reached else None
            self._save_walk(Walk(current.next_page, current.text(len(self._seen)), reached))

    def _page(self, page: int) -> CountedPage:
        self._run.request_counter.plan_requests({endpoints.SEARCH_DEALS: 1})
        return self._client.page(page)

    def _note(self, deals: Sequence[Json]) -> None:
        marks: set[str] = set()
        for deal in self._with_custom_fields(deals):
            deal_id = str(deal["id"])
            self._seen.add(deal_id)
            custom = deal.get(CUSTOM_FIELDS)
            mark = custom.get(self._field_id) if isinstance(custom, dict) else None
            if not isinstance(mark, str) or not mark.strip():
                continue
            self._records[deal_id] = kept_part(deal)
            self._note_id(mark.strip(), deal_id)
            marks.add(mark.strip())
        self._save_ids(marks)

    def _with_custom_fields(self, deals: Sequence[Json]) -> Iterator[Json]:
        """The deals of a page, with their custom fields, which tell whose they are.

        Apollo documents an object in each deal, empty if need be. A deal without one is read.
        """
        for deal in deals:
            if shows_custom(deal):
                yield deal
                continue
            self._unclear += 1
            if self._unclear > _MOST_UNCLEAR:
                raise RunError(_NO_CUSTOM_FIELDS)
            self._run.request_counter.plan_requests({endpoints.READ_DEAL: 1})
            read = self._client.read(str(deal["id"]))
            if not shows_custom(read) and read.get(CUSTOM_FIELDS, "") is not None:
                raise RunError(_NO_CUSTOM_FIELDS)
            yield read


def _moment(written: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError:
        return None
