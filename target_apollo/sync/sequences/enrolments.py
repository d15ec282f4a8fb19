"""Sends the contacts that rows name to Apollo's sequences, and gives the rows their outcome.

The answer tells each contact's outcome; one that it does not name is not confirmed. A contact that
is in the sequence already was put there by a request whose answer was lost, or by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from target_apollo.apollo import (
    FINISH,
    JSON,
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
from target_apollo.model.objects.sequence_member import Start, why_skipped
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.objects.object_links import ObjectLinks
from target_apollo.sync.refusals import consequence_of, rejection
from target_apollo.sync.run import SyncRun
from target_apollo.sync.sequences.marks import EnrolmentMark, Standing
from target_apollo.sync.team.protected_stages import StageGuard
from target_apollo.system.shown import name_shown

#: Why a row is rejected whose contact is in a protected stage.
PROTECTED = Rejection(
    Reason.PROTECTED_STAGE,
    "the contact is in a stage of the setting 'protected_stages', so it gets no e-mail",
)

#: The rows of a request: id of a contact -> the rows that name it, of which the first is counted.
RowsByContact = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class EnrolmentGroup:
    """What one request enrols contacts into."""

    sequence: EmailSequence
    mailbox: Mailbox
    start: Start


class Enroller:
    """Enrols the contacts of one stream; for one thread, for the length of a run.

    Args:
        links: None in a plan without a ledger, which enrols nobody.
    """

    def __init__(
        self,
        run: SyncRun,
        stream: str,
        client: SequenceClient,
        links: ObjectLinks | None,
        guard: StageGuard,
    ) -> None:
        self._run = run
        self._stream = stream
        self._client = client
        self._links = links
        self._guard = guard
        self._counts = run.counts.enrolments
        #: Groups whose enrolment was logged.
        self._logged: set[EnrolmentGroup] = set()
        #: Sequence and contact of this run's enrolments.
        self._enrolled: set[tuple[str, str]] = set()

    def enrol(self, batch: Batch, group: EnrolmentGroup, by_contact: RowsByContact) -> None:
        """Sends one request; all rows have their outcome at the end.

        Raises:
            ApolloError, LedgerError, RunError: The run can't go on.
        """
        now = datetime.now(timezone.utc)
        marks: dict[int, EnrolmentMark] = {}
        rows = [row for some in by_contact.values() for row in some]
        for row in rows:
            before = EnrolmentMark.of(batch.history_of(row).link)
            fresh = EnrolmentMark(Standing.SENT, group.sequence.id, now)
            marks[row.number] = before.sent(group.sequence.id, now) if before else fresh
            self._note(batch, row, marks[row.number])
        self._log(group, len(by_contact))
        if self._links is not None:
            self._links.intend(rows, batch.histories)
        self._run.request_counter.plan_requests({endpoints.ADD_TO_SEQUENCE: 1})
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

    def _log(self, group: EnrolmentGroup, number: int) -> None:
        if group in self._logged:
            return
        self._logged.add(group)
        most = self._run.settings.max_enrolments
        self._run.logger.info(
            "Stream '%s' enrols contacts into sequence '%s' (%s) from mailbox %s%s: %d in the "
            "first request, %s.",
            self._stream,
            name_shown(group.sequence.name),
            group.sequence.id,
            group.mailbox.id,
            f", {group.start.status}" if group.start.status else "",
            number,
            "max_enrolments is not set" if most is None else f"max_enrolments is {most}",
        )

    def _note(self, batch: Batch, row: Row, mark: EnrolmentMark) -> None:
        if self._links is not None:
            self._links.note_detail(batch.history_of(row), mark.text)

    def _take_refusal(
        self,
        batch: Batch,
        group: EnrolmentGroup,
        by_contact: RowsByContact,
        refusal: RequestRefused,
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
            self.enrol(batch, group, others)

    def _take(
        self,
        batch: Batch,
        group: EnrolmentGroup,
        by_contact: RowsByContact,
        marks: Mapping[int, EnrolmentMark],
        answer: Enrolled,
    ) -> None:
        sequence_id = group.sequence.id
        joined = [one for one in by_contact if one in answer.joined]
        self._run.limits.enrolled += len(joined)
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
        group: EnrolmentGroup,
        by_contact: RowsByContact,
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
        answers = self._run.read(CONTACT, contact_ids) if contact_ids else []
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
        return {one: PROTECTED if one in left else _still_in(sequence_id) for one in ids}


def _was_sent_before(batch: Batch, row: Row) -> bool:
    mark = EnrolmentMark.of(batch.history_of(row).link)
    return mark is not None and mark.standing is Standing.SENT


def _still_in(sequence_id: str) -> Rejection:
    return Rejection(
        Reason.PROTECTED_STAGE,
        "the contact is in a stage of the setting 'protected_stages', was enrolled before that was "
        f"seen, and Apollo has not confirmed that it left: take it out of sequence {sequence_id} "
        "in Apollo at once, or it gets e-mail",
        endpoint=endpoints.LEAVE_SEQUENCES,
    )
