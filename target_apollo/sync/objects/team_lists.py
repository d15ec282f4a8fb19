"""The lists of a team as a run knows them: names, counts, and who is on them.

Apollo ignores ids that it does not know and answers the same whether a record was on a list or not.
So a list's count (`cached_count`) is compared before and after, and only where it can't tell, the
list or the records are read. That costs a list `MOST_LOOKS` requests a run at most.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from functools import partial

from target_apollo.apollo import AnotherRecord, EndpointForbidden, Label, RecordPage, RequestRefused
from target_apollo.apollo.endpoints import MOST_PAGES
from target_apollo.ledger import match_hash
from target_apollo.model.objects.list_member import ListKey
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectKind, ObjectType
from target_apollo.model.outcomes import Reason, RecordError, Rejection
from target_apollo.sync.refusals import consequence_of
from target_apollo.sync.run import SyncRun

#: Members that a request puts on lists or takes off; Apollo does not document how many it takes.
MOST_IDS = 500
#: Requests that a run spends on reading a list's members or candidates, for each list.
MOST_LOOKS = 120
_PAGE = 100
#: Apollo shows no more records of a search than this.
MOST_SHOWN = MOST_PAGES * _PAGE


#: Kept in place of a `ListMark`: the row is deleted, and its member is off the list.
OFF = match_hash("off its list")


class ListMark:
    """What the ledger keeps of a membership: a hash of its list, and whether this tool made it.

    A link has one of two hashes as its `match_hash`.
    """

    def __init__(self, key: ListKey) -> None:
        text = f"{key.kind.value}:{key.folded}"
        #: Of a member that was put on the list for a row.
        self.ours = match_hash(f"list:{text}")
        #: Of a member that was on the list already, or may have been.
        self.theirs = match_hash(f"found on list:{text}")


class TeamList:
    """One list, in one run.

    Attributes:
        name: As Apollo spells it; as the first row does if there is no such list yet.
        id: None until Apollo has the list.
        count: Members, by Apollo's last answer or by what was changed since.
        members: Ids of all members, once the list was read; None before.
        taken_off: Members that this run has taken off.
        is_ambiguous: Whether Apollo has several lists whose names differ from it by case alone.
        was_there: Whether Apollo had the list when the run first asked.
        looks_left: Requests that may still be spent on reading it.
        named: Ids of the members that rows of the run name, of whatever stream; only those whose
            rows were written.
    """

    def __init__(self, key: ListKey, name: str) -> None:
        self.key = key
        self.name = name
        self.mark = ListMark(key)
        self.id: str | None = None
        self.count = 0
        self.members: set[str] | None = None
        self.taken_off = 0
        self.is_ambiguous = False
        self.was_there = False
        self.looks_left = MOST_LOOKS
        self.named: set[str] = set()

    @property
    def type(self) -> ObjectType:
        """The object of its members."""
        return OBJECTS[self.key.kind]

    @property
    def pages(self) -> int:
        """Requests that read all of its members."""
        return math.ceil(self.count / _PAGE)

    @property
    def is_shown(self) -> bool:
        """Whether Apollo shows all of its members."""
        return self.count <= MOST_SHOWN

    def __str__(self) -> str:
        return f"'{self.name}' ({self.key.kind.value})"

    def take(self, label: Label) -> None:
        """Takes over what an answer of Apollo says."""
        self.id, self.name = label.id, label.name or self.name
        if label.count is not None:
            self.count = label.count


class TeamLists:
    """All lists of the team, for all streams of a run; asked for once, and again by `refresh`.

    Attributes:
        has_changed: Whether the run has changed lists, so that their counts are outdated.
        has_unread: Whether a record of the run could not be read, so that nobody knows whom it
            means.
        doubtful: Names of lists of which a row could not be told whom it means.
    """

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        self._lists: dict[ListKey, TeamList] = {}
        self._by_mark: dict[str, TeamList] = {}
        self._is_read = False
        self.has_changed = False
        self.has_unread = False
        self.doubtful: set[str] = set()

    def of(self, kind: ObjectKind, name: str) -> TeamList:
        """The list of that name, without regard to case; Apollo may not have it yet.

        Raises:
            RecordError: Apollo has several such lists.
            ApolloError: Apollo could not be asked.
        """
        self._read()
        key = ListKey.of(kind, name)
        team_list = self._lists.get(key) or self._add(key, name)
        if team_list.is_ambiguous:
            raise RecordError(
                Reason.UNKNOWN_NAME,
                f"Apollo has several lists of {kind.value} whose names differ from the row's by "
                "case alone: rename or delete all of them but one",
            )
        return team_list

    def by_mark(self, mark: str | None) -> TeamList | None:
        """The list that a link in the ledger is about; None if neither Apollo nor a row has it."""
        self._read()
        return self._by_mark.get(mark or "")

    def refresh(self) -> None:
        """Asks for all lists and their counts: GET /labels.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        seen: set[ListKey] = set()
        self._run.request_counter.plan_requests({"GET /labels": 1})
        for label in self._run.client.labels():
            if label.modality not in {kind.value for kind in ObjectKind}:
                continue
            key = ListKey.of(ObjectKind(label.modality), label.name)
            team_list = self._lists.get(key) or self._add(key, label.name)
            if key in seen:
                team_list.is_ambiguous = True
                continue
            seen.add(key)
            team_list.take(label)
            team_list.was_there = team_list.was_there or not self._is_read
        for key, team_list in self._lists.items():
            if key not in seen:
                team_list.id, team_list.count = None, 0
        self._is_read = True

    def note_answer(self, team_list: TeamList, labels: Iterable[Label]) -> None:
        """Takes over what the answer to an addition says of the list."""
        for label in labels:
            if ListKey.of(team_list.key.kind, label.name) == team_list.key:
                team_list.take(label)

    def _read(self) -> None:
        if not self._is_read:
            self.refresh()

    def _add(self, key: ListKey, name: str) -> TeamList:
        team_list = self._lists[key] = TeamList(key, name)
        self._by_mark |= {team_list.mark.ours: team_list, team_list.mark.theirs: team_list}
        return team_list

    # --- who is on a list

    def read_members(self, team_list: TeamList) -> set[str] | None:
        """Ids of all members; None where Apollo does not show all of them.

        Who is put on the list or taken off between two pages moves others to pages that were read.
        The totals of the answers differ then, and nothing is known of all of them.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        if team_list.id is None or not team_list.count:
            return set()
        if not team_list.is_shown:
            return None
        members, total = set[str](), None
        for page in self._pages(team_list, team_list.id):
            if page.pages * _PAGE > MOST_SHOWN or total not in (None, page.total):
                return None
            total = page.total
            members |= {
                record["id"]
                for record in page.records
                if team_list.id in (_label_ids(record) or ())
            }
        return members

    def _pages(self, team_list: TeamList, label_id: str) -> Iterator[RecordPage]:
        run, of = self._run, team_list.type.endpoints
        first = run.client.on_list(of, label_id, 1)
        run.request_counter.plan_requests({of.search: first.pages})
        yield first
        rest = range(2, min(first.pages, MOST_SHOWN // _PAGE) + 1)
        for page in run.pool.run([partial(run.client.on_list, of, label_id, n) for n in rest]):
            if isinstance(page, Exception):
                raise page
            yield page

    def find_on(self, team_list: TeamList, ids: Collection[str]) -> set[str] | None:
        """Which of these records are on a list, before they are put on it; None if not known.

        The list is read, or the records, whichever takes fewer requests.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        if team_list.id is None or not team_list.count:
            return set()
        if team_list.members is None:
            if min(team_list.pages, len(ids)) > team_list.looks_left:
                return None
            if team_list.pages > len(ids):
                team_list.looks_left -= len(ids)
                told = self._read_records(team_list, ids)
                return None if told is None else set(told.on)
            team_list.looks_left -= team_list.pages
            team_list.members = self.read_members(team_list)
        return None if team_list.members is None else team_list.members & set(ids)

    def find_missing(
        self, team_list: TeamList, ids: Collection[str]
    ) -> dict[str, Rejection] | None:
        """Which of these records are not on a list that they were put on, and why; None if unknown.

        Apollo's search may lag behind, so that a record's own answer decides.

        Raises:
            ApolloError: Apollo could not be asked.
        """
        left = set(ids)
        if team_list.pages < len(left) and team_list.pages <= team_list.looks_left:
            team_list.looks_left -= team_list.pages
            left -= self.read_members(team_list) or set()
        if len(left) > team_list.looks_left:
            return None
        team_list.looks_left -= len(left)
        told = self._read_records(team_list, left)
        return None if told is None else told.missing

    def _read_records(self, team_list: TeamList, ids: Collection[str]) -> _Memberships | None:
        told, asked = _Memberships(), sorted(ids)
        # The first goes alone, so that a closed endpoint is asked once.
        for some in (asked[:1], asked[1:]):
            if not some:
                continue
            try:
                answers = self._run.read(team_list.type, some)
            except EndpointForbidden:
                return None
            for apollo_id, answer in zip(some, answers, strict=True):
                self._note(told, team_list, apollo_id, answer)
        return told

    @staticmethod
    def _note(
        told: _Memberships,
        team_list: TeamList,
        apollo_id: str,
        answer: Json | RequestRefused | AnotherRecord,
    ) -> None:
        if isinstance(answer, RequestRefused):
            if consequence_of(answer, apollo_id).record_is_gone:
                told.missing[apollo_id] = no_record(team_list, apollo_id)
            return
        if isinstance(answer, AnotherRecord):
            return
        label_ids = _label_ids(answer)
        if label_ids is None:
            return
        if team_list.id in label_ids:
            told.on.add(apollo_id)
            return
        told.missing[apollo_id] = Rejection(
            Reason.NOT_CONFIRMED,
            f"Apollo confirmed the request and did not put record {apollo_id} on the list",
        )


class _Memberships:
    """What records say: which are on the list, which are not, each with a reason."""

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.missing: dict[str, Rejection] = {}


def no_record(team_list: TeamList, apollo_id: str) -> Rejection:
    """The rejection of a row whose member is not in Apollo."""
    return Rejection(
        Reason.GONE,
        f"Apollo has no {team_list.type.singular} {apollo_id} (any more), so it is on no list",
    )


def _label_ids(record: Json) -> list[object] | None:
    """Ids of the lists that a record is on; None if it does not say."""
    found = record.get("label_ids")
    return found if isinstance(found, list) else None
