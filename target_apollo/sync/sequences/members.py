"""Enrols the contacts that rows name into Apollo's sequences, which then send e-mail to them.

A row that is known to have been enrolled is never sent again: a contact that a person has finished
or removed since stays out. Others go to Apollo a hundred a request, grouped by sequence, mailbox
and start. The answer tells each contact's outcome; one that it does not name is not confirmed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import (
    FINISH,
    JSON,
    MAX_BULK,
    AnotherRecord,
    ApolloError,
    EmailSequence,
    Enrolled,
    Mailbox,
    RequestRefused,
    SequenceClient,
    endpoints,
    status_in,
)
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.objects.sequence_member import MAILBOX, SEQUENCE, Start, why_skipped
from target_apollo.model.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.model.rows import Mode, Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.members import FoundMembers, MemberFinder
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.refusals import consequence_of, rejection
from target_apollo.sync.sequences.directory import SequenceDirectory
from target_apollo.sync.sequences.enrolment_counts import EnrolmentCounts
from target_apollo.sync.sequences.exits import Leaver, SequenceExits, Sorted
from target_apollo.sync.sequences.marks import (
    EnrolmentMark,
    Standing,
    key_without_row,
    lasting,
    may_end,
)
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.system.shown import name_shown


@dataclass(frozen=True)
class _Group:
    """What one request enrols contacts into."""

    sequence: EmailSequence
    mailbox: Mailbox
    start: Start


#: The rows of a request: id of a contact -> the rows that name it, of which the first is counted.
_ByContact = Mapping[str, Sequence[Row]]


class SequenceMemberSync(ObjectSync):
    """Writes one stream of sequence members."""

    not_sent_again = frozenset({Reason.NOT_ENROLLED.value})

    @cached_property
    def _client(self) -> SequenceClient:
        return SequenceClient(self.run.sender)

    @cached_property
    def _directory(self) -> SequenceDirectory:
        if isinstance(self.sibling, SequenceMemberSync):
            return self.sibling._directory
        return SequenceDirectory(self._client, self.run.settings.allow_sequences)

    @cached_property
    def _members(self) -> MemberFinder:
        return MemberFinder(self.run, self.stream, self.own.members_of)

    @cached_property
    def _exits(self) -> SequenceExits:
        return SequenceExits(self.run, self._client, self._directory, self.stream)

    @cached_property
    def _guard(self) -> StageGuard:
        return StageGuard(self.run, CONTACT)

    @property
    def _counts(self) -> EnrolmentCounts:
        return self.run.counts.enrolments

    @cached_property
    def _said(self) -> set[_Group]:
        """What the log has told this run's enrolments into."""
        return set()

    @cached_property
    def _enrolled(self) -> set[tuple[str, str]]:
        """Sequence and contact of this run's enrolments."""
        return set()

    def check(self) -> None:
        """Plans without a ledger too: nobody is enrolled by a plan."""
        if self.run.dry_run is None:
            self.check_settings()
        _ = self.links

    def check_settings(self) -> None:
        """Refuses to enrol without a ledger; the rest as for every object."""
        if not self.run.has_ledger:
            raise RunError(
                f"Stream '{self.stream}' enrols contacts into sequences, and without a ledger "
                "nothing tells whom a person has taken out since: they would be enrolled again. "
                "Set ledger_url.",
                exit_code=2,
            )
        super().check_settings()

    def write_rows(self, batch: Batch, rows: Sequence[Row]) -> Steps[None]:
        """Enrols the contacts of rows that were never enrolled."""
        self._end_deleted(batch, [row for row in rows if row.deleted])
        named = self._with_sequence(batch, [row for row in rows if not row.deleted])
        found = self._members.find([row for row, _ in named])
        placed = self._with_contact(batch, named, found)
        new = self._without_known(batch, self._end_moved(batch, placed))
        new = self._without_protected(batch, new)
        for group, by_contact in self._groups(batch, new).items():
            left = [*by_contact.items()]
            while left:
                allowed = self.run.limits.enrolments_allowed(min(len(left), MAX_BULK))
                part, left = left[:allowed], left[allowed:]
                self._enrol(batch, group, dict(part))
                yield
        if found.failure is not None:
            raise found.failure

    def _with_contact(
        self, batch: Batch, named: Sequence[tuple[Row, EmailSequence]], found: FoundMembers
    ) -> list[tuple[Row, EmailSequence]]:
        """The rows with the ids of their contacts; those whose contact is not known are rejected.

        Rows that were not looked up, since the run ends, are left out.
        """
        placed: list[tuple[Row, EmailSequence]] = []
        for row, sequence in named:
            if row.number in found.unknown:
                batch.finish(row, Outcome.REJECTED, rejection=found.unknown[row.number])
            elif row.number in found.ids:
                _, contact_id = found.ids[row.number]
                placed.append((with_values(row, apollo_id=contact_id), sequence))
        return placed

    def _without_known(
        self, batch: Batch, rows: Iterable[tuple[Row, EmailSequence]]
    ) -> list[tuple[Row, EmailSequence]]:
        """The rows whose contacts no row has ever enrolled; the others get their outcome."""
        rows = list(rows)
        ids = {row.apollo_id or "" for row, _ in rows}
        links = self.links.sharing(ids) if self.links is not None else {}
        new: list[tuple[Row, EmailSequence]] = []
        for row, sequence in rows:
            standing = lasting(links.get(row.apollo_id or "", ()), sequence.id)
            if standing is None:
                new.append((row, sequence))
            elif standing is Standing.LEFT:
                batch.finish(row, Outcome.REJECTED, rejection=_has_left())
            else:
                self._note(batch, row, EnrolmentMark(standing, sequence.id))
                batch.finish(row, Outcome.UNCHANGED, row.apollo_id)
                self._counts.already_in[sequence.name] += 1
        return new

    def _mark_of(self, batch: Batch, row: Row) -> EnrolmentMark | None:
        return EnrolmentMark.of(batch.history_of(row).link)

    def _with_sequence(self, batch: Batch, rows: Iterable[Row]) -> list[tuple[Row, EmailSequence]]:
        """The rows whose sequence may be enrolled into; the others are rejected."""
        named = []
        for row in rows:
            written = row.values[SEQUENCE] or ""
            try:
                self._directory.check_allowed(written)
                named.append((row, self._directory.sequence(written)))
            except RecordError as problem:
                batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
        return named

    def _without_protected(
        self, batch: Batch, rows: list[tuple[Row, EmailSequence]]
    ) -> list[tuple[Row, EmailSequence]]:
        """The rows whose contacts are in no protected stage; the others are rejected."""
        kept = self._guard.kept_among({row.apollo_id or "" for row, _ in rows})
        for row, _ in rows:
            if row.apollo_id in kept:
                batch.finish(row, Outcome.REJECTED, rejection=_protected())
        return [(row, sequence) for row, sequence in rows if row.apollo_id not in kept]

    def _groups(
        self, batch: Batch, rows: Iterable[tuple[Row, EmailSequence]]
    ) -> dict[_Group, dict[str, list[Row]]]:
        """The rows by request and contact; those that can't be sent are rejected."""
        groups: dict[_Group, dict[str, list[Row]]] = {}
        for row, sequence in rows:
            try:
                mailbox = self._directory.mailbox(row.values[MAILBOX] or "")
                group = _Group(sequence, mailbox, Start.of(row.values))
            except RecordError as problem:
                batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
            else:
                groups.setdefault(group, {}).setdefault(row.apollo_id or "", []).append(row)
        return groups

    # --- enrolling

    def _enrol(self, batch: Batch, group: _Group, by_contact: _ByContact) -> None:
        now = datetime.now(timezone.utc)
        marks: dict[int, EnrolmentMark] = {}
        rows = [row for some in by_contact.values() for row in some]
        for row in rows:
            before = self._mark_of(batch, row)
            fresh = EnrolmentMark(Standing.SENT, group.sequence.id, now)
            marks[row.number] = before.sent(group.sequence.id, now) if before else fresh
            self._note(batch, row, marks[row.number])
        self._say(group, len(by_contact))
        self.intend(batch, rows)
        self.run.request_counter.plan_requests({endpoints.ADD_TO_SEQUENCE: 1})
        try:
            answer = self._client.enrol(
                group.sequence.id,
                [*by_contact],
                group.mailbox.id,
                status=group.start.status,
                auto_unpause_at=group.start.auto_unpause_at,
            )
        except RequestRefused as refusal:
            self._take_refusal(batch, group, by_contact, refusal)
            return
        self._take(batch, group, by_contact, marks, answer)

    def _say(self, group: _Group, number: int) -> None:
        if group in self._said:
            return
        self._said.add(group)
        most = self.run.settings.max_enrolments
        self.run.logger.info(
            "Stream '%s' enrols contacts into sequence '%s' (%s) from mailbox %s%s: %d in the "
            "first request, %s.",
            self.stream,
            name_shown(group.sequence.name),
            group.sequence.id,
            group.mailbox.id,
            f", {group.start.status}" if group.start.status else "",
            number,
            "max_enrolments is not set" if most is None else f"max_enrolments is {most}",
        )

    def _note(self, batch: Batch, row: Row, mark: EnrolmentMark) -> None:
        if self.links is not None:
            self.links.note_detail(batch.history_of(row), mark.text)

    def _take_refusal(
        self, batch: Batch, group: _Group, by_contact: _ByContact, refusal: RequestRefused
    ) -> None:
        """Rejects the rows that a refusal names and sends the others again; else rejects all."""
        if not consequence_of(refusal).is_about_rows:
            raise refusal
        named = by_contact.keys() & {*refusal.named_ids} or {*by_contact}
        for contact_id in named:
            for row in by_contact[contact_id]:
                why = rejection(CONTACT, contact_id, refusal)
                batch.finish(row, Outcome.REJECTED, rejection=why)
        others = {one: rows for one, rows in by_contact.items() if one not in named}
        if others:
            self._enrol(batch, group, others)

    def _take(
        self,
        batch: Batch,
        group: _Group,
        by_contact: _ByContact,
        marks: Mapping[int, EnrolmentMark],
        answer: Enrolled,
    ) -> None:
        sequence_id = group.sequence.id
        joined = [one for one in by_contact if one in answer.joined]
        self.run.limits.enrolled += len(joined)
        self._enrolled.update((sequence_id, one) for one in joined)
        self._counts.enrolled[group.sequence.name][group.mailbox.id] += len(joined)
        late = self._take_out_protected(sequence_id, [answer.joined[one] for one in joined])
        members: list[str] = []
        for contact_id, rows in by_contact.items():
            why: Rejection | None
            if contact_id in answer.joined:
                why = late.get(contact_id)
                if why is None:
                    self._finish_members(batch, rows, contact_id, sequence_id, made=True)
            elif contact_id in answer.skipped:
                why = why_skipped(answer.skipped[contact_id], contact_id)
                if why is None:
                    members.append(contact_id)
            else:
                why = Rejection(
                    Reason.NOT_CONFIRMED,
                    "Apollo's answer names the contact neither as enrolled nor as skipped",
                    status=200,
                    endpoint=endpoints.ADD_TO_SEQUENCE,
                )
            for row in rows if why is not None else ():
                batch.finish(row, Outcome.REJECTED, rejection=why)
        self._take_members(
            batch, group, {one: by_contact[one] for one in members}, marks, answer.repeated
        )

    def _finish_members(
        self, batch: Batch, rows: Sequence[Row], contact_id: str, sequence_id: str, *, made: bool
    ) -> None:
        """Finishes the rows of a contact that this stream has enrolled."""
        for number, row in enumerate(rows):
            self._note(batch, row, EnrolmentMark(Standing.OURS, sequence_id))
            is_new = made and number == 0
            batch.finish(row, Outcome.CREATED if is_new else Outcome.UNCHANGED, contact_id)

    def _take_members(
        self,
        batch: Batch,
        group: _Group,
        by_contact: _ByContact,
        marks: Mapping[int, EnrolmentMark],
        repeated: bool,
    ) -> None:
        """Finishes rows whose contacts are in the sequence already.

        A request whose answer was lost, in this run or an earlier one, may have enrolled them.
        Those contacts are read, since they could be there by somebody else's doing.
        """
        sequence = group.sequence
        ours = {one for one in by_contact if (sequence.id, one) in self._enrolled}
        open_ones = [
            contact_id
            for contact_id, rows in by_contact.items()
            if contact_id not in ours
            and (repeated or any(_was_sent_before(batch, row) for row in rows))
        ]
        shown = self._read(open_ones)
        for contact_id, rows in by_contact.items():
            status = status_in(shown.get(contact_id, {}), sequence.id)
            if any(marks[row.number].made(status) for row in rows):
                self._enrolled.add((sequence.id, contact_id))
                self._counts.enrolled[sequence.name][group.mailbox.id] += 1
                self._finish_members(batch, rows, contact_id, sequence.id, made=True)
                continue
            self._counts.already_in[sequence.name] += len(rows)
            if contact_id in ours:
                self._finish_members(batch, rows, contact_id, sequence.id, made=False)
                continue
            for row in rows:
                self._note(batch, row, EnrolmentMark(Standing.FOUND, sequence.id))
                batch.finish(row, Outcome.UNCHANGED, contact_id)

    def _read(self, contact_ids: Sequence[str]) -> dict[str, JSON]:
        """Contacts by id, as far as Apollo shows them."""
        answers = self.run.read(CONTACT, contact_ids) if contact_ids else []
        return {
            contact_id: record
            for contact_id, record in zip(contact_ids, answers, strict=True)
            if not isinstance(record, (RequestRefused, AnotherRecord))
        }

    def _take_out_protected(self, sequence_id: str, joined: Sequence[JSON]) -> dict[str, Rejection]:
        """Finishes contacts that have joined, and of which the answer shows a protected stage.

        A search may be seconds behind, so the look before the request may have missed them.
        Whatever becomes of the request, their rows are rejected: a later run would not try again.
        """
        ids = [str(one["id"]) for one in joined if self._guard.protects(one.get(self._guard.field))]
        if not ids:
            return {}
        try:
            left = self._client.leave(sequence_id, ids, FINISH)
        except ApolloError:
            left = frozenset()
        return {one: _protected() if one in left else _still_in(sequence_id) for one in ids}

    # --- ending (mode `mirror`)

    def _end_deleted(self, batch: Batch, rows: Sequence[Row]) -> None:
        """Ends the enrolments of rows that were deleted at their source."""
        leavers: dict[int, Leaver] = {}
        for row in rows:
            mark, link = self._mark_of(batch, row), batch.history_of(row).link
            if self.mode is Mode.MIRROR and mark and link and may_end(link, mark):
                leavers[row.number] = Leaver(link, mark)
            else:
                batch.finish(row, Outcome.SKIPPED)
        found, ended = self._end(leavers.values())
        for row in rows:
            leaver = leavers.get(row.number)
            if leaver is None:
                continue
            if leaver.link.source_key in ended:
                self._note(batch, row, leaver.left)
                batch.finish(row, Outcome.UPDATED, leaver.contact_id)
            elif leaver in found.own:
                batch.finish(row, Outcome.REJECTED, rejection=_stays())
            else:
                batch.finish(row, Outcome.SKIPPED)

    def _end_moved(
        self, batch: Batch, rows: Sequence[tuple[Row, EmailSequence]]
    ) -> list[tuple[Row, EmailSequence]]:
        """Ends former enrolments of rows that now name another contact or sequence.

        Returns:
            The rows, without those whose former enrolment Apollo has not confirmed to be over.
        """
        leavers: dict[int, Leaver] = {}
        for row, sequence in rows if self.mode is Mode.MIRROR else ():
            mark, link = self._mark_of(batch, row), batch.history_of(row).link
            if mark and link and mark.standing is Standing.OURS:
                leaver = Leaver(link, mark)
                if (mark.sequence_id, leaver.contact_id) != (sequence.id, row.apollo_id):
                    leavers[row.number] = leaver
        found, ended = self._end(leavers.values())
        left = [one for one in found.own if one.link.source_key in ended]
        if self.links is not None:
            self.links.keep({one.link.source_key: (one.contact_id, one.left.text) for one in left})
        self._keep_former(batch, rows, {one.link.source_key for one in left})
        stuck = {
            number
            for number, one in leavers.items()
            if one in found.own and one.link.source_key not in ended
        }
        for row, _ in rows:
            if row.number in stuck:
                batch.finish(row, Outcome.REJECTED, rejection=_stays())
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
            mark, link = self._mark_of(batch, row), batch.history_of(row).link
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
        if self.links is not None:
            self.links.keep(kept)

    def _end(self, leavers: Collection[Leaver]) -> tuple[Sorted, set[str]]:
        """Ends enrolments; gives what was to end, and the source keys of those that have ended."""
        if not leavers or self.links is None:
            return Sorted(), set()
        gone = {one.link.source_key for one in leavers}
        found = self._exits.sort(self.links, leavers, gone)
        self._exits.check(self.links, len(found.own))
        ended: set[str] = set()
        for some in self._exits.end(found.own):
            ended |= some
        return found, ended

    def write_missing(self, seen: SeenKeys) -> None:
        """Ends the enrolments of rows that are missing in a whole table."""
        if self.links is not None:
            self._exits.end_missing(self.links, seen)


def _was_sent_before(batch: Batch, row: Row) -> bool:
    mark = EnrolmentMark.of(batch.history_of(row).link)
    return mark is not None and mark.standing is Standing.SENT


def _protected() -> Rejection:
    return Rejection(
        Reason.PROTECTED_STAGE,
        "the contact is in a stage of the setting 'protected_stages', so it gets no e-mail",
    )


def _still_in(sequence_id: str) -> Rejection:
    return Rejection(
        Reason.PROTECTED_STAGE,
        "the contact is in a stage of the setting 'protected_stages', was enrolled before that was "
        f"seen, and Apollo has not confirmed that it left: take it out of sequence {sequence_id} "
        "in Apollo at once, or it gets e-mail",
        endpoint=endpoints.LEAVE_SEQUENCES,
    )


def _has_left() -> Rejection:
    return Rejection(
        Reason.NOT_ENROLLED,
        "the contact was enrolled before and has left when its row was gone; nobody goes through "
        "a sequence twice",
    )


def _stays() -> Rejection:
    return Rejection(
        Reason.NOT_CONFIRMED,
        "Apollo has not confirmed that the contact has left its sequence; the next run tries again",
        endpoint=endpoints.LEAVE_SEQUENCES,
    )
