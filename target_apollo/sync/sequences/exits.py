"""Finishes members of sequences whose rows are gone, or takes them out (mode `mirror`).

A row is gone if it is marked as deleted, names another member now, or is missing in a whole table.
Only members that a run has enrolled leave, and only sequences that `allow_sequences` names. A
request can be repeated without harm, and that it is over is noted only after Apollo has confirmed
it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from target_apollo.apollo import (
    FINISH,
    MAX_BULK,
    REMOVE,
    EmailSequence,
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
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.deletions.missing_rows import are_too_many
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.reading.by_ids import read_records
from target_apollo.sync.refusals import consequence_of
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.directory import SequenceDirectory
from target_apollo.sync.sequences.marks import EnrolmentMark, Standing, key_without_row, may_end

_MODES = {SequenceExit.FINISH: FINISH, SequenceExit.REMOVE: REMOVE}
_STAYS = Rejection(
    Reason.NOT_CONFIRMED,
    "Apollo has not confirmed that the contact has left its sequence; the next run tries again",
    endpoint=endpoints.LEAVE_SEQUENCES,
)


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
class ExitPlan:
    """Enrolments of rows that are gone.

    Attributes:
        to_end: Those that are to end.
        needs_nothing: Source keys of those with which nothing is to be done: another row has the
            same one, or there is none. Those that could not be looked at are in neither.
    """

    to_end: Sequence[Leaver] = ()
    needs_nothing: Collection[str] = ()


class SequenceExits:
    """Ends enrolments of one stream; for one thread, for the length of a run."""

    def __init__(
        self,
        run: SyncRun,
        stream: str,
        client: SequenceClient,
        directory: SequenceDirectory,
        links: ObjectLinks,
    ) -> None:
        self._run = run
        self._stream = stream
        self._client = client
        self._directory = directory
        self._links = links
        #: Enrolments that this run has ended.
        self._ended = 0

    def end_deleted(self, batch: Batch, rows: Sequence[Row], mode: Mode) -> None:
        """Ends the enrolments of rows that were deleted at their source; finishes the rows.

        Raises:
            RunError: Too many are to end, or `max_updates` is reached.
            ApolloError, LedgerError: The run can't go on.
        """
        leavers: dict[int, Leaver] = {}
        for row in rows:
            link = batch.history_of(row).link
            mark = EnrolmentMark.of(link)
            if mode is Mode.MIRROR and mark and link and may_end(link, mark):
                leavers[row.number] = Leaver(link, mark)
            else:
                batch.finish(row, Outcome.SKIPPED)
        found, ended = self._end_of_rows(leavers.values())
        for row in rows:
            leaver = leavers.get(row.number)
            if leaver is None:
                continue
            if leaver.link.source_key in ended:
                self._links.note_detail(batch.history_of(row), leaver.left.text)
                batch.finish(row, Outcome.UPDATED, leaver.contact_id)
            elif leaver in found.to_end:
                batch.finish(row, Outcome.REJECTED, rejection=_STAYS)
            else:
                batch.finish(row, Outcome.SKIPPED)

    def end_moved(
        self, batch: Batch, rows: Sequence[tuple[Row, EmailSequence]], mode: Mode
    ) -> list[tuple[Row, EmailSequence]]:
        """Ends former enrolments of rows that now name another contact or sequence.

        Returns:
            The rows, without those whose former enrolment Apollo has not confirmed to be over.

        Raises:
            RunError: Too many are to end, or `max_updates` is reached.
            ApolloError, LedgerError: The run can't go on.
        """
        leavers: dict[int, Leaver] = {}
        for row, sequence in rows if mode is Mode.MIRROR else ():
            link = batch.history_of(row).link
            mark = EnrolmentMark.of(link)
            if mark and link and mark.standing is Standing.OURS:
                leaver = Leaver(link, mark)
                if (mark.sequence_id, leaver.contact_id) != (sequence.id, row.apollo_id):
                    leavers[row.number] = leaver
        found, ended = self._end_of_rows(leavers.values())
        left = [one for one in found.to_end if one.link.source_key in ended]
        self._keep_ended(left)
        self._keep_former(batch, rows, {one.link.source_key for one in left})
        stuck = {
            number
            for number, one in leavers.items()
            if one in found.to_end and one.link.source_key not in ended
        }
        for row, _ in rows:
            if row.number in stuck:
                batch.finish(row, Outcome.REJECTED, rejection=_STAYS)
        return [(row, sequence) for row, sequence in rows if row.number not in stuck]

    def _keep_former(
        self,
        batch: Batch,
        rows: Iterable[tuple[Row, EmailSequence]],
        left: Collection[str],
    ) -> None:
        """Keeps what is known of enrolments whose rows now name another contact or sequence.

        A row that goes back, or another one, would enrol them once more otherwise.

        Args:
            left: Source keys of the rows whose former enrolment has just ended.
        """
        kept: dict[str, tuple[str, str]] = {}
        for row, sequence in rows:
            link = batch.history_of(row).link
            mark = EnrolmentMark.of(link)
            if mark is None or link is None or not link.apollo_id:
                continue
            if (mark.sequence_id, link.apollo_id) == (sequence.id, row.apollo_id):
                continue
            if link.source_key in left:
                mark = EnrolmentMark(Standing.LEFT, mark.sequence_id)
            lasts = mark.without_row()
            if lasts is not None:
                key = key_without_row(mark.sequence_id, link.apollo_id)
                kept[key] = (link.apollo_id, lasts.text)
        self._links.keep(kept)

    def _end_of_rows(self, leavers: Collection[Leaver]) -> tuple[ExitPlan, set[str]]:
        """Ends enrolments; gives what was to end, and the source keys of those that have ended."""
        if not leavers:
            return ExitPlan(), set()
        found = self._plan(leavers, {one.link.source_key for one in leavers})
        self._check(len(found.to_end))
        ended: set[str] = set()
        for some in self._end(found.to_end):
            ended |= some
        return found, ended

    def end_missing(self, seen: SeenKeys) -> None:
        """Ends the enrolments of rows that are missing in a whole table.

        Raises:
            RunError: Too many are missing, or `max_updates` is reached.
            ApolloError, LedgerError: The run can't go on.
        """
        missing: list[Leaver] = []
        for link in self._links.all_links():
            mark = EnrolmentMark.of(link)
            if mark is not None and may_end(link, mark) and link.source_key not in seen:
                missing.append(Leaver(link, mark))
        found = self._plan(missing, {one.link.source_key for one in missing})
        run = self._run
        self._check(len(found.to_end), is_empty=not len(seen))
        self._links.forget(sorted(found.needs_nothing))
        unclear = len(found.to_end)
        for ended in self._end(found.to_end):
            self._keep_ended(one for one in found.to_end if one.link.source_key in ended)
            run.counts.count_removed(self._stream, len(ended))
            unclear -= len(ended)
        if unclear:
            run.logger.warning(
                "Stream '%s': Apollo has not confirmed that %d contacts have left their sequence; "
                "the next run tries again.",
                self._stream,
                unclear,
            )

    def _keep_ended(self, leavers: Iterable[Leaver]) -> None:
        """Keeps in the ledger that enrolments have ended, since their rows do not tell it."""
        self._links.keep({one.link.source_key: (one.contact_id, one.left.text) for one in leavers})

    # --- what ends

    def _plan(self, leavers: Collection[Leaver], gone: Collection[str]) -> ExitPlan:
        """Separates the enrolments that are to end from those with which nothing is to be done.

        A run has made those that end, and no other row has them.

        Args:
            gone: Source keys of the stream's rows that are gone.

        Raises:
            ApolloError, LedgerError: The run can't go on.
        """
        if not leavers:
            return ExitPlan()
        others = self._links.sharing({one.contact_id for one in leavers})
        over = {
            one.link.source_key
            for one in leavers
            if any(self._holds(one, link, gone) for link in others.get(one.contact_id, ()))
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
        return ExitPlan([one for one in left if one.link.source_key not in over | unread], over)

    def _holds(self, one: Leaver, other: Link, gone: Collection[str]) -> bool:
        """Whether another row, in whatever stream or source, has the same enrolment."""
        mark = EnrolmentMark.of(other)
        if mark is None or mark.sequence_id != one.mark.sequence_id or other.row == one.link.row:
            return False
        if mark.standing is Standing.LEFT or other.source_key.startswith(WITHOUT_ROW):
            return False
        return not (self._links.is_own(other) and other.source_key in gone)

    def _check(self, number: int, *, is_empty: bool = False) -> None:
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
        for link in self._links.all_links():
            mark = EnrolmentMark.of(link)
            known += mark is not None and may_end(link, mark)
        if is_empty or are_too_many(total, known):
            raise RunError(
                f"{total} of the {known} contacts that stream '{self._stream}' has enrolled have "
                "no row any more, and mode 'mirror' would end all of that. Look at the source "
                "first; if that is right, set max_updates to at least that number."
            )

    def _end(self, leavers: Collection[Leaver]) -> Iterator[set[str]]:
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
                ended = self._request_end(sequence_id, {one.contact_id for one in part})
                done = {one.link.source_key for one in part if one.contact_id in ended}
                run.limits.updated += len(done)
                self._ended += len(done)
                run.counts.enrolments.left[self._directory.name_of(sequence_id)] += len(done)
                yield done

    def _request_end(self, sequence_id: str, contact_ids: Collection[str]) -> Collection[str]:
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
