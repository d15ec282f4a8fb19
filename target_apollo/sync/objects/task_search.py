"""Which tasks of Apollo are of which row: looks through them, the latest due first.

Apollo's search for tasks has no filter, only an order. So the tasks are read a hundred a request,
down to the day of the earliest row that is looked for, once for all rows of a flush; a later flush
goes on where it stopped. The ledger keeps whose they are and down to which day they are known, so
that later runs read none for new rows. A row whose request may have made a task needs a pass that
began after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial

from target_apollo.apollo import RequestRefused, endpoints
from target_apollo.apollo.object_client import PER_PAGE
from target_apollo.apollo.tasks import TaskClient
from target_apollo.ledger import Walk, match_hash
from target_apollo.model.objects.registry import Json
from target_apollo.model.objects.task import CONTACT_ID, DUE_AT, TYPE, spelled
from target_apollo.model.objects.task_values import markers_in
from target_apollo.model.times import moment
from target_apollo.sync.exit import RunError
from target_apollo.sync.refusals import says_gone
from target_apollo.sync.run import SyncRun

#: Apollo shows no more pages than this.
_MOST_PAGES = 500
_PASSES = 2
#: People move tasks by hours, and a day has another date elsewhere.
_MARGIN = timedelta(days=1)
#: A search may not show a task at once. A pass for rows whose answer was lost begins this long
#: after the start of the run, and so after the run that lost it.
SHOWN_AFTER = timedelta(seconds=10)
#: Kept where Apollo shows no task of an earlier day, though there are some.
_PART = "part"
_LATEST = datetime.max.replace(tzinfo=timezone.utc)
_EARLIEST = datetime.min.replace(tzinfo=timezone.utc)

#: Contact, owner, type and due time.
Likeness = tuple[str, str, str, str]


def likeness(contact_id: object, owner_id: object, kind: object, due: object) -> Likeness | None:
    """By what two tasks are alike; None where one of the four is not known."""
    at = moment(due)
    if not (contact_id and owner_id and kind) or at is None:
        return None
    return str(contact_id), str(owner_id), str(kind), spelled(at)


@dataclass
class _Pass:
    """How far the tasks were read.

    Attributes:
        floor: Due time of the last task that was read: all later ones are known.
        total: Number of tasks at its last page, or that there must be at least; None if unknown.
        has_ended: Whether there are no more pages.
        is_cut: Whether there are more, which Apollo does not show.
    """

    next_page: int
    began: datetime
    floor: datetime = _LATEST
    total: int | None = None
    has_ended: bool = False
    is_cut: bool = False

    @classmethod
    def of(cls, walk: Walk | None) -> _Pass | None:
        """The pass that the ledger keeps, unless it has come to its end."""
        # Earlier releases kept no number of tasks.
        began, _, total = (walk.newest or "").partition(" ") if walk is not None else ("", "", "")
        at = moment(began)
        if walk is None or walk.next_page < 2 or at is None:
            return None
        # One page back, since deleted tasks move the others to earlier pages. If more tasks than a
        # page holds were deleted since, the pass has lost some.
        least = max(0, int(total) - PER_PAGE) if total.isdecimal() else None
        return cls(walk.next_page - 1, at, total=least)

    @property
    def text(self) -> str:
        """What the ledger keeps of it beside the page."""
        return f"{self.began.isoformat()} {self.total or 0}"

    def covers(self, down_to: datetime) -> bool:
        """Whether all tasks were read that are due at `down_to` or later, or can be."""
        return self.has_ended or self.is_cut or self.floor < down_to


@dataclass
class TaskSearch:
    """The tasks of one team by the marks in their notes; for one thread, for the length of a run.

    Attributes:
        records: The tasks with a mark, by id, as this run last saw them.
        alike: Tasks without a mark, by what they are alike in, of those that this run has read.
    """

    run: SyncRun
    client: TaskClient
    records: dict[str, Json] = field(default_factory=dict)
    alike: dict[Likeness, str] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)
    _pass: _Pass | None = None
    #: Down to which day an earlier run has read; None if none has.
    _known_to: datetime | None = None
    _is_cut: bool = False
    _has_asked_ledger: bool = False

    def find(
        self, markers: Collection[str], earliest: datetime, since: datetime | None
    ) -> dict[str, tuple[str, ...]]:
        """Mark -> ids of the tasks that have it; marks of no task are left out.

        Args:
            earliest: Due time of the earliest task that is looked for.
            since: The pass through the tasks must have begun in a run that started later; None for
                any pass.

        Raises:
            ApolloError: Apollo could not be asked, or its limits do not allow the whole pass.
            LedgerError: The ledger can't be read or written.
            RunError: Tasks were deleted while they were read, or not all of them were shown.
        """
        down_to = earliest - _MARGIN if earliest > _EARLIEST + _MARGIN else _EARLIEST
        self._ask_ledger()
        if not self._covers(down_to, since):
            self._read(down_to, since)
        found = {one: tuple(self._ids[one]) for one in markers if one in self._ids}
        hashes = {match_hash(one): one for one in markers if one not in found}
        if self.run.ledger is not None and self._trusts_ledger and hashes:
            kept = self.run.ledger.company_ids(self._place, list(hashes))
            found |= {hashes[hashed]: tuple(ids.split()) for hashed, ids in kept.items()}
        return found

    def still_marked(self, marker: str, task_ids: Sequence[str]) -> tuple[str, ...]:
        """Of several tasks with a mark those that Apollo has and that still have it.

        The ledger may know tasks that people have deleted since. A single one is not looked at.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        if len(task_ids) < 2:
            return tuple(task_ids)
        left = [one for one in task_ids if one not in self.records]
        self.run.request_counter.plan_requests({endpoints.READ_TASK: len(left)})
        calls = [partial(self.client.read, one) for one in left]
        for task_id, answered in zip(left, self.run.pool.run(calls), strict=True):
            if isinstance(answered, RequestRefused) and says_gone(answered, task_id):
                continue
            if isinstance(answered, Exception):
                raise answered
            self.records[task_id] = answered
        there = (one for one in task_ids if one in self.records)
        return tuple(one for one in there if marker in markers_in(self.records[one]))

    def shows(self, earliest: datetime) -> bool:
        """Whether Apollo shows all tasks that are due then or later; only after `find`."""
        if self._pass is not None:
            return not self._pass.is_cut or self._pass.floor < earliest
        return not self._is_cut or (self._known_to is not None and self._known_to < earliest)

    def is_alike(self, key: Likeness | None) -> str | None:
        """Id of a task without a mark that is alike; None if this run has read none."""
        return None if key is None else self.alike.get(key)

    # --- the pass

    @property
    def _place(self) -> str:
        """Under which the ledger keeps the pass."""
        return f"{self.run.connection}/tasks"

    @property
    def _trusts_ledger(self) -> bool:
        return not self.run.settings.full_resync

    def _ask_ledger(self) -> None:
        if self._has_asked_ledger:
            return
        self._has_asked_ledger = True
        if self.run.ledger is not None and self._trusts_ledger:
            walk = self.run.ledger.walk(self._place)
            self._known_to = moment(walk.reached) if walk and walk.reached else None
            self._is_cut = walk is not None and walk.newest == _PART

    def _covers(self, down_to: datetime, since: datetime | None) -> bool:
        own = self._pass
        is_of_use = own is not None and (since is None or own.began > since)
        if own is not None and is_of_use and own.covers(down_to):
            return True
        if since is not None:
            return False
        return self._is_cut or (self._known_to is not None and self._known_to <= down_to)

    def _read(self, down_to: datetime, since: datetime | None) -> None:
        if since is not None:
            self._let_apollo_show()
        current = self._pass
        if current is None or (since is not None and current.began <= since):
            current = self._begun(since)
        for _ in range(_PASSES):
            self._pass = None
            if self._read_pages(current, down_to):
                self._pass = current
                break
            current = _Pass(1, self.run.counts.started_at)
        else:
            raise RunError(
                "Tasks were deleted in Apollo while the sync looked through them, or a page of "
                "them lacked some, twice: nothing tells which rows have a task already, and none "
                "is made. Run again later."
            )
        known_to = _EARLIEST if current.has_ended else current.floor if current.is_cut else down_to
        if self._known_to is None or known_to < self._known_to:
            self._known_to, self._is_cut = known_to, current.is_cut
        self._save(Walk(1, _PART if self._is_cut else None, self._known_to.isoformat()))

    def _begun(self, since: datetime | None) -> _Pass:
        """The pass that an earlier run began, if it is of use, or a new one."""
        walk = None
        if self.run.ledger is not None and self._trusts_ledger:
            walk = self.run.ledger.walk(self._place)
        found = _Pass.of(walk)
        if found is not None and (since is None or found.began > since):
            return found
        return _Pass(1, self.run.counts.started_at)

    def _read_pages(self, current: _Pass, down_to: datetime) -> bool:
        """Reads on to tasks due before `down_to`; False if some were deleted or not shown."""
        reached = self._known_to.isoformat() if self._known_to else None
        while not current.covers(down_to):
            self.run.request_counter.plan_requests({endpoints.SEARCH_TASKS: 1})
            answer = self.client.page(current.next_page)
            if answer.lacks_some or (current.total is not None and answer.total < current.total):
                return False
            current.total = answer.total
            self._note(answer.records)
            dues = [due for one in answer.records if (due := moment(one.get(DUE_AT)))]
            current.floor = min([current.floor, *dues])
            current.has_ended = not answer.records or current.next_page >= answer.pages
            current.is_cut = not current.has_ended and current.next_page >= _MOST_PAGES
            current.next_page += 1
            self._save(Walk(current.next_page, current.text, reached))
        return True

    def _note(self, tasks: Sequence[Json]) -> None:
        found: dict[str, list[str]] = {}
        for task in tasks:
            task_id = str(task["id"])
            markers = markers_in(task)
            if markers:
                self.records[task_id] = task
            elif (key := _likeness_of(task)) is not None:
                self.alike[key] = task_id
            for marker in markers:
                ids = self._ids.setdefault(marker, [])
                if task_id not in ids:
                    ids.append(task_id)
                found[marker] = ids
        if self.run.ledger is not None and found:
            hashed = {match_hash(marker): " ".join(ids) for marker, ids in found.items()}
            self.run.ledger.save_companies(self._place, hashed)

    def _save(self, walk: Walk) -> None:
        if self.run.ledger is not None:
            self.run.ledger.save_walk(self._place, walk)

    def _let_apollo_show(self) -> None:
        """Waits until a search shows what an earlier run made last."""
        passed = datetime.now(timezone.utc) - self.run.counts.started_at
        self.run.stop.wait(max(timedelta(), SHOWN_AFTER - passed).total_seconds())


def _likeness_of(task: Json) -> Likeness | None:
    return likeness(task.get(CONTACT_ID), task.get("user_id"), task.get(TYPE), task.get(DUE_AT))


def earliest_due(texts: Iterable[str | None]) -> datetime:
    """The earliest of some due times; that of all tasks if one is not known."""
    dues = [moment(text) for text in texts]
    return min((due or _EARLIEST for due in dues), default=_EARLIEST)
