"""Puts the members that rows name on Apollo's lists, and takes off those of former rows.

Lists are written by name, up to 500 records a request, through the endpoints that add and remove;
never by `label_names` of PATCH, which replaces all lists of a contact. Both can be repeated without
harm, so a request whose answer was lost is sent again, and a killed run's rows are written again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from msgspec.structs import replace as with_values

from target_apollo.apollo import Label, RequestRefused
from target_apollo.ledger import CONFIRMED, Link
from target_apollo.model.objects.list_member import LIST, MirrorScope
from target_apollo.model.objects.members import MEMBER_KEY
from target_apollo.model.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.objects.list_mirror import ListMirror, take_off, wanted_elsewhere
from target_apollo.sync.objects.members import FoundMembers, MemberFinder
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.objects.team_lists import OFF, TeamList, TeamLists
from target_apollo.sync.refusals import rejection, send_in_parts

#: Apollo does not document how many ids a request takes.
MOST_IDS = 500
#: What a row that is rejected for these says of its member is certain: it is in no list. But that
#: the ledger does not know the key of a row (`MEMBER_KEY`) says nothing about Apollo.
_WITHOUT_MEMBER = (Reason.UNKNOWN_NAME, Reason.GONE)


@dataclass(frozen=True)
class Placed:
    """A row with the list and the member that it names."""

    row: Row
    one: TeamList
    apollo_id: str


@dataclass(frozen=True)
class Addition:
    """The members that rows of a batch put on one list.

    Attributes:
        rows_of: Apollo id -> the rows that name it.
        on: Those that are on the list already, so that they are not sent.
        new: Those that are not; None if that is not known.
        ours: Those that this tool has put there, or is about to.
    """

    one: TeamList
    rows_of: Mapping[str, Sequence[Row]]
    on: set[str]
    new: set[str] | None
    ours: set[str]

    def mark(self, apollo_id: str) -> str:
        """What the ledger keeps of a membership."""
        mark = self.one.mark
        return mark.ours if apollo_id in self.ours else mark.theirs


class ListMemberSync(ObjectSync):
    """Writes one stream of list members."""

    #: Four requests for one list.
    flush_size: ClassVar[int | None] = 4 * MOST_IDS

    @cached_property
    def _members(self) -> MemberFinder:
        return MemberFinder(self.run, self.stream, self.own.members_of)

    @cached_property
    def _lists(self) -> TeamLists:
        if isinstance(self.sibling, ListMemberSync):
            return self.sibling._lists
        return TeamLists(self.run)

    @cached_property
    def _mirror(self) -> ListMirror:
        scope = self.own.mirror_scope
        return ListMirror(self.run, self.stream, scope, self._lists, self.notices)

    @cached_property
    def _held(self) -> Mapping[tuple[object, ...], set[str]]:
        """List -> members that the ledger has on it for rows of the stream."""
        held: dict[tuple[object, ...], set[str]] = defaultdict(set)
        if self.links is None or self.run.settings.full_resync:
            return held
        for link in self.links.all_links():
            one = self._lists.by_mark(link.match_hash)
            if one is not None and link.apollo_id and link.status in CONFIRMED:
                held[one.key].add(link.apollo_id)
        return held

    def note_unread(self) -> None:
        """Notes that nobody knows whom a row means."""
        self._lists.has_unread = True

    def check_settings(self) -> None:
        """Checks also that a mirror has what it needs.

        Raises:
            RunError: It needs a ledger.
        """
        super().check_settings()
        is_ours = self.own.mirror_scope is MirrorScope.OURS
        if self.mode is Mode.MIRROR and is_ours and not self.run.has_ledger:
            raise RunError(
                f"Stream '{self.stream}' mirrors lists, and without a ledger nothing tells which "
                "members this tool has added: name a ledger (ledger_url), or set mirror_scope to "
                "'all', which takes every member off that no row names.",
                exit_code=2,
            )

    def is_still_there(self, history: RowHistory) -> bool:
        """Whether the list of an unchanged row is still there."""
        link = history.link
        if link is None or link.run_id == self.run.run_id:
            return True
        one = self._lists.by_mark(link.match_hash)
        if one is not None and one.was_there:
            return True
        self.notices.lists_are_gone()
        return False

    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Takes members off the lists of former rows, and puts those of rows on theirs."""
        present = [row for row in rows if not row.deleted]
        deleted = self._deleted_to_follow(batch, [row for row in rows if row.deleted])
        found = self._members.find([*present, *self._telling(batch, deleted)])
        placed = self._placed(batch, present, found)
        deleted, told = self._told(batch, deleted, found)
        planned = self._plan(placed)
        taken = yield from self._leave(batch, placed, deleted, told)
        self._intend(batch, planned)
        # Now the ledger knows who has put a member there that another row takes over.
        self._finish_deleted(batch, deleted, told, taken)
        for of_list in planned:
            yield from self._put_on(batch, of_list)
        if found.failure is not None:
            raise found.failure

    def _deleted_to_follow(self, batch: Batch, deleted: Sequence[Row]) -> list[Row]:
        """The deleted rows whose members are taken off; finishes all of them otherwise."""
        if self.mode is Mode.MIRROR:
            return list(deleted)
        for row in deleted:
            batch.finish(row, Outcome.SKIPPED)
            self.notices.members_stay()
        return []

    def _placed(self, batch: Batch, rows: Sequence[Row], found: FoundMembers) -> list[Placed]:
        """The rows whose member is known; rejects those whose member is not."""
        placed = []
        for row in rows:
            why = found.unknown.get(row.number)
            if row.number in found.ids:
                kind, apollo_id = found.ids[row.number]
                try:
                    one = self._lists.of(kind, row.values[LIST] or "")
                except RecordError as problem:
                    why = problem.rejection
                else:
                    self._mirror.note_row(one, apollo_id)
                    placed.append(Placed(row, one, apollo_id))
            if why is not None:
                if why.reason not in _WITHOUT_MEMBER or MEMBER_KEY in row.values:
                    self._mirror.note_doubt(row.values.get(LIST) or "")
                batch.finish(row, Outcome.REJECTED, rejection=why)
        return placed

    # --- off lists

    @staticmethod
    def _former(batch: Batch, row: Row) -> Link | None:
        """The membership that the row had before; None if it had none."""
        link = batch.history_of(row).link
        if link is None or link.match_hash == OFF:
            return None
        return link if link.apollo_id and link.match_hash else None

    def _telling(self, batch: Batch, deleted: Sequence[Row]) -> list[Row]:
        """The deleted rows that themselves say whom a list loses, since the ledger does not.

        Only in scope `all`: in the other one a list loses nobody whom the ledger does not know.
        """
        if self.own.mirror_scope is not MirrorScope.ALL:
            return []
        return [
            row
            for row in deleted
            if row.values.get(LIST)
            and self._former(batch, row) is None
            # Else an earlier run took that member off, and did not see the row since.
            and ((link := batch.history_of(row).link) is None or link.match_hash != OFF)
        ]

    def _told(
        self, batch: Batch, deleted: Sequence[Row], found: FoundMembers
    ) -> tuple[list[Row], dict[int, tuple[TeamList, str]]]:
        """The deleted rows that were looked up where needed, and whom which list loses by them."""
        rows: list[Row] = []
        told: dict[int, tuple[TeamList, str]] = {}
        telling = {row.number for row in self._telling(batch, deleted)}
        for row in deleted:
            if row.number not in telling or row.number in found.unknown:
                rows.append(row)
            elif row.number in found.ids:
                kind, apollo_id = found.ids[row.number]
                try:
                    told[row.number] = self._lists.of(kind, row.values[LIST] or ""), apollo_id
                except RecordError as problem:
                    batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
                else:
                    rows.append(row)
        return rows, told

    def _leave(
        self,
        batch: Batch,
        placed: Sequence[Placed],
        deleted: Sequence[Row],
        told: Mapping[int, tuple[TeamList, str]],
    ) -> Steps[set[str]]:
        """Takes members off lists that rows of the batch no longer name; gives those."""
        if self.mode is not Mode.MIRROR:
            return set()
        leaving: list[Link] = []
        named: dict[TeamList, set[str]] = defaultdict(set)
        for each in placed:
            named[each.one].add(each.apollo_id)
            link = self._former(batch, each.row)
            former = self._lists.by_mark(link.match_hash) if link is not None else None
            is_same = former is each.one and link is not None and link.apollo_id == each.apollo_id
            if link is not None and not is_same:
                leaving.append(link)
        leaving += [link for row in deleted if (link := self._former(batch, row)) is not None]
        off: dict[TeamList, set[str]] = defaultdict(set)
        for link in leaving:
            one = self._lists.by_mark(link.match_hash)
            if one is not None and link.apollo_id and self._mirror.may_lose(one, link):
                off[one].add(link.apollo_id)
        for one, ids in self._told_on(told).items():
            off[one] |= ids
        keys = {link.source_key for link in leaving}
        for one, ids in off.items():
            ids -= named[one] | wanted_elsewhere(self.links, one, ids, keys)
            self._mirror.check_removal(one, len(ids), one.count)
        if self.links is not None:
            # Before the request: a row that returns is then put on again.
            self.links.intend_undoing(leaving)
        for one, ids in off.items():
            for start in range(0, len(ids), MOST_IDS):
                take_off(self.run, one, sorted(ids)[start : start + MOST_IDS])
                yield
            self._held[one.key].difference_update(ids)
        return {apollo_id for ids in off.values() for apollo_id in ids}

    def _told_on(self, told: Mapping[int, tuple[TeamList, str]]) -> dict[TeamList, set[str]]:
        """Of the members that deleted rows name, those that are on their list, as far as known.

        A tap that sends deleted rows in each run names them long after they have come off.
        """
        ids_of: dict[TeamList, set[str]] = defaultdict(set)
        for one, apollo_id in told.values():
            ids_of[one].add(apollo_id)
        found = {one: self._lists.find_on(one, ids) for one, ids in ids_of.items()}
        return {one: ids if (on := found[one]) is None else on for one, ids in ids_of.items()}

    def _finish_deleted(
        self,
        batch: Batch,
        deleted: Sequence[Row],
        told: Mapping[int, tuple[TeamList, str]],
        taken: set[str],
    ) -> None:
        for row in deleted:
            link, history = self._former(batch, row), batch.history_of(row)
            _, named_id = told.get(row.number, (None, None))
            is_off = (link.apollo_id if link is not None else named_id) in taken
            apollo_id = named_id or history.apollo_id
            if self.links is not None and apollo_id and self.own.mirror_scope is MirrorScope.ALL:
                # So that a later run need not look up whom the row names.
                self.links.note_detail(history, OFF)
            batch.finish(row, Outcome.UPDATED if is_off else Outcome.UNCHANGED, apollo_id)

    # --- on lists

    def _plan(self, placed: Sequence[Placed]) -> list[Addition]:
        rows_of: dict[TeamList, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for each in placed:
            rows_of[each.one][each.apollo_id].append(each.row)
        planned = []
        for one, of_list in rows_of.items():
            on, new = self._known_on(one, list(of_list))
            planned.append(Addition(one, of_list, on, new, self._ours(one, set(of_list), new)))
        return planned

    def _put_on(self, batch: Batch, planned: Addition) -> Steps[None]:
        for apollo_id in planned.on:
            self._finish(batch, planned, apollo_id, is_new=False)
        left = [apollo_id for apollo_id in planned.rows_of if apollo_id not in planned.on]
        for start in range(0, len(left), MOST_IDS):
            self._add(batch, planned, left[start : start + MOST_IDS])
            yield

    def _known_on(self, one: TeamList, ids: Collection[str]) -> tuple[set[str], set[str] | None]:
        """Which members are on a list already, and which are not; None if that is not known."""
        if one.id is None or not one.count:
            return set(), set(ids)
        held = self._held[one.key]
        if one.count <= len(held):
            # Nobody is on it but members of the ledger. Those are sent again all the same: a person
            # may have taken one off and put another on.
            return set(), set(ids) - held
        if self.mode is Mode.MIRROR or self.links is None:
            on = self._lists.find_on(one, ids)
            if on is not None:
                return on, set(ids) - on
        return set(), None

    def _ours(self, one: TeamList, ids: set[str], new: set[str] | None) -> set[str]:
        """Of these members, those that this tool has put on the list or is about to."""
        ours = set(new or ())
        if self.links is not None:
            for apollo_id, links in self.links.sharing(ids - ours).items():
                if any(link.match_hash == one.mark.ours for link in links):
                    ours.add(apollo_id)
        return ours

    def _add(self, batch: Batch, planned: Addition, ids: Sequence[str]) -> None:
        """Puts up to `MOST_IDS` members on a list; each of their rows has its outcome after it."""
        one, new = planned.one, planned.new
        before = one.count
        refused = self._send(
            one, [with_values(planned.rows_of[each][0], apollo_id=each) for each in ids]
        )
        sent = [apollo_id for apollo_id in ids if apollo_id not in refused]
        expected = len(sent) if new is None else len(new.intersection(sent))
        if one.count < before + expected and sent:
            self._lists.refresh()
        is_short = one.count < before + expected
        if not is_short and new is None:
            planned.ours.update(sent)
        if is_short:
            missing = self._lists.find_missing(one, sent)
            if missing is None:
                self.notices.members_not_seen(one.name)
            refused |= missing or {}
        was_there = new is None and one.count == before
        for apollo_id in ids:
            if apollo_id in refused:
                for row in planned.rows_of[apollo_id]:
                    batch.finish(row, Outcome.REJECTED, rejection=refused[apollo_id])
            else:
                is_new = not was_there if new is None else apollo_id in new
                self._finish(batch, planned, apollo_id, is_new=is_new)
        if one.members is not None:
            one.members |= set(sent)
        self._held[one.key].update(apollo_id for apollo_id in sent if apollo_id not in refused)
        self._lists.has_changed = True

    def _send(self, one: TeamList, rows: Sequence[Row]) -> dict[str, Rejection]:
        """Sends the members of these rows; gives those that Apollo refused."""
        of = one.type.endpoints

        def send(some: Sequence[Row]) -> list[Label]:
            return self.run.client.add_to_lists(
                of, [row.apollo_id or "" for row in some], [one.name]
            )

        refused: list[tuple[Row, RequestRefused]] = []
        try:
            answers = [send(rows)]
        except RequestRefused as refusal:
            parts = send_in_parts(one.type, rows, refusal, send)
            answers = [labels for _, labels in parts.answered]
            refused = parts.refused
        for labels in answers:
            self._lists.note_answer(one, labels)
        return {
            row.apollo_id or "": rejection(one.type, row.apollo_id, why) for row, why in refused
        }

    def _intend(self, batch: Batch, planned: Sequence[Addition]) -> None:
        """Notes all additions of a batch on disk.

        At once, since a row may take the member that another one leaves: the ledger would lose for
        a moment who has put it on the list.
        """
        links = self.links
        if links is None:
            return
        intended = []
        for of_list in planned:
            for apollo_id, rows in of_list.rows_of.items():
                for row in rows:
                    links.note_detail(batch.history_of(row), of_list.mark(apollo_id))
                    intended.append(with_values(row, apollo_id=apollo_id))
        self.intend(batch, intended)

    def _finish(self, batch: Batch, planned: Addition, apollo_id: str, *, is_new: bool) -> None:
        """Gives the rows of a member the outcome of one that is on its list."""
        for row in planned.rows_of[apollo_id]:
            history = batch.history_of(row)
            if self.links is not None:
                self.links.note_detail(history, planned.mark(apollo_id))
            former = self._former(batch, row)
            has_moved = former is not None and former.status in CONFIRMED
            outcome = Outcome.UPDATED if has_moved else Outcome.CREATED
            batch.finish(row, outcome if is_new else Outcome.UNCHANGED, apollo_id)

    # --- whole tables

    def write_missing(self, seen: SeenKeys) -> None:
        """Takes off the lists whom no row names any more."""
        self.check_settings()
        self._mirror.finish(self.links, seen)
