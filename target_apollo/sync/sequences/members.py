"""Enrols the contacts that rows name into Apollo's sequences, which then send e-mail to them.

A row that is known to have been enrolled is never sent again: a contact that a person has finished
or removed since stays out. Others go to Apollo a hundred a request, grouped by sequence, mailbox
and start (`Enroller`). In mode `mirror`, those whose rows are gone leave (`SequenceExits`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import MAX_BULK, EmailSequence, SequenceClient
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.objects.sequence_member import MAILBOX, SEQUENCE, Start
from target_apollo.model.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Batch
from target_apollo.sync.concurrency import Steps
from target_apollo.sync.deletions.whole_tables import SeenKeys
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.members import FoundMembers, MemberFinder
from target_apollo.sync.objects.object_sync import ObjectSync
from target_apollo.sync.sequences.directory import SequenceDirectory
from target_apollo.sync.sequences.enrolments import PROTECTED, Enroller, EnrolmentGroup
from target_apollo.sync.sequences.exits import SequenceExits
from target_apollo.sync.sequences.marks import (
    EnrolmentMark,
    Standing,
    lasting,
)
from target_apollo.sync.team.protected_stages import StageGuard

_HAS_LEFT = Rejection(
    Reason.NOT_ENROLLED,
    "the contact was enrolled before and has left when its row was gone; nobody goes through a "
    "sequence twice",
)


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
    def _exits(self) -> SequenceExits | None:
        """What ends enrolments; None in a plan without a ledger, which knows of none."""
        if self.links is None:
            return None
        return SequenceExits(self.run, self.stream, self._client, self._directory, self.links)

    @cached_property
    def _enroller(self) -> Enroller:
        return Enroller(self.run, self.stream, self._client, self.links, self._guard)

    @cached_property
    def _guard(self) -> StageGuard:
        return StageGuard(self.run, CONTACT)

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
        members = self._with_contact(batch, named, found)
        if self._exits is not None:
            members = self._exits.end_moved(batch, members, self.mode)
        new = self._without_protected(batch, self._without_known(batch, members))
        for group, by_contact in self._groups(batch, new).items():
            left = [*by_contact.items()]
            while left:
                allowed = self.run.limits.enrolments_allowed(min(len(left), MAX_BULK))
                part, left = left[:allowed], left[allowed:]
                self._enroller.enrol(batch, group, dict(part))
                yield
        if found.failure is not None:
            raise found.failure

    def _with_contact(
        self, batch: Batch, named: Sequence[tuple[Row, EmailSequence]], found: FoundMembers
    ) -> list[tuple[Row, EmailSequence]]:
        """The rows with the ids of their contacts; those whose contact is not known are rejected.

        Rows that were not looked up, since the run ends, are left out.
        """
        known: list[tuple[Row, EmailSequence]] = []
        for row, sequence in named:
            if row.number in found.unknown:
                batch.finish(row, Outcome.REJECTED, rejection=found.unknown[row.number])
            elif row.number in found.ids:
                _, contact_id = found.ids[row.number]
                known.append((with_values(row, apollo_id=contact_id), sequence))
        return known

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
                batch.finish(row, Outcome.REJECTED, rejection=_HAS_LEFT)
            else:
                if self.links is not None:
                    mark = EnrolmentMark(standing, sequence.id)
                    self.links.note_detail(batch.history_of(row), mark.text)
                batch.finish(row, Outcome.UNCHANGED, row.apollo_id)
                self.run.counts.enrolments.already_in[sequence.name] += 1
        return new

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
                batch.finish(row, Outcome.REJECTED, rejection=PROTECTED)
        return [(row, sequence) for row, sequence in rows if row.apollo_id not in kept]

    def _groups(
        self, batch: Batch, rows: Iterable[tuple[Row, EmailSequence]]
    ) -> dict[EnrolmentGroup, dict[str, list[Row]]]:
        """The rows by request and contact; those that can't be sent are rejected."""
        groups: dict[EnrolmentGroup, dict[str, list[Row]]] = {}
        for row, sequence in rows:
            try:
                mailbox = self._directory.mailbox(row.values[MAILBOX] or "")
                group = EnrolmentGroup(sequence, mailbox, Start.of(row.values))
            except RecordError as problem:
                batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
            else:
                groups.setdefault(group, {}).setdefault(row.apollo_id or "", []).append(row)
        return groups

    def _end_deleted(self, batch: Batch, rows: Sequence[Row]) -> None:
        if self._exits is not None:
            self._exits.end_deleted(batch, rows, self.mode)
            return
        for row in rows:
            batch.finish(row, Outcome.SKIPPED)

    def write_missing(self, seen: SeenKeys) -> None:
        """Ends the enrolments of rows that are missing in a whole table."""
        if self._exits is not None:
            self._exits.end_missing(seen)
