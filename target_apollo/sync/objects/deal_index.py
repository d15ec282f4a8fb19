"""Which deals of Apollo are of which row: one pass through all of them reads their marks.

Apollo has no filter by a custom field. So the deals are read a hundred a request, once, and the
ledger keeps whose they are, and the page at which Apollo's limits stopped the pass, where the next
run goes on. A row whose creation was not confirmed needs a pass that began after it.

Apollo documents no order of the deals: one may move to a page that was read already. A pass is
complete when it has seen as many deals as there were when it began, and none was deleted meanwhile;
if not, they are read once more. Deals that others make meanwhile are of no row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial

from target_apollo.apollo import RequestRefused, endpoints
from target_apollo.apollo.object_clients import CountedPage, DealClient
from target_apollo.ledger import Walk, match_hash
from target_apollo.model.compare import CUSTOM_FIELDS, shows_custom
from target_apollo.model.objects.deal_values import kept_part
from target_apollo.model.objects.registry import Json
from target_apollo.sync.exit import RunError
from target_apollo.sync.refusals import says_gone
from target_apollo.sync.run import SyncRun

#: Apollo shows no more pages than this.
_MOST_PAGES = 500
_PER_PAGE = 100
_PASSES = 2
#: Kept of a pass after which some deals are not known, since Apollo shows no more pages.
_PART = "part"
#: Of so few deals each is read by itself.
_FEW = 5
#: So many deals are read since a search shows none of their custom fields.
_MOST_UNCLEAR = 20
_NO_CUSTOM_FIELDS = (
    "Apollo shows deals without their custom fields: nothing tells which rows have a deal already, "
    "and none is made. Run again later; if that does not help, ask Apollo's support."
)
#: A search may not show a deal at once. A pass for rows whose answer was lost begins this long
#: after the start of the run, and so after the run that lost it.
SHOWN_AFTER = timedelta(seconds=10)


@dataclass
class _Pass:
    """How far the deals were read.

    Attributes:
        began: Start of the run in which the pass began.
        seen: Number of deals that earlier runs have seen in it.
        deals: Number of deals that there were at first, and later if there were fewer; None before
            the first page.
        told: Number of deals as the last page told it.
        lost_some: Whether deals were deleted meanwhile, so that others moved to pages that were
            read.
    """

    next_page: int
    began: datetime
    seen: int = 0
    deals: int | None = None
    told: int = 0
    lost_some: bool = False

    @classmethod
    def of(cls, walk: Walk | None) -> _Pass | None:
        """The pass that the ledger keeps, unless it has come to its end."""
        parts = (walk.newest or "").split() if walk is not None else []
        # Earlier releases kept three parts.
        if walk is None or walk.next_page < 2 or len(parts) not in (3, 4):
            return None
        began, numbers = _moment(parts[0]), parts[1:]
        if began is None or not all(map(str.isdigit, numbers)):
            return None
        seen, deals, told = int(numbers[0]), int(numbers[1]), int(numbers[-1])
        # One page back, since deleted deals move the others to earlier pages. If more deals than a
        # page holds were deleted since, the pass has lost some.
        return cls(
            walk.next_page - 1,
            began,
            max(0, seen - _PER_PAGE),
            deals,
            max(0, told - _PER_PAGE),
        )

    def text(self, seen: int) -> str:
        """What the ledger keeps of it beside the page."""
        return f"{self.began.isoformat()} {self.seen + seen} {self.deals or 0} {self.told}"

    def note(self, deals: int) -> None:
        """Notes how many deals there are, as a page tells."""
        self.lost_some = self.lost_some or deals < self.told
        self.told = deals
        self.deals = deals if self.deals is None else min(deals, self.deals)


class DealIndex:
    """The deals of one team by their marks; for one thread.

    Attributes:
        has_all: Whether Apollo shows all deals; if not, an unknown mark proves nothing.
    """

    def __init__(self, run: SyncRun, client: DealClient, field_id: str) -> None:
        self._run = run
        self._client = client
        self._field_id = field_id
        self.has_all = True
        #: Mark -> ids of the deals that have it, of those that this run has read or made.
        self._ids: dict[str, list[str]] = {}
        #: The deals with a mark as this run last saw them.
        self._records: dict[str, Json] = {}
        #: Start of the run in which the last whole pass began; None if there was none.
        self._reached: datetime | None = None
        self._has_asked_ledger = False
        self._seen: set[str] = set()
        #: Number of deals that a search has shown without their custom fields.
        self._unclear = 0

    # --- whose deals

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
        found = {mark: tuple(self._ids[mark]) for mark in marks if mark in self._ids}
        hashes = {match_hash(mark): mark for mark in marks if mark not in found}
        if self._run.ledger is not None and self._trusts_ledger and hashes:
            kept = self._run.ledger.company_ids(self._place, list(hashes))
            found |= {hashes[hashed]: tuple(ids.split()) for hashed, ids in kept.items()}
        return found

    def learn(self, mark: str, deal: Json) -> None:
        """Notes a deal that this run wrote."""
        deal_id = str(deal["id"])
        ids = self._ids.setdefault(mark, [])
        if deal_id not in ids:
            ids.append(deal_id)
        if deal_id in self._records or self._run.ledger is None:
            self._records[deal_id] = kept_part(deal)

    # --- deals as they are

    def record(self, deal_id: str) -> Json | None:
        """A deal as this run last saw it; None if it has not."""
        return self._records.get(deal_id)

    def read(self, deal_ids: Sequence[str]) -> dict[str, Json]:
        """Deals by id, of those that Apollo has; a pass through all of them, or one by one.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        left = dict.fromkeys(one for one in deal_ids if one not in self._records)
        if len(left) > _FEW:
            page, pages = 1, 1
            # As long as the pages that are left cost less than the deals that are.
            while page <= pages and pages - page < len(left):
                answer = self._page(page)
                pages = min(answer.pages, _MOST_PAGES)
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
        """Under which the ledger keeps the pass: another field has other marks."""
        return f"{self._run.connection}/deals/{self._field_id}"

    @property
    def _trusts_ledger(self) -> bool:
        return not self._run.settings.full_resync

    def _ask_ledger(self) -> None:
        if self._has_asked_ledger:
            return
        self._has_asked_ledger = True
        if self._run.ledger is not None and self._trusts_ledger:
            walk = self._run.ledger.walk(self._place)
            self._reached = _moment(walk.reached) if walk else None
            self.has_all = walk is None or walk.newest != _PART

    def _begun(self, since: datetime | None) -> _Pass:
        """The pass that an earlier run began, if it is of use, or a new one."""
        walk = None
        if self._run.ledger is not None and self._trusts_ledger:
            walk = self._run.ledger.walk(self._place)
        found = _Pass.of(walk)
        if found is not None and (since is None or found.began > since):
            return found
        return _Pass(1, self._run.counts.started_at)

    def _read_all(self, since: datetime | None) -> None:
        if since is not None:
            self._let_apollo_show()
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
        self._save(Walk(1, newest, current.began.isoformat()))

    def _read_pages(self, current: _Pass) -> None:
        """Reads the pages from that of a pass on."""
        while True:
            answer = self._page(current.next_page)
            self._note(answer.records)
            self.has_all = answer.pages <= _MOST_PAGES
            if not answer.records or current.next_page >= min(answer.pages, _MOST_PAGES):
                current.note(answer.total)
                return
            current.next_page += 1
            current.note(answer.total)
            reached = self._reached.isoformat() if self._reached else None
            self._save(Walk(current.next_page, current.text(len(self._seen)), reached))

    def _page(self, page: int) -> CountedPage:
        self._run.request_counter.plan_requests({endpoints.SEARCH_DEALS: 1})
        return self._client.page(page)

    def _note(self, deals: Sequence[Json]) -> None:
        found: dict[str, list[str]] = {}
        for deal in self._with_custom_fields(deals):
            deal_id = str(deal["id"])
            self._seen.add(deal_id)
            custom = deal.get(CUSTOM_FIELDS)
            mark = custom.get(self._field_id) if isinstance(custom, dict) else None
            if not isinstance(mark, str) or not mark.strip():
                continue
            self._records[deal_id] = kept_part(deal)
            ids = self._ids.setdefault(mark.strip(), [])
            if deal_id not in ids:
                ids.append(deal_id)
            found[mark.strip()] = ids
        if self._run.ledger is not None and found:
            hashed = {match_hash(mark): " ".join(ids) for mark, ids in found.items()}
            self._run.ledger.save_companies(self._place, hashed)

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

    def _save(self, walk: Walk) -> None:
        if self._run.ledger is not None:
            self._run.ledger.save_walk(self._place, walk)

    def _let_apollo_show(self) -> None:
        """Waits until a search shows what an earlier run made last."""
        passed = datetime.now(timezone.utc) - self._run.counts.started_at
        self._run.stop.wait(max(timedelta(), SHOWN_AFTER - passed).total_seconds())


def _moment(written: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError:
        return None


def ids_of(found: Mapping[str, tuple[str, ...]], marks: Sequence[str]) -> tuple[str, ...]:
    """The ids under the first of some marks that has any."""
    return next((found[mark] for mark in marks if mark in found), ())
