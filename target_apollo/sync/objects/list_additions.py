"""Puts the members that rows name on Apollo's lists, up to `MOST_IDS` a request.

Apollo answers an addition with the list and its count, whoever was on it before. So who is on a
list is looked up first where that tells something, and the count is compared afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import Label, RequestRefused
from target_apollo.ledger import CONFIRMED, Link
from target_apollo.model.outcomes import Outcome, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.objects.notices import ObjectNotices
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.objects.team_lists import MOST_IDS, OFF, TeamList, TeamLists
from target_apollo.sync.refusals import rejection, send_in_parts
from target_apollo.sync.run import SyncRun


@dataclass(frozen=True)
class Membership:
    """A row with the list and the member that it names."""

    row: Row
    team_list: TeamList
    apollo_id: str


def former_membership(batch: Batch, row: Row) -> Link | None:
    """The link with the membership that a row had before; None if it had none."""
    link = batch.history_of(row).link
    if link is None or link.match_hash == OFF:
        return None
    return link if link.apollo_id and link.match_hash else None


@dataclass(frozen=True)
class Addition:
    """The members that rows of a batch put on one list.

    Attributes:
        rows_of: Apollo id -> the rows that name it.
        on: Those that are on the list already, so that they are not sent.
        new: Those that are not; None if that is not known.
        ours: Those that this tool has put there, or is about to.
    """

    team_list: TeamList
    rows_of: Mapping[str, Sequence[Row]]
    on: set[str]
    new: set[str] | None
    ours: set[str]

    def mark(self, apollo_id: str) -> str:
        """What the ledger keeps of a membership."""
        mark = self.team_list.mark
        return mark.ours if apollo_id in self.ours else mark.theirs


class ListAdditions:
    """Puts the members of one stream on their lists; for one thread, for the length of a run."""

    def __init__(
        self,
        run: SyncRun,
        mode: Mode,
        lists: TeamLists,
        links: ObjectLinks | None,
        notices: ObjectNotices,
    ) -> None:
        self._run = run
        self._mode = mode
        self._lists = lists
        self._links = links
        self._notices = notices

    @cached_property
    def _held(self) -> Mapping[tuple[object, ...], set[str]]:
        """List -> members that the ledger has on it for rows of the stream."""
        held: dict[tuple[object, ...], set[str]] = defaultdict(set)
        if self._links is None or self._run.settings.full_resync:
            return held
        for link in self._links.all_links():
            team_list = self._lists.by_mark(link.match_hash)
            if team_list is not None and link.apollo_id and link.status in CONFIRMED:
                held[team_list.key].add(link.apollo_id)
        return held

    def note_taken_off(self, team_list: TeamList, apollo_ids: Collection[str]) -> None:
        """Notes that members are no longer on a list."""
        self._held[team_list.key].difference_update(apollo_ids)

    def plan(self, named: Sequence[Membership]) -> list[Addition]:
        """The additions of a batch, one for each list that its rows name.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        rows_of: dict[TeamList, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for each in named:
            rows_of[each.team_list][each.apollo_id].append(each.row)
        additions = []
        for team_list, of_list in rows_of.items():
            on, new = self._known_on(team_list, list(of_list))
            ours = self._ours(team_list, set(of_list), new)
            additions.append(Addition(team_list, of_list, on, new, ours))
        return additions

    def intend(self, batch: Batch, additions: Sequence[Addition]) -> None:
        """Notes all additions of a batch on disk.

        At once, since a row may take the member that another one leaves: the ledger would lose for
        a moment who has put it on the list.

        Raises:
            LedgerError: The ledger can't be written.
        """
        links = self._links
        if links is None:
            return
        intended = []
        for addition in additions:
            for apollo_id, rows in addition.rows_of.items():
                for row in rows:
                    links.note_detail(batch.history_of(row), addition.mark(apollo_id))
                    intended.append(with_values(row, apollo_id=apollo_id))
        links.intend(intended, batch.histories)

    def put_on(self, batch: Batch, addition: Addition) -> Steps[None]:
        """Puts members on a list; all of their rows have their outcome at the end.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """
        for apollo_id in addition.on:
            self._finish(batch, addition, apollo_id, is_new=False)
        left = [apollo_id for apollo_id in addition.rows_of if apollo_id not in addition.on]
        for start in range(0, len(left), MOST_IDS):
            self._add(batch, addition, left[start : start + MOST_IDS])
            yield

    def _known_on(
        self, team_list: TeamList, ids: Collection[str]
    ) -> tuple[set[str], set[str] | None]:
        """Which members are on a list already, and which are not; None if that is not known."""
        if team_list.id is None or not team_list.count:
            return set(), set(ids)
        held = self._held[team_list.key]
        if team_list.count <= len(held):
            # Nobody is on it but members of the ledger. Those are sent again all the same: a person
            # may have taken one off and put another on.
            return set(), set(ids) - held
        if self._mode is Mode.MIRROR or self._links is None:
            on = self._lists.find_on(team_list, ids)
            if on is not None:
                return on, set(ids) - on
        return set(), None

    def _ours(self, team_list: TeamList, ids: set[str], new: set[str] | None) -> set[str]:
        """Of these members, those that this tool has put on the list or is about to."""
        ours = set(new or ())
        if self._links is not None:
            for apollo_id, links in self._links.sharing(ids - ours).items():
                if any(link.match_hash == team_list.mark.ours for link in links):
                    ours.add(apollo_id)
        return ours

    def _add(self, batch: Batch, addition: Addition, ids: Sequence[str]) -> None:
        """Puts up to `MOST_IDS` members on a list; each of their rows has its outcome after it."""
        team_list, new = addition.team_list, addition.new
        before = team_list.count
        refused = self._send(
            team_list, [with_values(addition.rows_of[each][0], apollo_id=each) for each in ids]
        )
        sent = [apollo_id for apollo_id in ids if apollo_id not in refused]
        expected = len(sent) if new is None else len(new.intersection(sent))
        if team_list.count < before + expected and sent:
            self._lists.refresh()
        is_short = team_list.count < before + expected
        if not is_short and new is None:
            addition.ours.update(sent)
        if is_short:
            missing = self._lists.find_missing(team_list, sent)
            if missing is None:
                self._notices.members_not_seen(team_list.name)
            refused |= missing or {}
        was_there = new is None and team_list.count == before
        for apollo_id in ids:
            if apollo_id in refused:
                for row in addition.rows_of[apollo_id]:
                    batch.finish(row, Outcome.REJECTED, rejection=refused[apollo_id])
            else:
                is_new = not was_there if new is None else apollo_id in new
                self._finish(batch, addition, apollo_id, is_new=is_new)
        if team_list.members is not None:
            team_list.members |= set(sent)
        self._held[team_list.key].update(
            apollo_id for apollo_id in sent if apollo_id not in refused
        )
        self._lists.has_changed = True

    def _send(self, team_list: TeamList, rows: Sequence[Row]) -> dict[str, Rejection]:
        """Sends the members of these rows; gives those that Apollo refused."""
        of = team_list.type.endpoints

        def send(some: Sequence[Row]) -> list[Label]:
            return self._run.client.add_to_lists(
                of, [row.apollo_id or "" for row in some], [team_list.name]
            )

        refused: list[tuple[Row, RequestRefused]] = []
        try:
            answers = [send(rows)]
        except RequestRefused as refusal:
            parts = send_in_parts(team_list.type, rows, refusal, send)
            answers = [labels for _, labels in parts.answered]
            refused = parts.refused
        for labels in answers:
            self._lists.note_answer(team_list, labels)
        return {
            row.apollo_id or "": rejection(team_list.type, row.apollo_id, why)
            for row, why in refused
        }

    def _finish(self, batch: Batch, addition: Addition, apollo_id: str, *, is_new: bool) -> None:
        """Gives the rows of a member the outcome of one that is on its list."""
        for row in addition.rows_of[apollo_id]:
            history = batch.history_of(row)
            if self._links is not None:
                self._links.note_detail(history, addition.mark(apollo_id))
            former = former_membership(batch, row)
            has_moved = former is not None and former.status in CONFIRMED
            outcome = Outcome.UPDATED if has_moved else Outcome.CREATED
            batch.finish(row, outcome if is_new else Outcome.UNCHANGED, apollo_id)
