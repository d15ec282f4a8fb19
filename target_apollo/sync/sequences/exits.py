"""Finishes members of sequences whose rows are gone, or takes them out (mode `mirror`).

Only members that a run has enrolled, of sequences that `allow_sequences` names. A request can be
repeated without harm, and that it is over is noted only after Apollo has confirmed it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from target_apollo.apollo import (
    FINISH,
    MAX_BULK,
    REMOVE,
    JobStarted,
    RequestRefused,
    SequenceClient,
    endpoints,
    has_left,
    status_in,
)
from target_apollo.ledger import WITHOUT_ROW, Link
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.objects.sequence_member import SequenceExit
from target_apollo.sync.deletions.missing_rows import are_too_many
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.reading.by_ids import read_records
from target_apollo.sync.refusals import consequence_of
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.directory import SequenceDirectory
from target_apollo.sync.sequences.marks import EnrolmentMark, Standing, may_end

_MODES = {SequenceExit.FINISH: FINISH, SequenceExit.REMOVE: REMOVE}


@dataclass(frozen=True)
class Leaver:
    """A row's enrolment that is to end."""

    link: Link
    mark: EnrolmentMark

    @property
    def contact_id(self) -> str:
        """The contact."""
        return self.link.apollo_id or ""

    @property
    def left(self) -> EnrolmentMark:
        """What is noted after its end."""
        return EnrolmentMark(Standing.LEFT, self.mark.sequence_id)


@dataclass(frozen=True)
class Sorted:
    """Enrolments of rows that are gone.

    Attributes:
        own: Those that are to end.
        over: Source keys of those with which nothing is to be done: another row has the same one,
            or there is none. Those that could not be looked at are in neither.
    """

    own: Sequence[Leaver] = ()
    over: Collection[str] = ()


class SequenceExits:
    """Ends enrolments of one stream; for one thread, for the length of a run."""

    def __init__(
        self, run: SyncRun, client: SequenceClient, directory: SequenceDirectory, stream: str
    ) -> None:
        self._run = run
        self._client = client
        self._directory = directory
        self._stream = stream
        #: Enrolments that this run has ended.
        self._ended = 0

    def check(self, links: ObjectLinks, number: int, *, is_empty: bool = False) -> None:
        """Stops the run before it ends enrolments if that looks like a mistake of the source.

        Args:
            number: Enrolments that are to end now.
            is_empty: Whether no row came at all.

        Raises:
            RunError: It does, and `max_updates` does not say how many may be changed.
            LedgerError: The ledger can't be read.
        """
        total = self._ended + number
        if not number or self._run.settings.max_updates is not None:
            return
        if not is_empty and not are_too_many(total, total):
            return
        known = self._ended
        for link in links.all_links():
            mark = EnrolmentMark.of(link)
            known += mark is not None and may_end(link, mark)
        if is_empty or are_too_many(total, known):
            raise RunError(
                f"{total} of the {known} contacts that stream '{self._stream}' has enrolled have "
                "no row any more, and mode 'mirror' would end all of that. Look at the source "
                "first; if that is right, set max_updates to at least that number."
            )

    def end(self, leavers: Collection[Leaver]) -> Iterator[set[str]]:
        """Ends enrolments; after each request it gives the source keys that Apollo has confirmed.

        Raises:
            RunError: `max_updates` is reached.
            ApolloError: The run can't go on.
        """
        run = self._run
        by_sequence: dict[str, list[Leaver]] = {}
        for one in leavers:
            by_sequence.setdefault(one.mark.sequence_id, []).append(one)
        for sequence_id, some in by_sequence.items():
            left = some
            while left:
                part = left[: run.limits.updates_allowed(min(len(left), MAX_BULK))]
                left = left[len(part) :]
                ended = self._end(sequence_id, {one.contact_id for one in part})
                done = {one.link.source_key for one in part if one.contact_id in ended}
                run.limits.updated += len(done)
                self._ended += len(done)
                run.counts.enrolments.left[self._directory.name_of(sequence_id)] += len(done)
                yield done

    def _end(self, sequence_id: str, contact_ids: Collection[str]) -> Collection[str]:
        """The contacts that get no more of the sequence."""
        ids = sorted(contact_ids)
        self._run.request_counter.plan_requests({endpoints.LEAVE_SEQUENCES: 1})
        try:
            mode = _MODES[self._run.settings.sequence_exit]
            left = self._client.leave(sequence_id, ids, mode)
        except JobStarted:
            left = frozenset()
        except RequestRefused as refusal:
            if not consequence_of(refusal).is_about_rows:
                raise
            left = frozenset()
        unclear = [one for one in ids if one not in left]
        if unclear:
            # Apollo answers 200 for contacts that are not, and may leave the work to a job.
            read = read_records(self._run, CONTACT, unclear)
            shown = {one for one, record in read.found.items() if has_left(record, sequence_id)}
            return left | shown | read.gone
        return left

    def sort(
        self, links: ObjectLinks, leavers: Collection[Leaver], gone: Collection[str]
    ) -> Sorted:
        """Tells the enrolments that a run has made and no other row has from others.

        Args:
            gone: Source keys of the stream's rows that are gone.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        if not leavers:
            return Sorted()
        others = links.sharing({one.contact_id for one in leavers})
        over = {
            one.link.source_key
            for one in leavers
            if any(_holds(one, other, links, gone) for other in others.get(one.contact_id, ()))
        }
        left = [
            one
            for one in leavers
            if one.link.source_key not in over and self._directory.allows(one.mark.sequence_id)
        ]
        open_ones = [one for one in left if one.mark.standing is Standing.SENT]
        read = read_records(self._run, CONTACT, [one.contact_id for one in open_ones])
        unread: set[str] = set()
        for one in open_ones:
            record = read.found.get(one.contact_id)
            if record is None and one.contact_id not in read.gone:
                unread.add(one.link.source_key)
            elif record is None or not one.mark.made(status_in(record, one.mark.sequence_id)):
                over.add(one.link.source_key)
        return Sorted([one for one in left if one.link.source_key not in over | unread], over)

    def end_missing(self, links: ObjectLinks, seen: SeenKeys) -> None:
        """Ends the enrolments of rows that are missing in a whole table.

        Raises:
            RunError: Too many are missing, or `max_updates` is reached.
            ApolloError, LedgerError: The run can't go on.
        """
        missing: list[Leaver] = []
        for link in links.all_links():
            mark = EnrolmentMark.of(link)
            if mark is not None and may_end(link, mark) and link.source_key not in seen:
                missing.append(Leaver(link, mark))
        found = self.sort(links, missing, {one.link.source_key for one in missing})
        run = self._run
        self.check(links, len(found.own), is_empty=not len(seen))
        links.forget(sorted(found.over))
        unclear = len(found.own)
        for ended in self.end(found.own):
            left = [one for one in found.own if one.link.source_key in ended]
            links.keep({one.link.source_key: (one.contact_id, one.left.text) for one in left})
            run.counts.count_removed(self._stream, len(ended))
            unclear -= len(ended)
        if unclear:
            run.logger.warning(
                "Stream '%s': Apollo has not confirmed that %d contacts have left their sequence; "
                "the next run tries again.",
                self._stream,
                unclear,
            )


def _holds(one: Leaver, other: Link, links: ObjectLinks, gone: Collection[str]) -> bool:
    """Whether another row, in whatever stream or source, has the same enrolment."""
    mark = EnrolmentMark.of(other)
    if mark is None or mark.sequence_id != one.mark.sequence_id or other.row == one.link.row:
        return False
    if mark.standing is Standing.LEFT or other.source_key.startswith(WITHOUT_ROW):
        return False
    return not (links.is_own(other) and other.source_key in gone)
