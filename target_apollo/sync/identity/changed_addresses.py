"""Decides which record a row has whose address is not the one that its record was last given.

An address is a contact's e-mail or an account's domain. Most rows still have the address that their
record was last given, and need no check. For the others the ledger is asked, then Apollo; the
table in `verdicts` says what follows. The cheapest check comes first: without a request, then a
search for each address, then a read of each record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, EndpointForbidden, RequestRefused
from target_apollo.ledger import Link, match_hash
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Mode, Row, key_text
from target_apollo.sync.batch import Batch
from target_apollo.sync.exit import RunError
from target_apollo.sync.identity.dead_links import as_new, history_of_found
from target_apollo.sync.identity.doubts import (
    Doubt,
    RowsByKey,
    doubts_of,
    forget_dead_holders,
    free_addresses,
    keep_addresses,
    moved_whole,
    of_absent_rows,
    share_out,
    weigh,
)
from target_apollo.sync.identity.finder import FoundRecords, RecordFinder
from target_apollo.sync.identity.names import compare_names
from target_apollo.sync.identity.verdicts import (
    Holder,
    LinkedRecord,
    Name,
    Verdict,
    conflict,
    unasked,
    verdict_of,
)
from target_apollo.sync.links.recall import RowHistory
from target_apollo.sync.links.stream_links import StreamLinks
from target_apollo.sync.records.record_stream import RecordStream
from target_apollo.sync.refusals import consequence_of

#: Records that are read first, to compare their names with those of the rows, before the others.
_SAMPLE = 20
#: The run ends if more rows than this, and more than this share of a batch's rows with a link, are
#: other people than those that their keys were linked to.
_ALWAYS_ALLOWED, _MOST_CHANGED_SHARE = 10, 0.1


@dataclass
class Decision:
    """The rows that go on to be written, with the ids of their records.

    Attributes:
        failure: The error that ends the run after these rows are written. Rows that could not be
            decided because of it have no outcome.
    """

    rows: list[Row] = field(default_factory=list)
    failure: ApolloError | None = None

    def then(self, later: Decision) -> Decision:
        """This decision, replaced by a later one on its rows; the first failure is kept."""
        return Decision(later.rows, self.failure or later.failure)


class IdentityCheck:
    """Decides for the rows of one stream; used by one thread, one batch at a time."""

    def __init__(self, stream: RecordStream, finder: RecordFinder) -> None:
        self._run = stream.run
        self._object_type = stream.object_type
        self._stream = stream
        self._mode = stream.mode
        self._links = stream.links
        self._finder = finder
        #: Apollo's answer if the API key may not read records.
        self._forbidden: EndpointForbidden | None = None

    # --- before a batch is written

    def decide(self, batch: Batch, rows: Sequence[Row], left: Sequence[Row]) -> Decision:
        """Decides on the rows that are left to be written; some get their outcome here.

        Args:
            rows: All rows of the batch.
            left: The rows without an outcome.

        Raises:
            RunError: Too many keys now mean somebody else, so nothing is written.
            ApolloError, LedgerError: The run can't go on.
        """
        links = self._links
        suspects = [row for row in left if batch.history_of(row).has_other_address]
        if links is None or not suspects:
            self._finish_sharing(batch, left, (), {})
            return Decision([row for row in left if batch.history_of(row).outcome is None])
        holders = links.of_addresses(match_hash(row.match_key or "") for row in suspects)
        doubts = doubts_of(suspects, batch.histories, holders)
        decided: dict[int, Row] = {}
        failure: ApolloError | None = None
        if self._mode is Mode.INSERT:
            for doubt in doubts:
                self._insert(batch, doubt, decided)
        else:
            in_batch = links.rows_of(batch.rows_by_key)
            open_doubts = self._finish_moved_keys(batch, links, in_batch, doubts, decided)
            known = sum(_is_known(batch.history_of(row)) for row in rows)
            try:
                failure = self._ask(batch, links, in_batch, open_doubts, known, decided)
            except EndpointForbidden as refusal:
                # The API key may not read records, so their names can't be compared.
                self._forbidden = refusal
                self._reject_unasked(batch, open_doubts, refusal)
        self._finish_sharing(batch, left, doubts, decided)
        doubted = {doubt.row.number for doubt in doubts}
        going_on = [
            decided.get(row.number, row)
            for row in left
            if row.number in decided
            or (row.number not in doubted and batch.history_of(row).outcome is None)
        ]
        # Rows with a record come first, so that a new row with the same address finds that record.
        going_on.sort(key=lambda row: row.number not in decided or row.apollo_id is None)
        return Decision(going_on, failure)

    def _insert(self, batch: Batch, doubt: Doubt, decided: dict[int, Row]) -> None:
        """Mode insert: the key now means another person, who may have a record already."""
        if len(doubt.owners) == 1:
            self._stream.count_verdict(Verdict.MOVED, doubt.row)
            batch.finish(doubt.row, Outcome.EXISTING, next(iter(doubt.owners)))
        else:
            decided[doubt.row.number] = self._as_new(batch, doubt.row)

    def _finish_moved_keys(
        self,
        batch: Batch,
        links: StreamLinks,
        in_batch: RowsByKey,
        doubts: Sequence[Doubt],
        decided: dict[int, Row],
    ) -> list[Doubt]:
        """Finishes rows whose values are all in the record of another key; returns other doubts.

        In a full resync the record's present values count as unknown, so the row is added to
        `decided` with the record's id, to be written.
        """
        claimed: set[str] = set()
        left: list[Doubt] = []
        for doubt in doubts:
            record_id = moved_whole(doubt, batch.history_of(doubt.row), in_batch)
            if record_id is None:
                left.append(doubt)
            else:
                claimed.add(record_id)
                self._note_left(doubt.link)
                self._stream.count_verdict(Verdict.MOVED, doubt.row)
                if self._run.settings.full_resync:
                    found = history_of_found(batch.history_of(doubt.row))
                    batch.replace_history(doubt.row, found)
                    decided[doubt.row.number] = with_values(doubt.row, apollo_id=record_id)
                else:
                    batch.finish(doubt.row, Outcome.UNCHANGED, record_id)
        if left:
            sharing = links.of_records(doubt.linked_id for doubt in left)
            weigh(left, in_batch, claimed, sharing)
        return left

    # --- with Apollo's help

    def _ask(
        self,
        batch: Batch,
        links: StreamLinks,
        in_batch: RowsByKey,
        doubts: Sequence[Doubt],
        known: int,
        decided: dict[int, Row],
    ) -> ApolloError | None:
        """Asks Apollo about the remaining doubts; adds rows that are to be written to `decided`.

        Args:
            known: Number of rows of the batch with a link.

        Returns:
            The failure that kept rows from being decided.
        """
        if not doubts:
            return None
        if self._forbidden is not None:
            raise self._forbidden
        self._stop_where_keys_are_unstable(doubts, known)
        self._compare([doubt for doubt in doubts if doubt.is_contested])
        self._join_absent_rows(of_absent_rows(doubts, in_batch))
        forget_dead_holders(doubts)
        self._let_companies_be_renamed(doubts)
        found = self._find(doubts, links)
        unasked = {doubt.row.number: doubt for doubt in doubts if self._needs_search(doubt)}
        nobody = [
            doubt
            for doubt in doubts
            if doubt.holder is Holder.NOBODY
            and doubt.linked is LinkedRecord.THERE
            and not self._object_type.is_matched_by_domain
        ]
        read = [doubt for doubt in nobody if doubt.shown is not None]
        unread = [doubt for doubt in nobody if doubt.shown is None]
        few = max(0, _SAMPLE - len(read))
        self._compare(unread[:few])
        if any(doubt.name is Name.OTHER or doubt.linked is LinkedRecord.DEAD for doubt in nobody):
            self._compare(unread[few:])
        staying = set(unasked)
        while True:
            while free_addresses(doubts, in_batch):
                pass
            share_out(doubts)
            staying |= {doubt.row.number for doubt in doubts if self._is_rejected(doubt)}
            if not keep_addresses(doubts, staying, in_batch):
                break
        answered = [doubt for doubt in doubts if doubt.row.number not in unasked]
        self._read_found(batch, answered)
        for doubt in answered:
            row = self._apply(batch, doubt)
            if row is not None:
                decided[row.number] = row
        if found.forbidden is not None:
            self._reject_unasked(batch, list(unasked.values()), found.forbidden)
        return found.failure

    def _reject_unasked(
        self, batch: Batch, doubts: Sequence[Doubt], refusal: EndpointForbidden
    ) -> None:
        for doubt in doubts:
            why = unasked(self._object_type, doubt.linked_id, refusal)
            batch.finish(doubt.row, Outcome.REJECTED, doubt.linked_id, rejection=why)

    def _finish_sharing(
        self,
        batch: Batch,
        left: Sequence[Row],
        doubts: Sequence[Doubt],
        decided: dict[int, Row],
    ) -> None:
        """Finishes unchanged rows that share a doubt's record, unless it gets a new address.

        If it does, these rows are added to `decided`, to be created as new ones.
        """
        taken = {
            doubt.linked_id
            for doubt in doubts
            if doubt.row.number in decided and verdict_of(doubt.evidence) is Verdict.ADDRESS_CHANGED
        }
        for row in left:
            outcome = batch.history_of(row).outcome
            if outcome is None:
                continue
            if row.apollo_id in taken:
                decided[row.number] = self._as_new(batch, row)
            else:
                batch.settle(row, outcome)

    def _join_absent_rows(self, doubts: Sequence[Doubt]) -> None:
        """Gives rows the record of a row that is not in the batch, if only that has their name.

        If a later batch has that row, the two share the record, as rows with one address do.
        """
        self._compare(doubts)
        strangers = [doubt for doubt in doubts if doubt.name is Name.OTHER]
        answers = self._run.read(self._object_type, [doubt.others[0] for doubt in strangers])
        for doubt, answer in zip(strangers, answers, strict=True):
            if not isinstance(answer, Exception):
                name = compare_names(self._object_type, doubt.row, answer)
                doubt.holder = Holder.FREE if name is Name.SAME else doubt.holder

    def _let_companies_be_renamed(self, doubts: Sequence[Doubt]) -> None:
        """Ignores that an account's name differs, unless another row has the record's address.

        A company that changes its domain often changes its name with it. A person who changes the
        e-mail address keeps at least a part of the name.
        """
        if self._object_type.is_matched_by_domain:
            for doubt in doubts:
                if doubt.linked is not LinkedRecord.CLAIMED and doubt.name is Name.OTHER:
                    doubt.name = Name.UNKNOWN

    def _needs_search(self, doubt: Doubt) -> bool:
        """Whether the verdict depends on who has the row's address, which is not known yet."""
        if doubt.holder is not None or doubt.row.deleted:
            return False
        # bulk_create finds the record of a new row by itself, but mode update sends none.
        return self._mode is Mode.UPDATE or verdict_of(doubt.evidence) is not Verdict.NEW

    def _find(self, doubts: Sequence[Doubt], links: StreamLinks) -> FoundRecords:
        to_find = [doubt for doubt in doubts if self._needs_search(doubt)]
        found = self._finder.find([doubt.row for doubt in to_find])
        for doubt in to_find:
            ids = found.ids.get(doubt.row.number)
            if ids is None:
                continue
            doubt.key = found.keys.get(doubt.row.number)
            if doubt.linked_id in ids:
                doubt.holder = Holder.LINKED
            elif len(ids) != 1:
                doubt.holder, doubt.others = (Holder.SEVERAL if ids else Holder.NOBODY), ids
            else:
                owners = links.of_records(ids).get(ids[0], ())
                is_free = all(owner.row == doubt.link.row for owner in owners)
                doubt.holder, doubt.others = (Holder.FREE if is_free else Holder.TAKEN), ids
        return found

    def _is_rejected(self, doubt: Doubt) -> bool:
        verdict = verdict_of(doubt.evidence)
        if verdict is Verdict.NEW:
            return self._mode is Mode.UPDATE
        return verdict in (Verdict.HELD_BY_ANOTHER, Verdict.AMBIGUOUS)

    def _read_found(self, batch: Batch, doubts: Sequence[Doubt]) -> None:
        """Reads the other records that rows turned out to have; most hold the row's values."""
        to_another = (Verdict.MOVED, Verdict.MERGED)
        moved = [doubt for doubt in doubts if verdict_of(doubt.evidence) in to_another]
        for answer in self._run.read(self._object_type, [doubt.others[0] for doubt in moved]):
            # If the record can't be read, its update fails with the reason.
            if not isinstance(answer, Exception):
                batch.cache.remember_read(answer)

    def _compare(self, doubts: Sequence[Doubt]) -> None:
        """Reads linked records, and compares their names with those of their rows."""
        unread = [doubt for doubt in doubts if doubt.shown is None and doubt.name is Name.UNKNOWN]
        answers = self._run.read(self._object_type, [doubt.linked_id for doubt in unread])
        for doubt, answer in zip(unread, answers, strict=True):
            if not isinstance(answer, Exception):
                doubt.shown = answer
                doubt.name = compare_names(self._object_type, doubt.row, answer)
            elif (
                isinstance(answer, RequestRefused)
                and consequence_of(answer, doubt.linked_id).record_is_gone
            ):
                doubt.linked = LinkedRecord.DEAD

    def _stop_where_keys_are_unstable(self, doubts: Sequence[Doubt], known: int) -> None:
        limit = max(
            _ALWAYS_ALLOWED,
            int(known * _MOST_CHANGED_SHARE),
            self._run.settings.max_identity_changes or 0,
        )
        if len(doubts) <= limit:
            return
        step = max(1, len(doubts) // _SAMPLE)
        sample = list(doubts)[::step][:_SAMPLE]
        self._compare(sample)
        differing = sum(doubt.name is Name.OTHER for doubt in sample)
        if len(doubts) * differing / len(sample) <= limit:
            return
        noun, stream = self._object_type.singular, self._stream.name
        first = ", ".join(key_text(doubt.row.key) for doubt in list(doubts)[:5])
        raise RunError(
            f"Stream '{stream}': {len(doubts)} of {known} known rows carry another address "
            f"than the {noun} that their key is linked to, and of {len(sample)} that were looked "
            f"at {differing} have another name too (keys {first} ...). The source keys seem to be "
            "unstable, as row numbers are, or come from another source, and writing would turn one "
            f"{noun} into another; nothing of these rows was written. Give the stream a stable "
            "'key' in the setting 'streams', or each source a name of its own in the setting "
            "'source'; if the rows are right, allow them with max_identity_changes."
        )

    # --- what a verdict means

    def _apply(self, batch: Batch, doubt: Doubt) -> Row | None:
        """The row with the id of its record, to be written; None if it has got its outcome."""
        row, verdict = doubt.row, verdict_of(doubt.evidence)
        if row.deleted:
            return self._apply_to_deleted(batch, doubt)
        if self._is_rejected(doubt):
            self._stream.count_verdict(verdict, row)
            key = doubt.key or row.match_key
            why = conflict(self._object_type, doubt.evidence, doubt.linked_id, doubt.others, key)
            batch.finish(row, Outcome.REJECTED, doubt.linked_id, rejection=why)
            return None
        if verdict in (Verdict.NEW, Verdict.MOVED) and doubt.linked is not LinkedRecord.DEAD:
            self._note_left(doubt.link)
        if verdict is Verdict.NEW:
            return self._as_new(batch, row)
        if verdict in (Verdict.MOVED, Verdict.MERGED):
            self._stream.count_verdict(verdict, row)
            history = batch.history_of(row)
            found = history_of_found(history, has_address=doubt.is_by_first_key)
            batch.replace_history(row, found)
            return with_values(row, apollo_id=doubt.others[0])
        if verdict is Verdict.ADDRESS_CHANGED:
            self._stream.count_verdict(verdict, row)
        history = with_values(
            batch.history_of(row),
            apollo_id=doubt.linked_id,
            keeps_match=verdict is Verdict.SAME and doubt.is_by_first_key,
        )
        batch.replace_history(row, history)
        return with_values(row, apollo_id=doubt.linked_id)

    def _apply_to_deleted(self, batch: Batch, doubt: Doubt) -> Row | None:
        """A row that was deleted at its source: its own record is moved, never another row's."""
        if doubt.linked is LinkedRecord.THERE and doubt.holder is None:
            return with_values(doubt.row, apollo_id=doubt.linked_id)
        batch.finish(doubt.row, Outcome.SKIPPED)
        return None

    def _note_left(self, link: Link) -> None:
        self._run.left_links[self._stream.name].append(link)

    def _as_new(self, batch: Batch, row: Row) -> Row:
        self._stream.count_verdict(Verdict.NEW, row)
        return as_new(batch, self._links, row)


def _is_known(history: RowHistory) -> bool:
    return history.link is not None or history.outcome is not None
