"""Puts the members that rows name on Apollo's lists, and takes off those of former rows.

Lists are written by name, up to 500 records a request, through the endpoints that add and remove;
never by `label_names` of PATCH, which replaces all lists of a contact. Both can be repeated without
harm, so a request whose answer was lost is sent again, and a killed run's rows are written again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from target_apollo.ledger import Link
from target_apollo.model.objects.list_member import LIST, MirrorScope
from target_apollo.model.objects.members import MEMBER_KEY
from target_apollo.model.outcomes import Outcome, Reason, RecordError
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.objects.list_additions import (
    ListAdditions,
    Membership,
    former_membership,
)
from target_apollo.sync.objects.list_mirror import ListMirror, take_off, wanted_elsewhere
from target_apollo.sync.objects.members import FoundMembers, MemberFinder
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.objects.team_lists import MOST_IDS, OFF, TeamList, TeamLists

#: Reasons for which a row is rejected whose member is certainly on no list. Not so if the ledger
#: does not know the key in `MEMBER_KEY`, which says nothing about Apollo.
_WITHOUT_MEMBER = (Reason.UNKNOWN_NAME, Reason.GONE)


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
    def _additions(self) -> ListAdditions:
        return ListAdditions(self.run, self.mode, self._lists, self.links, self.notices)

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
        team_list = self._lists.by_mark(link.match_hash)
        if team_list is not None and team_list.was_there:
            return True
        self.notices.lists_are_gone()
        return False

    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Takes members off the lists of former rows, and puts those of rows on theirs."""
        present = [row for row in rows if not row.deleted]
        deleted = self._deleted_to_follow(batch, [row for row in rows if row.deleted])
        found = self._members.find([*present, *self._unknown_to_ledger(batch, deleted)])
        named = self._memberships(batch, present, found)
        deleted, lost = self._lost(batch, deleted, found)
        additions = self._additions.plan(named)
        taken = yield from self._leave(batch, named, deleted, lost)
        self._additions.intend(batch, additions)
        # After `intend`: else the ledger would lose who put a member there that another row keeps.
        self._finish_deleted(batch, deleted, lost, taken)
        for addition in additions:
            yield from self._additions.put_on(batch, addition)
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

    def _memberships(
        self, batch: Batch, rows: Sequence[Row], found: FoundMembers
    ) -> list[Membership]:
        """The rows whose member is known; rejects those whose member is not."""
        known = []
        for row in rows:
            why = found.unknown.get(row.number)
            if row.number in found.ids:
                kind, apollo_id = found.ids[row.number]
                try:
                    team_list = self._lists.of(kind, row.values[LIST] or "")
                except RecordError as problem:
                    why = problem.rejection
                else:
                    self._mirror.note_row(team_list, apollo_id)
                    known.append(Membership(row, team_list, apollo_id))
            if why is not None:
                if why.reason not in _WITHOUT_MEMBER or MEMBER_KEY in row.values:
                    self._mirror.note_doubt(row.values.get(LIST) or "")
                batch.finish(row, Outcome.REJECTED, rejection=why)
        return known

    # --- off lists

    def _unknown_to_ledger(self, batch: Batch, deleted: Sequence[Row]) -> list[Row]:
        """The deleted rows that themselves say whom a list loses, since the ledger does not.

        Only in scope `all`: in the other one a list loses nobody whom the ledger does not know.
        """
        if self.own.mirror_scope is not MirrorScope.ALL:
            return []
        return [
            row
            for row in deleted
            if row.values.get(LIST)
            and former_membership(batch, row) is None
            # Else an earlier run has taken that member off.
            and ((link := batch.history_of(row).link) is None or link.match_hash != OFF)
        ]

    def _lost(
        self, batch: Batch, deleted: Sequence[Row], found: FoundMembers
    ) -> tuple[list[Row], dict[int, Membership]]:
        """The deleted rows, and by number whom lists lose by those that the ledger does not know.

        Rows that were not looked up, since the run ends, are left out.
        """
        rows: list[Row] = []
        lost: dict[int, Membership] = {}
        unknown = {row.number for row in self._unknown_to_ledger(batch, deleted)}
        for row in deleted:
            if row.number not in unknown or row.number in found.unknown:
                rows.append(row)
            elif row.number in found.ids:
                kind, apollo_id = found.ids[row.number]
                try:
                    team_list = self._lists.of(kind, row.values[LIST] or "")
                except RecordError as problem:
                    batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
                else:
                    lost[row.number] = Membership(row, team_list, apollo_id)
                    rows.append(row)
        return rows, lost

    def _leave(
        self,
        batch: Batch,
        memberships: Sequence[Membership],
        deleted: Sequence[Row],
        lost: Mapping[int, Membership],
    ) -> Steps[set[str]]:
        """Takes members off lists that rows of the batch no longer name; returns their ids."""
        if self.mode is not Mode.MIRROR:
            return set()
        leaving: list[Link] = []
        named: dict[TeamList, set[str]] = defaultdict(set)
        for each in memberships:
            named[each.team_list].add(each.apollo_id)
            link = former_membership(batch, each.row)
            former = self._lists.by_mark(link.match_hash) if link is not None else None
            is_same = (
                former is each.team_list and link is not None and link.apollo_id == each.apollo_id
            )
            if link is not None and not is_same:
                leaving.append(link)
        leaving += [link for row in deleted if (link := former_membership(batch, row)) is not None]
        off: dict[TeamList, set[str]] = defaultdict(set)
        for link in leaving:
            team_list = self._lists.by_mark(link.match_hash)
            if team_list is not None and link.apollo_id and self._mirror.may_lose(team_list, link):
                off[team_list].add(link.apollo_id)
        for team_list, ids in self._still_on(lost.values()).items():
            off[team_list] |= ids
        keys = {link.source_key for link in leaving}
        for team_list, ids in off.items():
            ids -= named[team_list] | wanted_elsewhere(self.links, team_list, ids, keys)
            self._mirror.check_removal(team_list, len(ids), team_list.count)
        if self.links is not None:
            # Before the request: a row that returns is then put on again.
            self.links.intend_undoing(leaving)
        for team_list, ids in off.items():
            for start in range(0, len(ids), MOST_IDS):
                take_off(self.run, team_list, sorted(ids)[start : start + MOST_IDS])
                yield
            self._additions.note_taken_off(team_list, ids)
        return {apollo_id for ids in off.values() for apollo_id in ids}

    def _still_on(self, lost: Iterable[Membership]) -> dict[TeamList, set[str]]:
        """List -> the members that deleted rows name and that are on it, as far as known.

        A tap that sends deleted rows in each run names them long after they have come off.
        """
        ids_of: dict[TeamList, set[str]] = defaultdict(set)
        for each in lost:
            ids_of[each.team_list].add(each.apollo_id)
        found = {
            team_list: self._lists.find_on(team_list, ids) for team_list, ids in ids_of.items()
        }
        return {
            team_list: ids if (on := found[team_list]) is None else on
            for team_list, ids in ids_of.items()
        }

    def _finish_deleted(
        self,
        batch: Batch,
        deleted: Sequence[Row],
        lost: Mapping[int, Membership],
        taken: set[str],
    ) -> None:
        for row in deleted:
            link, history = former_membership(batch, row), batch.history_of(row)
            named_id = lost[row.number].apollo_id if row.number in lost else None
            is_off = (link.apollo_id if link is not None else named_id) in taken
            apollo_id = named_id or history.apollo_id
            if self.links is not None and apollo_id and self.own.mirror_scope is MirrorScope.ALL:
                # So that a later run need not look up whom the row names.
                self.links.note_detail(history, OFF)
            batch.finish(row, Outcome.UPDATED if is_off else Outcome.UNCHANGED, apollo_id)

    # --- whole tables

    def write_missing(self, seen: SeenKeys) -> None:
        """Takes off the lists whom no row names any more."""
        self.check_settings()
        self._mirror.finish(self.links, seen)
