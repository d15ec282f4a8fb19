"""Finds the tasks of rows by the marks in their notes: reads tasks, the latest due first.

Apollo's search for tasks has no filter, only an order. So they are read down to the day of the
earliest row that is looked for, once for all rows of a flush; a later flush goes on where it
stopped. The ledger keeps down to which day they are known, so that later runs read none for new
rows. A row whose request may have made a task needs a pass that began after it.

Apollo's limits may stop a pass, and the next run goes on with it. Tasks that were deleted since
have moved the others to earlier pages, whatever their number is now. So a run first goes back to a
page that begins with a task due later than the last one that the pass has read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial

from target_apollo.apollo import RequestRefused, endpoints
from target_apollo.apollo.endpoints import MOST_PAGES
from target_apollo.apollo.object_clients import TaskClient
from target_apollo.ledger import Walk
from target_apollo.model.objects.registry import Json
from target_apollo.model.objects.task import CONTACT_ID, DUE_AT, TYPE, spelled
from target_apollo.model.objects.task_values import markers_in
from target_apollo.model.times import moment
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.mark_index import MarkIndex
from target_apollo.sync.refusals import says_gone
from target_apollo.sync.run import SyncRun

_PASSES = 2
#: People move tasks by hours, and a day has another date elsewhere.
_MARGIN = timedelta(days=1)
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
        began: Start of the run in which the pass began.
        floor: Due time of the last task that this run has read: all later ones are known.
        total: Number of tasks at its last page; None before the first one.
        has_ended: Whether there are no more pages.
        is_cut: Whether there are more, which Apollo does not show.
        left_at: Due time of the last task that an earlier run has read, as long as it is not known
            that no task is unread before the next page; None then.
    """

    next_page: int
    began: datetime
    floor: datetime = _LATEST
    total: int | None = None
    has_ended: bool = False
    is_cut: bool = False
    left_at: datetime | None = None

    @classmethod
    def of(cls, walk: Walk | None) -> _Pass | None:
        """The pass that the ledger keeps, unless it has come to its end."""
        began, _, left_at = (walk.newest or "").partition(" ") if walk is not None else ("", "", "")
        # Earlier releases kept a number: nothing tells where to go on, so a new pass begins.
        times = moment(began), None if left_at.isdecimal() else moment(left_at)
        if walk is None or walk.next_page < 2 or times[0] is None or times[1] is None:
            return None
        return cls(walk.next_page - 1, times[0], left_at=times[1])

    @property
    def text(self) -> str:
        """What the ledger keeps of it beside the page."""
        return f"{self.began.isoformat()} {self.floor.isoformat()}"

    def joins(self, dues: Sequence[datetime]) -> bool:
        """Whether all tasks before the next page were read, whose tasks have these due times."""
        if self.left_at is not None and (self.next_page == 1 or (dues and dues[0] > self.left_at)):
            self.left_at = None
        return self.left_at is None

    def covers(self, down_to: datetime) -> bool:
        """Whether all tasks were read that are due at `down_to` or later, or can be."""
        return self.has_ended or self.is_cut or self.floor < down_to


class TaskSearch(MarkIndex):
    """The tasks of one team by the marks in their notes; for one thread, for the length of a run.

    Attributes:
        alike: Tasks without a mark, by what they are alike in, of those that this run has read.
    """

    def __init__(self, run: SyncRun, client: TaskClient) -> None:
        super().__init__(run)
        self._client = client
        self.alike: dict[Likeness, str] = {}
        self._pass: _Pass | None = None
        #: Down to which day an earlier run has read; None if none has.
        self._known_to: datetime | None = None
        self._is_cut = False
        self._has_asked_ledger = False

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
        return self._known_ids(markers)

    def still_marked(self, marker: str, task_ids: Sequence[str]) -> tuple[str, ...]:
        """Of several tasks with a mark those that Apollo has and that still have it.

        The ledger may know tasks that people have deleted since. A single one is not looked at.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        if len(task_ids) < 2:
            return tuple(task_ids)
        left = [one for one in task_ids if one not in self._records]
        self._run.request_counter.plan_requests({endpoints.READ_TASK: len(left)})
        calls = [partial(self._client.read, one) for one in left]
        for task_id, answered in zip(left, self._run.pool.run(calls), strict=True):
            if isinstance(answered, RequestRefused) and says_gone(answered, task_id):
                continue
            if isinstance(answered, Exception):
                raise answered
            self._records[task_id] = answered
        there = (one for one in task_ids if one in self._records)
        return tuple(one for one in there if marker in markers_in(self._records[one]))

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
        return f"{self._run.connection}/tasks"

    def _ask_ledger(self) -> None:
        if not self._has_asked_ledger:
            self._has_asked_ledger = True
            walk = self._kept_walk()
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
            self._wait_until_shown()
        current = self._pass
        if current is None or (since is not None and current.began <= since):
            current = self._begun(since)
        for _ in range(_PASSES):
            self._pass = None
            if self._read_pages(current, down_to):
                self._pass = current
                break
            current = _Pass(1, self._run.counts.started_at)
        else:
            raise RunError(
                "Tasks were deleted in Apollo while the sync looked through them, or a page of "
                "them lacked some, twice: nothing tells which rows have a task already, and none "
                "is made. Run again later."
            )
        known_to = _EARLIEST if current.has_ended else current.floor if current.is_cut else down_to
        if self._known_to is None or known_to < self._known_to:
            self._known_to, self._is_cut = known_to, current.is_cut
        self._save_walk(Walk(1, _PART if self._is_cut else None, self._known_to.isoformat()))

    def _begun(self, since: datetime | None) -> _Pass:
        """The pass that an earlier run began, if it is of use, or a new one."""
        found = _Pass.of(self._kept_walk())
        if found is not None and (since is None or found.began > since):
            return found
        return _Pass(1, self._run.counts.started_at)

    def _read_pages(self, current: _Pass, down_to: datetime) -> bool:
        """Reads on to tasks due before `down_to`; False if some were deleted or not shown."""
        reached = self._known_to.isoformat() if self._known_to else None
        while not current.covers(down_to):
            self._run.request_counter.plan_requests({endpoints.SEARCH_TASKS: 1})
            answer = self._client.page(current.next_page)
            if answer.lacks_some or (current.total is not None and answer.total < current.total):
                return False
            current.total = answer.total
            dues = [due for one in answer.records if (due := moment(one.get(DUE_AT)))]
            if not current.joins(dues):
                current.next_page -= 1
                continue
            self._note(answer.records)
            current.floor = min([current.floor, *dues])
            current.has_ended = not answer.records or current.next_page >= answer.pages
            current.is_cut = not current.has_ended and current.next_page >= MOST_PAGES
            current.next_page += 1
            self._save_walk(Walk(current.next_page, current.text, reached))
        return True

    def _note(self, tasks: Sequence[Json]) -> None:
        noted: set[str] = set()
        for task in tasks:
            task_id = str(task["id"])
            markers = markers_in(task)
            if markers:
                self._records[task_id] = task
            elif (key := _likeness_of(task)) is not None:
                self.alike[key] = task_id
            for marker in markers:
                self._note_id(marker, task_id)
            noted |= markers
        self._save_ids(noted)


def _likeness_of(task: Json) -> Likeness | None:
    return likeness(task.get(CONTACT_ID), task.get("user_id"), task.get(TYPE), task.get(DUE_AT))


def earliest_due(texts: Iterable[str | None]) -> datetime:
    """The earliest of some due times; that of all tasks if one is not known."""
    dues = [moment(text) for text in texts]
    return min((due or _EARLIEST for due in dues), default=_EARLIEST)
