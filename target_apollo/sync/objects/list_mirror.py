"""The lists of a mirrored table at the end of a run: they hold the members of its rows, no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from target_apollo.ledger import CONFIRMED, Link
from target_apollo.model.objects.list_member import MirrorScope
from target_apollo.sync.deletions.missing_rows import are_too_many
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.notices import ObjectNotices
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.objects.team_lists import MOST_IDS, MOST_SHOWN, TeamList, TeamLists
from target_apollo.sync.run import SyncRun


def take_off(run: SyncRun, team_list: TeamList, ids: Sequence[str]) -> None:
    """Takes members off a list, up to `MOST_IDS`, within `max_updates`.

    Raises:
        RunError: `max_updates` does not allow all of them; none was taken off.
        ApolloError: The run can't go on.
    """
    if run.limits.updates_allowed(len(ids)) < len(ids):
        run.limits.updated = run.limits.max_updates or 0
        run.limits.updates_allowed(1)
    run.limits.updated += len(ids)
    run.client.remove_from_lists(team_list.type.endpoints, ids, [team_list.name])
    team_list.count = max(0, team_list.count - len(ids))
    team_list.taken_off += len(ids)
    if team_list.members is not None:
        team_list.members -= set(ids)


def wanted_elsewhere(
    links: ObjectLinks | None, team_list: TeamList, ids: Collection[str], keys: Collection[str]
) -> set[str]:
    """Of members that rows leave, those that another row has on the same list.

    Args:
        keys: Source keys of the rows of this stream that leave them.

    Raises:
        LedgerError: The ledger can't be read.
    """
    if links is None:
        return set()
    marks = (team_list.mark.ours, team_list.mark.theirs)
    return {
        apollo_id
        for apollo_id, sharing in links.sharing(ids).items()
        if any(
            link.match_hash in marks and not (links.is_own(link) and link.source_key in keys)
            for link in sharing
        )
    }


@dataclass
class _ListInLedger:
    """What the ledger has of one list: memberships of rows that came, and of those that did not."""

    wanted: set[str] = field(default_factory=set)
    confirmed: dict[str, list[Link]] = field(default_factory=lambda: defaultdict(list))
    gone: list[Link] = field(default_factory=list)


class ListMirror:
    """Decides at the end of a run whom the lists of a stream lose."""

    def __init__(
        self,
        run: SyncRun,
        stream: str,
        scope: MirrorScope,
        lists: TeamLists,
        notices: ObjectNotices,
    ) -> None:
        self._run = run
        self._stream = stream
        self._scope = scope
        self._lists = lists
        self._notices = notices
        #: List -> members that rows of this run name; only those that were written.
        self._named: dict[TeamList, set[str]] = defaultdict(set)

    def note_row(self, team_list: TeamList, apollo_id: str) -> None:
        """Notes whom a row names."""
        self._named[team_list].add(apollo_id)
        team_list.named.add(apollo_id)

    def note_doubt(self, name: str) -> None:
        """Notes that a row of a list may mean any of its members."""
        self._lists.doubtful.add(name.casefold())

    def may_lose(self, team_list: TeamList, link: Link) -> bool:
        """Whether a list may lose the member of a link."""
        return self._scope is MirrorScope.ALL or link.match_hash == team_list.mark.ours

    def check_removal(
        self, team_list: TeamList, number: int, known: int, *, is_empty: bool = False
    ) -> None:
        """Stops the run before it takes members off if that looks like a mistake of the source.

        Args:
            number: Members that are to be taken off now.
            known: Members that the list has now, as far as the mirror is concerned.
            is_empty: Whether no row came at all.

        Raises:
            RunError: It does, and `max_updates` does not say how many may be changed.
        """
        if not number or self._run.settings.max_updates is not None:
            return
        total, known = team_list.taken_off + number, team_list.taken_off + known
        if are_too_many(total, known) or is_empty:
            raise RunError(
                f"{total} of the {known} members of list {team_list} have no row in stream "
                f"'{self._stream}' any more, and its mode 'mirror' would take them all off. Look "
                "at the source first; if that is right, set max_updates to at least that number."
            )

    def finish(self, links: ObjectLinks | None, seen: SeenKeys) -> None:
        """Takes members off the lists that no row names.

        Args:
            seen: Keys of the rows that came.

        Raises:
            RunError: Too many would be taken off, or `max_updates` is reached.
            ApolloError, LedgerError: The run can't go on.
        """
        if self._lists.has_changed:
            self._lists.refresh()
        found, without_list = self._by_list(links, seen)
        off = {team_list: self._off(team_list, links, found[team_list]) for team_list in found}
        if self._scope is MirrorScope.ALL:
            self._add_others(off, links, found)
        for team_list, ids in off.items():
            known = len(found[team_list].wanted | ids)
            self.check_removal(team_list, len(ids), known, is_empty=not len(seen))
        for team_list, ids in off.items():
            gone = found[team_list].gone
            if links is not None:
                links.intend_undoing(gone)
            self._take_off(team_list, sorted(ids))
            if links is not None:
                links.forget([link.source_key for link in gone])
        if links is not None:
            links.forget(without_list)
            self._look_for_lost(links, found)

    def _by_list(
        self, links: ObjectLinks | None, seen: SeenKeys
    ) -> tuple[dict[TeamList, _ListInLedger], list[str]]:
        """What the ledger has of each list, and keys of missing rows whose list is gone."""
        found: dict[TeamList, _ListInLedger] = defaultdict(_ListInLedger)
        without_list: list[str] = []
        for team_list, named in self._named.items():
            found[team_list].wanted |= named
        for link in links.all_links() if links is not None else ():
            one_of = self._lists.by_mark(link.match_hash)
            if one_of is not None and one_of.is_ambiguous:
                continue
            if one_of is None or link.apollo_id is None:
                if link.source_key not in seen:
                    without_list.append(link.source_key)
                continue
            of_list = found[one_of]
            if link.source_key not in seen:
                of_list.gone.append(link)
                continue
            of_list.wanted.add(link.apollo_id)
            if link.status in CONFIRMED:
                of_list.confirmed[link.apollo_id].append(link)
        return found, without_list

    def _off(
        self, team_list: TeamList, links: ObjectLinks | None, of_list: _ListInLedger
    ) -> set[str]:
        """Members of missing rows, which no other row has on the list."""
        gone = of_list.gone
        ids = {link.apollo_id for link in gone if link.apollo_id and self.may_lose(team_list, link)}
        ids -= of_list.wanted | team_list.named
        return ids - wanted_elsewhere(links, team_list, ids, {link.source_key for link in gone})

    def _add_others(
        self,
        off: dict[TeamList, set[str]],
        links: ObjectLinks | None,
        found: Mapping[TeamList, _ListInLedger],
    ) -> None:
        """Adds the members that no row has ever named, of lists that rows name."""
        for team_list, of_list in found.items():
            if not of_list.wanted:
                continue
            is_unsure = self._lists.has_unread and links is None
            if team_list.name.casefold() in self._lists.doubtful or is_unsure:
                self._notices.others_stay(
                    team_list.name, "a row of the run could not be read or told from others"
                )
                continue
            on = team_list.named if links is None else set(of_list.confirmed)
            is_as_wanted = team_list.count == len(on | off[team_list])
            if is_as_wanted and not self._run.settings.full_resync:
                continue
            members = self._lists.read_members(team_list)
            if members is None:
                why = "others changed it while it was read"
                if not team_list.is_shown:
                    most = f"{MOST_SHOWN:,}"
                    why = f"it has more than {most} members, and Apollo shows no more of them"
                self._notices.others_stay(team_list.name, why)
                continue
            others = members - of_list.wanted - team_list.named - off[team_list]
            keys = {link.source_key for link in of_list.gone}
            off[team_list] |= others - wanted_elsewhere(links, team_list, others, keys)

    def _take_off(self, team_list: TeamList, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), MOST_IDS):
            some = ids[start : start + MOST_IDS]
            take_off(self._run, team_list, some)
            self._run.counts.count_removed(self._stream, len(some))
            self._lists.has_changed = True

    def _look_for_lost(self, links: ObjectLinks, found: Mapping[TeamList, _ListInLedger]) -> None:
        """Looks for members of rows that lists have lost in Apollo; the next run writes them again.

        A list that has fewer members than rows name has lost some: a person took them off, or their
        records are gone.
        """
        short = {
            team_list: of_list
            for team_list, of_list in found.items()
            if team_list.count < len(of_list.confirmed)
        }
        if short and self._lists.has_changed:
            self._lists.refresh()
        for team_list, of_list in short.items():
            number = len(of_list.confirmed) - team_list.count
            if number <= 0 or self._run.settings.dry_run:
                continue
            on = (
                self._lists.read_members(team_list)
                if team_list.pages <= team_list.looks_left
                else None
            )
            lost = set(of_list.confirmed) - on if on is not None else set()
            links.intend_undoing(link for each in lost for link in of_list.confirmed[each])
            if lost or on is None:
                self._notices.members_lost(
                    team_list.name, len(lost) or number, is_known=on is not None
                )
